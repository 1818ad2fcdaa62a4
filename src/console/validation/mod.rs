//! Decides whether to accept an answer or to send the command again, in view of the sweep so far.
//!
//! The console's protocol has no checksum, so damage shows only as a contradiction to other answers.
//!
//! ```text
//! answer ── none, cut off, unparsable ────────────────► retry (at most twice), then fail
//!    │ ───── a refusal ────────────────────────────────► retry; the same one twice is final
//!    │ ───── contradicts this sweep, the last sweep or
//!    │       physics, or has an unknown word ──────────► retry; values that answers agree on are accepted
//!    └────── otherwise ────────────────────────────────► accept
//! ```
//! Pure: the time is passed in, and links are unknown here.
//!
//! Length: the checks share the state of one sweep.

mod accepted;
mod cell_checks;
mod growth;
pub mod samples;
pub mod tolerance;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use crate::console::answers;
use crate::console::answers::parsed::{Parsed, Rejected};
use crate::console::answers::pwr_table::PwrTable;
use crate::console::answers::words::remove_words;
use crate::console::command::{Command, CommandName};
use crate::console::error::{ParseError, excerpt};
use crate::console::framing::answer::Answer;
use crate::console::framing::refusal::CommandRefusal;
use crate::console::transcript::CommandError;
use crate::console::validation::accepted::{AcceptedAnswer, agree};
use crate::console::validation::cell_checks::{CellOutOfRange, cells_out_of_range, sum_matches_voltage};
use crate::console::validation::growth::GrowthGuard;
use crate::console::validation::samples::{SampleKind, SampleValue};
use crate::console::word_slot::{WordSlot, place_index};
use crate::model::event::ERROR_CODE;
use crate::model::place::Place;
use crate::model::word::Word;

/// A command is sent at most this often.
pub const MAX_ATTEMPTS: u32 = 3;

#[derive(Debug)]
pub enum ReviewDecision {
    Accept(Answer, Findings),
    /// Send the command again.
    Retry(CommandError),
    /// No further attempt; this part is missing from the sweep.
    Fail(CommandError),
}

/// What the poll plan needs to know about an accepted answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// From a group table, or the modules of a stack: the occupied places.
    pub(crate) present: Option<Vec<Place>>,
    /// From a group table: the places whose rows could not be parsed, or may be among those without a number.
    pub(crate) unreadable: Vec<Place>,
    pub(crate) is_stack: bool,
    /// From `help`: whether it lists `euro`.
    pub lists_euro: Option<bool>,
    /// Whether the battery or stack has an event that is not a normal condition.
    pub(crate) has_event: bool,
}

/// An answer to the current command that was not accepted at once.
#[derive(Debug)]
struct Candidate {
    answer: AcceptedAnswer,
    problems: Vec<ParseError>,
    /// The samples that contradicted earlier answers.
    contradictions: BTreeSet<(SampleKind, u16)>,
}

/// Why an answer is not accepted at once.
#[derive(Debug)]
struct Doubt {
    reason: CommandError,
    contradictions: BTreeSet<(SampleKind, u16)>,
    /// Unconfirmed words: they can be removed.
    words: Vec<WordSlot>,
    /// Whether the answer may be accepted at the third attempt.
    acceptable: bool,
}

/// Remembers the sweep so far, and the last accepted answer to each command.
#[derive(Debug, Default)]
pub struct AnswerValidator {
    accepted: HashMap<Command, AcceptedAnswer>,
    table: Option<(Duration, PwrTable)>,
    voltages: HashMap<Place, (Duration, i64)>,
    /// Batteries whose cells were seen to add up to their voltage.
    matching_sums: BTreeSet<Place>,
    command: Option<Command>,
    candidates: Vec<Candidate>,
    refused: Option<CommandRefusal>,
    /// Unparsable lines that were accepted as this console's normal output.
    accepted_problems: HashMap<Command, Vec<ParseError>>,
    growth: GrowthGuard,
}

/// Samples that contradict earlier answers, with descriptions.
type Contradictions = BTreeMap<(SampleKind, u16), String>;

impl AnswerValidator {
    /// Starts a new sweep: the last one's table no longer counts as simultaneous.
    pub fn begin_sweep(&mut self) {
        self.table = None;
        self.voltages.clear();
        self.command = None;
    }

