//! The contract of a store, on both backends: an SQLite file and a real MariaDB.

use std::collections::BTreeMap;
use std::time::Duration;

use bankwatch::internals::model::place::Place;
use bankwatch::internals::model::reading::{BatteryReading, MissingAnswer, Presence, SweepKind};
use bankwatch::internals::model::units::{Milliamps, Millivolts};
use bankwatch::internals::model::word::Word;
use bankwatch::internals::store::{
    CounterRecord, CounterScope, ErrorClass, EventRecord, ExportQuery, ExportTable, HistoryQuery,
    LifetimeRecord, MinuteAggregator, Record, Resolution, Retention, Store, StoreError, StoredLogRecord,
};
use csv::StringRecord;
use jiff::Timestamp;
use support::history::{Backend, START, battery, report, sweep};

/// Runs each promise on each backend.
macro_rules! promises {
    ($($promise:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[test] fn $promise() { super::Backend::sqlite().iter().for_each(super::$promise); })+
        }
        mod on_mariadb {
            $(#[test] fn $promise() { super::Backend::mariadb().iter().for_each(super::$promise); })+
        }
    };
}

promises!(
    inserting_a_record_twice_keeps_one_row,
    views_have_volts_amperes_degrees_and_words,
    an_unreported_value_is_null,
    a_battery_that_did_not_respond_has_no_row,
    a_new_barcode_joins_the_history_of_its_place,
    a_known_barcode_joins_the_rows_of_its_place,
    batteries_that_swap_places_keep_their_histories,
    batteries_of_a_shifted_chain_keep_their_histories,
    the_second_with_a_barcode_is_known_by_place_until_it_is_unique,
    the_owner_of_a_barcode_keeps_it_across_restarts_and_banks,
    an_implausible_barcode_is_ignored,
    roll_ups_of_two_batteries_with_one_barcode_are_separate,
    any_barcodes_yield_one_row_per_place_and_sweep,
    a_late_record_does_not_move_a_battery,
    any_state_word_is_stored_as_reported,
    a_failing_record_rolls_back_its_batch_only,
    events_are_raised_once_and_cleared,
    an_event_with_a_corrected_time_or_battery_stays_one_row,
    counters_never_decrease,
    lifetime_values_are_stored_once_per_battery,
    retention_deletes_old_rows_in_steps_and_keeps_roll_ups,
    roll_ups_equal_a_naive_computation,
    a_minute_in_parts_counts_each_part_once,
    a_clock_set_back_loses_no_sample_and_doubles_none,
    history_is_queried_by_place_and_resolution,
    export_gives_every_row_once_in_order,
    export_has_every_column_of_its_view,
    roll_ups_are_exported_with_the_bank_before_its_batteries,
    migrations_are_applied_once,
    a_half_applied_schema_is_completed,
    a_newer_schema_is_refused_and_unchanged,
    two_concurrent_writers_lose_nothing,
    only_the_newest_dead_letters_are_kept,
    the_tables_match_the_schema_in_the_program,
    every_query_in_the_documentation_works,
);

/// A bank of so many batteries with barcodes, at the `n`th sweep.
fn bank(batteries: u8, n: i64) -> Record {
    let battery =
        |place| battery(place, 4, (n % 1000) as i32 + i32::from(place), Some(&format!("B00000{place}")));
    sweep("pytes", START + n * 10_000, (1..=batteries).map(battery).collect())
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap()
}

fn inserting_a_record_twice_keeps_one_row(backend: &Backend) {
    let mut store = backend.open();
    let records: Vec<Record> = (0..30).map(|n| bank(3, n)).collect();
    store.insert(&records).unwrap();
    store.insert(&records[10..20]).unwrap();
    drop(store);
    backend.open().insert(&records).unwrap();
    assert_eq!(backend.count("bank_reading"), 30);
    assert_eq!(backend.count("battery_reading"), 90);
    assert_eq!(backend.count("cell_reading"), 360);
    assert_eq!(backend.count("battery"), 3);
    assert_eq!(backend.count("bank"), 1);
    assert_eq!(backend.count("state"), 3, "of a bank, a battery and a cell");
}

fn views_have_volts_amperes_degrees_and_words(backend: &Backend) {
    backend.open().insert(&[sweep("pytes", START, vec![battery(1, 4, 7, Some("B000001"))])]).unwrap();
    let battery = ["bank", "place", "barcode", "model", "taken_at", "taken_at_ms", "voltage_v", "current_a"];
    assert_eq!(
        backend.rows(&battery, "FROM v_battery"),
        ["pytes 1 B000001 E-BOX-48100R 2026-11-22 06:05:00 1795327500000 52.007 -2.178"]
    );
    let rest =
        ["temperature_c", "soc_percent", "base_state", "volt_state", "heater", "soh_percent", "cycles"];
    assert_eq!(backend.rows(&rest, "FROM v_battery"), ["22.3 57 Dischg Normal - 98 123"]);
    let cell =
        ["place", "barcode", "cell", "voltage_v", "current_a", "temperature_c", "coulomb_ah", "balancing"];
    assert_eq!(
        backend.rows(&cell, "FROM v_cell WHERE cell IN (3, 4) ORDER BY cell"),
        ["1 B000001 3 3.3 -2.178 22.0 45.007 1", "1 B000001 4 3.301 -2.178 23.0 45.007 0"].map(|row| {
            if matches!(backend, Backend::File { .. }) { row.to_owned() } else { row.replace(".0 ", " ") }
        })
    );
    let bank =
        ["bank", "voltage_v", "current_a", "power_w", "soc_percent", "base_state", "took_s", "asked_again"];
    let row = &backend.rows(&bank, "FROM v_bank")[0];
    assert!(row.starts_with("pytes 52.007 -2.178 -113.271 57"), "{row}");
    assert!(row.ends_with("Dischg 1.21 1"), "{row}");
}

fn an_unreported_value_is_null(backend: &Backend) {
    let silent = BatteryReading {
        presence: Presence::Present,
        cells: Some(vec![Default::default(); 2]),
        ..BatteryReading::empty(Place::FIRST)
    };
    backend.open().insert(&[sweep("pytes", START, vec![silent])]).unwrap();
    let battery =
        ["voltage_mv", "current_ma", "temperature_mc", "soc_percent", "power_events", "soh_percent"];
    assert_eq!(backend.rows(&battery, "FROM battery_reading"), ["- - - - - -"]);
    let cell = ["voltage_mv", "current_ma", "temperature_mc", "soc_percent", "coulomb_mah", "balancing"];
    assert_eq!(backend.rows(&cell, "FROM cell_reading"), ["- - - - - -"; 2]);
    let bank = ["voltage_mv", "current_ma", "power_mw", "temperature_mc", "soc_permille"];
    assert_eq!(backend.rows(&bank, "FROM bank_reading"), ["- - - - -"]);
}

fn a_battery_that_did_not_respond_has_no_row(backend: &Backend) {
    let missing = BatteryReading::empty(Place::new(2).unwrap());
    let absent =
        BatteryReading { presence: Presence::Absent, ..BatteryReading::empty(Place::new(3).unwrap()) };
    backend
        .open()
        .insert(&[sweep("pytes", START, vec![battery(1, 0, 1, Some("B000001")), missing, absent])])
        .unwrap();
    assert_eq!(backend.rows(&["place"], "FROM battery_reading"), ["1"]);
    assert_eq!(
        backend.rows(&["batteries", "voltage_mv"], "FROM bank_reading"),
        ["1 -"],
        "no total without battery 2"
    );
}

