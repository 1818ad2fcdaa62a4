//! What an answer said, as the review remembers it, and whether two such statements may both be true.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::console::answers::parsed::Parsed;
use crate::console::answers::words::{state_words, unknown_labels};
use crate::console::validation::samples::{Kind, Said, figures};
use crate::console::validation::tolerance::Tolerance;
use crate::console::word_slot::WordSlot;
use crate::model::word::Word;

/// What one answer said, and when.
#[derive(Debug)]
pub(crate) struct Believed {
    pub(crate) at: Duration,
    pub(crate) figures: BTreeMap<(Kind, u16), Said>,
    /// The state words and the unknown labels. Which state words there are does not change by itself: a damaged
    /// header or label hides some.
    pub(crate) words: BTreeMap<WordSlot, Word>,
}

impl Believed {
    /// An answer about the battery at `place`, or about the bank (0).
    pub(crate) fn of(at: Duration, parsed: &mut Parsed, place: u16) -> Self {
        let figures =
            figures(parsed, place).into_iter().map(|figure| ((figure.kind, figure.index), figure.said));
        let figures = figures.collect();
        let labels: Vec<String> = unknown_labels(parsed).into_iter().map(str::to_owned).collect();
        let labels = labels.into_iter().map(|label| (WordSlot::Label(label), Word::new("")));
        let states =
            state_words(parsed, place).into_iter().filter_map(|(slot, word)| Some((slot, word.clone()?)));
        Self { at, figures, words: states.chain(labels).collect() }
    }

    /// Whether it has the same figures and state words as another, whatever their values.
    pub(crate) fn has_same_as(&self, other: &Self) -> bool {
        self.figures.keys().eq(other.figures.keys()) && self.states().eq(other.states())
    }

    /// How many figures and state words it has.
    pub(crate) fn count(&self) -> usize {
        self.figures.len() + self.states().count()
    }

    fn states(&self) -> impl Iterator<Item = &WordSlot> {
        self.words.keys().filter(|slot| matches!(slot, WordSlot::State(..)))
    }

    /// The words that consoles are not known to print.
    pub(crate) fn unknown(&self) -> impl Iterator<Item = (&WordSlot, &Word)> {
        self.words.iter().filter(|(slot, word)| !slot.accepts(word))
    }

    /// Restores the earlier words at `slots`, because these were not accepted.
    pub(crate) fn restore(&mut self, slots: &[WordSlot], before: Option<&Self>) {
        for slot in slots {
            if let WordSlot::Events(index) = slot {
                let key = (Kind::Events, *index);
                self.figures.remove(&key);
                let said = before.and_then(|before| before.figures.get(&key).cloned());
                self.figures.extend(said.map(|said| (key, said)));
            } else {
                self.words.remove(slot);
                let word = before.and_then(|before| before.words.get(slot).cloned());
                self.words.extend(word.map(|word| (slot.clone(), word)));
            }
        }
    }
}

/// Whether two figures of one kind, said `age` apart, may both be true.
pub(crate) fn agree(tolerance: &Tolerance, now: &Said, then: &Said, age: Duration) -> bool {
    match (now, then) {
        (Said::Number(now), Said::Number(then)) => {
            let expected = *then as f64 + tolerance.drift * age.as_secs_f64();
            (*now as f64 - expected).abs() <= tolerance.flat + tolerance.per_second * age.as_secs_f64()
        }
        _ => now == then,
    }
}
