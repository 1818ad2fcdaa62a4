//! Events over a scripted simulation: what is raised, what clears it and what does not, how long it was active, and
//! that a restart raises nothing again.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bankwatch::internals::events::catalogue::Catalogue;
use bankwatch::internals::events::decode::set_active_events;
use bankwatch::internals::events::saved::SavedBank;
use bankwatch::internals::events::tracker::Tracker;
use bankwatch::internals::model::event::{Event, EventKind, EventLevel};
use bankwatch::internals::model::reading::{BankReading, SweepKind};
use bankwatch::internals::model::report::BankReport;
use bankwatch::internals::model::units::{Millicelsius, Millivolts};
use bankwatch::internals::simulator::{Dialect, EventWordKind};
use bankwatch::internals::stats::Stats;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use support::bank::{Bank, INTERVAL};

/// A tracker, its catalogue, and the monotonic time, which goes on by an interval a report.
struct TrackerFixture {
    tracker: Tracker,
    catalogue: Catalogue,
    now: Duration,
}

/// Two batteries, created once, since simulating their first eight hours takes a while.
static BANK: LazyLock<Bank> = LazyLock::new(|| Bank::new(Dialect::Us2000c, 2));

const SILENT_AFTER: Duration = Duration::from_secs(30);

impl TrackerFixture {
    fn new() -> Self {
        let catalogue = Catalogue::load(None).0;
        let tracker = Tracker::new(Arc::from("pytes"), SILENT_AFTER / 3, Duration::ZERO);
        Self { tracker, catalogue, now: Duration::ZERO }
    }

    /// The tracker after a restart: restored from its saved file, with another monotonic clock.
    fn restarted(&self, at: Timestamp) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(SavedBank::file_name("pytes"));
        std::fs::write(&path, self.tracker.saved().to_bytes().unwrap()).unwrap();
        let mut watch = Self::new();
        watch.now = Duration::from_secs(5);
        watch.tracker.restore(&SavedBank::read(&path).unwrap(), at, watch.now);
        watch
    }

    fn take(&mut self, report: &BankReport) -> Vec<Event> {
        self.now += INTERVAL;
        self.tracker.take(report, &self.catalogue, (self.now, self.now))
    }

    /// The events of a report, one line each.
    fn events(&mut self, report: &BankReport) -> Vec<String> {
        self.take(report).iter().map(line).collect()
    }

    /// The warnings of a report, one line each.
    fn warnings(&mut self, report: &BankReport) -> Vec<String> {
        self.take(report).iter().filter(|event| event.level == EventLevel::Warning).map(line).collect()
    }
}

fn line(event: &Event) -> String {
    let battery = event.battery.map_or_else(|| "-".to_owned(), |place| place.to_string());
    let after = event.duration.map(|duration| format!(" after {} s", duration.as_secs())).unwrap_or_default();
    format!("{} {battery} {} {}: {}{after}", event.kind.word(), event.word, event.condition, event.text)
}

#[test]
fn an_event_is_reported_when_raised_and_cleared_only() {
    let (mut bank, mut watch) = (Bank::new(Dialect::Us2000c, 3), TrackerFixture::new());
    assert_eq!(watch.warnings(&bank.full()), [""; 0]);
    bank.console.bank_mut().raise_event(2, EventWordKind::Power, 0x2);
    assert_eq!(watch.events(&bank.full()), ["raised 2 power 0x2: High voltage alarm"]);
    for _ in 0..4 {
        assert_eq!(watch.events(&bank.full()), [""; 0]);
    }
    bank.console.bank_mut().clear_event(2, EventWordKind::Power, 0x2);
    assert_eq!(watch.events(&bank.full()), ["cleared 2 power 0x2: High voltage alarm after 50 s"]);
    assert_eq!(watch.events(&bank.full()), [""; 0]);
}

