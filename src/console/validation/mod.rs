//! The review of an answer that sees the sweep so far: believe it, or ask again?
//!
//! ```text
//! answer ── silent, torn, not readable ───────────────► again (at most twice), then lost
//!    │ ───── a refusal ────────────────────────────────► again; the same one twice is the console's word
//!    │ ───── at odds with the sweep, the last sweep or
//!    │       physics, or an unknown word ──────────────► again; what answers agree on is believed
//!    └────── else ─────────────────────────────────────► fine
//! ```
//! Pure: the time is handed in, and nothing here knows about links.

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
use crate::console::command::{Command, Verb};
use crate::console::error::{ParseError, excerpt};
use crate::console::framing::answer::Answer;
use crate::console::framing::refusal::Refusal;
use crate::console::transcript::Lost;
use crate::console::validation::accepted::{Believed, agree};
use crate::console::validation::cell_checks::{Outside, outside, sum_agrees};
use crate::console::validation::growth::Growth;
use crate::console::validation::samples::{Kind, Said};
use crate::console::word_slot::{WordSlot, place_index};
use crate::model::event::ERROR_CODE;
use crate::model::place::Place;
use crate::model::word::Word;

/// A question is put at most this often: once and twice again.
pub const MOST_ASKED: u32 = 3;

/// What the review says of an answer.
#[derive(Debug)]
pub enum Verdict {
    /// It is believed.
    Fine(Answer, Found),
    /// Ask again, because of this.
    Again(Lost),
    /// It was asked often enough; this part is missing from the sweep.
    Lost(Lost),
}

/// What the plan needs to know of a believed answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Of a group table, or of a stack's modules: the places at which there are some.
    pub(crate) present: Option<Vec<Place>>,
    /// Of a group table: the places whose rows could not be read, or may be among those without a number.
    pub(crate) unread: Vec<Place>,
    /// Whether the table is a stack's row.
    pub(crate) stack: bool,
    /// Of `help`: whether it lists `euro`.
    pub lists_euro: Option<bool>,
    /// The battery or stack that this is about deserves a look: more than a normal condition stands.
    pub(crate) event: bool,
}

/// An answer to the question in hand that was not believed at once.
#[derive(Debug)]
struct Candidate {
    said: Believed,
    problems: Vec<ParseError>,
    /// The figures in which it contradicted what was said before.
    at_odds: BTreeSet<(Kind, u16)>,
}

/// Why an answer is not believed at once.
#[derive(Debug)]
struct Doubt {
    why: Lost,
    at_odds: BTreeSet<(Kind, u16)>,
    /// The words that nothing confirms: they can be left out.
    words: Vec<WordSlot>,
    /// Whether the answer may be accepted at the third attempt.
    sound: bool,
}

/// What the review remembers: the sweep so far, and what was last believed of each command.
#[derive(Debug, Default)]
pub struct Review {
    believed: HashMap<Command, Believed>,
    table: Option<(Duration, PwrTable)>,
    voltages: HashMap<Place, (Duration, i64)>,
    sums_agree: BTreeSet<Place>,
    question: Option<Command>,
    candidates: Vec<Candidate>,
    refused: Option<Refusal>,
    /// Damaged lines that were accepted as what the console prints.
    odd: HashMap<Command, Vec<ParseError>>,
    growth: Growth,
}

/// Figures that contradict earlier answers, and how.
type Odds = BTreeMap<(Kind, u16), String>;

impl Review {
    /// A new sweep begins: nothing of the last one counts as said beside its answers.
    pub fn begin(&mut self) {
        self.table = None;
        self.voltages.clear();
        self.question = None;
    }

    /// Judges what came at `at` (monotonic) when `command` was asked for the `asked`th time.
    pub fn judge(
        &mut self,
        command: Command,
        at: Duration,
        asked: u32,
        outcome: Result<Answer, Lost>,
    ) -> Verdict {
        if self.question.replace(command) != Some(command) || asked <= 1 {
            self.candidates.clear();
            self.refused = None;
        }
        let judged = outcome.and_then(|answer| match answers::parse(command, &answer) {
            Ok(parsed) => Ok((answer, parsed)),
            Err(_) if answer.echo_damaged => Err(Lost::NoEcho),
            Err(rejected) => Err(Lost::Rejected(rejected)),
        });
        match judged {
            Err(Lost::Rejected(Rejected::Refused(refusal))) => self.refusal(refusal, asked),
            Err(lost) => again_or_lost(lost, asked),
            Ok((answer, parsed)) => self.weigh(command, at, asked, answer, parsed),
        }
    }

