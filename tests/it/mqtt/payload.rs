//! Payloads of a bank: every topic, key and value. A missing value is null or not published, never invented.

use bankwatch::internals::model::event_word::EventWord;
use bankwatch::internals::model::reading::{BankReading, BatteryReading, Measured, Presence};
use bankwatch::internals::model::report::BankReport;
use bankwatch::internals::model::units::{MilliampHours, Milliamps, Millivolts};
use bankwatch::internals::model::word::Word;
use bankwatch::internals::mqtt::message_kind::MessageKind;
use bankwatch::internals::mqtt::payload::topic_payload::TopicPayload;
use bankwatch::internals::settings::CellLevel;
use bankwatch::internals::status::StatusDocument;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use serde_json::{Value, json};
use support::captures;
use support::payload_fixture::{
    LEVELS, announced, components, json, missing, parts, parts_of, place, reading, sent, snapshot, summary,
    written,
};

fn find(parts: &[TopicPayload], kind: MessageKind) -> Option<Value> {
    parts.iter().find(|part| part.kind == kind).map(|part| json(&part.payload))
}

/// The payload of that kind in a full reading at level high.
fn payload_of(reading: BankReading, kind: MessageKind) -> Value {
    find(&parts_of(reading, CellLevel::High), kind).unwrap_or_else(|| panic!("nothing of {kind:?}"))
}

#[test]
fn payloads_of_a_full_reading_match_the_snapshot() {
    let parts = parts_of(reading("pytes", 2, 16), CellLevel::High);
    captures::assert_snapshot(&snapshot("full_2x16_high"), &written(sent(parts)));
}

#[test]
fn payloads_of_a_summary_match_the_snapshot() {
    let parts = parts_of(summary(reading("pytes", 2, 16)), CellLevel::High);
    captures::assert_snapshot(&snapshot("summary_2x16"), &written(sent(parts)));
}

#[test]
fn a_summary_has_every_entity_value_of_its_messages() {
    let full = parts_of(reading("pytes", 2, 16), CellLevel::High);
    let summary = parts_of(summary(reading("pytes", 2, 16)), CellLevel::High);
    assert_eq!(summary.len(), 3, "the bank and two batteries");
    for part in &summary {
        let whole = full.iter().find(|other| other.kind == part.kind).unwrap();
        assert_eq!(part.present_keys, whole.present_keys, "{:?}", part.kind);
        assert_eq!(part.fingerprint, whole.fingerprint, "{:?}", part.kind);
    }
}

#[test]
fn the_document_equals_the_json_file() {
    let report = BankReport::of_one(reading("pytes", 2, 16));
    let file = serde_json::to_vec(&StatusDocument::of(&report, &TimeZone::UTC)).unwrap();
    let parts = parts(&report, CellLevel::Off);
    let document = parts.iter().find(|part| part.kind == MessageKind::Document).unwrap();
    assert_eq!(document.topic, "homeassistant/sensor/pytes/state");
    assert_eq!(document.payload, file);
}

#[test]
fn bank_voltage_and_current_have_two_decimals() {
    let mut bank = reading("pytes", 1, 16);
    bank.batteries[0].measured.voltage = Some(Millivolts(52_715));
    bank.batteries[0].measured.current = Some(Milliamps(-2_186));
    let (state, document) =
        (payload_of(bank.clone(), MessageKind::Bank), payload_of(bank, MessageKind::Document));
    assert_eq!([&state["voltage"], &state["current"]], [52.72, -2.19]);
    assert_eq!([&document["voltage"], &document["current"]], [52.7, -2.2]);
}

