//! What an answer said, as the review remembers it, and whether two such statements may both be true.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::console::figures::{Figure, Kind, Said};
use crate::console::tolerance::Tolerance;

/// What one answer said, and when.
#[derive(Debug)]
pub(super) struct Believed {
    pub at: Duration,
    /// How many state words there were.
    pub states: usize,
    pub figures: BTreeMap<(Kind, u16), Said>,
}

impl Believed {
    pub fn new(at: Duration, states: usize, figures: Vec<Figure>) -> Self {
        Self {
            at,
            states,
            figures: figures.into_iter().map(|figure| ((figure.kind, figure.index), figure.said)).collect(),
        }
    }
}

/// Whether two figures of one kind, said `age` apart, may both be true.
pub(super) fn agree(tolerance: &Tolerance, now: &Said, then: &Said, age: Duration) -> bool {
    match (now, then) {
        (Said::Number(now), Said::Number(then)) => {
            let expected = *then as f64 + tolerance.drift * age.as_secs_f64();
            (*now as f64 - expected).abs() <= tolerance.flat + tolerance.per_second * age.as_secs_f64()
        }
        (Said::Text(now), Said::Text(then)) => now == then,
        _ => false,
    }
}
