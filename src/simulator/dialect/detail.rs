//! `pwr N` of a 48 V bank: a block of labels and values.

use super::super::battery::{BaseState, Battery, Word};
use super::super::said::{Detail, Values};
use super::events::{self, Topic};
use super::text::{FEED, HEAD};
use super::{Answer, EventStyle, Spec, measure};

/// A line of the block.
pub(crate) struct Field {
    /// Its label, or the whole line where it has another shape.
    label: &'static str,
    /// What follows the colon.
    value: Value,
}

/// The shapes of values.
enum Value {
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
    above: &'static [Field],
    fields: &'static [Field],
    /// Width of a number before its unit.
    number_width: usize,
    /// Width of a number without unit.
    count_width: usize,
    /// Width of an event word before the names of its bits.
    event_width: usize,
}

const fn field(label: &'static str, value: Value) -> Field {
    Field { label, value }
}

const RULE: &str = " ----------------------------";

/// Expands to the fields in order; the groups that dialects share are written once.
macro_rules! fields {
    (@ voltage) => { field("Voltage", Value::Number(|d| Some(d.voltage_mv.into()), "mV")) };
    (@ current) => { field("Current", Value::Number(|d| Some(d.current_ma.into()), "mA")) };
    (@ temperature) => { field("Temperature", Value::Number(|d| Some(d.temperature_mc.into()), "mC")) };
    (@ coulomb) => { field("Coulomb", Value::Number(|d| Some(d.soc.into()), "%")) };
    (@ total_mah) => { field("Total Coulomb", Value::Number(|d| d.total_mah, "mAH")) };
    (@ total_mas) => { field("Total Coulomb", Value::Number(|d| d.total_mah.map(|mah| mah * 3600), "mAS")) };
    (@ real) => { field("Real Coulomb", Value::Number(|d| d.real_mah, "mAH")) };
    (@ max_voltage) => { field("Max Voltage", Value::Number(|d| d.max_voltage_mv.map(i64::from), "mV")) };
    (@ charge_times) => { field("Charge Times", Value::Count(|d| d.charge_times)) };
    (@ base) => { field("Basic Status", Value::State(|d| &d.base_state)) };
    (@ charge_sec) => { field("Charge Sec.", Value::Seconds(|d| d.charge_seconds)) };
    (@ discharge_sec) => { field("Discharge Sec.", Value::Seconds(|d| d.discharge_seconds)) };
    (@ volt_st) => { field("Volt Status", Value::State(|d| &d.voltage_state)) };
    (@ current_st) => { field("Current Status", Value::State(|d| &d.current_state)) };
    (@ temperature_st) => { field("Tmpr. Status", Value::State(|d| &d.temperature_state)) };
    (@ coulomb_st) => { field("Coul. Status", Value::State(|d| &d.coulomb_state)) };
    (@ soh_st) => { field("Soh. Status", Value::State(|d| d.soh_state.as_deref().unwrap_or_default())) };
    (@ heater) => { field("Heater Status", Value::Fixed("OFF")) };
    (@ bat_events) => {
        field("Bat Events", Value::Events(|d| d.battery_events.unwrap_or_default(), events::BATTERY))
    };
    (@ power_events) => {
        field("Power Events", Value::Events(|d| d.power_events.unwrap_or_default(), events::POWER))
    };
    (@ fault) => {
        field("System Fault", Value::Events(|d| d.system_fault.unwrap_or_default(), events::FAULT))
    };
    (@ alarm) => {
        field("System Alarm", Value::Events(|d| d.system_alarm.unwrap_or_default(), events::ALARM))
    };
    ($($name:ident $(= $other:expr)?),* $(,)?) => { &[$(fields!(@@ $name $(= $other)?)),*] };
    (@@ $name:ident = $other:expr) => { $other };
    (@@ $name:ident) => { fields!(@ $name) };
}