#[test]
fn the_cell_level_determines_the_cell_values() {
    let keys = |level| -> Option<Vec<String>> {
        let cells = find(&parts_of(reading("pytes", 1, 16), level), MessageKind::Cells(place(1)))?;
        Some(cells.as_object().unwrap().keys().cloned().collect())
    };
    let medium = keys(CellLevel::Medium).unwrap();
    assert_eq!(keys(CellLevel::Off), None);
    assert_eq!(keys(CellLevel::Low).unwrap(), ["power", "voltage"]);
    assert_eq!(medium.len(), 14, "{medium:?}");
    assert!(
        ["temperature", "volt_st", "voltage_max_cell"].iter().all(|key| medium.contains(&(*key).to_owned()))
    );
    assert_eq!(keys(CellLevel::High).unwrap().len(), 21);
    for level in LEVELS {
        let bank = find(&parts_of(reading("pytes", 1, 16), level), MessageKind::BankCells);
        assert_eq!(bank.is_some(), level >= CellLevel::Medium, "{level:?}");
    }
}

#[test]
fn lowest_and_highest_cell_are_named_like_the_cells() {
    let mut bank = reading("pytes", 2, 16);
    bank.batteries[1].cells.as_mut().unwrap()[3].voltage = Some(Millivolts(2_900));
    let cells = payload_of(bank, MessageKind::BankCells);
    assert_eq!((&cells["lowest_cell"], &cells["voltage_min"]), (&json!("204"), &json!(2.9)));
    let mut stack = reading("stack", 1, 120);
    stack.batteries[0].cells.as_mut().unwrap()[3].voltage = Some(Millivolts(2_900));
    assert_eq!(payload_of(stack, MessageKind::BankCells)["lowest_cell"], "1004");
}

#[test]
fn a_battery_without_an_answer_has_no_payload() {
    for presence in [Presence::Absent, Presence::Missing] {
        let mut bank = reading("pytes", 3, 16);
        bank.batteries[1] = BatteryReading { presence, ..BatteryReading::empty(place(2)) };
        let parts = parts_of(bank, CellLevel::High);
        let of_second =
            [MessageKind::Battery(place(2)), MessageKind::Detail(place(2)), MessageKind::Cells(place(2))];
        assert!(parts.iter().all(|part| !of_second.contains(&part.kind)), "{presence:?}");
        let of_third =
            [MessageKind::Battery(place(3)), MessageKind::Detail(place(3)), MessageKind::Cells(place(3))];
        assert!(of_third.iter().all(|kind| find(&parts, *kind).is_some()), "{presence:?}");
    }
}

#[test]
fn a_bank_without_an_answer_has_no_payload() {
    let mut bank = reading("pytes", 2, 16);
    bank.batteries = vec![BatteryReading::empty(place(1)), BatteryReading::empty(place(2))];
    let kinds: Vec<MessageKind> = parts_of(bank, CellLevel::High).iter().map(|part| part.kind).collect();
    assert_eq!(kinds, [MessageKind::Service, MessageKind::Document]);
}

#[test]
fn cells_without_an_answer_have_no_payload() {
    let mut bank = reading("pytes", 2, 3);
    bank.batteries[0].cells = None;
    bank.batteries[1].cells.as_mut().unwrap()[1].temperature = None;
    let parts = parts_of(bank, CellLevel::Medium);
    assert_eq!(find(&parts, MessageKind::Cells(place(1))), None);
    assert_eq!(find(&parts, MessageKind::BankCells), None, "no spread without all cells");
    let cells = find(&parts, MessageKind::Cells(place(2))).unwrap();
    assert_eq!(cells["temperature"], json!([24.5, null, 25.5]));
    assert_eq!((&cells["temperature_max"], cells["voltage_max"].is_null()), (&Value::Null, false));
}