fn a_new_barcode_joins_the_history_of_its_place(backend: &Backend) {
    let mut store = backend.open();
    store.insert(&[sweep("pytes", START, vec![battery(1, 2, 1, None)])]).unwrap();
    store.insert(&[sweep("pytes", START + 1, vec![battery(1, 2, 2, Some("B000001"))])]).unwrap();
    assert_eq!(backend.count("battery"), 1);
    assert_eq!(
        backend.rows(&["barcode", "place", "voltage_v"], "FROM v_battery ORDER BY taken_at_ms"),
        ["B000001 1 52.001", "B000001 1 52.002"]
    );
}

fn a_known_barcode_joins_the_rows_of_its_place(backend: &Backend) {
    let one = |n: i64, barcode| sweep("pytes", START + n, vec![battery(1, 1, n as i32, barcode)]);
    backend.open().insert(&[one(1, Some("B000001"))]).unwrap();
    let mut store = backend.open();
    store.insert(&[one(2, None), one(3, None)]).unwrap();
    assert_eq!(backend.count("battery"), 2, "its identity was not reported");
    store.insert(&[one(4, Some("B000001")), one(5, None), one(6, Some("B000001"))]).unwrap();
    let rows = backend.rows(&["barcode", "battery_id", "voltage_v"], "FROM v_battery ORDER BY taken_at_ms");
    let id = rows[0].split(' ').nth(1).unwrap();
    let expected: Vec<String> = (1..=6).map(|n| format!("B000001 {id} 52.00{n}")).collect();
    assert_eq!(rows, expected);
    assert_eq!(backend.rows(&["COUNT(DISTINCT battery_id)"], "FROM v_cell"), ["1"]);
    let query = HistoryQuery {
        bank: "pytes",
        place: Some(1),
        from_ms: START,
        to_ms: START + 9,
        resolution: Resolution::Raw,
        limit: 9,
    };
    assert_eq!(store.history(&query).unwrap().len(), 6);
}

fn batteries_that_swap_places_keep_their_histories(backend: &Backend) {
    let mut store = backend.open();
    let pair = |n: i64, first: &str, second: &str| {
        let one = battery(1, 1, if first == "A000001" { 100 } else { 200 }, Some(first));
        let two = battery(2, 1, if second == "A000001" { 100 } else { 200 }, Some(second));
        sweep("pytes", START + n, vec![one, two])
    };
    store
        .insert(&[
            pair(0, "A000001", "B000001"),
            pair(1, "B000001", "A000001"),
            pair(2, "B000001", "A000001"),
        ])
        .unwrap();
    let rows =
        backend.rows(&["barcode", "place", "voltage_v"], "FROM v_battery ORDER BY barcode, taken_at_ms");
    assert_eq!(
        rows,
        [
            "A000001 1 52.1",
            "A000001 2 52.1",
            "A000001 2 52.1",
            "B000001 2 52.2",
            "B000001 1 52.2",
            "B000001 1 52.2"
        ]
    );
    let cells = backend.rows(&["barcode", "place"], "FROM v_cell ORDER BY barcode, taken_at_ms");
    assert_eq!(cells, ["A000001 1", "A000001 2", "A000001 2", "B000001 2", "B000001 1", "B000001 1"]);
    let voltages = |store: &mut dyn Store, place| -> Vec<Option<i32>> {
        let query = HistoryQuery {
            bank: "pytes",
            place: Some(place),
            from_ms: 0,
            to_ms: i64::MAX,
            resolution: Resolution::Raw,
            limit: 9,
        };
        store.history(&query).unwrap().iter().map(|point| point.sums.voltage_min_mv).collect()
    };
    assert_eq!(
        voltages(&mut *store, 1),
        [Some(52_200); 3],
        "the battery now at place 1, wherever it was before"
    );
    assert_eq!(voltages(&mut *store, 2), [Some(52_100); 3]);
    store.insert(&[sweep("pytes", START + 3, vec![battery(1, 1, 300, Some("C000001"))])]).unwrap();
    assert_eq!(voltages(&mut *store, 1), [Some(52_300)]);
    assert_eq!(
        backend.rows(&["barcode", "place"], "FROM battery ORDER BY barcode"),
        ["A000001 2", "B000001 0", "C000001 1"]
    );
}

const X: &str = "X221104000001";
const Y: &str = "Y221104000002";

/// A sweep in which batteries have these barcodes, by place; an empty text is a place without a battery. The voltage
/// encodes bank, place and sweep.
fn stating(bank: &str, n: i64, barcodes: &[Option<&str>]) -> Record {
    let offset = bank.bytes().last().map_or(0, i32::from) * 1000;
    let battery = |(place, barcode): (u8, &Option<&str>)| {
        let mut battery = battery(place, 1, n as i32, *barcode);
        battery.measured.voltage = Some(Millivolts(offset + i32::from(place) * 100 + (n % 100) as i32));
        (*barcode != Some("")).then_some(battery)
    };
    sweep(bank, START + n * 10_000, (1..).zip(barcodes).filter_map(battery).collect())
}

/// The batteries as their rows have them: by what they are known, their barcode, and how many readings they have.
fn known_batteries(backend: &Backend) -> Vec<String> {
    let columns = ["b.identity", "b.barcode", "COUNT(r.place)"];
    let rest = "FROM battery AS b LEFT JOIN battery_reading AS r ON r.battery_id = b.id \
        GROUP BY b.id, b.identity, b.barcode ORDER BY b.id";
    backend.rows(&columns, rest)
}

fn batteries_of_a_shifted_chain_keep_their_histories(backend: &Backend) {
    let [a, b, c] = ["A000001", "B000001", "C000001"].map(Some);
    let mut store = backend.open();
    store.insert(&[stating("pytes", 0, &[a, b, c]), stating("pytes", 1, &[b, c])]).unwrap();
    let rows = backend.rows(&["barcode", "place"], "FROM v_battery ORDER BY barcode, taken_at_ms");
    assert_eq!(rows, ["A000001 1", "B000001 2", "B000001 1", "C000001 3", "C000001 2"]);
}

