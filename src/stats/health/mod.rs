//! The health model of a battery, learned over days: deviations of its cells, its share of the current.
//!
//! A value is recorded only where it is meaningful. Between 40 and 85 % all LFP cells have nearly the same voltage,
//! whatever their charge: what differs there is resistance (with the current) or a measuring line (without it). Near
//! full and near empty the voltage is steep: there capacity and charge show.
//!
//! ```text
//!  mV ┤                            ╭ top: the highest cell is above 3 400 mV, charging
//!     │      ╭─────────────────────╯
//!     │  ╭───╯   plateau: 40 to 85 %
//!     │ ╭╯
//!     │ │ bottom: the lowest cell is below 3 200 mV, discharging
//!     └────────────────────────────────► state of charge
//! ```

mod measured_capacity;
pub mod near_full;
mod verdict;

use serde::{Deserialize, Serialize};

use crate::model::reading::CellReading;
use crate::model::trend::TrendMetric;
use crate::stats::health::near_full::{CellLook, NearFull};
use crate::stats::means::RunningMeans;

pub(crate) use measured_capacity::MeasuredCapacity;
pub(crate) use verdict::{HealthInput, assess};

/// Seconds of an hour and of a day.
pub(super) const HOUR: f64 = 3_600.0;
pub(super) const DAY: f64 = 24.0 * HOUR;
/// The maximum time between two samples that is counted.
const LONGEST: f64 = 600.0;

/// The window in which all cells have nearly the same voltage, in percent and degrees: colder or warmer ones differ by
/// their temperature.
const PLATEAU_SOC: (f64, f64) = (40.0, 85.0);
const MILD: (f64, f64) = (10.0, 40.0);
/// A cell above this is on the steep end under charge, and below this under discharge, in millivolts.
pub(super) const STEEP_ABOVE: f64 = 3_400.0;
pub(super) const STEEP_BELOW: f64 = 3_200.0;
/// At rest: less current than this, in capacities per hour, for this many seconds, which relaxation takes.
const REST_CURRENT: f64 = 0.02;
const REST_FOR: f64 = 1_800.0;
/// Under load: more than this.
const LOAD_CURRENT: f64 = 0.2;
/// Below this the current causes no heating.
const COOL_CURRENT: f64 = 0.15;
/// The minimum current of the bank for measuring the shares of its batteries.
const SHARED_CURRENT: f64 = 0.05;

/// Metrics of the model that are followed over weeks.
pub(crate) const FOLLOWED: [TrendMetric; 2] = [TrendMetric::Resistance, TrendMetric::Share];

/// The cell spread in one sample, in millivolts, at rest and under load; `None` if it was neither.
pub(crate) type Spreads = [Option<f64>; 2];

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HealthModel {
    /// The total time.
    watched: RunningMeans,
    /// How often each cell was the lowest, then the highest.
    extremes: RunningMeans,
    /// On the plateau: the current, its square, each cell's deviation, and its product with the current.
    plateau: RunningMeans,
    /// Each cell's deviation near full and near empty.
    top: RunningMeans,
    bottom: RunningMeans,
    #[serde(default)]
    near_full: NearFull,
    /// Each cell's deviation in temperature.
    warmth: RunningMeans,
    /// Highest minus lowest cell.
    rest: RunningMeans,
    load: RunningMeans,
    /// Whether a cell is being balanced.
    balancing: RunningMeans,
    /// The product of its current and the bank's, and the same product for a fair share.
    share: RunningMeans,
    #[serde(skip)]
    resting_for: f64,
}

/// The input of the health model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HealthSample<'a> {
    /// Its cells.
    pub(crate) cells: &'a [CellReading],
    /// Amperes, positive while charging.
    pub(crate) current: f64,
    /// Nominal ampere-hours.
    pub(crate) capacity: f64,
    /// Percent.
    pub(crate) soc: f64,
    /// Since the last sample.
    pub(crate) seconds: f64,
    /// For batteries in parallel: the total current, and the fair share of this battery.
    pub(crate) bank: Option<(f64, f64)>,
}

impl HealthModel {
    /// Updates the model and returns the cell spread of the sample.
    pub(crate) fn take(&mut self, sample: &HealthSample<'_>) -> Spreads {
        let seconds = sample.seconds.clamp(0.0, LONGEST);
        let rate = sample.current / sample.capacity;
        self.watched.take(&[1.0], seconds, DAY);
        self.take_share(sample, seconds);
        let balancing: Option<Vec<bool>> = sample.cells.iter().map(|cell| cell.balancing).collect();
        if let Some(balancing) = balancing.filter(|all| !all.is_empty()) {
            let any = f64::from(u8::from(balancing.contains(&true)));
            self.balancing.take(&[any], seconds, DAY);
        }
        let degrees = all(sample.cells, |cell| cell.temperature.map(|value| value.celsius()));
        if let Some(degrees) = degrees.as_ref().filter(|_| rate.abs() <= COOL_CURRENT) {
            self.warmth.take(&deviations(degrees), seconds, DAY);
        }
        let Some(volts) = all(sample.cells, |cell| cell.voltage.map(|value| f64::from(value.0))) else {
            return Spreads::default();
        };
        let mild = degrees.is_none_or(|degrees| degrees.iter().all(|value| within(*value, MILD)));
        self.take_cells(sample, rate, &volts, mild, seconds)
    }

