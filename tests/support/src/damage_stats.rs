//! What was believed under damage, held against what was said: how much, how wrong, and why.

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

/// A sweep, and the numbers of the answers that were given in it.
pub struct Swept {
    pub transcript: Transcript,
    pub after: u64,
    pub upto: u64,
    pub at: Instant,
}

/// Values of one name that were believed and wrong.
#[derive(Clone, Debug, Default)]
pub struct Wrong {
    /// Within the tolerance of its kind of what was true, or was true lately.
    pub within: u64,
    /// Beyond it in the first answer to a question: nothing was known to compare it with.
    pub first: u64,
    /// Beyond it in a third answer after two that differed: the newest is taken.
    pub third: u64,
    /// Beyond it, and there was something to compare it with.
    pub beyond: u64,
    /// A value that the review does not compare.
    pub unwatched: u64,
    /// The largest error of a number.
    pub largest: i64,
}

/// All that was counted.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub sweeps: u64,
    pub complete: u64,
    pub questions: u64,
    pub asked: u64,
    pub values: u64,
    pub struck: BTreeMap<&'static str, u64>,
    pub damaged_believed: u64,
    pub wrong: BTreeMap<&'static str, Wrong>,
    pub lacking: BTreeMap<&'static str, u64>,
    /// What must never happen.
    pub violations: Vec<String>,
    /// What was believed for want of anything to compare it with.
    pub unguarded: Vec<String>,
    /// Why sweeps were incomplete.
    pub reasons: BTreeMap<String, u64>,
    before: HashMap<String, (Instant, Seen)>,
}

impl Tally {
    /// Judges sweeps whose answers are all in `truth`.
    pub fn judge(&mut self, truth: &AnswerHistory, sweeps: impl IntoIterator<Item = Swept>) {
        for swept in sweeps {
            let said: Vec<&PrintedAnswer> = truth
                .answers
                .iter()
                .filter(|said| said.number > swept.after && said.number <= swept.upto)
                .collect();
            assert_eq!(said.len() as u64, swept.upto - swept.after, "all answers are remembered");
            for damage in said.iter().filter_map(|said| said.damage.as_ref()) {
                *self.struck.entry(damage.fault.name()).or_default() += 1;
            }
            self.sweeps += 1;
            let missing = assemble(&swept.transcript).missing;
            self.complete += u64::from(missing.is_empty());
            for missing in missing {
                *self.reasons.entry(format!("{}: {}", missing.command, missing.reason)).or_default() += 1;
            }
            let mut table = Seen::new();
            for exchange in &swept.transcript.exchanges {
                self.exchange(exchange, &said, &mut table, swept.at);
            }
        }
    }

    fn exchange(&mut self, exchange: &Exchange, said: &[&PrintedAnswer], table: &mut Seen, at: Instant) {
        self.questions += 1;
        self.asked += u64::from(exchange.attempts);
        let Ok(answer) = &exchange.outcome else { return };
        let command = exchange.command.to_string();
        let read = match answers::parse(exchange.command, answer) {
            Ok(parsed) => observed_values::read(&parsed),
            Err(error) => {
                self.violations.push(format!("{command} was believed and can't be read: {error}"));
                return;
            }
        };
        // A question that was put again may be answered by what its first asking brought late: that is its own
        // answer as well. Else it is the newest.
        let said: Vec<&&PrintedAnswer> = said.iter().rev().filter(|said| said.command == command).collect();
        let is_it = |said: &&&&PrintedAnswer| {
            observed_values::said(&said.values).iter().all(|(key, is)| read.get(key) == Some(is))
        };
        let Some(said) = said.iter().find(is_it).or(said.first()) else {
            self.violations.push(format!("{command} was believed, but nothing was said to it"));
            return;
        };
        let true_values = observed_values::said(&said.values);
        let fault = said.damage.as_ref().map(|damage| damage.fault);
        self.damaged_believed += u64::from(fault == Some(FaultKind::Garble));
        let place = exchange.command.place().map_or(0, |place| usize::from(place.number()));
        let age = self.before.get(&command).map(|(then, _)| at.saturating_duration_since(*then));
        for (key, is) in &true_values {
            self.values += 1;
            match read.get(key) {
                Some(found) if found == is => {}
                None if self.before.get(&command).is_some_and(|(_, before)| before.contains_key(key)) => {
                    *self.lacking.entry(key.0).or_default() += 1;
                    if fault != Some(FaultKind::Garble) {
                        self.violations.push(format!("{command}: {key:?} was said and not read ({fault:?})"));
                    }
                }
                None => {}
                Some(found) if fault != Some(FaultKind::Garble) => {
                    let what = format!("{command}: {key:?} was {is:?}, read as {found:?} ({fault:?})");
                    self.violations.push(what);
                }
                Some(found) => {
                    let lately = self.before.get(&command).and_then(|(_, before)| before.get(key));
                    let beside = table.get(&(key.0, place));
                    let moved = lately.into_iter().chain(beside).filter_map(|then| distance(then, is)).max();
                    let wrong = (distance(found, is), moved.unwrap_or(0));
                    self.wrong(key.0, wrong, age, exchange.attempts, || {
                        format!("{command}: {key:?} was {is:?}, read as {found:?}")
                    });
                }
            }
        }
        for key in read.keys().filter(|key| !true_values.contains_key(*key)) {
            self.violations.push(format!("{command}: {key:?} was read and never said ({fault:?})"));
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
        // The reference was said at most that long ago, and what is true has moved since.
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

    /// Adds what another bank's asking counted.
    pub fn add(&mut self, other: Self) {
        self.sweeps += other.sweeps;
        self.complete += other.complete;
        self.questions += other.questions;
        self.asked += other.asked;
        self.values += other.values;
        self.damaged_believed += other.damaged_believed;
        other.struck.into_iter().for_each(|(name, count)| *self.struck.entry(name).or_default() += count);
        other.lacking.into_iter().for_each(|(name, count)| *self.lacking.entry(name).or_default() += count);
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

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = |part: u64, whole: u64| 100.0 * part as f64 / whole.max(1) as f64;
        writeln!(
            f,
            "sweeps {}, complete {} ({:.2} %)",
            self.sweeps,
            self.complete,
            share(self.complete, self.sweeps)
        )?;
        let again = self.asked - self.questions;
        writeln!(
            f,
            "questions {}, asked again {again} ({:.2} %)",
            self.questions,
            share(again, self.questions)
        )?;
        writeln!(f, "answers struck {:?}; garbled ones believed {}", self.struck, self.damaged_believed)?;
        writeln!(f, "values believed {}; of these wrong:", self.values)?;
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
        if !self.lacking.is_empty() {
            writeln!(f, "not read though said: {:?}", self.lacking)?;
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