/// Raises a condition, sets the clock, and clears the condition 40 s later. Returns its `raised_at` and its clearing
/// time in seconds after the true time of raising, and its duration.
fn set_clock_while_active(wrong_by_s: i64) -> (i64, i64, Option<Duration>) {
    let mut bank = BANK.clone();
    let mut watch = TrackerFixture::new();
    let right = bank.at;
    bank.at += SignedDuration::from_secs(wrong_by_s);
    let mut events = Vec::new();
    for sweep in 0..8 {
        match sweep {
            2 => assert!(bank.console.bank_mut().raise_event(2, EventWordKind::Power, 0x2)),
            4 => bank.at -= SignedDuration::from_secs(wrong_by_s),
            6 => assert!(bank.console.bank_mut().clear_event(2, EventWordKind::Power, 0x2)),
            _ => {}
        }
        let report = bank.full();
        watch.tracker.watch_clock(report.reading.taken_at, watch.now + INTERVAL);
        events.extend(watch.take(&report).into_iter().filter(|event| event.word == "power"));
    }
    assert_eq!(
        events.iter().map(|event| event.kind).collect::<Vec<_>>(),
        [EventKind::Raised, EventKind::Cleared]
    );
    let since = |at: Timestamp| at.duration_since(right).as_secs() - 30;
    (since(events[1].raised_at), since(events[1].at), events[1].duration)
}

#[test]
fn setting_the_clock_corrects_raised_at_of_active_events() {
    let duration = Some(Duration::from_secs(40));
    assert_eq!(set_clock_while_active(0), (0, 40, duration));
    let never_set = BANK.at.as_second() - 5_000;
    assert_eq!(set_clock_while_active(-never_set), (0, 40, duration), "it was 1970");
    for ahead in [45, 3_600, 40_000_000] {
        assert_eq!(set_clock_while_active(ahead), (0, 40, duration), "it was {ahead} s ahead");
    }
}

#[test]
fn a_sleep_moves_no_event_and_earlier_sweeps_are_corrected() {
    assert_eq!(set_clock_while_active(-3_600).0, -3_600, "as published when raised");
    let (mut bank, mut watch) = (BANK.clone(), TrackerFixture::new());
    let unset = Timestamp::from_second(5_000).unwrap();
    let set = bank.at;
    watch.tracker.watch_clock(unset, Duration::from_secs(10));
    bank.console.bank_mut().raise_event(2, EventWordKind::Power, 0x2);
    bank.at = unset;
    let report = bank.full();
    let began = Duration::from_secs(20);
    assert_eq!(report.reading.taken_at, unset + SignedDuration::from_secs(10));
    watch.tracker.watch_clock(set, Duration::from_secs(25));
    let events = watch.tracker.take(&report, &watch.catalogue, (began, Duration::from_secs(25)));
    let raised = events.iter().find(|event| event.word == "power").unwrap();
    assert_eq!(raised.raised_at, set - SignedDuration::from_secs(5));
}

#[test]
fn two_bits_at_once_are_two_independent_events() {
    let (mut bank, mut watch) = (Bank::new(Dialect::PytesV5, 2), TrackerFixture::new());
    watch.take(&bank.full());
    bank.console.bank_mut().raise_event(1, EventWordKind::Battery, 0x1002);
    bank.console.bank_mut().raise_event(1, EventWordKind::Fault, 0x8);
    let raised = [
        "raised 1 battery 0x2: Cell high voltage alarm",
        "raised 1 battery 0x1000: Cell under-temperature alarm (unconfirmed)",
        "raised 1 system 0x8: Measurement chip fault",
        "raised 1 base_state SysError: System error",
    ];
    assert_eq!(watch.events(&bank.full()), raised);
    bank.console.bank_mut().clear_event(1, EventWordKind::Battery, 0x2);
    assert_eq!(watch.events(&bank.full()), ["cleared 1 battery 0x2: Cell high voltage alarm after 10 s"]);
}

#[test]
fn a_missing_answer_a_damaged_word_and_a_summary_clear_nothing() {
    let (mut bank, mut watch) = (Bank::new(Dialect::Us2000c, 2), TrackerFixture::new());
    bank.console.bank_mut().raise_event(2, EventWordKind::Power, 0x2);
    assert_eq!(watch.warnings(&bank.full()), ["raised 2 power 0x2: High voltage alarm"]);
    let lost = bank.full_but(|question, answer| (question != "pwr 2").then_some(answer));
    assert_eq!(watch.events(&lost), [""; 0]);
    let damaged =
        bank.full_but(|_, answer| Some(answer.replace("Power Events    : 0x2", "Power Events    : 0xZ")));
    assert_eq!(watch.events(&damaged), [""; 0]);
    let without = bank.full_but(|_, answer| Some(answer.replace("Power Events", "Bower Events")));
    assert!(watch.events(&without).iter().all(|line| !line.starts_with("cleared 2 power")));
    assert_eq!(watch.warnings(&bank.summary()), [""; 0]);
    bank.console.bank_mut().clear_event(2, EventWordKind::Power, 0x2);
    let cleared = watch.events(&bank.full());
    assert!(
        cleared.contains(&"cleared 2 power 0x2: High voltage alarm after 50 s".to_owned()),
        "{cleared:?}"
    );
}