fn the_second_with_a_barcode_is_known_by_place_until_it_is_unique(backend: &Backend) {
    let mut store = backend.open();
    let both = [Some(X), Some(X)];
    store.insert(&[stating("pytes", 0, &[None, Some(X)]), stating("pytes", 1, &both)]).unwrap();
    let (owner, second) = (format!("barcode:{X} {X}"), format!("place:1:1 {X}"));
    assert_eq!(known_batteries(backend), [format!("{second} 2"), format!("{owner} 2")], "2 was first");
    store.insert(&[stating("pytes", 2, &[Some(Y), Some(X)]), stating("pytes", 3, &both)]).unwrap();
    let unique = format!("barcode:{Y} {Y} 1");
    assert_eq!(known_batteries(backend), [format!("{second} 3"), format!("{owner} 4"), unique.clone()]);
    // A battery that was off for a while keeps its identity.
    store.insert(&[stating("pytes", 4, &[Some(X), Some("")]), stating("pytes", 5, &both)]).unwrap();
    assert_eq!(known_batteries(backend), [format!("{second} 5"), format!("{owner} 5"), unique.clone()]);
    let alone: Vec<Record> = (6..400).map(|n| stating("pytes", n, &[Some(X), Some("")])).collect();
    store.insert(&alone).unwrap();
    let rows = known_batteries(backend);
    assert_eq!(rows[0], format!("{second} {}", 5 + 360), "an hour after the other was seen");
    assert_eq!(rows[1], format!("{owner} {}", 5 + 34));
    assert_eq!(backend.count("v_battery"), 2 + 2 + 2 + 2 + 1 + 2 + 394, "old rows are unchanged");
    // If another battery is in the place now, there is no waiting period.
    let swapped = [stating("pytes", 400, &both), stating("pytes", 401, &[Some(Y), Some(X)])];
    store.insert(&swapped).unwrap();
    assert_eq!(known_batteries(backend)[1], format!("{owner} {}", 5 + 34 + 2));
}

fn the_owner_of_a_barcode_keeps_it_across_restarts_and_banks(backend: &Backend) {
    let (east, west) = ([Some(X), None], [Some(Y), Some(X)]);
    backend.open().insert(&[stating("east", 0, &east)]).unwrap();
    // A new service; its first sweeps come in any order.
    for n in 1..4 {
        let mut store = backend.open();
        store.insert(&[stating("west", n, &west)]).unwrap();
        store.insert(&[stating("east", n, &east)]).unwrap();
    }
    // A long silence of a bank moves no battery.
    backend.open().insert(&[stating("west", 8_640, &west)]).unwrap();
    let rows = backend.rows(
        &["bank", "place", "COUNT(DISTINCT battery_id)"],
        "FROM v_battery GROUP BY bank, place ORDER BY bank, place",
    );
    assert_eq!(rows, ["east 1 1", "east 2 1", "west 1 1", "west 2 1"]);
    let known =
        |rest: &str| backend.rows(&["b.identity"], &format!("FROM battery AS b WHERE {rest} ORDER BY b.id"));
    assert_eq!(known(&format!("b.barcode = '{X}'")), [format!("barcode:{X}"), "place:2:2".to_owned()]);
    // The rows of a battery that moved to the other bank move at once.
    let (east, west) = ([Some(""), None], [Some(Y), Some(X), Some("Z221104000003")]);
    let mut store = backend.open();
    store.insert(&[stating("east", 8_650, &[Some("Z221104000003"), None])]).unwrap();
    store.insert(&[stating("east", 8_651, &east), stating("west", 8_651, &west)]).unwrap();
    let moved = backend
        .rows(&["bank", "place"], "FROM v_battery WHERE barcode = 'Z221104000003' ORDER BY taken_at_ms");
    assert_eq!(moved, ["east 1", "west 3"]);
    assert_eq!(known("b.barcode = 'Z221104000003'"), ["barcode:Z221104000003"]);
}

fn an_implausible_barcode_is_ignored(backend: &Backend) {
    let zeros = Some("0000000000000000");
    let longer = format!("{}1", "K2211040".repeat(8));
    let barcodes = [zeros, zeros, Some("N/A"), Some("K2211"), Some(&*longer), Some("NOBARCODE")];
    backend.open().insert(&[stating("pytes", 0, &barcodes), stating("pytes", 1, &barcodes)]).unwrap();
    let rows = backend.rows(&["b.identity"], "FROM battery AS b ORDER BY b.id");
    assert_eq!(rows, (1..=6).map(|place| format!("place:1:{place}")).collect::<Vec<_>>());
    assert_eq!(backend.count("v_battery"), 12);
    let mut store = backend.open();
    store.insert(&[stating("pytes", 2, &[Some(X), zeros])]).unwrap();
    let rows = backend.rows(
        &["barcode", "COUNT(*)"],
        "FROM v_battery WHERE place = 1 GROUP BY battery_id, barcode ORDER BY battery_id",
    );
    assert_eq!(
        rows,
        ["0000000000000000 2".to_owned(), format!("{X} 1")],
        "it is unknown whether it is the same"
    );
}

fn roll_ups_of_two_batteries_with_one_barcode_are_separate(backend: &Backend) {
    let (mut store, mut minutes) = (backend.open(), MinuteAggregator::for_run(7));
    let mut records = Vec::new();
    for n in 0..24 {
        // From the middle of a minute on, the first one is a separate battery.
        let first = if n < 9 { X } else { Y };
        let batteries = vec![battery(1, 0, 1, Some(first)), battery(2, 0, 2, Some(X))];
        records.extend(minutes.records(&report("pytes", START + n * 10_000, SweepKind::Full, batteries)));
    }
    records.extend(minutes.close());
    let counter = |place, value| {
        let scope = CounterScope::Battery { place, barcode: Some(X.into()) };
        let (bank, name) = ("pytes".into(), "charged_mwh".into());
        Record::Counter(Box::new(CounterRecord { bank, scope, name, value, taken_at_ms: START + value }))
    };
    records.extend([counter(1, 5), counter(2, 3)]);
    store.insert(&records).unwrap();
    let sums = backend.rows(&["b.identity", "SUM(r.samples)"], "FROM rollup_minute AS r JOIN battery AS b ON b.id = r.battery_id GROUP BY b.identity ORDER BY b.identity");
    assert_eq!(backend.rows(&["value"], "FROM counter ORDER BY value"), ["3", "5"]);
    let all: Vec<i64> = sums.iter().map(|row| row.rsplit(' ').next().unwrap().parse().unwrap()).collect();
    assert_eq!(all.iter().sum::<i64>(), 48, "{sums:?}");
    let day = backend.rows(&["SUM(samples)"], "FROM v_day WHERE battery_id IS NOT NULL");
    assert_eq!(day, ["48"]);
    assert_eq!(sums, [format!("barcode:{X} 21"), format!("barcode:{Y} 15"), "place:1:2 12".to_owned()]);
}