    /// Validates the outcome of the `attempt`th time that `command` was sent; `at` is monotonic.
    pub fn validate(
        &mut self,
        command: Command,
        at: Duration,
        attempt: u32,
        outcome: Result<Answer, CommandError>,
    ) -> ReviewDecision {
        if self.command.replace(command) != Some(command) || attempt <= 1 {
            self.candidates.clear();
            self.refused = None;
        }
        let parsed = outcome.and_then(|answer| match answers::parse(command, &answer) {
            Ok(parsed) => Ok((answer, parsed)),
            Err(_) if answer.echo_damaged => Err(CommandError::NoEcho),
            Err(rejected) => Err(CommandError::Rejected(rejected)),
        });
        match parsed {
            Err(CommandError::Rejected(Rejected::Refused(refusal))) => self.on_refusal(refusal, attempt),
            Err(error) => retry_or_fail(error, attempt),
            Ok((answer, parsed)) => self.check(command, at, attempt, answer, parsed),
        }
    }

    fn on_refusal(&mut self, refusal: CommandRefusal, attempt: u32) -> ReviewDecision {
        let error = CommandError::Rejected(Rejected::Refused(refusal));
        if self.refused.replace(refusal) == Some(refusal) {
            ReviewDecision::Fail(error)
        } else {
            retry_or_fail(error, attempt)
        }
    }

    fn check(
        &mut self,
        command: Command,
        at: Duration,
        attempt: u32,
        mut answer: Answer,
        mut parsed: Parsed,
    ) -> ReviewDecision {
        let place = place_index(command.place());
        let mut new = AcceptedAnswer::new(at, &mut parsed, place);
        let Some(doubt) = self.doubt(command, at, &answer, &new, &parsed) else {
            return self.accept_unless_grown(command, at, answer, new, &parsed);
        };
        if !self.acceptable_now(&doubt) {
            let problems = parsed.problems().to_vec();
            let contradictions = doubt.contradictions;
            self.candidates.push(Candidate { answer: new, problems, contradictions });
            return retry_or_fail(doubt.reason, attempt);
        }
        remove_words(&mut parsed, place, &doubt.words);
        new.restore(&doubt.words, self.accepted.get(&command));
        answer.unconfirmed = doubt.words;
        self.accept_unless_grown(command, at, answer, new, &parsed)
    }

    /// Accepts an answer, unless it shows too many new batteries.
    fn accept_unless_grown(
        &mut self,
        command: Command,
        at: Duration,
        answer: Answer,
        new: AcceptedAnswer,
        parsed: &Parsed,
    ) -> ReviewDecision {
        match self.growth.check(parsed) {
            Some(count) => ReviewDecision::Fail(CommandError::SuddenGrowth(count)),
            None => ReviewDecision::Accept(answer, self.accept(command, at, new, parsed)),
        }
    }

    /// Why an answer is not accepted at once; `None` if it is.
    fn doubt(
        &self,
        command: Command,
        at: Duration,
        answer: &Answer,
        new: &AcceptedAnswer,
        parsed: &Parsed,
    ) -> Option<Doubt> {
        let contradictions = self.contradictions(command, at, new, parsed);
        let damage = self.damage(command, parsed);
        let mut words = self.unconfirmed_words(command, new);
        let unknown_word = words.first().map(|slot| {
            let word = if let WordSlot::Label(label) = slot { label } else { new.words[slot].as_str() };
            format!("{:?} is not a word that consoles are known to print", excerpt(word))
        });
        let first_answer = self.candidates.is_empty() && !self.accepted.contains_key(&command);
        let missing_cell = || parsed.missing_first_cell().filter(|_| first_answer).map(str::to_owned);
        let missing_values = || self.missing_values(command, new).or_else(missing_cell);
        let reason = match (damage, unknown_word.or_else(missing_values)) {
            (Some(problem), _) => CommandError::Damaged(problem),
            (None, Some(reason)) => CommandError::Unconfirmed(reason),
            (None, None) => CommandError::Unconfirmed(contradictions.first_key_value()?.1.clone()),
        };
        let damaged = matches!(reason, CommandError::Damaged(_)) || !words.is_empty();
        let acceptable = !answer.echo_damaged && (damaged || !contradictions.is_empty());
        let (events, contradictions) =
            contradictions.into_keys().partition::<BTreeSet<_>, _>(|(kind, _)| *kind == SampleKind::Events);
        words.extend(events.into_iter().map(|(_, index)| WordSlot::Events(index)));
        Some(Doubt { reason, contradictions, words, acceptable })
    }

