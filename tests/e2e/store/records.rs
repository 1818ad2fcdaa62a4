//! Records in the journal format, as they wait for confirmation by a database.

use bankwatch::internals::model::reading::SweepKind;
use bankwatch::internals::model::units::{MilliampHours, Millicelsius, MilliwattHours};
use bankwatch::internals::model::word::Word;
use bankwatch::internals::status::StatusDocument;
use bankwatch::internals::store::{
    CounterRecord, CounterScope, EventRecord, ExportTable, LifetimeRecord, MinuteAggregator, Record,
    StoredLogRecord,
};
use jiff::tz::TimeZone;
use support::history::{START, battery, report};

/// One of each kind.
fn each_kind() -> Vec<Record> {
    let mut minutes = MinuteAggregator::default();
    let batteries =
        (1..=4).map(|place| battery(place, 16, i32::from(place), Some("HPCR02403150117"))).collect();
    let mut records = minutes.records(&report("pytes", START, SweepKind::Full, batteries));
    records.extend(minutes.close());
    let bank = || "pytes".to_owned();
    records.push(Record::Event(Box::new(EventRecord {
        bank: bank(),
        place: None,
        barcode: None,
        word: "system".into(),
        bit: 0x8000_0000,
        raised_at_ms: START,
        cleared_at_ms: Some(START + 5),
        level: "warning".into(),
        text: "\u{1b}[31m\"quoted\"".into(),
    })));
    records.push(Record::Log(Box::new(StoredLogRecord {
        bank: bank(),
        place: 2,
        barcode: None,
        record: 19,
        clock_local_s: 1_795_300_000,
        module: None,
        code: Some(300),
        info: None,
    })));
    for scope in [
        CounterScope::Bank,
        CounterScope::Place(3),
        CounterScope::Battery { place: 3, barcode: Some("B".into()) },
    ] {
        let name = "charged_mwh".into();
        records.push(Record::Counter(Box::new(CounterRecord {
            bank: bank(),
            scope,
            name,
            value: i64::MAX,
            taken_at_ms: START,
        })));
    }
    records.push(Record::Lifetime(Box::new(LifetimeRecord {
        bank: bank(),
        place: 1,
        barcode: Some("B".into()),
        values: vec![("capacity_mah".into(), 71_250)],
        taken_at_ms: START,
    })));
    records
}

#[test]
fn a_record_is_decoded_as_it_was_encoded() {
    for record in each_kind() {
        let bytes = record.to_bytes().unwrap();
        assert_eq!(Record::from_bytes(&bytes).unwrap(), record);
        assert!(bytes.starts_with(b"{\"1\":{"), "its version comes first");
    }
}

#[test]
fn a_sweep_of_four_batteries_of_sixteen_cells_takes_a_few_kilobytes() {
    let bytes = each_kind()[0].to_bytes().unwrap();
    assert!(bytes.len() < 6000, "{} bytes", bytes.len());
}

#[test]
fn bytes_that_are_not_a_record_are_rejected_with_a_reason() {
    let later = each_kind()[0].to_bytes().unwrap();
    let later = String::from_utf8(later).unwrap().replacen("\"1\"", "\"2\"", 1);
    for bytes in [&b""[..], b"{", b"{\"1\":{\"sweep\":{}}}", b"\xff\x00", later.as_bytes()] {
        let error = Record::from_bytes(bytes).unwrap_err();
        assert!(
            error.to_string().starts_with("expected a record of this version or an earlier one"),
            "{error}"
        );
    }
}

#[test]
fn all_times_of_a_record_are_shifted_for_a_late_clock() {
    for mut record in each_kind() {
        let before = record.at_ms();
        record.shift(1000);
        let own_time = matches!(record, Record::Minute(_) | Record::Log(_));
        assert_eq!(record.at_ms(), if own_time { before } else { before + 1000 });
        if let Record::Event(event) = record {
            assert_eq!(event.cleared_at_ms, Some(START + 1005));
        }
    }
}