#[test]
fn a_damaged_word_affects_no_other_word_or_battery() {
    for damaged in ["Bat Events", "Power Events", "System Fault"] {
        let (mut bank, mut watch) = (Bank::new(Dialect::Us2000c, 3), TrackerFixture::new());
        watch.take(&bank.full());
        for battery in 1..=3 {
            for word in [EventWordKind::Battery, EventWordKind::Power, EventWordKind::Fault] {
                bank.console.bank_mut().raise_event(battery, word, 0x2);
            }
        }
        let report = bank.full_but(|question, answer| {
            let here = question == "pwr 2";
            Some(if here {
                answer.replace(&format!("{damaged:<16}: 0x2"), &format!("{damaged:<16}: 0x2x"))
            } else {
                answer
            })
        });
        let events = watch.take(&report).into_iter().filter(|event| event.word != "base_state");
        let raised: BTreeSet<(u8, String)> =
            events.map(|event| (event.battery.unwrap().number(), event.word.to_string())).collect();
        let lost = match damaged {
            "Bat Events" => "battery",
            "Power Events" => "power",
            _ => "system",
        };
        let all =
            (1..=3).flat_map(|battery| ["battery", "power", "system"].map(|word| (battery, word.to_owned())));
        let expected: BTreeSet<(u8, String)> = all.filter(|pair| *pair != (2, lost.to_owned())).collect();
        assert_eq!(raised, expected, "{damaged}");
    }
}

#[test]
fn a_restart_raises_nothing_again_and_durations_continue() {
    let (mut bank, mut watch) = (Bank::new(Dialect::Us2000c, 2), TrackerFixture::new());
    watch.take(&bank.full());
    bank.console.bank_mut().raise_event(2, EventWordKind::Power, 0x2);
    assert_eq!(watch.events(&bank.full()).len(), 1);
    watch.take(&bank.full());
    // Killed twenty seconds after the event was raised, restarted two minutes later.
    bank.at += Duration::from_secs(120);
    let mut watch = watch.restarted(bank.at);
    assert_eq!(watch.events(&bank.full()), [""; 0]);
    bank.console.bank_mut().clear_event(2, EventWordKind::Power, 0x2);
    assert_eq!(watch.events(&bank.full()), ["cleared 2 power 0x2: High voltage alarm after 150 s"]);
}

/// Readings of a bank, modified by the test and then passed through the statistics as in the service.
struct ModifiedReadings {
    bank: Bank,
    stats: Stats,
    began: Instant,
}

impl ModifiedReadings {
    fn new() -> Self {
        let bank = Bank::new(Dialect::Us2000c, 2);
        Self { bank, stats: Stats::without_persistence(INTERVAL), began: Instant::now() }
    }

    fn of(&mut self, kind: SweepKind, change: impl FnOnce(&mut BankReading)) -> BankReport {
        let BankReport { mut reading, facts, bank_facts, service, .. } =
            self.bank.sweep(kind, &[], |_, answer| Some(answer));
        self.began += INTERVAL;
        reading.began = self.began;
        change(&mut reading);
        self.stats.report(reading, facts, bank_facts, service)
    }

    fn full(&mut self, change: impl FnOnce(&mut BankReading)) -> BankReport {
        self.of(SweepKind::Full, change)
    }
}