#[test]
fn an_unknown_word_becomes_other_and_is_kept_under_the_raw_key() {
    let mut bank = reading("pytes", 1, 3);
    bank.batteries[0].measured.base_state = Some(Word::new("Mystery"));
    bank.batteries[0].measured.coulomb_state = Some(Word::new(&"x".repeat(10_000)));
    bank.batteries[0].cells.as_mut().unwrap()[2].volt_state = Some(Word::new("We\u{7}ird"));
    let parts = parts_of(bank, CellLevel::Medium);
    for kind in [MessageKind::Bank, MessageKind::Battery(place(1)), MessageKind::Detail(place(1))] {
        let state = find(&parts, kind).unwrap();
        assert_eq!((&state["basic_st"], &state["basic_st_raw"]), (&json!("Other"), &json!("Mystery")));
    }
    let detail = find(&parts, MessageKind::Detail(place(1))).unwrap();
    assert_eq!((&detail["coul_st"], &detail["coul_st_raw"]), (&json!("Other"), &json!("x".repeat(64))));
    let cells = find(&parts, MessageKind::Cells(place(1))).unwrap();
    assert_eq!(cells["volt_st"], json!(["Normal", "Normal", "Other"]));
    assert_eq!(cells["volt_st_raw"], json!({ "3": "Weird" }));
}

fn alarm(change: impl FnOnce(&mut BankReading)) -> (Value, Value) {
    let mut bank = reading("pytes", 2, 16);
    change(&mut bank);
    let parts = parts_of(bank, CellLevel::Low);
    let of = |kind| find(&parts, kind).unwrap()["alarm"].clone();
    (of(MessageKind::Bank), of(MessageKind::Detail(place(1))))
}

#[test]
fn only_faults_reported_by_the_console_are_alarms() {
    type Change = fn(&mut Measured);
    let word = |word| Some(Word::new(word));
    let (yes, no) = (json!(true), json!(false));
    assert_eq!(alarm(|_| ()), (no.clone(), no.clone()));
    let seen_by_the_table: [Change; 4] = [
        |battery| battery.base_state = Some(Word::new("SysError")),
        |battery| battery.base_state = Some(Word::new("Protect")),
        |battery| battery.volt_state = Some(Word::new("Low")),
        |battery| battery.temp_state = Some(Word::new("Strange")),
    ];
    for change in seen_by_the_table {
        assert_eq!(alarm(|bank| change(&mut bank.batteries[0].measured)), (yes.clone(), yes.clone()));
    }
    let seen_by_the_detail: [Change; 6] = [
        |battery| battery.soh_state = Some(Word::new("Abnormal")),
        |battery| battery.coulomb_state = Some(Word::new("Abnormal")),
        |battery| battery.system_fault = Some(EventWord { bits: 0x400, names: Vec::new() }),
        |battery| battery.power_events = Some(EventWord { bits: 0x0020_6002, names: Vec::new() }),
        |battery| battery.battery_events = Some(EventWord { bits: 0x2, names: Vec::new() }),
        |battery| {
            battery.other_events = vec![("Cascade Status".into(), EventWord { bits: 1, names: Vec::new() })]
        },
    ];
    for change in seen_by_the_detail {
        assert_eq!(alarm(|bank| change(&mut bank.batteries[0].measured)), (no.clone(), yes.clone()));
    }
    let a_cell = |bank: &mut BankReading| {
        bank.batteries[0].cells.as_mut().unwrap()[6].volt_state = word("High");
    };
    assert_eq!(alarm(a_cell), (no.clone(), yes));
    let normal: [Change; 4] = [
        |battery| battery.coulomb_state = Some(Word::new("Full")),
        |battery| battery.coulomb_state = Some(Word::new("Low")),
        |battery| battery.power_events = Some(EventWord { bits: 0x0020_6000, names: Vec::new() }),
        |battery| battery.base_state = Some(Word::new("Balance")),
    ];
    for change in normal {
        assert_eq!(alarm(|bank| change(&mut bank.batteries[0].measured)), (no.clone(), no.clone()));
    }
}

#[test]
fn alarm_is_null_without_an_answer() {
    let lost = alarm(|bank| bank.missing.push(missing(place(1), "pwr 1")));
    assert_eq!(lost, (json!(false), Value::Null));
    let second_silent = alarm(|bank| bank.batteries[1] = BatteryReading::empty(place(2)));
    assert_eq!(second_silent, (Value::Null, json!(false)));
    let not_asked_for = alarm(|bank| bank.missing.push(missing(place(1), "stat 1")));
    assert_eq!(not_asked_for, (json!(false), json!(false)));
}