fn any_barcodes_yield_one_row_per_place_and_sweep(backend: &Backend) {
    let cases = if matches!(backend, Backend::File { .. }) { 40 } else { 5 };
    let mut store = backend.open();
    for case in 0..cases {
        let mut random = fastrand::Rng::with_seed(case);
        let banks: Vec<String> = (0..random.usize(1..=3)).map(|bank| format!("{case} {bank}")).collect();
        let own: Vec<String> = (1..=3).map(|number| format!("K{case:05}-{number}")).collect();
        let mut pool: Vec<Option<&str>> =
            vec![None, Some(""), Some("N/A"), Some("000000000000"), Some("K22")];
        pool.extend(own.iter().chain(&own).map(|barcode| Some(&**barcode)));
        let pick = |random: &mut fastrand::Rng| pool[random.usize(..pool.len())];
        let mut seats: Vec<Vec<Option<&str>>> =
            banks.iter().map(|_| (0..random.usize(1..=4)).map(|_| pick(&mut random)).collect()).collect();
        let (mut n, mut records, mut expected) = (0, Vec::new(), Vec::new());
        for _ in 0..random.usize(5..25) {
            n += if random.u8(..10) == 0 { 500 } else { 1 };
            for (bank, seats) in banks.iter().zip(&mut seats) {
                if random.u8(..4) == 0 {
                    let place = random.usize(..seats.len());
                    seats[place] = pick(&mut random);
                }
                records.push(stating(bank, n, seats));
                let there = (1..).zip(seats).filter(|(_, barcode)| **barcode != Some(""));
                expected.extend(there.map(|(place, _)| {
                    let offset = i32::from(bank.bytes().last().unwrap()) * 1000;
                    format!(
                        "{bank} {} {place} {}",
                        START + n * 10_000,
                        offset + place * 100 + (n % 100) as i32
                    )
                }));
            }
            if random.u8(..3) == 0 {
                store.insert(&records).unwrap();
                match random.u8(..4) {
                    0 => store = backend.open(),
                    1 => store.insert(&records).unwrap(),
                    _ => {}
                }
                records.clear();
            }
        }
        store.insert(&records).unwrap();
        let rest = format!("FROM v_battery WHERE bank LIKE '{case} %'");
        let mut found = backend.rows(&["bank", "taken_at_ms", "place", "ROUND(voltage_v * 1000)"], &rest);
        found.iter_mut().for_each(|row| *row = row.trim_end_matches(".0").to_owned());
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "case {case}");
    }
}

fn a_late_record_does_not_move_a_battery(backend: &Backend) {
    let mut store = backend.open();
    let counter = |place, barcode: Option<&str>| {
        let scope = CounterScope::Battery { place, barcode: barcode.map(str::to_owned) };
        let (bank, name) = ("pytes".into(), "charged_mwh".into());
        Record::Counter(Box::new(CounterRecord { bank, scope, name, value: 1, taken_at_ms: START }))
    };
    let seats = || backend.rows(&["barcode", "place"], "FROM battery WHERE joined_to_id IS NULL ORDER BY id");
    let sits = |n: i64, place, barcode| sweep("pytes", START + n, vec![battery(place, 0, 1, Some(barcode))]);
    store.insert(&[sits(0, 1, "A000001"), sits(1, 1, "B000001"), counter(1, Some("A000001"))]).unwrap();
    assert_eq!(seats(), ["A000001 0", "B000001 1"]);
    store.insert(&[counter(1, Some("C000001")), counter(1, None)]).unwrap();
    assert_eq!(seats(), ["A000001 0", "B000001 1", "C000001 0", "- 0"]);
    store.insert(&[sits(2, 1, "B000001")]).unwrap();
    assert_eq!(
        seats(),
        ["A000001 0", "B000001 1", "C000001 0"],
        "the nameless one was the one that sits there"
    );
}

fn any_state_word_is_stored_as_reported(backend: &Backend) {
    let mut store = backend.open();
    let mut one = |n: i64, word: &str| {
        let mut battery = battery(1, 0, 1, Some("B000001"));
        battery.measured.base_state = Some(Word::new(word));
        store.insert(&[sweep("pytes", START + n, vec![battery])]).unwrap();
    };
    let words = ["charge", "Charge", "Ümläut", "a'b;--", "🔋", "%s"];
    words.iter().zip(0..).for_each(|(word, n)| one(n, word));
    assert_eq!(backend.rows(&["base_state"], "FROM v_battery ORDER BY taken_at_ms"), words);
    one(9, &"long \u{1b}\n\"\\".repeat(40));
    let last = backend.rows(&["base_state"], "FROM v_battery ORDER BY taken_at_ms DESC").remove(0);
    assert_eq!(last, "long ????long ????long ?");
}

fn a_failing_record_rolls_back_its_batch_only(backend: &Backend) {
    let mut store = backend.open();
    let mut poison = bank(1, 1);
    if let Record::Sweep(sweep) = &mut poison {
        sweep.state = 99;
    }
    let error = store.insert(&[bank(1, 0), poison.clone()]).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Data, "{error}");
    assert_eq!(backend.count("bank_reading"), 0);
    assert_eq!(backend.count("battery"), 0);
    store.insert(&[bank(1, 0)]).unwrap();
    assert_eq!(store.insert(&[poison]).unwrap_err().class(), ErrorClass::Data);
    store.insert(&[bank(1, 2)]).unwrap();
    assert_eq!(backend.count("bank_reading"), 2);
    assert_eq!(backend.rows(&["barcode"], "FROM v_battery ORDER BY taken_at_ms"), ["B000001", "B000001"]);
}

fn events_are_raised_once_and_cleared(backend: &Backend) {
    let mut store = backend.open();
    let event = |cleared_at_ms| {
        Record::Event(Box::new(EventRecord {
            bank: "pytes".into(),
            place: Some(2),
            barcode: Some("B000002".into()),
            word: "power".into(),
            bit: 0x8000_0000,
            raised_at_ms: START,
            cleared_at_ms,
            level: "warning".into(),
            text: "High voltage alarm".into(),
        }))
    };
    let columns = ["e.place", "b.barcode", "word", "bit", "raised_at_ms", "cleared_at_ms", "level", "text"];
    let rows = || backend.rows(&columns, "FROM event AS e JOIN battery AS b ON b.id = e.battery_id");
    store.insert(&[event(None), event(None)]).unwrap();
    assert_eq!(rows(), [format!("2 B000002 power 2147483648 {START} - warning High voltage alarm")]);
    store.insert(&[event(Some(START + 60_000)), event(None)]).unwrap();
    assert_eq!(
        rows(),
        [format!("2 B000002 power 2147483648 {START} {} warning High voltage alarm", START + 60_000)]
    );
    let entry = StoredLogRecord {
        bank: "pytes".into(),
        place: 2,
        barcode: Some("B000002".into()),
        record: 19,
        clock_local_s: 1_795_300_000,
        module: Some("BMM".into()),
        code: Some(0x12c),
        info: Some("The device start charging.".into()),
    };
    let entry = Record::Log(Box::new(entry));
    store.insert(&[entry.clone(), entry]).unwrap();
    assert_eq!(backend.rows(&["record", "module", "code"], "FROM battery_log"), ["19 BMM 300"]);
}