#[test]
fn a_persistent_implausible_value_is_an_event_until_plausible() {
    let (mut bank, mut watch) = (ModifiedReadings::new(), TrackerFixture::new());
    let flat = |reading: &mut BankReading| {
        reading.batteries[1].cells.as_mut().unwrap()[4].voltage = Some(Millivolts(0));
    };
    watch.take(&bank.full(|_| {}));
    assert_eq!(watch.events(&bank.full(flat)), [""; 0], "it may be damage");
    let event = "2 cell_5_voltage implausible: Cell 5: Implausible cell voltage";
    let report = bank.full(flat);
    assert_eq!(watch.events(&report), [format!("raised {event}")]);
    let active_events = |report: &mut BankReport| {
        set_active_events(report, &Catalogue::load(None).0);
        std::mem::take(&mut report.derived.batteries[1].active_events)
            .into_iter()
            .map(|one| (one.word.to_string(), one.level))
            .collect::<Vec<_>>()
    };
    assert!(active_events(&mut report.clone()).contains(&("cell_5_voltage".to_owned(), EventLevel::Warning)));
    assert_eq!(watch.events(&bank.full(flat)), [""; 0]);
    assert_eq!(watch.events(&bank.of(SweepKind::Summary, |_| {})), [""; 0], "a summary has no cells");
    let without = bank.full(|reading| reading.batteries[1].cells = None);
    assert_eq!(watch.events(&without), [""; 0], "a missing answer has none either");
    // After a restart the service has lost the value, but not the event.
    let mut watch = watch.restarted(bank.bank.at);
    bank.stats = Stats::without_persistence(INTERVAL);
    for _ in 0..3 {
        assert_eq!(watch.events(&bank.full(flat)), [""; 0]);
    }
    let mut over = Vec::new();
    for _ in 0..2 {
        over.extend(watch.events(&bank.full(|_| {})));
    }
    assert_eq!(over.len(), 1, "{over:?}");
    assert!(over[0].starts_with(&format!("cleared {event} after ")), "{over:?}");
}

#[test]
fn a_sensor_fault_is_a_separate_event_and_replaces_implausible() {
    let (mut bank, mut watch) = (ModifiedReadings::new(), TrackerFixture::new());
    let at = |degrees: i32| {
        move |reading: &mut BankReading| {
            reading.batteries[0].measured.temperature = Some(Millicelsius(degrees * 1_000));
        }
    };
    watch.take(&bank.full(|_| {}));
    let mut events = |change: &dyn Fn(&mut BankReading)| watch.events(&bank.full(change));
    assert_eq!(events(&at(250)), [""; 0]);
    assert_eq!(events(&at(251)), ["raised 1 temperature sensor_fault: Temperature sensor faulty"]);
    assert_eq!(events(&at(-80)), [""; 0]);
    assert_eq!(events(&at(120)), [""; 0], "withheld, so nothing is known");
    assert_eq!(
        events(&at(120)),
        [
            "cleared 1 temperature sensor_fault: Temperature sensor faulty after 30 s",
            "raised 1 temperature implausible: Implausible temperature",
        ]
    );
    assert_eq!(events(&at(25)), [""; 0], "no battery cools down so fast");
    assert_eq!(events(&at(25)), ["cleared 1 temperature implausible: Implausible temperature after 20 s"]);
}

#[test]
fn a_replacement_battery_has_its_own_alarms() {
    let (mut bank, mut watch) = (Bank::new(Dialect::Us2000c, 2), TrackerFixture::new());
    bank.console.bank_mut().raise_event(2, EventWordKind::Power, 0x2);
    let mut events = |barcode: Option<&str>| -> Vec<(String, Option<String>)> {
        let mut report = bank.full();
        report.facts[1].barcode = barcode.map(str::to_owned);
        watch.take(&report).iter().map(|event| (line(event), event.barcode.clone())).collect()
    };
    let raised = "raised 2 power 0x2: High voltage alarm".to_owned();
    assert_eq!(events(None), [(raised.clone(), None)], "the barcode is not known yet");
    assert_eq!(events(Some("OLD")), []);
    assert_eq!(events(None), [], "the barcode may be missing in between");
    let cleared = "cleared 2 power 0x2: High voltage alarm".to_owned();
    assert_eq!(events(Some("NEW")), [(cleared, Some("OLD".to_owned())), (raised, Some("NEW".to_owned()))]);
    assert_eq!(events(Some("NEW")), []);
}

