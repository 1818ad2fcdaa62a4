//! Running means in which old values fade, with constant memory.

use serde::{Deserialize, Serialize};

/// A list of running means that are updated together. Until `horizon` seconds have been seen, all values have equal
/// weight; then older ones fade.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunningMeans {
    /// Total time in seconds.
    seconds: f64,
    of: Vec<f32>,
}

impl RunningMeans {
    /// Adds values that were valid for `seconds`. A different number of values means another battery, which resets the
    /// means.
    pub(crate) fn take(&mut self, values: &[f64], seconds: f64, horizon: f64) {
        if values.len() != self.of.len() {
            *self = Self { seconds: 0.0, of: vec![0.0; values.len()] };
        }
        if seconds <= 0.0 {
            return;
        }
        self.seconds += seconds;
        let weight = (seconds / self.seconds.min(horizon)).min(1.0);
        for (mean, value) in self.of.iter_mut().zip(values) {
            let before = f64::from(*mean);
            *mean = (before + (value - before) * weight) as f32;
        }
    }

    /// Returns the total time in seconds.
    #[must_use]
    pub(crate) fn seconds(&self) -> f64 {
        self.seconds
    }

    /// Returns the means once at least `least` seconds have been seen.
    #[must_use]
    pub(crate) fn after(&self, least: f64) -> Option<&[f32]> {
        (self.seconds >= least && !self.of.is_empty()).then_some(&self.of)
    }

    /// Returns the first mean once at least `least` seconds have been seen.
    #[must_use]
    pub(crate) fn one(&self, least: f64) -> Option<f64> {
        self.after(least)?.first().map(|mean| f64::from(*mean))
    }

    /// Whether the values are valid; false for a damaged file.
    #[must_use]
    pub(crate) fn sound(&self) -> bool {
        self.seconds >= 0.0 && self.seconds.is_finite() && self.of.iter().all(|mean| mean.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_values_have_equal_weight_and_old_ones_fade() {
        let mut means = RunningMeans::default();
        for value in [1.0, 2.0, 6.0] {
            means.take(&[value], 60.0, 1e6);
        }
        assert_eq!(means.one(180.0), Some(3.0));
        assert_eq!(means.one(181.0), None);
        for _ in 0..1_000 {
            means.take(&[10.0], 60.0, 600.0);
        }
        assert!((means.one(0.0).unwrap() - 10.0).abs() < 1e-3);
    }

    #[test]
    fn a_different_number_of_values_resets_the_means() {
        let mut means = RunningMeans::default();
        means.take(&[1.0, 2.0], 60.0, 600.0);
        means.take(&[5.0], 60.0, 600.0);
        assert_eq!((means.seconds(), means.one(60.0)), (60.0, Some(5.0)));
    }
}
