//! Logs the sweeps of a bank: the first one, an hourly summary, missing answers and their recovery.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use slog::{Logger, debug, info, warn};

use crate::console::command::Command;
use crate::model::reading::{BankReading, Presence, SweepKind};
use crate::model::report::BankReport;
use crate::model::withheld::ImplausibleValue;
use crate::outage::{HumanDuration, OutageTracker};

const HOUR: Duration = Duration::from_secs(3_600);

/// The maximum number of unreadable facts that are logged.
const MOST_UNREADABLE: usize = 64;

pub(super) struct SweepLog {
    log: Logger,
    /// The configured number of batteries.
    batteries: Option<u8>,
    /// The configured number of cells per battery.
    cells: Option<u8>,
    missing: BTreeMap<String, OutageTracker>,
    /// Facts that were logged as unreadable: question and reason.
    unreadable: BTreeSet<(String, String)>,
    first_logged: bool,
    summary: Option<HourlySummary>,
    logged_size: Option<(usize, Option<usize>)>,
    withheld: OutageTracker,
}

/// The content of the hourly summary.
struct HourlySummary {
    since: Instant,
    sweeps: u64,
    asked_again: u64,
    incomplete: u64,
}

impl SweepLog {
    pub(crate) fn new(log: Logger, batteries: Option<u8>, cells: Option<u8>) -> Self {
        let (missing, first_logged, summary, logged_size) = (BTreeMap::new(), false, None, None);
        let (withheld, unreadable) = (OutageTracker::new(), BTreeSet::new());
        Self { log, batteries, cells, missing, unreadable, first_logged, summary, logged_size, withheld }
    }

    /// Logs a reading.
    pub(crate) fn log_sweep(&mut self, reading: &BankReading) {
        self.log_missing(reading);
        self.log_unreadable(reading);
        self.log_size(reading);
        let line = |log: &Logger, info: bool| {
            let (batteries, kind) = (present(reading), reading.kind.word());
            let (bank, again, took) = (&*reading.bank, reading.asked_again, HumanDuration(reading.took));
            if info {
                info!(log, "sweep complete"; "bank" => bank, "kind" => kind, "batteries" => batteries,
                    "asked_again" => again, "took" => took);
            } else {
                debug!(log, "sweep complete"; "bank" => bank, "kind" => kind, "batteries" => batteries,
                    "asked_again" => again, "took" => took);
            }
        };
        line(&self.log, !std::mem::replace(&mut self.first_logged, true));
        self.log_hour(reading);
    }

    /// Implausible values are logged once, then at growing intervals while they persist, and when all are plausible
    /// again.
    pub(crate) fn log_implausible(&mut self, report: &BankReport) {
        let reading = &report.reading;
        self.log_values(&reading.bank, reading.kind, &report.withheld, &report.lasting);
    }

    fn log_values(
        &mut self,
        bank: &str,
        kind: SweepKind,
        withheld: &[ImplausibleValue],
        lasting: &[ImplausibleValue],
    ) {
        let now = Instant::now();
        let Some(first) = withheld.first().or(lasting.first()) else {
            if kind == SweepKind::Full
                && let Some(back) = self.withheld.on_success(now)
            {
                info!(self.log, "values plausible again"; "bank" => bank, "outage" => HumanDuration(back.lasted));
            }
            return;
        };
        let reason = format!("{} {}", first.quantity.name(), first.why.name());
        if let Some(say) = self.withheld.on_failure(now, &reason) {
            let battery = first.battery.map_or_else(|| "stack".to_owned(), |place| place.to_string());
            let line = if withheld.is_empty() { "implausible value persists" } else { "value withheld" };
            warn!(self.log, "{}", line; "bank" => bank, "battery" => battery, "cell" => first.cell(),
                "reason" => %first, "withheld" => withheld.len(), "persisting" => lasting.len(),
                "times" => say.failures);
        }
    }