fn an_event_with_a_corrected_time_or_battery_stays_one_row(backend: &Backend) {
    let mut store = backend.open();
    let event = |raised_at_ms, cleared_at_ms, barcode: Option<&str>| {
        Record::Event(Box::new(EventRecord {
            bank: "pytes".into(),
            place: Some(2),
            barcode: barcode.map(str::to_owned),
            word: "power".into(),
            bit: 2,
            raised_at_ms,
            cleared_at_ms,
            level: "warning".into(),
            text: "High voltage alarm".into(),
        }))
    };
    let rows = || {
        let rows = backend.rows(&["raised_at_ms", "cleared_at_ms"], "FROM event ORDER BY raised_at_ms");
        let number = |text: &str| text.parse::<i64>().map_or(-1, |ms| ms - START);
        let pair =
            |row: &String| row.split_once(' ').map(|(raised, cleared)| (number(raised), number(cleared)));
        rows.iter().filter_map(pair).collect::<Vec<_>>()
    };
    let hour = 3_600_000;
    // The barcode became known meanwhile, and then another one.
    let first = [event(START, None, None), event(START, Some(START + 5_000), Some(X))];
    store.insert(&first).unwrap();
    store.insert(&first).unwrap();
    assert_eq!(rows(), [(0, 5_000)]);
    store.insert(&[event(START + hour, None, Some(X))]).unwrap();
    store.insert(&[event(START + hour, Some(START + hour + 7_000), Some(Y))]).unwrap();
    assert_eq!(rows(), [(0, 5_000), (hour, hour + 7_000)]);
    // Raised before the clock was set; its clearing has the same time, or one some milliseconds off.
    store.insert(&[event(START + 2 * hour, None, Some(X))]).unwrap();
    store.insert(&[event(5_000, Some(START + 2 * hour + 9_000), Some(X))]).unwrap();
    store.insert(&[event(START + 3 * hour, None, Some(X))]).unwrap();
    store.insert(&[event(START + 3 * hour + 3, Some(START + 3 * hour + 9_000), Some(X))]).unwrap();
    store.insert(&[event(5_000, Some(START + 2 * hour + 9_000), Some(X))]).unwrap();
    assert_eq!(rows()[2..], [(2 * hour, 2 * hour + 9_000), (3 * hour, 3 * hour + 9_000)]);
    // The clock was an hour ahead when it was raised, and was set back before it cleared.
    store.insert(&[event(START + 5 * hour, None, Some(X))]).unwrap();
    let ended = event(START + 4 * hour, Some(START + 4 * hour + 60_000), Some(X));
    store.insert(std::slice::from_ref(&ended)).unwrap();
    store.insert(&[ended]).unwrap();
    assert_eq!(rows()[4..], [(4 * hour, 4 * hour + 60_000)]);
    // Its raising was never stored.
    store.insert(&[event(5_000, Some(START + 6 * hour), Some(X))]).unwrap();
    assert_eq!(rows()[5..], [(6 * hour, 6 * hour)]);
    // Raised and cleared faster than the clock is checked.
    let begin = START + 7 * hour;
    let flapping = [(0, None), (0, Some(200)), (400, None), (400, Some(600))].map(
        |(raised, cleared): (i64, Option<i64>)| event(begin + raised, cleared.map(|ms| begin + ms), Some(X)),
    );
    store.insert(&flapping).unwrap();
    store.insert(&flapping).unwrap();
    assert_eq!(rows()[6..], [(7 * hour, 7 * hour + 200), (7 * hour + 400, 7 * hour + 600)]);
}

fn lifetime_values_are_stored_once_per_battery(backend: &Backend) {
    let mut store = backend.open();
    let figures = |hour: i64, capacity| {
        Record::Lifetime(Box::new(LifetimeRecord {
            bank: "pytes".into(),
            place: 1,
            barcode: Some("B000001".into()),
            values: vec![
                ("capacity_mah".into(), capacity),
                ("round_trip_efficiency_permyriad".into(), 9_531),
            ],
            taken_at_ms: START + hour * 3_600_000,
        }))
    };
    store.insert(&[bank(1, 0), figures(0, 47_300), figures(0, 47_300)]).unwrap();
    store.insert(&[figures(1, 47_200), figures(0, 1)]).unwrap();
    let rows = backend
        .rows(&["bank", "place", "barcode", "name", "value"], "FROM v_lifetime ORDER BY name, taken_at_ms");
    let expected = [
        "pytes 1 B000001 capacity_mah 47300",
        "pytes 1 B000001 capacity_mah 47200",
        "pytes 1 B000001 round_trip_efficiency_permyriad 9531",
        "pytes 1 B000001 round_trip_efficiency_permyriad 9531",
    ];
    assert_eq!(rows, expected);
}

fn counters_never_decrease(backend: &Backend) {
    let mut store = backend.open();
    let count = |scope: CounterScope, value| {
        let counter = CounterRecord {
            bank: "pytes".into(),
            scope,
            name: "charged_mwh".into(),
            value,
            taken_at_ms: START + value,
        };
        Record::Counter(Box::new(counter))
    };
    let battery = |place| CounterScope::Battery { place, barcode: Some("B000001".into()) };
    store
        .insert(&[count(CounterScope::Bank, 5), count(CounterScope::Place(1), 7), count(battery(1), 9)])
        .unwrap();
    store
        .insert(&[count(CounterScope::Bank, 4), count(CounterScope::Place(1), 8), count(battery(2), 11)])
        .unwrap();
    let rows = backend.rows(&["place", "battery_id", "value", "taken_at_ms"], "FROM counter ORDER BY value");
    assert_eq!(
        rows,
        [(0, 0, 5), (1, 0, 8), (0, 1, 11)]
            .map(|(place, id, value)| format!("{place} {id} {value} {}", START + value))
    );
}

fn retention_deletes_old_rows_in_steps_and_keeps_roll_ups(backend: &Backend) {
    const DAY: i64 = 86_400_000;
    let mut store = backend.open();
    let mut minutes = MinuteAggregator::default();
    for n in 0..400 {
        let batteries =
            (1..=2).map(|place| battery(place, 16, n as i32, Some(&format!("B00000{place}")))).collect();
        let report = report("pytes", START + n * DAY / 20, SweepKind::Full, batteries);
        let mut records = minutes.add(&report);
        records.push(Record::Sweep(Box::new(bankwatch::internals::store::SweepRecord::from_report(&report))));
        store.insert(&records).unwrap();
    }
    store.insert(&minutes.close()).unwrap();
    let keep =
        Retention { batteries: Duration::from_secs(10 * 86_400), cells: Duration::from_secs(2 * 86_400) };
    let now = at(START + 400 * DAY / 20);
    let (mut steps, mut rows) = (0, 0);
    loop {
        let pruned = store.prune(now, &keep).unwrap();
        (steps, rows) = (steps + 1, rows + pruned.rows);
        if !pruned.more {
            break;
        }
    }
    assert!(steps >= 3, "{steps} steps");
    assert_eq!(rows, 200 + 2 * 200 + 32 * 360);
    assert_eq!(backend.count("bank_reading"), 200);
    assert_eq!(backend.count("battery_reading"), 400);
    assert_eq!(backend.count("cell_reading"), 32 * 40);
    assert_eq!(backend.count("rollup_minute"), 3 * 400);
    assert_eq!(store.prune(now, &keep).unwrap().rows, 0);
    let forever = Retention { batteries: Duration::ZERO, cells: Duration::ZERO };
    assert_eq!(store.prune(at(START + 9999 * DAY), &forever).unwrap().rows, 0);
}

/// What is expected of a span: samples, voltage sum, least current, most current, power's sum, cells' lowest.
type Naive = BTreeMap<(i64, i32), (i32, i64, i32, i32, i64, i32)>;