    fn refusal(&mut self, refusal: Refusal, asked: u32) -> Verdict {
        let lost = Lost::Rejected(Rejected::Refused(refusal));
        if self.refused.replace(refusal) == Some(refusal) {
            Verdict::Lost(lost)
        } else {
            again_or_lost(lost, asked)
        }
    }

    fn weigh(
        &mut self,
        command: Command,
        at: Duration,
        asked: u32,
        mut answer: Answer,
        mut parsed: Parsed,
    ) -> Verdict {
        let place = place_index(command.place());
        let mut said = Believed::of(at, &mut parsed, place);
        let Some(doubt) = self.doubt(command, at, &answer, &said, &parsed) else {
            return self.fine(command, at, answer, said, &parsed);
        };
        if !self.believable(&doubt) {
            let problems = parsed.problems().to_vec();
            self.candidates.push(Candidate { said, problems, at_odds: doubt.at_odds });
            return again_or_lost(doubt.why, asked);
        }
        remove_words(&mut parsed, place, &doubt.words);
        said.restore(&doubt.words, self.believed.get(&command));
        answer.unconfirmed = doubt.words;
        self.fine(command, at, answer, said, &parsed)
    }

    /// An answer without doubt is accepted, unless it shows too many batteries that were not there before.
    fn fine(
        &mut self,
        command: Command,
        at: Duration,
        answer: Answer,
        said: Believed,
        parsed: &Parsed,
    ) -> Verdict {
        match self.growth.sudden(parsed) {
            Some(new) => Verdict::Lost(Lost::Grown(new)),
            None => Verdict::Fine(answer, self.believe(command, at, said, parsed)),
        }
    }

    /// Why an answer is not accepted at first sight, if there is a reason.
    fn doubt(
        &self,
        command: Command,
        at: Duration,
        answer: &Answer,
        said: &Believed,
        parsed: &Parsed,
    ) -> Option<Doubt> {
        let odds = self.odds(command, at, said, parsed);
        let damage = self.damage(command, parsed);
        let mut words = self.unconfirmed(command, said);
        let strange = words.first().map(|slot| {
            let word = if let WordSlot::Label(label) = slot { label } else { said.words[slot].as_str() };
            format!("{:?} is not a word that consoles are known to print", excerpt(word))
        });
        let first_sight = self.candidates.is_empty() && !self.believed.contains_key(&command);
        let late = || parsed.missing_first_cell().filter(|_| first_sight).map(str::to_owned);
        let lacking = || self.lacking(command, said).or_else(late);
        let why = match (damage, strange.or_else(lacking)) {
            (Some(problem), _) => Lost::Damaged(problem),
            (None, Some(strange)) => Lost::Unconfirmed(strange),
            (None, None) => Lost::Unconfirmed(odds.first_key_value()?.1.clone()),
        };
        let damaged = matches!(why, Lost::Damaged(_)) || !words.is_empty();
        let sound = !answer.echo_damaged && (damaged || !odds.is_empty());
        let (events, at_odds) =
            odds.into_keys().partition::<BTreeSet<_>, _>(|(kind, _)| *kind == Kind::Events);
        words.extend(events.into_iter().map(|(_, index)| WordSlot::Events(index)));
        Some(Doubt { why, at_odds, words, sound })
    }

    /// Three sound answers that differ in the same figures are a load that moves, not damage: the newest is true.
    /// Persistent damage to single lines and words costs only those, as long as the rest is sound.
    fn believable(&self, doubt: &Doubt) -> bool {
        let third = self.candidates.len() + 1 >= MOST_ASKED as usize;
        // What never changes by itself is no load.
        let moving = |key: &(Kind, u16)| {
            tolerance::of(key.0).per_second > 0.0
                && self.candidates.iter().all(|candidate| candidate.at_odds.contains(key))
        };
        third && doubt.sound && doubt.at_odds.iter().all(moving)
    }

