//! Trends of health metrics over weeks.

use std::fmt;

/// A health metric with a weekly mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TrendMetric {
    /// Capacity seen in a full cycle, in ampere-hours.
    Capacity,
    /// State of health reported by the battery, in percent.
    Soh,
    /// Highest minus lowest cell at rest, in millivolts.
    SpreadRest,
    /// Highest minus lowest cell under load, in millivolts.
    SpreadLoad,
    /// Resistance of the worst cell above the others, in milliohms.
    Resistance,
    /// Share of the bank's current, in percent of its fair share.
    Share,
}

impl TrendMetric {
    pub(crate) const COUNT: usize = 6;
    /// Each at the index of its discriminant.
    pub(crate) const ALL: [Self; Self::COUNT] =
        [Self::Capacity, Self::Soh, Self::SpreadRest, Self::SpreadLoad, Self::Resistance, Self::Share];

    /// Returns its name in JSON keys, with its unit.
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

    /// Returns its description and its unit.
    fn description(self) -> (&'static str, &'static str) {
        match self {
            Self::Capacity => ("capacity seen", "Ah"),
            Self::Soh => ("reported state of health", "%"),
            Self::SpreadRest => ("cell spread at rest", "mV"),
            Self::SpreadLoad => ("cell spread under load", "mV"),
            Self::Resistance => ("resistance of the worst cell", "mΩ"),
            Self::Share => ("share of the current", "%"),
        }
    }
}

/// A straight line through the weekly means of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    pub metric: TrendMetric,
    /// Change in thirty days, in the unit of the metric.
    pub per_month: f64,
    /// Half width of the 95 % confidence interval of `per_month`.
    pub plus_minus: f64,
    /// Number of weeks with data.
    pub weeks: u16,
}

impl fmt::Display for Trend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { metric: figure, per_month, plus_minus, weeks } = self;
        let ((name, unit), direction) =
            (figure.description(), if *per_month < 0.0 { "falls" } else { "rises" });
        let by = per_month.abs();
        write!(f, "{name} {direction} by {by:.2} {unit} per month (± {plus_minus:.2}, over {weeks} weeks)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_figure_is_at_its_own_index() {
        assert!(TrendMetric::ALL.iter().enumerate().all(|(index, figure)| *figure as usize == index));
    }

    #[test]
    fn a_trend_is_a_sentence_with_unit_and_uncertainty() {
        let trend = Trend { metric: TrendMetric::Capacity, per_month: -2.3, plus_minus: 0.4, weeks: 6 };
        assert_eq!(trend.to_string(), "capacity seen falls by 2.30 Ah per month (± 0.40, over 6 weeks)");
    }
}