fn roll_ups_equal_a_naive_computation(backend: &Backend) {
    let mut store = backend.open();
    let mut minutes = MinuteAggregator::default();
    let mut random = fastrand::Rng::with_seed(7);
    let mut naive: [Naive; 3] = Default::default();
    let (mut at, mut records) = (START, Vec::new());
    for n in 0..2000 {
        at += random.i64(1000..90_000);
        let kind = if n % 5 == 0 { SweepKind::Full } else { SweepKind::Summary };
        let cells = if kind == SweepKind::Full { 3 } else { 0 };
        let mut one = battery(1, cells, random.i32(0..40), Some("B000001"));
        one.measured.current = Some(Milliamps(random.i32(-90_000..90_000)));
        one.measured.voltage = (n % 7 != 0).then(|| Millivolts(random.i32(40_000..60_000)));
        let low = one.cells.iter().flatten().filter_map(|cell| cell.voltage).min().map(|v| v.0);
        let (voltage, current) = (one.measured.voltage, one.measured.current.unwrap());
        for (naive, span) in naive.iter_mut().zip([60_000, 3_600_000, 86_400_000]) {
            let empty = (0, 0, i32::MAX, i32::MIN, 0, i32::MAX);
            let entry = naive.entry((at - at % span, 1)).or_insert(empty);
            entry.0 += 1;
            entry.1 += voltage.map_or(0, |v| i64::from(v.0));
            entry.2 = entry.2.min(current.0);
            entry.3 = entry.3.max(current.0);
            entry.4 += voltage.map_or(0, |v| v.times(current).0);
            entry.5 = entry.5.min(low.unwrap_or(i32::MAX));
        }
        records.extend(minutes.add(&report("pytes", at, kind, vec![one])));
        if random.u8(0..20) == 0 {
            // Restart: the unfinished minute is stored early.
            records.extend(minutes.close());
        }
        if random.u8(0..10) == 0 {
            store.insert(&records).unwrap();
            // Unconfirmed records are repeated.
            store.insert(&records).unwrap();
            records.clear();
        }
    }
    records.extend(minutes.close());
    store.insert(&records).unwrap();
    let columns = [
        "started_at_ms",
        "battery_id",
        "samples",
        "voltage_sum_mv",
        "current_min_ma",
        "current_max_ma",
        "power_sum_mw",
        "cell_voltage_low_mv",
    ];
    for (naive, table) in naive.iter().zip(["rollup_minute", "rollup_hour", "rollup_day"]) {
        let rows =
            backend.rows(&columns, &format!("FROM {table} WHERE battery_id = 1 ORDER BY started_at_ms"));
        let expected: Vec<String> = naive
            .iter()
            .map(|((at, id), (samples, volts, least, most, power, low))| {
                let low = if *low == i32::MAX { "-".to_owned() } else { low.to_string() };
                format!("{at} {id} {samples} {volts} {least} {most} {power} {low}")
            })
            .collect();
        assert_eq!(rows, expected, "{table}");
        assert_eq!(backend.count(table), 2 * naive.len(), "including the bank's own rows");
    }
    let mean = backend.rows(&["ROUND(AVG(voltage_v), 0)"], "FROM v_day WHERE barcode = 'B000001'");
    assert!(mean[0].starts_with("50") || mean[0].starts_with("49"), "{mean:?}");
}

fn a_minute_in_parts_counts_each_part_once(backend: &Backend) {
    let mut store = backend.open();
    let part = |first: i64, count: i64| {
        let mut minutes = MinuteAggregator::default();
        for n in 0..count {
            minutes.add(&report(
                "pytes",
                START + first + n,
                SweepKind::Summary,
                vec![battery(1, 0, 1, Some("B000001"))],
            ));
        }
        minutes.close()
    };
    let (one, two) = (part(0, 3), part(100, 4));
    for records in [&one, &one, &two, &one, &two] {
        store.insert(records).unwrap();
    }
    for table in ["rollup_minute", "rollup_hour", "rollup_day"] {
        assert_eq!(backend.rows(&["samples"], &format!("FROM {table}")), ["7", "7"], "{table}");
    }
}

fn a_clock_set_back_loses_no_sample_and_doubles_none(backend: &Backend) {
    let mut store = backend.open();
    let mut minutes = MinuteAggregator::for_run(1);
    let mut records = Vec::new();
    let (mut at, mut taken) = (START + 50_000, 0);
    for n in 0..150 {
        at += 1_000;
        // By 45 s twice, and once to the very time of a sweep that is stored.
        at -= [(30, 45_000), (60, 45_000), (100, 20_000)]
            .iter()
            .find(|(when, _)| *when == n)
            .map_or(0, |(_, by)| *by);
        let batteries = vec![battery(1, 0, n, Some(X)), battery(2, 0, n, Some(Y))];
        records.extend(minutes.add(&report("pytes", at, SweepKind::Summary, batteries)));
        taken += 3;
    }
    records.extend(minutes.close());
    for part in records.chunks(5) {
        store.insert(part).unwrap();
        store.insert(part).unwrap();
    }
    backend.open().insert(&records).unwrap();
    for table in ["rollup_minute", "rollup_hour", "rollup_day"] {
        assert_eq!(backend.rows(&["SUM(samples)"], &format!("FROM {table}")), [taken.to_string()], "{table}");
    }
    let mut next = MinuteAggregator::for_run(2);
    next.add(&report("pytes", START + 55_000, SweepKind::Summary, vec![battery(1, 0, 1, Some(X))]));
    backend.open().insert(&next.close()).unwrap();
    let samples = backend.rows(&["SUM(samples)"], "FROM rollup_day");
    assert_eq!(samples, [(taken + 2).to_string()], "of the run started within it");
    // The newest runs are kept.
    let run = |run: i64| {
        let mut minutes = MinuteAggregator::for_run(run);
        minutes.add(&report("pytes", START + run * 60_000, SweepKind::Summary, Vec::new()));
        minutes.close()
    };
    store.insert(&(10..300).flat_map(run).collect::<Vec<_>>()).unwrap();
    store.insert(&run(300)).unwrap();
    assert_eq!(backend.count("rollup_part"), 201);
}

fn history_is_queried_by_place_and_resolution(backend: &Backend) {
    let mut store = backend.open();
    let mut minutes = MinuteAggregator::default();
    let mut records = Vec::new();
    for n in 0..18 {
        let batteries = vec![battery(1, 2, n, Some("B000001")), battery(2, 2, n + 100, Some("B000002"))];
        let report = report("pytes", START + i64::from(n) * 10_000, SweepKind::Full, batteries);
        records.extend(minutes.add(&report));
        records.push(Record::Sweep(Box::new(bankwatch::internals::store::SweepRecord::from_report(&report))));
    }
    records.extend(minutes.close());
    store.insert(&records).unwrap();
    let mut ask = |place, step, to_ms| {
        let query =
            HistoryQuery { bank: "pytes", place, from_ms: START, to_ms, resolution: step, limit: 1000 };
        let points = store.history(&query).unwrap();
        points
            .iter()
            .map(|point| (point.at_ms - START, point.sums.samples, point.sums.voltage_max_mv))
            .collect::<Vec<_>>()
    };
    let raw = ask(Some(2), Resolution::Raw, START + 30_000);
    assert_eq!(raw, [(0, 1, Some(52_100)), (10_000, 1, Some(52_101)), (20_000, 1, Some(52_102))]);
    assert_eq!(ask(None, Resolution::Raw, START + 10_000), [(0, 1, Some(52_050))]);
    let minutes = ask(Some(1), Resolution::Minute, i64::MAX);
    assert_eq!(minutes, [(0, 6, Some(52_005)), (60_000, 6, Some(52_011)), (120_000, 6, Some(52_017))]);
    assert_eq!(ask(None, Resolution::Minute, START + 1), [(0, 6, Some(52_055))]);
    assert_eq!(ask(Some(3), Resolution::Raw, i64::MAX), []);
    let unknown_bank = HistoryQuery {
        bank: "none",
        place: None,
        from_ms: 0,
        to_ms: i64::MAX,
        resolution: Resolution::Raw,
        limit: 9,
    };
    assert_eq!(store.history(&unknown_bank).unwrap(), []);
}

