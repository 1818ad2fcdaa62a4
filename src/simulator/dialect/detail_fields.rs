//! Which lines `pwr N` has in which dialect.

use super::detail::{DetailLayout, Field, Value};
use super::events::{self, Topic};

const fn field(label: &'static str, value: Value) -> Field {
    Field { label, value }
}

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
