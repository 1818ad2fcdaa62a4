//! The lines of `pwr N` in each dialect.

use crate::simulator::dialect::events::{self, StatusWord};
use crate::simulator::dialect::layouts::{DetailField, DetailLayout, DetailValue};

const fn field(label: &'static str, value: DetailValue) -> DetailField {
    DetailField { label, value }
}

/// Expands to the fields in order; fields that dialects share are defined once.
macro_rules! fields {
    (@ voltage) => { field("Voltage", DetailValue::Number(|d| Some(d.voltage_mv.into()), "mV")) };
    (@ current) => { field("Current", DetailValue::Number(|d| Some(d.current_ma.into()), "mA")) };
    (@ temperature) => { field("Temperature", DetailValue::Number(|d| Some(d.temperature_mc.into()), "mC")) };
    (@ coulomb) => { field("Coulomb", DetailValue::Number(|d| Some(d.soc.into()), "%")) };
    (@ total_mah) => { field("Total Coulomb", DetailValue::Number(|d| d.total_mah, "mAH")) };
    (@ total_mas) => { field("Total Coulomb", DetailValue::Number(|d| d.total_mah.map(|mah| mah * 3600), "mAS")) };
    (@ real) => { field("Real Coulomb", DetailValue::Number(|d| d.real_mah, "mAH")) };
    (@ max_voltage) => { field("Max Voltage", DetailValue::Number(|d| d.max_voltage_mv.map(i64::from), "mV")) };
    (@ charge_times) => { field("Charge Times", DetailValue::Count(|d| d.charge_times)) };
    (@ base) => { field("Basic Status", DetailValue::State(|d| &d.base_state)) };
    (@ charge_sec) => { field("Charge Sec.", DetailValue::Seconds(|d| d.charge_seconds)) };
    (@ discharge_sec) => { field("Discharge Sec.", DetailValue::Seconds(|d| d.discharge_seconds)) };
    (@ volt_st) => { field("Volt Status", DetailValue::State(|d| &d.voltage_state)) };
    (@ current_st) => { field("Current Status", DetailValue::State(|d| &d.current_state)) };
    (@ temperature_st) => { field("Tmpr. Status", DetailValue::State(|d| &d.temperature_state)) };
    (@ coulomb_st) => { field("Coul. Status", DetailValue::State(|d| &d.coulomb_state)) };
    (@ soh_st) => { field("Soh. Status", DetailValue::State(|d| d.soh_state.as_deref().unwrap_or_default())) };
    (@ heater) => { field("Heater Status", DetailValue::Fixed("OFF")) };
    (@ bat_events) => {
        field("Bat Events", DetailValue::Events(|d| d.battery_events.unwrap_or_default(), events::BATTERY))
    };
    (@ power_events) => {
        field("Power Events", DetailValue::Events(|d| d.power_events.unwrap_or_default(), events::POWER))
    };
    (@ fault) => {
        field("System Fault", DetailValue::Events(|d| d.system_fault.unwrap_or_default(), events::FAULT))
    };
    (@ alarm) => {
        field("System Alarm", DetailValue::Events(|d| d.system_alarm.unwrap_or_default(), events::ALARM))
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

const fn protections(list: &'static str) -> DetailField {
    field("Protect ENA", DetailValue::List(list))
}

const fn plain(fields: &'static [DetailField]) -> DetailLayout {
    DetailLayout { above: &[], fields, number_width: 12, count_width: 12, event_width: 11 }
}

/// US2000.
pub(super) const US2000: DetailLayout = plain(fields![
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
pub(super) const US2000C: DetailLayout = plain(fields![
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
pub(super) const US5000: DetailLayout = DetailLayout {
    above: &[field(" CFetState:ON", DetailValue::Bare), field(" DFetState:ON", DetailValue::Bare)],
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
/// US3000D: one status word per topic instead of event words.
pub(super) const US3000D: DetailLayout = plain(fields![
    voltage,
    inner = field("B+B-.Volt", DetailValue::Number(|d| Some(i64::from(d.voltage_mv) - 11), "mV")),
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
    t1 = field("Bat Volt Status", DetailValue::Status(StatusWord::BatteryVoltage)),
    t2 = field("Bat Tmpr Status", DetailValue::Status(StatusWord::BatteryTemperature)),
    t3 = field("Pwr Volt Status", DetailValue::Status(StatusWord::PowerVoltage)),
    t4 = field("Pwr Tmpr Status", DetailValue::Status(StatusWord::PowerTemperature)),
    t5 = field("Pwr Curr Status", DetailValue::Status(StatusWord::Current)),
    t6 = field("Pwr Base Status", DetailValue::Status(StatusWord::Base)),
    t7 = field("Pwr Coul Status", DetailValue::Status(StatusWord::Coulomb)),
    t8 = field("Mos Tmpr Status", DetailValue::Status(StatusWord::MosfetTemperature)),
    t9 = field("Env Tmpr Status", DetailValue::Status(StatusWord::Ambient)),
    fault,
    t10 = field("Cascade Status", DetailValue::Status(StatusWord::Cascade)),
]);
/// PYTES E-BOX-4850P.
pub(super) const PYTES: DetailLayout = plain(fields![
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
pub(super) const PYTES_R: DetailLayout = plain(fields![
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
/// PYTES model C: heater status twice, no state of health.
pub(super) const PYTES_C: DetailLayout = plain(fields![
    voltage,
    current,
    temperature,
    coulomb,
    total_mah,
    real,
    charged = field("Total Power In", DetailValue::Number(|d| d.charged_as, "AS")),
    discharged = field("Total Power Out", DetailValue::Number(|d| d.discharged_as, "AS")),
    max_voltage,
    charge_times,
    base,
    volt_st,
    current_st,
    temperature_st,
    coulomb_st,
    heater,
    again = field("Heater Status", DetailValue::Fixed("OFF")),
    cmos = field("CMOS Status", DetailValue::Fixed("ON")),
    dmos = field("DMOS Status", DetailValue::Fixed("ON")),
    protect = protections(PROTECTIONS),
    bat_events,
    power_events,
    fault,
]);
/// PYTES V5.
pub(super) const PYTES_V5: DetailLayout = DetailLayout {
    above: &[],
    number_width: 20,
    count_width: 16,
    event_width: 10,
    fields: fields![
        voltage,
        soc_voltage = field("SOC Voltage", DetailValue::Number(|d| Some(i64::from(d.voltage_mv) - 4), "mV")),
        current,
        temperature,
        coulomb,
        total_mas,
        real,
        charged = field("Total Power In", DetailValue::Number(|d| d.charged_as, "AS")),
        discharged = field("Total Power Out", DetailValue::Number(|d| d.discharged_as, "AS")),
        charges = field("Charge Count", DetailValue::Count(|_| 0)),
        discharges = field("Discharge Count", DetailValue::Count(|_| 0)),
        charge_times,
        work = field("Work Status", DetailValue::Count(|_| 2)),
        number = field("Bat Num", DetailValue::Count(|d| d.cells.unwrap_or_default() as i64)),
        barcode = field("Barcode", DetailValue::Text(|d| d.barcode.clone().unwrap_or_default(), 0)),
        device = field("DevType", DetailValue::Text(|d| d.device_type.clone().unwrap_or_default(), 16)),
        firmware = field("Firm Version", DetailValue::Text(|d| d.firmware.clone().unwrap_or_default(), 0)),
        next = field("Next Device", DetailValue::Count(|_| 0)),
        base,
        volt_st,
        current_st,
        temperature_st,
        coulomb_st,
        battery = field("Bat Status", DetailValue::Text(|_| "VNOR TNOR".to_owned(), 0)),
        heater,
        cmos = field("CMOS Status", DetailValue::Fixed("ON")),
        dmos = field("DMOS Status", DetailValue::Fixed("ON")),
        input = field("Input Status", DetailValue::Fixed("OFF")),
        terminal = field("Terminal Res.", DetailValue::Fixed("ON")),
        cells = field("Bat Protect ENA", DetailValue::List("OV HV LV UV SLP OT HT LT UT")),
        power = field(
            "Pwr Protect ENA",
            DetailValue::List("OV HV LV UV SLP OT HT LT UT COC COC1 COC2 COCA DOCA DOC DOC1 DOC2 SC")
        ),
        bat_events,
        power_events,
        fault,
    ],
};