fn export_gives_every_row_once_in_order(backend: &Backend) {
    let mut store = backend.open();
    store.insert(&(0..100).map(|n| bank(2, n * 60)).collect::<Vec<_>>()).unwrap();
    let everything = |rows| ExportQuery { table: rows, bank: None, place: None, from_ms: 0, to_ms: i64::MAX };
    let lines = |store: &mut dyn Store, query: &ExportQuery<'_>| {
        let mut lines = Vec::new();
        let mut each = |record: &StringRecord| {
            lines.push(record.iter().collect::<Vec<_>>().join(","));
            true
        };
        store.export(query, &mut each).unwrap();
        lines
    };
    let all = lines(&mut *store, &everything(ExportTable::Batteries));
    assert_eq!(all.len(), 201);
    assert!(all[0].starts_with("taken_at,bank,place,battery_id,barcode,voltage_v,current_a,"), "{}", all[0]);
    assert!(
        all[1].starts_with("2026-11-22T06:05:00Z,pytes,1,1,B000001,52.001,-2.184,22.3,51,,,,"),
        "{}",
        all[1]
    );
    assert!(all[1..].windows(2).all(|pair| pair[0] < pair[1] || pair[0][..20] < pair[1][..20]));
    let fields = all[0].split(',').count();
    assert!(all.iter().all(|line| line.split(',').count() == fields));
    let cells = everything(ExportTable::Cells);
    assert_eq!(lines(&mut *store, &ExportQuery { from_ms: START, to_ms: START + 600_000, ..cells }).len(), 9);
    assert_eq!(lines(&mut *store, &cells).len(), 801);
    assert_eq!(lines(&mut *store, &everything(ExportTable::Banks)).len(), 101);
    let second = lines(&mut *store, &ExportQuery { place: Some(2), ..everything(ExportTable::Batteries) });
    assert_eq!(second.len(), 101);
    assert!(second[1..].iter().all(|line| line.contains(",pytes,2,")), "{}", second[1]);
    let mut count = 0;
    let mut three = |_: &StringRecord| {
        count += 1;
        count < 3
    };
    store.export(&everything(ExportTable::Banks), &mut three).unwrap();
    assert_eq!(count, 3, "the reader stopped early");
    let unknown_bank = ExportQuery { bank: Some("nobody"), ..everything(ExportTable::Banks) };
    let error = store.export(&unknown_bank, &mut |_| true).unwrap_err();
    assert_eq!(error.to_string(), "the history has no bank \"nobody\"; it has: pytes");
}

fn export_has_every_column_of_its_view(backend: &Backend) {
    drop(backend.open());
    for (rows, view, time) in [
        (ExportTable::Banks, "v_bank", "taken_at"),
        (ExportTable::Batteries, "v_battery", "taken_at"),
        (ExportTable::Cells, "v_cell", "taken_at"),
        (ExportTable::Minutes, "v_minute", "started_at"),
        (ExportTable::Hours, "v_hour", "started_at"),
        (ExportTable::Days, "v_day", "started_at"),
    ] {
        let mut columns = match backend {
            Backend::File { .. } => {
                backend.ask(&format!("SELECT name AS x FROM pragma_table_info('{view}')"))
            }
            Backend::Server { .. } => backend.ask(&format!(
                "SELECT COLUMN_NAME AS x FROM information_schema.COLUMNS \
                 WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '{view}'"
            )),
        };
        // The time is exported once.
        columns.retain(|column| *column != format!("{time}_ms"));
        let header = rows.header();
        let mut exported: Vec<&str> = header.iter().collect();
        columns.sort_unstable();
        exported.sort_unstable();
        assert_eq!(exported, columns, "{view}");
    }
}

fn roll_ups_are_exported_with_the_bank_before_its_batteries(backend: &Backend) {
    let mut store = backend.open();
    store.insert(&[sweep("pytes", START, vec![battery(1, 2, 7, Some("B000001"))])]).unwrap();
    let mut minutes = MinuteAggregator::default();
    for n in 0..130 {
        minutes
            .add(&report("pytes", START + n * 1000, SweepKind::Full, vec![battery(1, 2, 7, Some("B000001"))]))
            .iter()
            .for_each(|minute| store.insert(std::slice::from_ref(minute)).unwrap());
    }
    store.insert(&minutes.close()).unwrap();
    for (rows, spans) in [(ExportTable::Minutes, 3), (ExportTable::Hours, 1), (ExportTable::Days, 1)] {
        let mut lines = Vec::new();
        let query =
            ExportQuery { table: rows, bank: Some("pytes"), place: None, from_ms: 0, to_ms: i64::MAX };
        let mut each = |record: &StringRecord| {
            lines.push(record.iter().collect::<Vec<_>>().join(","));
            true
        };
        store.export(&query, &mut each).unwrap();
        assert_eq!(lines.len(), 1 + 2 * spans, "{rows:?}");
        assert!(
            lines[0].starts_with("started_at,bank,place,battery_id,barcode,samples,voltage_v,"),
            "{}",
            lines[0]
        );
        let samples = if rows == ExportTable::Minutes { 60 } else { 130 };
        assert!(lines[1].contains(&format!("Z,pytes,,,,{samples},52.007,52.007,")), "{}", lines[1]);
        assert!(lines[2].contains(&format!("Z,pytes,1,1,B000001,{samples},52.007,52.007,")), "{}", lines[2]);
    }
}

fn migrations_are_applied_once(backend: &Backend) {
    let applied = || backend.rows(&["version", "run_on"], "FROM __diesel_schema_migrations ORDER BY version");
    drop(backend.open());
    let first = applied();
    assert!(first.len() >= 2);
    drop(backend.open());
    assert_eq!(applied(), first);
}

fn a_half_applied_schema_is_completed(backend: &Backend) {
    let mut store = backend.open();
    store.insert(&[bank(2, 0)]).unwrap();
    drop(store);
    let all = backend.rows(&["version"], "FROM __diesel_schema_migrations ORDER BY version");
    // Where schema changes are not transactional, each may have been made without having been noted, and each
    // earlier version is one that has the later ones still to come.
    let views = ["v_day", "v_hour", "v_minute", "v_cell", "v_battery", "v_bank"];
    match backend {
        Backend::File { .. } => {
            views.iter().for_each(|view| backend.run(&format!("DROP VIEW {view}")));
            backend.run("DELETE FROM __diesel_schema_migrations WHERE version LIKE '%000002'");
            drop(backend.open());
        }
        Backend::Server { .. } => {
            for version in all.iter().rev() {
                backend.run(&format!("DELETE FROM __diesel_schema_migrations WHERE version >= '{version}'"));
                drop(backend.open());
                assert_eq!(
                    backend.rows(&["version"], "FROM __diesel_schema_migrations ORDER BY version"),
                    all
                );
            }
            views.iter().for_each(|view| backend.run(&format!("DROP VIEW {view}")));
            backend.run("DROP TABLE dead_letter");
            backend.run("DELETE FROM __diesel_schema_migrations WHERE version >= '20261123000013'");
            drop(backend.open());
        }
    }
    assert_eq!(backend.rows(&["version"], "FROM __diesel_schema_migrations ORDER BY version"), all);
    assert_eq!(backend.count("v_battery"), 2, "existing rows are unchanged");
    backend.open().insert(&[bank(2, 1)]).unwrap();
    assert_eq!(backend.count("v_battery"), 4);
}