    fn take_cells(
        &mut self,
        sample: &HealthSample<'_>,
        rate: f64,
        volts: &[f64],
        mild: bool,
        seconds: f64,
    ) -> Spreads {
        let (lowest, highest) = extremes(volts);
        let mut marks = vec![0.0; 2 * volts.len()];
        (marks[lowest], marks[volts.len() + highest]) = (1.0, 1.0);
        self.extremes.take(&marks, seconds, DAY);
        self.resting_for = if rate.abs() <= REST_CURRENT { self.resting_for + seconds } else { 0.0 };
        let deviations = deviations(volts);
        if volts[highest] >= STEEP_ABOVE && rate > REST_CURRENT {
            self.top.take(&deviations, seconds, 4.0 * HOUR);
        }
        if volts[lowest] <= STEEP_BELOW && rate < -REST_CURRENT {
            self.bottom.take(&deviations, seconds, 4.0 * HOUR);
        }
        self.near_full.take(&CellLook {
            highest: volts[highest],
            deviations: &deviations,
            rate,
            soc: sample.soc,
            rested: self.resting_for >= REST_FOR,
            seconds,
            watched: self.watched.seconds(),
        });
        if !mild || !within(sample.soc, PLATEAU_SOC) {
            return Spreads::default();
        }
        let spread = volts[highest] - volts[lowest];
        let rest = Some(spread).filter(|_| self.resting_for >= REST_FOR);
        let load = Some(spread).filter(|_| rate.abs() >= LOAD_CURRENT);
        for (means, spread) in [(&mut self.rest, rest), (&mut self.load, load)] {
            spread.into_iter().for_each(|spread| means.take(&[spread], seconds, DAY));
        }
        let current = sample.current;
        let line = [current, current * current].into_iter();
        let line = line.chain(deviations.iter().copied()).chain(deviations.iter().map(|off| off * current));
        self.plateau.take(&line.collect::<Vec<_>>(), seconds, 3.0 * DAY);
        [rest, load]
    }

    fn take_share(&mut self, sample: &HealthSample<'_>, seconds: f64) {
        let Some((all, fair)) = sample.bank else { return };
        // A full battery accepts no charge and an empty one supplies none, which is not a fault.
        let able = if all > 0.0 { sample.soc < 90.0 } else { sample.soc > 15.0 };
        if able && all.abs() * fair >= SHARED_CURRENT * sample.capacity {
            self.share.take(&[sample.current * all, all * all * fair], seconds, DAY);
        }
    }

    /// Returns the number of cells in the model.
    #[must_use]
    pub(crate) fn cells(&self) -> Option<usize> {
        self.extremes.after(0.0).map(|extremes| extremes.len() / 2)
    }

    /// Returns the seconds of data for each of [`FOLLOWED`].
    #[must_use]
    pub(crate) fn seen(&self) -> [f64; FOLLOWED.len()] {
        [&self.plateau, &self.share].map(RunningMeans::seconds)
    }

    /// Whether the values are valid; false for a damaged file.
    #[must_use]
    pub(crate) fn sound(&self) -> bool {
        let cells = [&self.extremes, &self.plateau, &self.top, &self.bottom, &self.warmth];
        let others = [&self.watched, &self.rest, &self.load, &self.balancing, &self.share];
        cells.into_iter().chain(others).all(RunningMeans::sound) && self.near_full.sound()
    }
}

fn within(value: f64, (low, high): (f64, f64)) -> bool {
    (low..=high).contains(&value)
}

/// Returns a value of every cell; `None` if one is missing.
fn all(cells: &[CellReading], value: impl Fn(&CellReading) -> Option<f64>) -> Option<Vec<f64>> {
    cells.iter().map(value).collect::<Option<Vec<_>>>().filter(|values| values.len() > 1)
}

/// Returns the indices of the lowest and the highest value.
fn extremes(values: &[f64]) -> (usize, usize) {
    let mut found = (0, 0);
    for (at, value) in values.iter().enumerate() {
        if *value < values[found.0] {
            found.0 = at;
        }
        if *value > values[found.1] {
            found.1 = at;
        }
    }
    found
}

/// Returns the deviations from the median, which a single outlier does not move.
fn deviations(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    let middle = if sorted.len() % 2 == 1 { sorted[half] } else { (sorted[half - 1] + sorted[half]) / 2.0 };
    values.iter().map(|value| value - middle).collect()
}
