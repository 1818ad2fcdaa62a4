//! Statistics of values accepted under damage, compared with the printed ones: how many are wrong, by how much, and
//! why.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::{Duration, Instant};

use bankwatch::internals::console::answers;
use bankwatch::internals::console::assemble::assemble;
use bankwatch::internals::console::transcript::{Exchange, Transcript};
use bankwatch::internals::console::validation::MAX_ATTEMPTS;
use bankwatch::internals::console::validation::tolerance;
use bankwatch::internals::simulator::{AnswerHistory, FaultKind, PrintedAnswer};

use crate::observed_values::{self, Seen, Value};

/// A sweep, and the numbers of its answers.
pub struct RecordedSweep {
    pub transcript: Transcript,
    pub after: u64,
    pub upto: u64,
    pub at: Instant,
}

/// Wrong values that were accepted, for one name.
#[derive(Clone, Debug, Default)]
pub struct Wrong {
    /// Within the tolerance of a true or recently true value.
    pub within: u64,
    /// Outside it in the first answer to a command, with nothing to compare.
    pub first: u64,
    /// Outside it in a third answer after two different ones: the newest is accepted.
    pub third: u64,
    /// Outside it although there was something to compare.
    pub beyond: u64,
    /// A value that the validator does not compare.
    pub unwatched: u64,
    /// The largest error of a number.
    pub largest: i64,
}

#[derive(Clone, Debug, Default)]
pub struct DamageStats {
    pub sweeps: u64,
    pub complete: u64,
    pub commands: u64,
    pub attempts: u64,
    pub values: u64,
    pub damaged: BTreeMap<&'static str, u64>,
    pub damaged_accepted: u64,
    pub wrong: BTreeMap<&'static str, Wrong>,
    pub missing: BTreeMap<&'static str, u64>,
    /// Errors that must never happen.
    pub violations: Vec<String>,
    /// Values accepted with nothing to compare.
    pub unguarded: Vec<String>,
    /// Reasons for incomplete sweeps.
    pub reasons: BTreeMap<String, u64>,
    before: HashMap<String, (Instant, Seen)>,
}

impl DamageStats {
    /// Evaluates sweeps that have all their answers in `truth`.
    pub fn evaluate(&mut self, truth: &AnswerHistory, sweeps: impl IntoIterator<Item = RecordedSweep>) {
        for swept in sweeps {
            let printed: Vec<&PrintedAnswer> = truth
                .answers
                .iter()
                .filter(|printed| printed.number > swept.after && printed.number <= swept.upto)
                .collect();
            assert_eq!(printed.len() as u64, swept.upto - swept.after, "all answers are recorded");
            for damage in printed.iter().filter_map(|printed| printed.damage.as_ref()) {
                *self.damaged.entry(damage.fault.name()).or_default() += 1;
            }
            self.sweeps += 1;
            let missing = assemble(&swept.transcript).missing;
            self.complete += u64::from(missing.is_empty());
            for missing in missing {
                *self.reasons.entry(format!("{}: {}", missing.command, missing.reason)).or_default() += 1;
            }
            let mut table = Seen::new();
            for exchange in &swept.transcript.exchanges {
                self.exchange(exchange, &printed, &mut table, swept.at);
            }
        }
    }

    fn exchange(&mut self, exchange: &Exchange, printed: &[&PrintedAnswer], table: &mut Seen, at: Instant) {
        self.commands += 1;
        self.attempts += u64::from(exchange.attempts);
        let Ok(answer) = &exchange.outcome else { return };
        let command = exchange.command.to_string();
        let read = match answers::parse(exchange.command, answer) {
            Ok(parsed) => observed_values::parsed_values(&parsed),
            Err(error) => {
                self.violations.push(format!("{command} was believed and can't be read: {error}"));
                return;
            }
        };
        // A retry may receive the late answer to the first attempt, which then is its own answer as well. Otherwise it
        // is the newest one.
        let printed: Vec<&&PrintedAnswer> =
            printed.iter().rev().filter(|printed| printed.command == command).collect();
        let is_it = |printed: &&&&PrintedAnswer| {
            observed_values::printed_values(&printed.values).iter().all(|(key, is)| read.get(key) == Some(is))
        };
        let Some(printed) = printed.iter().find(is_it).or(printed.first()) else {
            self.violations.push(format!("{command} was accepted without an answer"));
            return;
        };
        let true_values = observed_values::printed_values(&printed.values);
        let fault = printed.damage.as_ref().map(|damage| damage.fault);
        self.damaged_accepted += u64::from(fault == Some(FaultKind::Garble));
        let place = exchange.command.place().map_or(0, |place| usize::from(place.number()));
        let age = self.before.get(&command).map(|(then, _)| at.saturating_duration_since(*then));
        for (key, is) in &true_values {
            self.values += 1;
            match read.get(key) {
                Some(found) if found == is => {}
                None if self.before.get(&command).is_some_and(|(_, before)| before.contains_key(key)) => {
                    *self.missing.entry(key.0).or_default() += 1;
                    if fault != Some(FaultKind::Garble) {
                        self.violations
                            .push(format!("{command}: {key:?} was printed but not parsed ({fault:?})"));
                    }
                }
                None => {}
                Some(found) if fault != Some(FaultKind::Garble) => {
                    let what = format!("{command}: {key:?} was {is:?}, read as {found:?} ({fault:?})");
                    self.violations.push(what);
                }
                Some(found) => {
                    let lately = self.before.get(&command).and_then(|(_, before)| before.get(key));
                    let in_table = table.get(&(key.0, place));
                    let moved =
                        lately.into_iter().chain(in_table).filter_map(|then| distance(then, is)).max();
                    let wrong = (distance(found, is), moved.unwrap_or(0));
                    self.wrong(key.0, wrong, age, exchange.attempts, || {
                        format!("{command}: {key:?} was {is:?}, read as {found:?}")
                    });
                }
            }
        }
        for key in read.keys().filter(|key| !true_values.contains_key(*key)) {
            self.violations.push(format!("{command}: {key:?} was parsed but never printed ({fault:?})"));
        }
        if exchange.command.index.is_none() {
            table.extend(true_values.iter().map(|(key, value)| (*key, value.clone())));
        }
        let keys: Seen = true_values.into_iter().filter(|(key, _)| read.contains_key(key)).collect();
        self.before.insert(command, (at, keys));
    }