fn a_newer_schema_is_refused_and_unchanged(backend: &Backend) {
    drop(backend.open());
    backend.run("INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000001')");
    backend.run("DROP VIEW v_bank");
    backend.run("DELETE FROM __diesel_schema_migrations WHERE version = '20261123000002'");
    let before = backend.rows(&["version"], "FROM __diesel_schema_migrations ORDER BY version");
    let error = backend.try_open().err().unwrap();
    assert!(matches!(&error, StoreError::Newer { found, .. } if found == "29990101000001"), "{error}");
    assert_eq!(error.class(), ErrorClass::Refused);
    let sentence = error.to_string();
    assert!(sentence.contains("29990101000001") && sentence.contains("by a later version"), "{sentence}");
    assert_eq!(backend.rows(&["version"], "FROM __diesel_schema_migrations ORDER BY version"), before);
}

fn two_concurrent_writers_lose_nothing(backend: &Backend) {
    let write = |name: &'static str| {
        move || {
            let mut store = retry_while_busy(|| backend.try_open());
            for n in 0..40 {
                let batteries =
                    (1..=2).map(|place| battery(place, 2, n, Some(&format!("{name}-00{place}")))).collect();
                let record = sweep(name, START + i64::from(n) * 10, batteries);
                retry_while_busy(|| store.insert(std::slice::from_ref(&record)));
            }
        }
    };
    std::thread::scope(|scope| {
        for name in ["east", "west"] {
            scope.spawn(write(name));
        }
    });
    assert_eq!(backend.rows(&["name"], "FROM bank ORDER BY name"), ["east", "west"]);
    assert_eq!(
        backend.rows(&["bank", "COUNT(*)"], "FROM v_battery GROUP BY bank ORDER BY bank"),
        ["east 80", "west 80"]
    );
    assert_eq!(backend.count("battery"), 4);
}

/// Tries again what may be tried again, as the service does.
fn retry_while_busy<T>(mut call: impl FnMut() -> Result<T, StoreError>) -> T {
    let start = std::time::Instant::now();
    loop {
        match call() {
            Ok(done) => return done,
            Err(error) => {
                let time_is_up = start.elapsed() > Duration::from_secs(30);
                assert!(error.class() == ErrorClass::Outside && !time_is_up, "{error}");
            }
        }
    }
}

fn only_the_newest_dead_letters_are_kept(backend: &Backend) {
    let mut store = backend.open();
    store.dead_letter(b"{\"sweep\": \xff", &"too long ".repeat(99), at(START)).unwrap();
    assert_eq!(backend.rows(&["LENGTH(body)", "LENGTH(reason)"], "FROM dead_letter"), ["11 255"]);
    for n in 0..1005 {
        store.dead_letter(b"x", "why", at(START + n)).unwrap();
    }
    assert_eq!(backend.count("dead_letter"), 1000);
    assert_eq!(backend.rows(&["MIN(buried_at_ms)"], "FROM dead_letter"), [(START + 5).to_string()]);
}

fn the_tables_match_the_schema_in_the_program(backend: &Backend) {
    drop(backend.open());
    let source =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/sql/schema.rs")).unwrap();
    let (mut table, mut believed) = (String::new(), Vec::new());
    for line in source.lines().map(str::trim) {
        if let Some((name, _)) = line.split_once(" (").filter(|_| line.ends_with('{') && !line.contains('!'))
        {
            name.clone_into(&mut table);
        } else if let Some((column, sql_type)) = line.trim_end_matches(',').split_once(" -> ") {
            let tables = if table == "$table" {
                vec!["rollup_minute", "rollup_hour", "rollup_day"]
            } else {
                vec![&*table]
            };
            let null = sql_type.starts_with("Nullable");
            believed.extend(tables.iter().map(|table| format!("{table} {column} {null}")));
        }
    }
    believed
        .retain(|column| matches!(backend, Backend::Server { .. }) || !column.starts_with("legacy_pending "));
    believed.sort_unstable();
    let mut found = match backend {
        Backend::File { .. } => backend.ask(
            "SELECT concat_ws(' ', t.name, c.name, iif(c.\"notnull\" OR c.pk, 'false', 'true')) AS x FROM sqlite_master AS t, \
             pragma_table_info(t.name) AS c WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND t.name NOT LIKE '\\_\\_%' ESCAPE '\\'",
        ),
        Backend::Server { .. } => backend.ask(
            "SELECT CONCAT_WS(' ', c.TABLE_NAME, c.COLUMN_NAME, IF(c.IS_NULLABLE = 'YES', 'true', 'false')) AS x \
             FROM information_schema.COLUMNS AS c JOIN information_schema.TABLES AS t USING (TABLE_SCHEMA, TABLE_NAME) \
             WHERE c.TABLE_SCHEMA = DATABASE() AND t.TABLE_TYPE = 'BASE TABLE' AND c.TABLE_NAME NOT LIKE '\\_\\_%'",
        ),
    };
    found.sort_unstable();
    assert_eq!(found, believed);
    assert!(believed.len() > 150);
}

fn every_query_in_the_documentation_works(backend: &Backend) {
    let mut store = backend.open();
    let mut minutes = MinuteAggregator::default();
    let batteries = vec![
        battery(1, 4, 7, Some("B000001")),
        battery(2, 4, 8, Some("B000002")),
        BatteryReading::empty(Place::new(3).unwrap()),
    ];
    let mut report = report("pytes", START, SweepKind::Full, batteries);
    let (command, reason) = ("bat 3".to_owned(), "no answer".to_owned());
    report.reading.missing.push(MissingAnswer { battery: Place::new(3), command, reason, asked: 3 });
    let mut records = minutes.records(&report);
    records.extend(minutes.close());
    let (bank, text) = ("pytes".into(), "High voltage alarm".into());
    records.push(Record::Event(Box::new(EventRecord {
        bank,
        place: Some(2),
        barcode: Some("B000002".into()),
        word: "power".into(),
        bit: 2,
        raised_at_ms: START,
        cleared_at_ms: Some(START + 1000),
        level: "warning".into(),
        text,
    })));
    store.insert(&records).unwrap();
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/database.md")).unwrap();
    let queries: Vec<&str> =
        page.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(queries.len() >= 8, "{}", queries.len());
    for query in queries {
        let query = query.trim().trim_end_matches(';');
        assert!(backend.rows(&["COUNT(*)"], &format!("FROM ({query}) AS answer"))[0] != "0", "{query}");
    }
}