    fn log_hour(&mut self, reading: &BankReading) {
        let fresh = || HourlySummary { since: Instant::now(), sweeps: 0, asked_again: 0, incomplete: 0 };
        let hour = self.summary.get_or_insert_with(fresh);
        hour.sweeps += 1;
        hour.asked_again += u64::from(reading.asked_again);
        hour.incomplete += u64::from(!reading.missing.is_empty());
        if hour.since.elapsed() >= HOUR {
            info!(self.log, "sweeps of the last hour"; "bank" => &*reading.bank, "sweeps" => hour.sweeps,
                "asked_again" => hour.asked_again, "incomplete" => hour.incomplete);
            self.summary = None;
        }
    }

    /// A missing answer is logged once, at growing intervals while it lasts, and when the same command is answered
    /// completely again. A command that is no longer sent is not complete: its recovery is logged with the next
    /// answer, or never if the table reports that the battery was removed.
    fn log_missing(&mut self, reading: &BankReading) {
        let now = Instant::now();
        let bank = &*reading.bank;
        for missing in &reading.missing {
            let trouble = self.missing.entry(missing.command.clone()).or_default();
            if let Some(say) = trouble.on_failure(now, &missing.reason) {
                let battery = missing.battery.map_or_else(|| "all".to_owned(), |place| place.to_string());
                warn!(self.log, "answer missing"; "bank" => bank, "battery" => battery, "command" => &missing.command,
                    "reason" => &missing.reason, "attempts" => missing.asked, "times" => say.failures);
            }
        }
        let still = |command: &str| reading.missing.iter().any(|missing| missing.command == command);
        let log = &self.log;
        self.missing.retain(|command, trouble| {
            let place = command.parse().ok().and_then(Command::place);
            if reading.batteries.iter().any(|b| Some(b.place) == place && b.presence == Presence::Absent) {
                return false;
            }
            if still(command) || !reading.answered.contains(command) {
                return true;
            }
            if let Some(back) = trouble.on_success(now) {
                info!(log, "answer complete again"; "bank" => bank, "command" => command.clone(),
                    "outage" => HumanDuration(back.lasted));
            }
            false
        });
    }

    /// An unreadable fact is usually an unknown spelling, so each is logged once.
    fn log_unreadable(&mut self, reading: &BankReading) {
        for fact in &reading.unreadable_facts {
            let key = (fact.command.clone(), fact.reason.clone());
            if self.unreadable.len() < MOST_UNREADABLE && self.unreadable.insert(key) {
                warn!(self.log, "fact unreadable"; "bank" => &*reading.bank, "command" => &fact.command,
                    "reason" => &fact.reason);
            }
        }
    }

    /// Logs once per change if the number of batteries or cells differs from the settings.
    fn log_size(&mut self, reading: &BankReading) {
        if reading.kind != SweepKind::Full || !reading.missing.is_empty() {
            return;
        }
        let present = present(reading);
        let expected = self.cells.map(usize::from);
        let other = |count: &usize| expected.is_some_and(|expected| *count != expected);
        let counts = reading.batteries.iter().filter_map(|battery| Some(battery.cells.as_ref()?.len()));
        let size = (present, counts.into_iter().find(other));
        if self.logged_size.replace(size) == Some(size) {
            return;
        }
        if let Some(batteries) = self.batteries.filter(|expected| usize::from(*expected) != present) {
            warn!(self.log, "batteries differ from the settings"; "bank" => &*reading.bank,
                "settings" => batteries, "found" => present);
        }
        if let (Some(settings), Some(found)) = (expected, size.1) {
            warn!(self.log, "cells differ from the settings"; "bank" => &*reading.bank,
                "settings" => settings, "found" => found);
        }
    }
}

