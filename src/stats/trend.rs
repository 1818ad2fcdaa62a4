//! Trends of health metrics: weekly means and a straight line through them.
//!
//! ```text
//!      ┤ ·                    · a week's mean
//!      ┤╲  ·                  ╲ least squares
//!      ┤  ╲·  ·
//!      ┤     ╲  ·             ± from the scatter of the means around the line (Student's t, 95 %)
//!      ┤    ·   ╲
//!      └─┬──┬──┬──┬──► weeks
//! ```
//! Some metrics are running means of a few days, which correlates neighbouring days; weeks are nearly independent, so
//! the scatter around the line is a realistic measure of the uncertainty.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::model::trend::{Trend, TrendMetric};
use crate::stats::cycle::CLOCK_SET;

/// Seconds of a week.
const WEEK: i64 = 7 * DAY;
/// Seconds of a day.
const DAY: i64 = 86_400;
/// Half a year; older weeks say little about the current trend.
const MOST_WEEKS: usize = 26;
/// Fewer points fit any line.
const LEAST_WEEKS: usize = 4;
/// Weeks of a month of thirty days.
const MONTH: f64 = 30.0 / 7.0;

/// The weekly means of one battery.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WeeklyMeans {
    /// Unix time of the start of the current week.
    began: Option<i64>,
    now: [Mean; TrendMetric::COUNT],
    past: VecDeque<Week>,
    /// The time since which the clock has been behind the last week, by that clock.
    #[serde(skip)]
    behind: Option<i64>,
}

/// A completed week.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Week {
    began: i64,
    of: [Option<f32>; TrendMetric::COUNT],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mean {
    count: u32,
    mean: f64,
}

impl WeeklyMeans {
    /// Records a value at a Unix time; ignored until the clock is set.
    pub(crate) fn note(&mut self, at: i64, figure: TrendMetric, value: f64) {
        if at < CLOCK_SET || !value.is_finite() {
            return;
        }
        if self.is_back_for_a_moment(at) {
            return;
        }
        // A week that has not ended yet was recorded by a wrong clock.
        self.past.retain(|week| week.began.saturating_add(WEEK) <= at);
        let began = *self.began.get_or_insert(at);
        if at < began || at.saturating_sub(began) >= WEEK {
            let of = std::mem::take(&mut self.now).map(|mean| (mean.count > 0).then_some(mean.mean as f32));
            if at > began {
                self.past.push_back(Week { began, of });
                self.past.drain(..self.past.len().saturating_sub(MOST_WEEKS));
            }
            self.began = Some(at);
        }
        let Mean { count, mean } = &mut self.now[figure as usize];
        *count = count.saturating_add(1);
        *mean += (value - *mean) / f64::from(*count);
    }

    /// Either this clock or the previous one is wrong; which one is known once it has stayed behind for a day.
    fn is_back_for_a_moment(&mut self, at: i64) -> bool {
        let over = self.past.back().map(|week| week.began.saturating_add(WEEK));
        if self.began.max(over).is_none_or(|seen| seen <= at) {
            self.behind = None;
            return false;
        }
        let since = self.behind.filter(|since| *since <= at).unwrap_or(at);
        self.behind = Some(since);
        at - since < DAY
    }

    /// Returns the trend of each metric with enough weeks.
    pub(crate) fn trends(&self) -> impl Iterator<Item = Trend> {
        TrendMetric::ALL.into_iter().filter_map(|figure| self.trend(figure))
    }

    fn trend(&self, figure: TrendMetric) -> Option<Trend> {
        let week =
            |week: &Week| Some((week.began as f64 / WEEK as f64, f64::from(week.of[figure as usize]?)));
        let points: Vec<(f64, f64)> = self.past.iter().filter_map(week).collect();
        let (weeks, count) = (u16::try_from(points.len()).ok()?, points.len() as f64);
        if points.len() < LEAST_WEEKS {
            return None;
        }
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
        let (at, value) = (mean(|point| point.0), mean(|point| point.1));
        let spread: f64 = points.iter().map(|(x, _)| (x - at).powi(2)).sum();
        let slope = points.iter().map(|(x, y)| (x - at) * (y - value)).sum::<f64>() / spread;
        let residuals: f64 = points.iter().map(|(x, y)| (y - value - slope * (x - at)).powi(2)).sum();
        let scatter = (residuals / (count - 2.0)).sqrt().max(rounding_error(figure));
        let plus_minus = student(count - 2.0) * scatter / spread.sqrt();
        Some(Trend { metric: figure, per_month: slope * MONTH, plus_minus: plus_minus * MONTH, weeks })
    }