    /// Three answers that differ in the same samples mean a changing load, not damage, and the newest is right.
    /// Persistent damage to single lines and words loses only those, if the rest is consistent.
    fn acceptable_now(&self, doubt: &Doubt) -> bool {
        let third = self.candidates.len() + 1 >= MAX_ATTEMPTS as usize;
        // Values that never change by themselves cannot be a changing load.
        let changing = |key: &(SampleKind, u16)| {
            tolerance::tolerance_for(key.0).per_second > 0.0
                && self.candidates.iter().all(|candidate| candidate.contradictions.contains(key))
        };
        third && doubt.acceptable && doubt.contradictions.iter().all(changing)
    }

    /// A line that could not be parsed, unless an earlier answer or the last accepted one had the same errors.
    fn damage(&self, command: Command, parsed: &Parsed) -> Option<ParseError> {
        let problems = parsed.problems();
        let earlier = self.candidates.iter().map(|candidate| &candidate.problems);
        let repeated = earlier.chain(self.accepted_problems.get(&command)).any(|earlier| earlier == problems);
        problems.first().filter(|_| !repeated).cloned()
    }

    /// The unknown words, except those confirmed at the same position: by the last accepted answer, the table, or
    /// enough other answers.
    fn unconfirmed_words(&self, command: Command, new: &AcceptedAnswer) -> Vec<WordSlot> {
        let table_row = self.table_row(command);
        let confirmed = |slot: &WordSlot, word: &Word| {
            let has_it = |earlier: &&AcceptedAnswer| earlier.words.get(slot) == Some(word);
            let candidates = self.candidates.iter().map(|candidate| &candidate.answer);
            self.accepted.get(&command).into_iter().chain(&table_row).any(|earlier| has_it(&earlier))
                || candidates.filter(has_it).count() >= tolerance::MAX_CONFIRMATIONS
        };
        new.unknown().filter(|(slot, word)| !confirmed(slot, word)).map(|(slot, _)| slot.clone()).collect()
    }

    fn contradictions(
        &self,
        command: Command,
        at: Duration,
        new: &AcceptedAnswer,
        parsed: &Parsed,
    ) -> Contradictions {
        let own = new
            .samples
            .iter()
            .filter_map(|(key, value)| Some((*key, self.contradiction(command, at, *key, value)?)));
        let mut all: Contradictions = own.collect();
        self.check_cells(command, at, parsed, &mut all);
        all
    }

    /// Samples that are missing although the last answer or the table has them, or additional ones.
    fn missing_values(&self, command: Command, new: &AcceptedAnswer) -> Option<String> {
        if self.candidates.iter().any(|candidate| candidate.answer.has_same_samples(new)) {
            return None;
        }
        if let Some(before) = self.accepted.get(&command) {
            let reason = || format!("{} values where the last answer had {}", new.count(), before.count());
            return (!before.has_same_samples(new)).then(reason);
        }
        let table_row = self.table_row(command)?;
        let first = [SampleKind::Voltage, SampleKind::Current, SampleKind::Soc].into_iter().find(|kind| {
            let has = |answer: &AcceptedAnswer| answer.samples.keys().any(|(other, _)| other == kind);
            has(&table_row) && !has(new)
        })?;
        (command.name == CommandName::Pwr).then(|| format!("{first:?} is missing although the table has it"))
    }

    /// How a value contradicts everything else known about the sample; `None` if it doesn't.
    fn contradiction(
        &self,
        command: Command,
        at: Duration,
        key: (SampleKind, u16),
        value: &SampleValue,
    ) -> Option<String> {
        let kind = key.0;
        let tolerance = tolerance::tolerance_for(kind);
        let table_row = if command.name == CommandName::Pwr { self.table_row(command) } else { None };
        let before = self.accepted.get(&command);
        let candidates = self.candidates.iter().map(|candidate| &candidate.answer);
        let agrees = |answer: &&AcceptedAnswer| {
            let reference = answer.samples.get(&key);
            reference
                .is_some_and(|reference| agree(tolerance, value, reference, at.saturating_sub(answer.at)))
        };
        let value_before = before.and_then(|before| before.samples.get(&key));
        let confirmations = candidates.clone().filter(agrees).count();
        if before.into_iter().chain(&table_row).any(|answer| agrees(&answer))
            || confirmations >= tolerance::required_confirmations(key, value, value_before)
        {
            return None;
        }
        let mut others = before.into_iter().chain(&table_row).chain(candidates);
        let known = others.any(|answer| answer.samples.contains_key(&key));
        match value {
            SampleValue::Number(number) if tolerance.is_implausible(*number) => {
                Some(format!("{kind:?} of {number} is outside the range of any battery"))
            }
            _ if known => Some(format!("{kind:?} contradicts earlier answers")),
            SampleValue::Events(word) if word.stands() => Some("an event that was not there before".into()),
            _ if !tolerance.accept_unconfirmed => Some(format!("{kind:?} is new")),
            _ => None,
        }
    }