#[test]
fn balancing_comes_from_cells_or_state_else_it_is_null() {
    let balancing = |change: fn(&mut BatteryReading)| {
        let mut bank = reading("pytes", 1, 16);
        change(&mut bank.batteries[0]);
        payload_of(bank, MessageKind::Detail(place(1)))["balancing"].clone()
    };
    assert_eq!(balancing(|_| ()), json!(false));
    assert_eq!(balancing(|battery| battery.cells.as_mut().unwrap()[4].balancing = Some(true)), json!(true));
    assert_eq!(balancing(|battery| battery.cells.as_mut().unwrap()[4].balancing = None), Value::Null);
    assert_eq!(balancing(|battery| battery.cells = None), Value::Null);
    assert_eq!(balancing(|battery| battery.measured.base_state = Some(Word::new("Balance"))), json!(true));
}

#[test]
fn a_fingerprint_changes_with_any_value_of_its_payload() {
    let fingerprints = |change: &dyn Fn(&mut BankReading)| -> Vec<(MessageKind, u64)> {
        let mut bank = reading("pytes", 2, 16);
        change(&mut bank);
        let mut report = BankReport::of_one(bank);
        report.service.sweeps += u64::from(report.reading.asked_again);
        parts(&report, CellLevel::High).iter().map(|part| (part.kind, part.fingerprint)).collect()
    };
    let before = fingerprints(&|_| ());
    let later = fingerprints(&|bank| {
        bank.taken_at = "2026-11-22T06:05:19Z".parse().unwrap();
        bank.took += std::time::Duration::from_millis(400);
        bank.asked_again = 7;
    });
    assert_eq!(before, later, "times, the duration and the number of the sweep are ignored");
    let changed = |change: &dyn Fn(&mut BankReading)| -> Vec<MessageKind> {
        let after = fingerprints(change);
        before.iter().zip(after).filter(|(one, other)| *one != other).map(|(one, _)| one.0).collect()
    };
    let of_second = |bank: &mut BankReading| bank.batteries[1].measured.current = Some(Milliamps(4_000));
    let totals_and_second = [
        MessageKind::Bank,
        MessageKind::Battery(place(2)),
        MessageKind::Detail(place(2)),
        MessageKind::Document,
    ];
    assert_eq!(changed(&of_second), totals_and_second);
    let of_cell = |bank: &mut BankReading| {
        bank.batteries[0].cells.as_mut().unwrap()[5].coulomb = Some(MilliampHours(1));
    };
    assert_eq!(changed(&of_cell), [MessageKind::Cells(place(1)), MessageKind::Document]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_word_of_a_console_becomes_one_of_the_options(
        text in "\\PC{0,80}|[A-Z][a-z]{2,7}",
        at in 0..16_usize,
    ) {
        let mut bank = reading("pytes", 1, 16);
        bank.batteries[0].measured.base_state = Some(Word::new(&text));
        bank.batteries[0].cells.as_mut().unwrap()[at].volt_state = Some(Word::new(&text));
        let announced_components = components(&announced(bank.clone(), CellLevel::Medium));
        let parts = parts_of(bank, CellLevel::Medium);
        for (id, kind, at) in [
            ("pytes_basic_st".to_owned(), MessageKind::Bank, None),
            ("pytes_basic_st_1".to_owned(), MessageKind::Battery(place(1)), None),
            (format!("pytes_volt_st_1{:02}", at + 1), MessageKind::Cells(place(1)), Some(at)),
        ] {
            let options = announced_components.iter().find(|one| one.text("uniq_id") == id).unwrap().config["ops"].clone();
            let content = find(&parts, kind).unwrap();
            let state = at.map_or(&content["basic_st"], |at| &content["volt_st"][at]);
            prop_assert!(options.as_array().unwrap().contains(state), "{id}: {state} of {options}");
        }
    }
}
