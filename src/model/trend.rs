//! Where a figure of a battery's health is heading, over weeks.

use std::fmt;

/// A figure that is followed over weeks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    /// What the battery held in a full cycle, in ampere-hours.
    Capacity,
    /// Its own state of health, in percent.
    Soh,
    /// Highest less lowest cell at rest, in millivolts.
    SpreadRest,
    /// The same under load.
    SpreadLoad,
    /// How much more resistance its worst cell has than the others, in milliohms.
    Resistance,
    /// Its share of the bank's current, in percent of what would be fair.
    Share,
}

impl Figure {
    /// How many there are.
    pub(crate) const COUNT: usize = 6;
    /// All of them, each at its own index.
    pub(crate) const ALL: [Self; Self::COUNT] =
        [Self::Capacity, Self::Soh, Self::SpreadRest, Self::SpreadLoad, Self::Resistance, Self::Share];

    /// Its word in keys, with its unit.
    #[must_use]
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Capacity => "capacity_seen_ah",
            Self::Soh => "soh",
            Self::SpreadRest => "spread_rest_mv",
            Self::SpreadLoad => "spread_load_mv",
            Self::Resistance => "resistance_mohm",
            Self::Share => "current_share_percent",
        }
    }

    /// What people call it, and its unit.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Capacity => ("the capacity seen", "Ah"),
            Self::Soh => ("its own state of health", "%"),
            Self::SpreadRest => ("the spread of its cells at rest", "mV"),
            Self::SpreadLoad => ("the spread of its cells under load", "mV"),
            Self::Resistance => ("the resistance of its worst cell", "mΩ"),
            Self::Share => ("its share of the current", "%"),
        }
    }
}

/// A straight line through the weekly means of a figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// Of what.
    pub figure: Figure,
    /// How it changes in thirty days, in the figure's unit.
    pub per_month: f64,
    /// How sure that is: in 95 of 100 cases the truth lies no further away than this, in the figure's unit.
    pub plus_minus: f64,
    /// On how many weeks it stands.
    pub weeks: u16,
}

impl fmt::Display for Trend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { figure, per_month, plus_minus, weeks } = self;
        let ((name, unit), way) = (figure.words(), if *per_month < 0.0 { "falls" } else { "rises" });
        let by = per_month.abs();
        write!(f, "{name} {way} by {by:.2} {unit} a month (± {plus_minus:.2}, over {weeks} weeks)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_figure_is_at_its_own_index() {
        assert!(Figure::ALL.iter().enumerate().all(|(index, figure)| *figure as usize == index));
    }

    #[test]
    fn a_trend_is_a_sentence_with_unit_and_uncertainty() {
        let trend = Trend { figure: Figure::Capacity, per_month: -2.3, plus_minus: 0.4, weeks: 6 };
        let told = "the capacity seen falls by 2.30 Ah a month (± 0.40, over 6 weeks)";
        assert_eq!(trend.to_string(), told);
    }
}