    /// The row in this sweep's table for the battery that `command` is about.
    fn table_row(&self, command: Command) -> Option<AcceptedAnswer> {
        let place = command.place()?;
        let (at, table) = self.table.as_ref()?;
        let row = PwrTable { rows: vec![table.row(place)?.clone()], ..PwrTable::default() };
        Some(AcceptedAnswer::new(*at, &mut Parsed::Table(row), 0))
    }

    /// Checks the cells against the table's minimum and maximum and, if this battery's sums have matched before, their
    /// sum against its voltage.
    fn check_cells(
        &self,
        command: Command,
        at: Duration,
        parsed: &Parsed,
        contradictions: &mut Contradictions,
    ) {
        let (Parsed::Cells(cells), Some(place)) = (parsed, command.place()) else { return };
        let confirmed = |kind: SampleKind, index: u16, value: i64| {
            let candidates = self.candidates.iter().map(|candidate| &candidate.answer);
            self.accepted.get(&command).into_iter().chain(candidates).any(|answer| {
                let reference = answer.samples.get(&(kind, index));
                let age = at.saturating_sub(answer.at);
                reference.is_some_and(|reference| {
                    agree(tolerance::tolerance_for(kind), &SampleValue::Number(value), reference, age)
                })
            })
        };
        if let Some((then, table)) = &self.table
            && let Some(row) = table.row(place)
        {
            for CellOutOfRange { kind, index, value, name } in
                cells_out_of_range(row, cells, at.saturating_sub(*then))
            {
                if !confirmed(kind, index, value) {
                    let reason =
                        format!("the {name} of cell {} is outside the range in the table", index + 1);
                    contradictions.insert((kind, index), reason);
                }
            }
        }
        let matched_before = self.matching_sums.contains(&place) && self.candidates.is_empty();
        if matched_before && sum_matches_voltage(self.voltages.get(&place), at, cells) == Some(false) {
            contradictions.insert(
                (SampleKind::Voltage, 0),
                "the sum of the cells does not match the battery's voltage".to_owned(),
            );
        }
    }

    fn accept(&mut self, command: Command, at: Duration, new: AcceptedAnswer, parsed: &Parsed) -> Findings {
        let mut found = Findings::default();
        match parsed {
            Parsed::Table(table) => {
                let fused = table.fused.iter().filter_map(|(row, _)| row.place);
                found.present = Some(table.present_places().chain(fused).collect());
                found.unreadable = table.unread_places().collect();
                for row in &table.rows {
                    let known = row.place.zip(row.voltage);
                    self.voltages.extend(known.map(|(place, voltage)| (place, (at, i64::from(voltage.0)))));
                }
                self.table = Some((at, table.clone()));
            }
            Parsed::Stack(row) => {
                found.is_stack = true;
                let error = row.error_code.as_ref().is_some_and(|word| word.deserves_a_look(ERROR_CODE));
                found.has_event = error || row.base_state.as_ref().is_some_and(Word::is_alarm);
            }
            Parsed::Units(units) if units.problems.is_empty() => {
                found.present = Some(units.units.iter().filter_map(|row| row.place).collect());
            }
            Parsed::Help(help) => found.lists_euro = Some(help.lists(CommandName::Euro.text())),
            Parsed::Detail(detail) => {
                found.has_event = detail.has_notable_event();
                if let Some((place, voltage)) = command.place().zip(detail.voltage) {
                    self.voltages.insert(place, (at, i64::from(voltage.0)));
                }
            }
            Parsed::Cells(cells) => {
                // A differing sum that a second answer confirms is normal for this console.
                let matches = |place| sum_matches_voltage(self.voltages.get(&place), at, cells);
                match command.place().and_then(|place| Some((place, matches(place)?))) {
                    Some((place, true)) => _ = self.matching_sums.insert(place),
                    Some((place, false)) => _ = self.matching_sums.remove(&place),
                    None => {}
                }
            }
            _ => {}
        }
        self.accepted_problems.insert(command, parsed.problems().to_vec());
        self.accepted.insert(command, new);
        self.candidates.clear();
        found
    }
}

fn retry_or_fail(error: CommandError, attempt: u32) -> ReviewDecision {
    if attempt < MAX_ATTEMPTS { ReviewDecision::Retry(error) } else { ReviewDecision::Fail(error) }
}

#[cfg(test)]
mod tests;