    /// Whether the values are valid; false for a damaged file.
    #[must_use]
    pub(crate) fn sound(&self) -> bool {
        let past = self.past.iter().flat_map(|week| week.of).flatten().map(f64::from);
        self.now.iter().map(|mean| mean.mean).chain(past).all(f64::is_finite)
    }
}

/// Returns the minimum scatter of a metric: the standard deviation of rounding for metrics reported as whole numbers.
fn rounding_error(figure: TrendMetric) -> f64 {
    match figure {
        TrendMetric::Soh | TrendMetric::SpreadRest | TrendMetric::SpreadLoad => 1.0 / 12_f64.sqrt(),
        TrendMetric::Capacity | TrendMetric::Resistance | TrendMetric::Share => 0.0,
    }
}

/// Student's t for a two-sided 95 % interval, accurate to 0.01 for two degrees of freedom and to 0.1 for more.
fn student(freedom: f64) -> f64 {
    1.96 + 2.4 / freedom + 4.5 / freedom.powi(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One value per day, from the first valid time.
    fn daily(values: impl IntoIterator<Item = f64>) -> WeeklyMeans {
        let mut weeks = WeeklyMeans::default();
        for (day, value) in (0..).zip(values) {
            weeks.note(CLOCK_SET + day * DAY, TrendMetric::SpreadRest, value);
        }
        weeks
    }

    fn only(weeks: &WeeklyMeans) -> Option<Trend> {
        let mut trends = weeks.trends();
        let first = trends.next();
        assert_eq!(trends.next(), None);
        first
    }

    #[test]
    fn a_straight_line_is_fitted_after_four_complete_weeks() {
        let rising = |days: i64| daily((0..days).map(|day| 5.0 + day as f64 / 3.0));
        assert_eq!(only(&rising(28)), None);
        let trend = only(&rising(29)).expect("four weeks are over");
        assert!((trend.per_month - 10.0).abs() < 1e-3, "{trend:?}");
        assert_eq!((trend.metric, trend.weeks), (TrendMetric::SpreadRest, 4));
        assert!(trend.plus_minus < 3.0, "{trend:?}");
    }

    #[test]
    fn scatter_is_no_trend_and_half_a_year_is_stored() {
        let scattered = daily((0..400).map(|day| if day / 7 % 2 == 0 { 10.0 } else { 20.0 }));
        let trend = only(&scattered).expect("weeks enough");
        assert!(trend.per_month.abs() < trend.plus_minus, "{trend:?}");
        assert_eq!(usize::from(trend.weeks), MOST_WEEKS);
    }

    #[test]
    fn constant_whole_numbers_keep_their_rounding_uncertainty() {
        let trend = only(&daily([99.0; 60])).expect("weeks enough");
        assert!(trend.per_month.abs() < 1e-9 && trend.plus_minus > 0.1, "{trend:?}");
    }

    #[test]
    fn an_unset_or_wrong_clock_leaves_no_weeks() {
        let mut weeks = daily((0..40).map(f64::from));
        let right = weeks.clone();
        weeks.note(0, TrendMetric::SpreadRest, 1e6);
        assert_eq!(weeks, right);
        // A clock that was years ahead, for weeks, and is set right.
        let mut wrong = WeeklyMeans::default();
        for day in 0..40 {
            wrong.note(CLOCK_SET + (4_000 + day) * DAY, TrendMetric::Share, 50.0);
        }
        let mut fresh = WeeklyMeans::default();
        for day in 0..3 {
            wrong.note(CLOCK_SET + day * DAY, TrendMetric::Share, 100.0);
        }
        for day in 1..3 {
            fresh.note(CLOCK_SET + day * DAY, TrendMetric::Share, 100.0);
        }
        assert_eq!(wrong, fresh, "for a day it is unknown which clock is right");
    }

    #[test]
    fn a_clock_briefly_behind_drops_no_weeks() {
        let mut weeks = daily((0..200).map(f64::from));
        let right = weeks.clone();
        for hour in 0..20 {
            weeks.note(CLOCK_SET + 20 * DAY + hour * 3_600, TrendMetric::SpreadRest, 1e6);
        }
        weeks.note(CLOCK_SET + 199 * DAY, TrendMetric::Share, 100.0);
        assert_eq!(weeks.past, right.past);
        assert_eq!(weeks.now[TrendMetric::SpreadRest as usize], right.now[TrendMetric::SpreadRest as usize]);
    }
}