    /// A line that could not be read, unless an earlier answer or the last accepted one had the same.
    fn damage(&self, command: Command, parsed: &Parsed) -> Option<ParseError> {
        let problems = parsed.problems();
        let earlier = self.candidates.iter().map(|candidate| &candidate.problems);
        let again = earlier.chain(self.odd.get(&command)).any(|earlier| earlier == problems);
        problems.first().filter(|_| !again).cloned()
    }

    /// The unknown words, except those confirmed at the same position: by the last accepted answer, the table, or
    /// enough other answers.
    fn unconfirmed(&self, command: Command, said: &Believed) -> Vec<WordSlot> {
        let beside = self.beside(command);
        let confirmed = |slot: &WordSlot, word: &Word| {
            let said = |earlier: &&Believed| earlier.words.get(slot) == Some(word);
            let candidates = self.candidates.iter().map(|candidate| &candidate.said);
            self.believed.get(&command).into_iter().chain(&beside).any(|earlier| said(&earlier))
                || candidates.filter(said).count() >= tolerance::MOST_WITNESSES
        };
        said.unknown().filter(|(slot, word)| !confirmed(slot, word)).map(|(slot, _)| slot.clone()).collect()
    }

    /// The figures that contradict everything else said of them, and how.
    fn odds(&self, command: Command, at: Duration, said: &Believed, parsed: &Parsed) -> Odds {
        let own = said
            .figures
            .iter()
            .filter_map(|(key, said)| Some((*key, self.figure_at_odds(command, at, *key, said)?)));
        let mut odds: Odds = own.collect();
        self.cells_at_odds(command, at, parsed, &mut odds);
        odds
    }

    /// A figure that is not there though it was there before, or is in the table beside; or the other way round.
    fn lacking(&self, command: Command, said: &Believed) -> Option<String> {
        if self.candidates.iter().any(|candidate| candidate.said.has_same_as(said)) {
            return None;
        }
        if let Some(before) = self.believed.get(&command) {
            let sentence = || format!("{} values where the last answer had {}", said.count(), before.count());
            return (!before.has_same_as(said)).then(sentence);
        }
        let beside = self.beside(command)?;
        let first = [Kind::Voltage, Kind::Current, Kind::Soc].into_iter().find(|kind| {
            let has = |said: &BTreeMap<(Kind, u16), Said>| said.keys().any(|(other, _)| other == kind);
            has(&beside.figures) && !has(&said.figures)
        })?;
        (command.verb == Verb::Pwr).then(|| format!("{first:?} is missing though the table has it"))
    }

    fn figure_at_odds(
        &self,
        command: Command,
        at: Duration,
        key: (Kind, u16),
        figure: &Said,
    ) -> Option<String> {
        let kind = key.0;
        let tolerance = tolerance::of(kind);
        let beside = if command.verb == Verb::Pwr { self.beside(command) } else { None };
        let before = self.believed.get(&command);
        let candidates = self.candidates.iter().map(|candidate| &candidate.said);
        let agrees = |said: &&Believed| {
            let reference = said.figures.get(&key);
            reference.is_some_and(|reference| agree(tolerance, figure, reference, at.saturating_sub(said.at)))
        };
        let before_said = before.and_then(|before| before.figures.get(&key));
        let witnesses = candidates.clone().filter(agrees).count();
        if before.into_iter().chain(&beside).any(|said| agrees(&said))
            || witnesses >= tolerance::witnesses(key, figure, before_said)
        {
            return None;
        }
        let known =
            before.into_iter().chain(&beside).chain(candidates).any(|said| said.figures.contains_key(&key));
        match figure {
            Said::Number(number) if tolerance.is_beyond(*number) => {
                Some(format!("{kind:?} of {number} is beyond any battery"))
            }
            _ if known => Some(format!("{kind:?} contradicts earlier answers")),
            Said::Events(word) if word.stands() => Some("an event that was not there before".into()),
            _ if !tolerance.first_sight => Some(format!("{kind:?} is new")),
            _ => None,
        }
    }