const PROTECTIONS: &str = "BOV BHV BLV BUV POV PHV PLV PUV CBOT CBHT CBLT CBUT DBOT DBHT DBLT DBUT POT PHT \
                           PLT PUT COC COC2 COCA DOCA DOC DOC2 SC LCOUL ";
const PROTECTIONS_C: &str = "BOV BHV BLV BUV POV PHV PLV PUV CBOT CBHT CBLT CBUT DBOT DBHT DBLT DBUT POT PHT \
                             COC COC2 COCA DOCA DOC DOC2 SC LCOUL ";
const PROTECTIONS_D: &str = "BOV BHV BLV BUV POV PHV PLV PUV CBOT CBHT CBLT CBUT DBOT DBHT DBLT DBUT POT PHT \
                             PLT PUT COC COC2 COCA DOCA DOC DOC2 SC ";

const fn protections(list: &'static str) -> Field {
    field("Protect ENA", Value::List(list))
}

const fn plain(fields: &'static [Field]) -> DetailLayout {
    DetailLayout { above: &[], fields, number_width: 12, count_width: 12, event_width: 11 }
}

/// US2000.
pub(crate) const US2000: DetailLayout = plain(fields![
    voltage,
    current,
    temperature,
    coulomb,
    total_mah,
    max_voltage,
    charge_times,
    base,
    charge_sec,
    discharge_sec,
    volt_st,
    current_st,
    temperature_st,
    coulomb_st,
    soh_st,
    heater,
    protect = protections(PROTECTIONS),
    bat_events,
    power_events,
    fault,
]);
/// US2000C and US3000C.
pub(crate) const US2000C: DetailLayout = plain(fields![
    voltage,
    current,
    temperature,
    coulomb,
    total_mah,
    max_voltage,
    charge_times,
    base,
    charge_sec,
    discharge_sec,
    volt_st,
    current_st,
    temperature_st,
    coulomb_st,
    soh_st,
    heater,
    protect = protections(PROTECTIONS_C),
    bat_events,
    power_events,
    fault,
]);
/// US5000: two lines above the rule, and an alarm word.
pub(crate) const US5000: DetailLayout = DetailLayout {
    above: &[field(" CFetState:ON", Value::Bare), field(" DFetState:ON", Value::Bare)],
    ..plain(fields![
        voltage,
        current,
        temperature,
        coulomb,
        total_mah,
        max_voltage,
        charge_times,
        base,
        charge_sec,
        discharge_sec,
        volt_st,
        current_st,
        temperature_st,
        coulomb_st,
        soh_st,
        heater,
        protect = protections(PROTECTIONS_C),
        bat_events,
        power_events,
        fault,
        alarm,
    ])
};
/// US3000D: a word a topic instead of event words.
pub(crate) const US3000D: DetailLayout = plain(fields![
    voltage,
    inner = field("B+B-.Volt", Value::Number(|d| Some(i64::from(d.voltage_mv) - 11), "mV")),
    current,
    temperature,
    coulomb,
    total_mah,
    max_voltage,
    charge_times,
    base,
    charge_sec,
    discharge_sec,
    volt_st,
    current_st,
    temperature_st,
    coulomb_st,
    soh_st,
    heater,
    protect = protections(PROTECTIONS_D),
    t1 = field("Bat Volt Status", Value::Topic(Topic::BatteryVoltage)),
    t2 = field("Bat Tmpr Status", Value::Topic(Topic::BatteryTemperature)),
    t3 = field("Pwr Volt Status", Value::Topic(Topic::PowerVoltage)),
    t4 = field("Pwr Tmpr Status", Value::Topic(Topic::PowerTemperature)),
    t5 = field("Pwr Curr Status", Value::Topic(Topic::Current)),
    t6 = field("Pwr Base Status", Value::Topic(Topic::Base)),
    t7 = field("Pwr Coul Status", Value::Topic(Topic::Coulomb)),
    t8 = field("Mos Tmpr Status", Value::Topic(Topic::MosfetTemperature)),
    t9 = field("Env Tmpr Status", Value::Topic(Topic::Ambient)),
    fault,
    t10 = field("Cascade Status", Value::Topic(Topic::Cascade)),
]);
/// PYTES E-BOX-4850P.
pub(crate) const PYTES: DetailLayout = plain(fields![
    voltage,
    current,
    temperature,
    coulomb,
    total_mah,
    real,
    max_voltage,
    charge_times,
    base,
    volt_st,
    current_st,
    temperature_st,
    coulomb_st,
    soh_st,
    heater,
    protect = protections(PROTECTIONS),
    bat_events,
    power_events,
    fault,
]);
/// PYTES E-BOX-48100R.
pub(crate) const PYTES_R: DetailLayout = plain(fields![
    voltage,
    current,
    temperature,
    coulomb,
    total_mah,
    real,
    max_voltage,
    charge_times,
    base,
    charge_sec,
    discharge_sec,
    volt_st,
    current_st,
    temperature_st,
    coulomb_st,
    soh_st,
    heater,
    protect = protections(PROTECTIONS),
    bat_events,
    power_events,
    fault,
]);
/// PYTES model C: the heater twice, no state of health.
pub(crate) const PYTES_C: DetailLayout = plain(fields![
    voltage,
    current,
    temperature,
    coulomb,
    total_mah,
    real,
    charged = field("Total Power In", Value::Number(|d| d.charged_as, "AS")),
    discharged = field("Total Power Out", Value::Number(|d| d.discharged_as, "AS")),
    max_voltage,
    charge_times,
    base,
    volt_st,
    current_st,
    temperature_st,
    coulomb_st,
    heater,
    again = field("Heater Status", Value::Fixed("OFF")),
    cmos = field("CMOS Status", Value::Fixed("ON")),
    dmos = field("DMOS Status", Value::Fixed("ON")),
    protect = protections(PROTECTIONS),
    bat_events,
    power_events,
    fault,
]);
/// PYTES V5.
pub(crate) const PYTES_V5: DetailLayout = DetailLayout {
    above: &[],
    number_width: 20,
    count_width: 16,
    event_width: 10,
    fields: fields![
        voltage,
        soc_voltage = field("SOC Voltage", Value::Number(|d| Some(i64::from(d.voltage_mv) - 4), "mV")),
        current,
        temperature,
        coulomb,
        total_mas,
        real,
        charged = field("Total Power In", Value::Number(|d| d.charged_as, "AS")),
        discharged = field("Total Power Out", Value::Number(|d| d.discharged_as, "AS")),
        charges = field("Charge Count", Value::Count(|_| 0)),
        discharges = field("Discharge Count", Value::Count(|_| 0)),
        charge_times,
        work = field("Work Status", Value::Count(|_| 2)),
        number = field("Bat Num", Value::Count(|d| d.cells.unwrap_or_default() as i64)),
        barcode = field("Barcode", Value::Text(|d| d.barcode.clone().unwrap_or_default(), 0)),
        device = field("DevType", Value::Text(|d| d.device_type.clone().unwrap_or_default(), 16)),
        firmware = field("Firm Version", Value::Text(|d| d.firmware.clone().unwrap_or_default(), 0)),
        next = field("Next Device", Value::Count(|_| 0)),
        base,
        volt_st,
        current_st,
        temperature_st,
        coulomb_st,
        battery = field("Bat Status", Value::Text(|_| "VNOR TNOR".to_owned(), 0)),
        heater,
        cmos = field("CMOS Status", Value::Fixed("ON")),
        dmos = field("DMOS Status", Value::Fixed("ON")),
        input = field("Input Status", Value::Fixed("OFF")),
        terminal = field("Terminal Res.", Value::Fixed("ON")),
        cells = field("Bat Protect ENA", Value::List("OV HV LV UV SLP OT HT LT UT")),
        power = field(
            "Pwr Protect ENA",
            Value::List("OV HV LV UV SLP OT HT LT UT COC COC1 COC2 COCA DOCA DOC DOC1 DOC2 SC")
        ),
        bat_events,
        power_events,
        fault,
    ],
};

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