#[test]
fn changes_during_downtime_are_cleared_and_raised() {
    let (mut bank, mut watch) = (Bank::new(Dialect::Us2000c, 3), TrackerFixture::new());
    bank.console.bank_mut().raise_event(1, EventWordKind::Power, 0x2);
    watch.take(&bank.full());
    bank.console.bank_mut().clear_event(1, EventWordKind::Power, 0x2);
    bank.console.bank_mut().raise_event(3, EventWordKind::Fault, 0x40);
    bank.console.bank_mut().take_out(2);
    let mut watch = watch.restarted(bank.at);
    let events = watch.events(&bank.full());
    assert_eq!(
        events,
        [
            "cleared 1 power 0x2: High voltage alarm after 10 s",
            "raised 2 presence Absent: Battery removed: the console reports no battery at this place",
            "raised 3 system 0x40: Voltage detection error",
            "raised 3 base_state SysError: System error",
        ]
    );
}

#[test]
fn a_duration_is_unknown_if_the_clock_was_unset_when_raised() {
    let (mut bank, mut watch) = (Bank::new(Dialect::Us2000c, 1), TrackerFixture::new());
    bank.at = Timestamp::UNIX_EPOCH;
    bank.console.bank_mut().raise_event(1, EventWordKind::Power, 0x2);
    watch.take(&bank.full());
    bank.at = "2026-11-22T06:00:46Z".parse().unwrap();
    let mut restarted = watch.restarted(bank.at);
    bank.console.bank_mut().clear_event(1, EventWordKind::Power, 0x2);
    let report = bank.full();
    assert_eq!(
        restarted.events(&report),
        ["cleared 1 power 0x2: High voltage alarm"],
        "the duration is unknown"
    );
    assert_eq!(
        watch.events(&report),
        ["cleared 1 power 0x2: High voltage alarm after 10 s"],
        "measured by the monotonic clock"
    );
}

#[test]
fn a_battery_reported_absent_is_missing_at_once_and_returns() {
    let (mut bank, mut watch) = (Bank::new(Dialect::Us2000c, 3), TrackerFixture::new());
    watch.take(&bank.full());
    bank.console.bank_mut().take_out(2);
    let gone = "2 presence Absent: Battery removed: the console reports no battery at this place";
    assert_eq!(watch.events(&bank.summary()), [format!("raised {gone}")]);
    for _ in 0..5 {
        assert_eq!(watch.events(&bank.full()), [""; 0]);
    }
    bank.console.bank_mut().put_back(2);
    assert_eq!(watch.warnings(&bank.full()), [format!("cleared {gone} after 60 s")]);
}

#[test]
fn an_unlisted_battery_is_missing_from_the_third_full_sweep() {
    let (mut bank, mut watch) = (Bank::new(Dialect::Us2000c, 3), TrackerFixture::new());
    watch.take(&bank.full());
    let without_battery_2 = |bank: &mut Bank| {
        bank.full_but(|question, answer| {
            let about_2 = question == "pwr" || question.ends_with(" 2");
            (!about_2).then_some(answer)
        })
    };
    for _ in 0..2 {
        assert_eq!(watch.events(&without_battery_2(&mut bank)), [""; 0]);
        let summary = bank.sweep(SweepKind::Summary, &[], |_, _| None);
        assert_eq!(watch.events(&summary), [""; 0], "a summary has no list of batteries");
    }
    let third = watch.events(&without_battery_2(&mut bank));
    assert_eq!(third, ["raised 2 presence Missing: Battery missing from three full sweeps"]);
    let back = watch.events(&bank.full());
    assert_eq!(back, ["cleared 2 presence Missing: Battery missing from three full sweeps after 10 s"]);
}

#[test]
fn a_new_battery_is_noted_except_in_the_first_reading() {
    let (mut bank, mut watch) = (Bank::new(Dialect::Us2000c, 3), TrackerFixture::new());
    bank.console.bank_mut().take_out(3);
    let first = watch.take(&bank.full());
    assert!(first.iter().all(|event| event.word != "presence"), "{first:?}");
    bank.console.bank_mut().put_back(3);
    let noted: Vec<Event> =
        watch.take(&bank.full()).into_iter().filter(|event| event.word == "presence").collect();
    assert_eq!(noted.iter().map(line).collect::<Vec<_>>(), ["noted 3 presence Present: New battery found"]);
    assert_eq!((noted[0].kind, noted[0].level), (EventKind::Noted, EventLevel::Info));
    assert!(
        watch.tracker.saved().active.iter().all(|event| event.word != "presence"),
        "nothing would clear it"
    );
}