/// Fields of a reading by their names in the source: the column of the view and of the export, and the key of the JSON
/// file, which is that of MQTT; `-` where it is there in another form.
const MEASURED: &[(&str, &str, &str)] = &[
    ("voltage", "voltage_v", "voltage"),
    ("current", "current_a", "current"),
    ("temperature", "temperature_c", "temperature"),
    ("soc", "soc_percent", "soc"),
    ("remaining", "remaining_ah", "remaining_ah"),
    ("energy", "energy_kwh", "energy_kwh"),
    ("base_state", "base_state", "basic_st"),
    ("volt_state", "volt_state", "volt_st"),
    ("current_state", "current_state", "current_st"),
    ("temp_state", "temp_state", "temp_st"),
    ("coulomb_state", "coulomb_state", "coul_st"),
    ("soh_state", "soh_state", "soh_st"),
    ("heater", "heater", "heater_st"),
    ("charge_switch", "charge_switch", "charge_switch"),
    ("discharge_switch", "discharge_switch", "discharge_switch"),
    ("cell_volt_state", "cell_volt_state", "cell_volt_state"),
    ("cell_temp_state", "cell_temp_state", "cell_temp_state"),
    ("mos_temp_state", "mos_temp_state", "mos_temp_state"),
    ("system_alarm", "system_alarm", "system_alarm"),
    ("mos_temperature", "mos_temperature_c", "mos_temperature"),
    // In JSON these are the values of its cells.
    ("cell_voltage_low", "cell_voltage_low_v", "-"),
    ("cell_voltage_high", "cell_voltage_high_v", "-"),
    ("cell_temperature_low", "cell_temperature_low_c", "-"),
    ("cell_temperature_high", "cell_temperature_high_c", "-"),
    ("battery_events", "battery_events", "bat_events"),
    ("power_events", "power_events", "power_events"),
    ("system_fault", "system_fault", "sys_events"),
    ("other_events", "other_events", "active_events"),
    // The deviation of a battery's clock is in its log; rows have the time of the service.
    ("clock", "-", "-"),
];

/// The same of a cell.
const CELL: &[(&str, &str, &str)] = &[
    ("voltage", "voltage_v", "voltage"),
    ("current", "current_a", "current"),
    ("temperature", "temperature_c", "temperature"),
    ("base_state", "base_state", "basic_st"),
    ("volt_state", "volt_state", "volt_st"),
    ("current_state", "current_state", "curr_st"),
    ("temp_state", "temp_state", "temp_st"),
    ("soc", "soc_percent", "soc"),
    ("coulomb", "coulomb_ah", "coulomb"),
    ("balancing", "balancing", "balancing"),
];

#[test]
fn every_field_of_a_reading_is_in_every_output() {
    let source =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/model/reading.rs")).unwrap();
    let fields = |of: &str| -> Vec<String> {
        let body = source.split_once(&format!("pub struct {of} {{\n")).unwrap().1;
        let lines = body.split("\n}").next().unwrap().lines().map(str::trim);
        let field = |line: &str| line.strip_prefix("pub ")?.split_once(':').map(|(name, _)| name.to_owned());
        lines.filter_map(field).collect()
    };
    let mut battery = battery(1, 2, 7, Some("B000001"));
    let further = [
        ("charge_switch", &mut battery.measured.charge_switch),
        ("discharge_switch", &mut battery.measured.discharge_switch),
        ("cell_volt_state", &mut battery.measured.cell_volt_state),
        ("cell_temp_state", &mut battery.measured.cell_temp_state),
        ("mos_temp_state", &mut battery.measured.mos_temp_state),
        ("system_alarm", &mut battery.measured.system_alarm),
    ]
    .map(|(key, word)| (key, word.insert(Word::new(key)).to_string()));
    battery.measured.mos_temperature = Some(Millicelsius(31_250));
    battery.measured.remaining = Some(MilliampHours(45_007));
    battery.measured.energy = Some(MilliwattHours(2_340_500));
    let report = report("pytes", START, SweepKind::Full, vec![battery]);
    let document = serde_json::to_value(StatusDocument::of(&report, &TimeZone::UTC)).unwrap();
    let device = &document["devices"][0];
    for (key, word) in further {
        assert_eq!(device[key], word, "{key}");
    }
    let left = ["mos_temperature", "remaining_ah", "energy_kwh"].map(|key| device[key].as_f64());
    assert_eq!(left, [31.3, 45.007, 2.341].map(Some));
    let kinds = [
        ("Measured", MEASURED, ExportTable::Batteries, &document["devices"][0]),
        ("CellReading", CELL, ExportTable::Cells, &document["cells_data"][0]["cells"][0]),
    ];
    for (of, table, rows, json) in kinds {
        let listed: Vec<String> = table.iter().map(|(field, ..)| (*field).to_owned()).collect();
        let (mut listed, mut found) = (listed, fields(of));
        listed.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, listed, "{of}");
        let header = rows.header();
        for (field, column, key) in table {
            assert!(*column == "-" || header.iter().any(|name| name == *column), "{field}: {column}");
            assert!(*key == "-" || json.get(key).is_some(), "{field}: {key}");
        }
    }
}
