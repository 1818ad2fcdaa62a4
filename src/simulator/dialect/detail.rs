//! `pwr N` of a 48 V bank: a block of labels and values. Which dialect has which is in `detail_fields`.

use super::super::battery::{BaseState, Battery, Word};
use super::super::said::{Detail, Values};
use super::events::{self, Topic};
use super::text::{FEED, HEAD};
use super::{Answer, EventStyle, Spec, measure};

/// A line of the block.
pub(crate) struct Field {
    /// Its label, or the whole line where it has another shape.
    pub(crate) label: &'static str,
    /// What follows the colon.
    pub(crate) value: Value,
}

/// The shapes of values.
pub(crate) enum Value {
    /// A number padded to the unit's column, then the unit; absent where `None`.
    Number(fn(&Detail) -> Option<i64>, &'static str),
    /// A number without unit.
    Count(fn(&Detail) -> i64),
    /// Seconds, in a column of their own width; absent where `None`.
    Seconds(fn(&Detail) -> Option<i64>),
    /// A state, padded to eight.
    State(fn(&Detail) -> &str),
    /// A fixed word, padded to eight.
    Fixed(&'static str),
    /// Text as it is, and the width it is padded to.
    Text(fn(&Detail) -> String, usize),
    /// The protections that are on; this line stands behind a line end of the other kind.
    List(&'static str),
    /// An event word.
    Events(fn(&Detail) -> u32, events::Names),
    /// The topic word of this label.
    Topic(Topic),
    /// The label is the line.
    Bare,
}

/// How the block of a dialect is laid out.
pub(crate) struct DetailLayout {
    /// Lines above the first rule.
    pub(crate) above: &'static [Field],
    /// The lines below it.
    pub(crate) fields: &'static [Field],
    /// Width of a number before its unit.
    pub(crate) number_width: usize,
    /// Width of a number without unit.
    pub(crate) count_width: usize,
    /// Width of an event word before the names of its bits.
    pub(crate) event_width: usize,
}

const RULE: &str = " ----------------------------";

impl DetailLayout {
    fn has(&self, label: &str) -> bool {
        self.fields.iter().any(|field| field.label == label)
    }

    fn value(&self, field: &Field, detail: &Detail, style: EventStyle) -> Option<String> {
        Some(match field.value {
            Value::Number(number, unit) => format!("{:<1$}{unit}", number(detail)?, self.number_width),
            Value::Count(count) => format!("{:<1$}", count(detail), self.count_width),
            Value::Seconds(seconds) => format!("{:<8}s", seconds(detail)?),
            Value::State(state) => format!("{:<8}", state(detail)),
            Value::Fixed(word) => format!("{word:<8}"),
            Value::Text(text, width) => format!("{:<1$}", text(detail), width),
            Value::List(list) => list.to_owned(),
            Value::Events(bits, names) => events::print(bits(detail), names, self.event_width, style),
            Value::Topic(topic) => {
                let (_, bits) = detail.topics.iter().find(|(label, _)| label == field.label)?;
                events::print(*bits, topic.names(), self.event_width, style)
            }
            Value::Bare => String::new(),
        })
    }

    /// What this layout says of a battery; what it does not print is `None`.
    pub(super) fn of(&self, place: usize, battery: &Battery, spec: &Spec) -> Detail {
        let seen = measure::Seen::of(battery, spec.temperature_step);
        let said = |label| self.has(label);
        let topics = self.fields.iter().filter_map(|field| match field.value {
            Value::Topic(topic) => Some((field.label.to_owned(), topic.bits(battery))),
            _ => None,
        });
        Detail {
            place,
            voltage_mv: seen.voltage_mv,
            current_ma: seen.current_ma,
            temperature_mc: seen.temperature_mc,
            soc: seen.soc,
            total_mah: Some((battery.nominal * 1000.0) as i64),
            real_mah: said("Real Coulomb").then(|| learned_mah(battery)),
            max_voltage_mv: said("Max Voltage").then_some(spec.max_voltage_mv),
            charge_times: battery.counters().charges.into(),
            charged_as: said("Total Power In").then_some(battery.counters().charged as i64),
            discharged_as: said("Total Power Out").then_some(battery.counters().discharged as i64),
            base_state: seen.base_state.to_owned(),
            charge_seconds: measure::seconds_in(battery, BaseState::Charge).filter(|_| said("Charge Sec.")),
            discharge_seconds: measure::seconds_in(battery, BaseState::Dischg)
                .filter(|_| said("Discharge Sec.")),
            voltage_state: seen.voltage_state.to_owned(),
            current_state: seen.current_state.to_owned(),
            temperature_state: seen.temperature_state.to_owned(),
            coulomb_state: seen.coulomb_state.to_owned(),
            soh_state: said("Soh. Status").then(|| "Normal".to_owned()),
            battery_events: said("Bat Events").then(|| battery.events(Word::Battery)),
            power_events: said("Power Events").then(|| battery.events(Word::Power)),
            system_fault: said("System Fault").then(|| battery.events(Word::Fault)),
            system_alarm: said("System Alarm").then(|| battery.events(Word::Alarm)),
            topics: topics.collect(),
            barcode: said("Barcode").then(|| battery.barcode.clone()),
            device_type: said("DevType").then(|| spec.device.to_owned()),
            firmware: said("Firm Version").then(|| spec.firmware.to_owned()),
            cells: said("Bat Num").then(|| battery.cell_count()),
        }
    }
}

/// What the weakest cell holds when full.
fn learned_mah(battery: &Battery) -> i64 {
    battery.cells.iter().map(|cell| (cell.capacity / 3.6) as i64).min().unwrap_or(0)
}

/// Answers `pwr N`.
pub(super) fn answer(
    place: usize,
    battery: &Battery,
    spec: &Spec,
    layout: &DetailLayout,
    style: EventStyle,
) -> Answer {
    let detail = layout.of(place, battery, spec);
    let mut text = spec.open_padded();
    for field in layout.above {
        text.line(FEED, field.label);
    }
    text.line(FEED, RULE);
    text.line(FEED, format!(" Power  {place}"));
    text.line(FEED, "");
    for field in layout.fields {
        if let Some(value) = layout.value(field, &detail, style) {
            let before = if matches!(field.value, Value::List(_)) { HEAD } else { FEED };
            text.line(before, format!(" {:<16}: {value}", field.label));
        }
    }
    text.line(FEED, RULE);
    Answer::done(text, Values::Detail(Box::new(detail)))
}