#[test]
fn three_failing_sweeps_raise_answers_failing_until_it_answers() {
    let (mut bank, mut watch) = (Bank::new(Dialect::Us2000c, 2), TrackerFixture::new());
    watch.take(&bank.full());
    let failing = |bank: &mut Bank| bank.full_but(|question, answer| (question != "bat 2").then_some(answer));
    assert_eq!(watch.events(&failing(&mut bank)), [""; 0]);
    assert_eq!(watch.events(&failing(&mut bank)), [""; 0]);
    let text = "2 answers Failing: Answers about this battery are missing or damaged";
    assert_eq!(watch.events(&failing(&mut bank)), [format!("raised {text}")]);
    assert_eq!(watch.events(&bank.summary()), [""; 0], "a summary polls no cells");
    assert_eq!(watch.events(&bank.full()), [format!("cleared {text} after 20 s")]);
}

#[test]
fn a_silent_bank_is_reported_once_and_cleared_by_the_next_reading() {
    let (mut bank, mut watch) = (Bank::new(Dialect::Us2000c, 2), TrackerFixture::new());
    bank.console.bank_mut().raise_event(2, EventWordKind::Power, 0x2);
    watch.take(&bank.full());
    let last_report = watch.now;
    let mut look = |after: Duration| {
        let at = bank.at + after;
        let events = watch.tracker.look(&watch.catalogue, at, last_report + after);
        watch.now = last_report + after;
        events.iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(look(SILENT_AFTER), [""; 0]);
    assert_eq!(look(SILENT_AFTER + Duration::from_secs(1)), ["raised - link Silent: No readings received"]);
    assert_eq!(look(SILENT_AFTER + Duration::from_secs(60)), [""; 0]);
    bank.at += Duration::from_secs(90);
    let back = watch.events(&bank.full());
    assert_eq!(
        back,
        ["cleared - link Silent: No readings received after 69 s"],
        "and no other event was lost"
    );
}

#[test]
fn sweeps_longer_than_three_intervals_are_not_silence() {
    let (mut bank, mut watch) = (Bank::new(Dialect::Us2000c, 2), TrackerFixture::new());
    let slow = |bank: &mut Bank| {
        let mut report = bank.full();
        report.reading.took = Duration::from_secs(50);
        report
    };
    watch.warnings(&slow(&mut bank));
    for _ in 0..6 {
        let silent = watch.now + Duration::from_secs(50);
        assert!(watch.tracker.look(&watch.catalogue, bank.at, silent).is_empty());
        watch.now = silent;
        assert_eq!(watch.warnings(&slow(&mut bank)), [""; 0]);
    }
    let dead = watch.now + Duration::from_secs(151);
    assert_eq!(watch.tracker.look(&watch.catalogue, bank.at, dead).len(), 1, "three of its real intervals");
}

#[test]
fn a_state_other_than_normal_is_an_event_cleared_by_another_state() {
    let (mut bank, mut watch) = (Bank::new(Dialect::Us2000c, 1), TrackerFixture::new());
    watch.take(&bank.full());
    let with_state = |bank: &mut Bank, label: &'static str, word: &'static str| {
        bank.full_but(move |_, answer| {
            let (before, after) = answer
                .split_once(&format!("{label:<16}: "))
                .map_or((answer.as_str(), None), |(before, after)| (before, Some(after)));
            let after = after.map(|after| format!("{label:<16}: {word:<8}{}", &after[8..]));
            Some(after.map_or_else(|| answer.clone(), |after| format!("{before}{after}")))
        })
    };
    assert_eq!(
        watch.events(&with_state(&mut bank, "Volt Status", "High")),
        ["raised 1 volt_state High: Voltage: High"]
    );
    assert_eq!(
        watch.events(&with_state(&mut bank, "Volt Status", "Over")),
        ["cleared 1 volt_state High: Voltage: High after 10 s", "raised 1 volt_state Over: Voltage: Over"]
    );
    assert_eq!(watch.events(&bank.full()), ["cleared 1 volt_state Over: Voltage: Over after 10 s"]);
    let full = with_state(&mut bank, "Coul. Status", "Full");
    let full = watch.take(&full);
    assert_eq!(
        (line(&full[0]), full[0].level),
        ("raised 1 coulomb_state Full: Charge: full".into(), EventLevel::Info)
    );
    watch.take(&bank.full());
    let fault = with_state(&mut bank, "Basic Status", "SysError");
    assert_eq!(watch.events(&fault), ["raised 1 base_state SysError: System error"]);
    assert_eq!(
        watch.events(&with_state(&mut bank, "Basic Status", "Balance")),
        ["cleared 1 base_state SysError: System error after 10 s"]
    );
}

#[test]
fn us3000d_words_are_separate_and_normal_conditions_are_info() {
    let (mut bank, mut watch) = (Bank::new(Dialect::Us3000d, 1), TrackerFixture::new());
    let first = watch.take(&bank.full());
    assert!(
        first.iter().any(|event| event.word == "Bat Volt Status" && event.name.as_deref() == Some("BVNOR"))
    );
    assert!(first.iter().all(|event| event.level == EventLevel::Info), "{first:?}");
    bank.console.bank_mut().raise_event(1, EventWordKind::Battery, 0x2);
    assert_eq!(
        watch.events(&bank.full()),
        [
            "cleared 1 Bat Volt Status 0x4: Cell voltage normal after 10 s",
            "raised 1 Bat Volt Status 0x2: Cell high voltage alarm",
        ]
    );
}

#[test]
fn a_stack_error_code_is_not_a_system_fault() {
    let (mut bank, mut watch) = (Bank::new(Dialect::ForceH2, 4), TrackerFixture::new());
    assert_eq!(watch.warnings(&bank.full()), [""; 0]);
    let report = {
        let mut report = bank.full();
        report.reading.stack.as_mut().unwrap().system_fault.as_mut().unwrap().bits = 0x8;
        report
    };
    assert_eq!(watch.warnings(&report), ["raised - error_code 0x8: Unknown condition 0x8"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// For any sequence of event words, lost answers and kills: an event is cleared before it is raised again, and at
    /// the end exactly the bits of the last answers are active.
    #[test]
    fn raised_and_cleared_alternate_and_match_the_last_reading(
        steps in prop::collection::vec((0..4_usize, any::<u32>(), any::<bool>(), any::<bool>()), 1..25)
    ) {
        let (mut bank, mut watch) = (BANK.clone(), TrackerFixture::new());
        let mut active = BTreeSet::new();
        let mut last_bits = std::collections::BTreeMap::new();
        for (which, bits, lost, killed) in steps {
            let battery = 1 + which % 2;
            let word = if which < 2 { EventWordKind::Power } else { EventWordKind::Battery };
            bank.console.bank_mut().clear_event(battery, word, u32::MAX);
            bank.console.bank_mut().raise_event(battery, word, bits);
            let report = bank.full_but(|question, answer| (!lost || question != format!("pwr {battery}")).then_some(answer));
            for battery in &report.reading.batteries {
                for (name, word) in [("power", &battery.measured.power_events), ("battery", &battery.measured.battery_events)] {
                    if let Some(word) = word {
                        last_bits.insert((battery.place, name), word.bits);
                    }
                }
            }
            if killed {
                let now = watch.now;
                watch = watch.restarted(bank.at);
                watch.now = now;
            }
            for event in watch.take(&report) {
                let key = (event.battery, event.word.to_string(), event.condition.clone());
                match event.kind {
                    EventKind::Raised => prop_assert!(active.insert(key), "raised twice: {event:?}"),
                    EventKind::Cleared => prop_assert!(active.remove(&key), "cleared but not active: {event:?}"),
                    EventKind::Noted => {}
                }
            }
        }
        for ((battery, name), bits) in last_bits {
            let active_bits: u32 = active.iter()
                .filter(|(place, word, _)| *place == Some(battery) && word == name)
                .map(|(_, _, condition)| condition.bit())
                .sum();
            prop_assert_eq!(active_bits, bits, "battery {} {}", battery, name);
        }
    }
}