    fn wrong(
        &mut self,
        name: &'static str,
        (error, moved): (Option<i64>, i64),
        age: Option<Duration>,
        asked: u32,
        what: impl Fn() -> String,
    ) {
        let entry = self.wrong.entry(name).or_default();
        entry.largest = entry.largest.max(error.unwrap_or(0));
        let Some(kind) = observed_values::kind(name) else {
            entry.unwatched += 1;
            return;
        };
        let tolerance = tolerance::tolerance_for(kind);
        // The reference is at most that old, and the true value has changed since.
        let first = age.is_none();
        let age = age.unwrap_or_default().as_secs_f64() + 1.0;
        let bound = tolerance.flat + tolerance.per_second * age + moved as f64;
        match error {
            Some(error) if error as f64 <= bound => entry.within += 1,
            _ if first => {
                entry.first += 1;
                self.unguarded.push(format!("at first: {}", what()));
            }
            _ if asked >= MAX_ATTEMPTS => {
                entry.third += 1;
                self.unguarded.push(format!("at third: {}", what()));
            }
            _ => {
                entry.beyond += 1;
                self.violations.push(what());
            }
        }
    }

    /// Adds the statistics of another bank.
    pub fn add(&mut self, other: Self) {
        self.sweeps += other.sweeps;
        self.complete += other.complete;
        self.commands += other.commands;
        self.attempts += other.attempts;
        self.values += other.values;
        self.damaged_accepted += other.damaged_accepted;
        other.damaged.into_iter().for_each(|(name, count)| *self.damaged.entry(name).or_default() += count);
        other.missing.into_iter().for_each(|(name, count)| *self.missing.entry(name).or_default() += count);
        other.reasons.into_iter().for_each(|(name, count)| *self.reasons.entry(name).or_default() += count);
        for (name, wrong) in other.wrong {
            let entry = self.wrong.entry(name).or_default();
            entry.within += wrong.within;
            entry.first += wrong.first;
            entry.third += wrong.third;
            entry.beyond += wrong.beyond;
            entry.unwatched += wrong.unwatched;
            entry.largest = entry.largest.max(wrong.largest);
        }
        self.violations.extend(other.violations);
        self.unguarded.extend(other.unguarded);
    }
}

fn distance(one: &Value, other: &Value) -> Option<i64> {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => Some((one - other).abs()),
        _ => None,
    }
}

impl fmt::Display for DamageStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = |part: u64, whole: u64| 100.0 * part as f64 / whole.max(1) as f64;
        writeln!(
            f,
            "sweeps {}, complete {} ({:.2} %)",
            self.sweeps,
            self.complete,
            share(self.complete, self.sweeps)
        )?;
        let again = self.attempts - self.commands;
        writeln!(f, "commands {}, retries {again} ({:.2} %)", self.commands, share(again, self.commands))?;
        writeln!(f, "answers damaged {:?}; garbled ones accepted {}", self.damaged, self.damaged_accepted)?;
        writeln!(f, "values accepted {}; of these wrong:", self.values)?;
        writeln!(
            f,
            "{:24} {:>8} {:>8} {:>8} {:>8} {:>10} {:>10}",
            "", "within", "at first", "at third", "BEYOND", "unwatched", "largest"
        )?;
        for (name, w) in &self.wrong {
            writeln!(
                f,
                "{name:24} {:>8} {:>8} {:>8} {:>8} {:>10} {:>10}",
                w.within, w.first, w.third, w.beyond, w.unwatched, w.largest
            )?;
        }
        if !self.missing.is_empty() {
            writeln!(f, "printed but not parsed: {:?}", self.missing)?;
        }
        for (reason, count) in &self.reasons {
            writeln!(f, "missing {count} × {reason}")?;
        }
        for unguarded in self.unguarded.iter().take(20) {
            writeln!(f, "{unguarded}")?;
        }
        for violation in self.violations.iter().take(20) {
            writeln!(f, "VIOLATION {violation}")?;
        }
        Ok(())
    }
}
