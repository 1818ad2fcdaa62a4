//! The event log: its text matches a snapshot, its fields have fixed positions, its size is bounded.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use bankwatch::internals::events::catalogue::Catalogue;
use bankwatch::internals::events::log_file::LogFile;
use bankwatch::internals::events::log_text::LogText;
use bankwatch::internals::events::tracker::Tracker;
use bankwatch::internals::model::event::{Event, EventLevel};
use bankwatch::internals::model::event_word::EventWord;
use bankwatch::internals::model::report::BankReport;
use bankwatch::internals::model::word::Word as State;
use bankwatch::internals::simulator::{Dialect, EventWordKind};
use jiff::tz::TimeZone;
use support::bank::{Bank, INTERVAL};

/// A bank with a tracker and the log text of its events.
struct LogFixture {
    bank: Bank,
    tracker: Tracker,
    catalogue: Catalogue,
    now: Duration,
    text: LogText,
}

impl LogFixture {
    fn new(dialect: Dialect, level: EventLevel, cells: bool) -> Self {
        let tracker = Tracker::new(Arc::from("pytes"), INTERVAL, Duration::ZERO);
        let (catalogue, text) = (Catalogue::load(None).0, LogText::new(level, cells, TimeZone::UTC));
        Self { bank: Bank::new(dialect, 2), tracker, catalogue, now: Duration::ZERO, text }
    }

    fn events(&mut self, report: &BankReport) -> Vec<Event> {
        self.now += INTERVAL;
        self.tracker.take(report, &self.catalogue, (self.now, self.now))
    }

    fn block(&mut self, report: &BankReport) -> String {
        let events = self.events(report);
        self.text.block(&events, Some(report)).unwrap_or_default()
    }

    fn full(&mut self) -> String {
        let report = self.bank.full();
        self.block(&report)
    }
}

#[test]
fn the_log_text_matches_the_snapshot() {
    let mut fixture = LogFixture::new(Dialect::Us2000c, EventLevel::Warning, true);
    let mut log = fixture.full();
    let bank = fixture.bank.console.bank_mut();
    bank.raise_event(2, EventWordKind::Power, 0x2002);
    bank.raise_event(2, EventWordKind::Battery, 0x2);
    log += &fixture.full();
    log += &fixture.full();
    fixture.bank.console.bank_mut().clear_event(2, EventWordKind::Power, 0x2);
    log += &fixture.full();
    fixture.bank.console.bank_mut().take_out(1);
    log += &fixture.full();
    fixture.bank.at += Duration::from_secs(3_600);
    let silent =
        fixture.tracker.look(&fixture.catalogue, fixture.bank.at, fixture.now + Duration::from_secs(3_600));
    log += &fixture.text.block(&silent, None).unwrap();
    assert_eq!(log, include_str!("../../snapshots/events/battery_events.log"));
}

#[test]
fn every_line_splits_into_the_same_fields() {
    let mut fixture = LogFixture::new(Dialect::PytesV5, EventLevel::Info, true);
    fixture.bank.console.bank_mut().raise_event(1, EventWordKind::Fault, 0x8);
    let log = fixture.full();
    let (mut events, mut cells) = (0, 0);
    for line in log.lines() {
        let fields: Vec<&str> = line.split('|').map(str::trim).collect();
        assert!(["WARNING", "INFO"].contains(&fields[1]) && fields[0].len() == 17, "{line}");
        assert_eq!(fields.len(), 11, "{line}");
        events += usize::from(fields[2] == "pytes");
        cells += usize::from(fields[2] == "1");
    }
    assert!(events >= 2 && cells == 16, "{log}");
    assert!(log.contains("| pytes|1|raised|system|0x8|BMICERR|Measurement chip fault||\n"), "{log}");
    assert!(log.contains("|       0x0|       0x0|       0x8|\n"), "{log}");
}

#[test]
fn events_below_the_level_and_disabled_cells_are_not_written() {
    let mut fixture = LogFixture::new(Dialect::Us2000c, EventLevel::Warning, true);
    fixture.bank.console.bank_mut().raise_event(1, EventWordKind::Power, 0x20_2004);
    assert_eq!(fixture.full(), "", "full and idle are not warnings");
    let mut fixture = LogFixture::new(Dialect::Us2000c, EventLevel::Info, true);
    fixture.bank.console.bank_mut().raise_event(1, EventWordKind::Power, 0x20_2004);
    let log = fixture.full();
    assert!(log.contains("|    INFO| pytes|1|raised|power|0x2000|COULFULL|Full charge||\n"), "{log}");
    assert!(log.contains("|    INFO| Power|Cell|"), "{log}");
    let mut fixture = LogFixture::new(Dialect::Us2000c, EventLevel::Warning, false);
    fixture.bank.console.bank_mut().raise_event(1, EventWordKind::Power, 0x2);
    assert_eq!(fixture.full().lines().count(), 1);
}

#[test]
fn missing_cells_are_written_with_the_next_reading_that_has_them() {
    let mut fixture = LogFixture::new(Dialect::Us2000c, EventLevel::Warning, true);
    fixture.full();
    let mut summary = fixture.bank.summary();
    summary.reading.batteries[1].measured.volt_state = Some(State::new("High"));
    let event_only = fixture.block(&summary);
    assert_eq!(event_only.lines().count(), 1, "{event_only}");
    let mut full = fixture.bank.full();
    full.reading.batteries[1].measured.volt_state = Some(State::new("High"));
    let table = fixture.block(&full);
    assert_eq!(table.lines().count(), 2 + 15, "{table}");
    assert!(table.lines().skip(2).all(|line| line.contains("| WARNING|     2|")), "{table}");
    assert_eq!(fixture.block(&full), "", "once");
}

#[test]
fn control_characters_and_bars_cannot_break_a_line() {
    let mut fixture = LogFixture::new(Dialect::Us3000d, EventLevel::Info, true);
    let mut report = fixture.bank.full();
    let word = EventWord { bits: 1, names: vec!["A|B\nC".into()] };
    report.reading.batteries[0].measured.other_events = vec![("La|bel\r\n20261122".into(), word)];
    report.reading.batteries[0].cells.as_mut().unwrap()[0].volt_state = Some(State::new("x|y\u{1b}[2J"));
    let log = fixture.block(&report);
    assert!(log.lines().all(|line| line.split('|').count() == 11), "{log}");
    assert!(log.contains("|La?bel??20261122|0x1|A?B?C|A?B?C||\n"), "{log}");
    assert!(!log.contains('\u{1b}'));
}

#[test]
fn an_oversized_log_is_rotated_without_splitting_a_block() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/battery_events.log");
    let log = LogFile { path: path.clone(), max_size: 1_000, max_files: 2 };
    let block = |number: usize| format!("begin {number}\n{}end {number}\n", "row\n".repeat(60));
    for number in 0..20 {
        log.append(&block(number)).unwrap();
    }
    for name in ["battery_events.log", "battery_events.log.1", "battery_events.log.2"] {
        let text = fs::read_to_string(folder.path().join("deep").join(name)).unwrap();
        assert!(
            text.len() <= 1_000
                && text.starts_with("begin ")
                && text.trim_end().lines().last().unwrap().starts_with("end "),
            "{name}"
        );
    }
    assert_eq!(fs::read_dir(folder.path().join("deep")).unwrap().count(), 3);
    // If another program has moved the file away, a new one is created under its name.
    fs::rename(&path, folder.path().join("moved")).unwrap();
    log.append(&block(99)).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), block(99));
}