    /// What this sweep's table says of the battery that `command` is about.
    fn beside(&self, command: Command) -> Option<Believed> {
        let place = command.place()?;
        let (at, table) = self.table.as_ref()?;
        let row = PwrTable { rows: vec![table.row(place)?.clone()], ..PwrTable::default() };
        Some(Believed::of(*at, &mut Parsed::Table(row), 0))
    }

    /// The cells against the table's extremes and, for a battery that was once seen to agree, their sum against
    /// its voltage.
    fn cells_at_odds(&self, command: Command, at: Duration, parsed: &Parsed, odds: &mut Odds) {
        let (Parsed::Cells(cells), Some(place)) = (parsed, command.place()) else { return };
        let confirmed = |kind: Kind, index: u16, value: i64| {
            let earlier =
                self.believed.get(&command).into_iter().chain(self.candidates.iter().map(|c| &c.said));
            earlier.into_iter().any(|said| {
                let reference = said.figures.get(&(kind, index));
                let age = at.saturating_sub(said.at);
                reference
                    .is_some_and(|reference| agree(tolerance::of(kind), &Said::Number(value), reference, age))
            })
        };
        if let Some((then, table)) = &self.table
            && let Some(row) = table.row(place)
        {
            for Outside { kind, index, value, name } in outside(row, cells, at.saturating_sub(*then)) {
                if !confirmed(kind, index, value) {
                    let why = format!("the {name} of cell {} is outside the range in the table", index + 1);
                    odds.insert((kind, index), why);
                }
            }
        }
        let agreed_before = self.sums_agree.contains(&place) && self.candidates.is_empty();
        if agreed_before && sum_agrees(self.voltages.get(&place), at, cells) == Some(false) {
            odds.insert(
                (Kind::Voltage, 0),
                "the cells' sum is at odds with the battery's voltage".to_owned(),
            );
        }
    }

    fn believe(&mut self, command: Command, at: Duration, said: Believed, parsed: &Parsed) -> Found {
        let mut found = Found::default();
        match parsed {
            Parsed::Table(table) => {
                let fused = table.fused.iter().filter_map(|(row, _)| row.place);
                found.present = Some(table.present().chain(fused).collect());
                found.unread = table.unread_places().collect();
                for row in &table.rows {
                    let known = row.place.zip(row.voltage);
                    self.voltages.extend(known.map(|(place, voltage)| (place, (at, i64::from(voltage.0)))));
                }
                self.table = Some((at, table.clone()));
            }
            Parsed::Stack(row) => {
                found.stack = true;
                let error = row.error_code.as_ref().is_some_and(|word| word.deserves_a_look(ERROR_CODE));
                found.event = error || row.base_state.as_ref().is_some_and(Word::is_alarm);
            }
            Parsed::Units(units) if units.problems.is_empty() => {
                found.present = Some(units.units.iter().filter_map(|row| row.place).collect());
            }
            Parsed::Help(help) => found.lists_euro = Some(help.lists(Verb::Euro.text())),
            Parsed::Detail(detail) => {
                found.event = detail.deserves_a_look();
                if let Some((place, voltage)) = command.place().zip(detail.voltage) {
                    self.voltages.insert(place, (at, i64::from(voltage.0)));
                }
            }
            Parsed::Cells(cells) => {
                // A sum that two answers confirm to be beside the voltage is this console's manner from now on.
                let sum = |place| sum_agrees(self.voltages.get(&place), at, cells);
                match command.place().and_then(|place| Some((place, sum(place)?))) {
                    Some((place, true)) => _ = self.sums_agree.insert(place),
                    Some((place, false)) => _ = self.sums_agree.remove(&place),
                    None => {}
                }
            }
            _ => {}
        }
        self.odd.insert(command, parsed.problems().to_vec());
        self.believed.insert(command, said);
        self.candidates.clear();
        found
    }
}

fn again_or_lost(lost: Lost, asked: u32) -> Verdict {
    if asked < MOST_ASKED { Verdict::Again(lost) } else { Verdict::Lost(lost) }
}

#[cfg(test)]
mod tests;
