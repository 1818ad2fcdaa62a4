//! The samples and words of an answer that the validator remembers, and whether two values of a sample are compatible.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::console::answers::parsed::Parsed;
use crate::console::answers::words::{state_words, unknown_labels};
use crate::console::validation::samples::{SampleKind, SampleValue, collect_samples};
use crate::console::validation::tolerance::Tolerance;
use crate::console::word_slot::WordSlot;
use crate::model::word::Word;

#[derive(Debug)]
pub(crate) struct AcceptedAnswer {
    /// When it was received (monotonic).
    pub(crate) at: Duration,
    pub(crate) samples: BTreeMap<(SampleKind, u16), SampleValue>,
    /// The state words and the unknown labels. The set of state words never changes by itself, but a damaged header or
    /// label hides some.
    pub(crate) words: BTreeMap<WordSlot, Word>,
}

impl AcceptedAnswer {
    /// `place` is that of the battery, or 0 for the bank.
    pub(crate) fn new(at: Duration, parsed: &mut Parsed, place: u16) -> Self {
        let samples = collect_samples(parsed, place)
            .into_iter()
            .map(|sample| ((sample.kind, sample.index), sample.value));
        let samples = samples.collect();
        let labels: Vec<String> = unknown_labels(parsed).into_iter().map(str::to_owned).collect();
        let labels = labels.into_iter().map(|label| (WordSlot::Label(label), Word::new("")));
        let states =
            state_words(parsed, place).into_iter().filter_map(|(slot, word)| Some((slot, word.clone()?)));
        Self { at, samples, words: states.chain(labels).collect() }
    }

    /// Whether both have the same samples and state words, regardless of their values.
    pub(crate) fn has_same_samples(&self, other: &Self) -> bool {
        self.samples.keys().eq(other.samples.keys()) && self.states().eq(other.states())
    }

    /// Number of samples and state words.
    pub(crate) fn count(&self) -> usize {
        self.samples.len() + self.states().count()
    }

    fn states(&self) -> impl Iterator<Item = &WordSlot> {
        self.words.keys().filter(|slot| matches!(slot, WordSlot::State(..)))
    }

    /// The words that consoles are not known to print.
    pub(crate) fn unknown(&self) -> impl Iterator<Item = (&WordSlot, &Word)> {
        self.words.iter().filter(|(slot, word)| !slot.accepts(word))
    }

    /// Replaces the words at `slots`, which were not accepted, by the earlier ones.
    pub(crate) fn restore(&mut self, slots: &[WordSlot], before: Option<&Self>) {
        for slot in slots {
            if let WordSlot::Events(index) = slot {
                let key = (SampleKind::Events, *index);
                self.samples.remove(&key);
                let value = before.and_then(|before| before.samples.get(&key).cloned());
                self.samples.extend(value.map(|value| (key, value)));
            } else {
                self.words.remove(slot);
                let word = before.and_then(|before| before.words.get(slot).cloned());
                self.words.extend(word.map(|word| (slot.clone(), word)));
            }
        }
    }
}

/// Whether two values of a sample, measured `age` apart, are compatible.
pub(crate) fn agree(tolerance: &Tolerance, now: &SampleValue, then: &SampleValue, age: Duration) -> bool {
    match (now, then) {
        (SampleValue::Number(now), SampleValue::Number(then)) => {
            let expected = *then as f64 + tolerance.drift * age.as_secs_f64();
            (*now as f64 - expected).abs() <= tolerance.flat + tolerance.per_second * age.as_secs_f64()
        }
        _ => now == then,
    }
}
