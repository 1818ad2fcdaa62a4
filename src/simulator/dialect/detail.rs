//! `pwr N` of a 48 V bank: a block of labels and values. The fields of each dialect are in `detail_fields`.

use crate::simulator::dialect::answer::AnswerBody;
use crate::simulator::dialect::events::{self, EventStyle};
use crate::simulator::dialect::layouts::{DetailField, DetailLayout, DetailValue};
use crate::simulator::dialect::measurement::{self, Measurement};
use crate::simulator::dialect::spec::DialectSpec;
use crate::simulator::dialect::text::{FEED, HEAD};
use crate::simulator::physics::battery::{BaseState, EventWordKind, SimulatedBattery};
use crate::simulator::printed::{PrintedDetail, PrintedValues};

const RULE: &str = " ----------------------------";

impl DetailLayout {
    fn has(&self, label: &str) -> bool {
        self.fields.iter().any(|field| field.label == label)
    }

    fn value(&self, field: &DetailField, detail: &PrintedDetail, style: EventStyle) -> Option<String> {
        Some(match field.value {
            DetailValue::Number(number, unit) => format!("{:<1$}{unit}", number(detail)?, self.number_width),
            DetailValue::Count(count) => format!("{:<1$}", count(detail), self.count_width),
            DetailValue::Seconds(seconds) => format!("{:<8}s", seconds(detail)?),
            DetailValue::State(state) => format!("{:<8}", state(detail)),
            DetailValue::Fixed(word) => format!("{word:<8}"),
            DetailValue::Text(text, width) => format!("{:<1$}", text(detail), width),
            DetailValue::List(list) => list.to_owned(),
            DetailValue::Events(bits, names) => events::print(bits(detail), names, self.event_width, style),
            DetailValue::Status(word) => {
                let (_, bits) = detail.status_words.iter().find(|(label, _)| label == field.label)?;
                events::print(*bits, word.names(), self.event_width, style)
            }
            DetailValue::Bare => String::new(),
        })
    }

    /// The values that this layout prints of a battery; all others are `None`.
    pub(super) fn detail(
        &self,
        place: usize,
        battery: &SimulatedBattery,
        spec: &DialectSpec,
    ) -> PrintedDetail {
        let measured = Measurement::of(battery, spec.temperature_step);
        let has = |label| self.has(label);
        let status_words = self.fields.iter().filter_map(|field| match field.value {
            DetailValue::Status(word) => Some((field.label.to_owned(), word.bits(battery))),
            _ => None,
        });
        PrintedDetail {
            place,
            voltage_mv: measured.voltage_mv,
            current_ma: measured.current_ma,
            temperature_mc: measured.temperature_mc,
            soc: measured.soc,
            total_mah: Some((battery.nominal * 1000.0) as i64),
            real_mah: has("Real Coulomb").then(|| learned_capacity_mah(battery)),
            max_voltage_mv: has("Max Voltage").then_some(spec.max_voltage_mv),
            charge_times: battery.counters().charges.into(),
            charged_as: has("Total Power In").then_some(battery.counters().charged as i64),
            discharged_as: has("Total Power Out").then_some(battery.counters().discharged as i64),
            base_state: measured.base_state.to_owned(),
            charge_seconds: measurement::seconds_in(battery, BaseState::Charge)
                .filter(|_| has("Charge Sec.")),
            discharge_seconds: measurement::seconds_in(battery, BaseState::Dischg)
                .filter(|_| has("Discharge Sec.")),
            voltage_state: measured.voltage_state.to_owned(),
            current_state: measured.current_state.to_owned(),
            temperature_state: measured.temperature_state.to_owned(),
            coulomb_state: measured.coulomb_state.to_owned(),
            soh_state: has("Soh. Status").then(|| "Normal".to_owned()),
            battery_events: has("Bat Events").then(|| battery.event_bits(EventWordKind::Battery)),
            power_events: has("Power Events").then(|| battery.event_bits(EventWordKind::Power)),
            system_fault: has("System Fault").then(|| battery.event_bits(EventWordKind::Fault)),
            system_alarm: has("System Alarm").then(|| battery.event_bits(EventWordKind::Alarm)),
            status_words: status_words.collect(),
            barcode: has("Barcode").then(|| battery.barcode.clone()),
            device_type: has("DevType").then(|| spec.device.to_owned()),
            firmware: has("Firm Version").then(|| spec.firmware.to_owned()),
            cells: has("Bat Num").then(|| battery.cell_count()),
        }
    }
}

/// The capacity of the weakest cell.
fn learned_capacity_mah(battery: &SimulatedBattery) -> i64 {
    battery.cells.iter().map(|cell| (cell.capacity / 3.6) as i64).min().unwrap_or(0)
}

/// Answers `pwr N`.
pub(super) fn answer(
    place: usize,
    battery: &SimulatedBattery,
    spec: &DialectSpec,
    layout: &DetailLayout,
    style: EventStyle,
) -> AnswerBody {
    let detail = layout.detail(place, battery, spec);
    let mut text = spec.open_padded();
    for field in layout.above {
        text.line(FEED, field.label);
    }
    text.line(FEED, RULE);
    text.line(FEED, format!(" Power  {place}"));
    text.line(FEED, "");
    for field in layout.fields {
        if let Some(value) = layout.value(field, &detail, style) {
            let before = if matches!(field.value, DetailValue::List(_)) { HEAD } else { FEED };
            text.line(before, format!(" {:<16}: {value}", field.label));
        }
    }
    text.line(FEED, RULE);
    AnswerBody::done(text, PrintedValues::Detail(Box::new(detail)))
}