/// Returns the number of present batteries.
fn present(reading: &BankReading) -> usize {
    reading.batteries.iter().filter(|battery| battery.presence == Presence::Present).count()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use slog::{Drain, Never, OwnedKVList, Record, o};

    use super::*;
    use crate::console::assemble::assemble;
    use crate::console::transcript::Transcript;
    use crate::model::place::Place;
    use crate::model::reading::{BatteryReading, MissingAnswer};
    use crate::model::withheld::{ImplausibleReason, Quantity, ValueScope};

    /// The messages that were logged, without their keys.
    #[derive(Clone, Default)]
    struct Messages(Arc<Mutex<Vec<String>>>);

    impl Drain for Messages {
        type Ok = ();
        type Err = Never;

        fn log(&self, record: &Record<'_>, _: &OwnedKVList) -> Result<(), Never> {
            self.0.lock().unwrap().push(record.msg().to_string());
            Ok(())
        }
    }

    /// A full sweep of one battery.
    fn sweep(presence: Presence, answered: &[&str], missing: &[&str]) -> BankReading {
        let transcript = Transcript {
            bank: Arc::from("pytes"),
            kind: SweepKind::Full,
            started_at: jiff::Timestamp::UNIX_EPOCH,
            started: Instant::now(),
            took: Duration::ZERO,
            known_places: Vec::new(),
            exchanges: Vec::new(),
        };
        let lack = |command: &&str| MissingAnswer {
            battery: Some(Place::FIRST),
            command: (*command).to_owned(),
            reason: "no answer".to_owned(),
            asked: 3,
        };
        BankReading {
            batteries: vec![BatteryReading { presence, ..BatteryReading::empty(Place::FIRST) }],
            answered: answered.iter().map(|command| (*command).to_owned()).collect(),
            missing: missing.iter().map(lack).collect(),
            ..assemble(&transcript)
        }
    }

    /// What is logged about answers in these sweeps.
    fn logged(sweeps: &[BankReading]) -> Vec<String> {
        let messages = Messages::default();
        let mut sweep_log = SweepLog::new(Logger::root(messages.clone().fuse(), o!()), None, None);
        sweeps.iter().for_each(|reading| sweep_log.log_sweep(reading));
        let mut logged = messages.0.lock().unwrap().clone();
        logged.retain(|message| message.starts_with("answer"));
        logged
    }

    #[test]
    fn a_missing_answer_is_complete_only_once_answered_in_full() {
        let (here, unseen, gone) = (Presence::Present, Presence::Missing, Presence::Absent);
        let lost = || sweep(here, &["pwr"], &["pwr 1"]);
        let unasked = |presence| sweep(presence, &["pwr"], &[]);
        let back = || sweep(here, &["pwr", "pwr 1"], &[]);
        assert_eq!(logged(&[lost(), back()]), ["answer missing", "answer complete again"]);
        // Its row in the table is unreadable, so the battery is not asked: nothing is complete.
        assert_eq!(logged(&[lost(), unasked(unseen), unasked(unseen)]), ["answer missing"]);
        assert_eq!(logged(&[lost(), unasked(unseen), back()]), ["answer missing", "answer complete again"]);
        // A question that is asked rarely.
        let rare = || sweep(here, &["pwr", "pwr 1"], &["info 1"]);
        assert_eq!(logged(&[rare(), back(), back()]), ["answer missing"]);
        // Answered, and damaged.
        let damaged = || sweep(here, &["pwr", "pwr 1"], &["pwr 1"]);
        assert_eq!(logged(&[lost(), damaged()]), ["answer missing"]);
        // A battery that is gone takes its line with it, also when it comes back.
        assert_eq!(logged(&[lost(), unasked(gone), unasked(gone), back()]), ["answer missing"]);
        assert_eq!(logged(&[lost(), unasked(gone), lost()]), ["answer missing", "answer missing"]);
    }

    #[test]
    fn a_persistent_implausible_value_is_logged_once_and_when_over() {
        let messages = Messages::default();
        let mut sweep_log = SweepLog::new(Logger::root(messages.clone().fuse(), o!()), None, None);
        let value = ImplausibleValue {
            battery: None,
            quantity: Quantity::CellVoltage,
            scope: ValueScope::Cell(5),
            value: 0,
            why: ImplausibleReason::Limit,
        };
        let mut tell = |withheld: &[ImplausibleValue], lasting: &[ImplausibleValue]| {
            sweep_log.log_values("bank", SweepKind::Full, withheld, lasting);
        };
        tell(&[value], &[]);
        (0..50).for_each(|_| tell(&[], &[value]));
        tell(&[], &[]);
        let logged = messages.0.lock().map(|messages| messages.clone());
        assert_eq!(logged.ok().unwrap_or_default(), ["value withheld", "values plausible again"]);
    }
}
