//! The health of a battery: a verdict and its reasons.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::trend::Trend;
use crate::model::units::{MilliampHours, Millivolts};

/// The verdict on a battery, ordered from bad to good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthVerdict {
    /// A permanent fault.
    Failing,
    /// An anomaly.
    Watch,
    /// Not enough evidence.
    #[default]
    Unknown,
    /// No finding.
    Healthy,
}

impl HealthVerdict {
    #[must_use]
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Watch => "watch",
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
        }
    }
}

/// Evidence that a battery needs to be healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// Changing currents on the flat part of the voltage curve: resistance.
    Load,
    /// The steep end near full: cells that are full before the others.
    NearFull,
    /// The steep end near empty: cells that hold less than the others.
    NearEmpty,
}

/// A reason of a verdict: a finding against a battery, or missing evidence. Cells are counted from 1.
#[derive(Clone, Debug, PartialEq)]
pub enum HealthReason {
    /// Reported by the battery itself.
    Fault(String),
    /// A cell is full and empty before the others.
    WeakCell {
        cell: u16,
        /// How far below the others when nearly empty, in millivolts.
        below: f64,
    },
    /// A cell lags behind the others at both ends.
    LowCell {
        cell: u16,
        /// How far below the others when nearly empty, in millivolts.
        below: f64,
    },
    /// Near full a cell is far above the others although hardly any current flows.
    RunsAhead {
        cell: u16,
        /// How far above the others, in millivolts.
        above: f64,
        /// Its voltage, in millivolts.
        highest: f64,
        /// At this current, in capacities an hour.
        rate: f64,
        /// How far below the others at rest, in millivolts, where it lags behind there as well.
        behind: Option<f64>,
    },
    /// Near full and at rest a cell is far below the others.
    LagsBehind {
        cell: u16,
        /// How far below the others, in millivolts.
        below: f64,
    },
    /// A cell or its connection has more resistance than the others.
    Resistance {
        cell: u16,
        /// How much more, in milliohms.
        more: f64,
    },
    /// A cell's voltage is read wrongly: it differs where all are alike, whatever the current.
    VoltageSensor {
        cell: u16,
        /// By how much, in millivolts.
        off: f64,
    },
    /// A temperature differs from the others although hardly any current flows.
    TemperatureSensor {
        first: u16,
        last: u16,
        /// By how much, in degrees.
        off: f64,
    },
    /// It holds less than it was sold for.
    Capacity {
        seen: MilliampHours,
        /// In percent of the nominal.
        percent: f64,
    },
    /// By its own measurement it holds less than it was sold for.
    OwnCapacity {
        /// What it measured.
        capacity: MilliampHours,
        /// In percent of the nominal.
        percent: f64,
    },
    /// Its own measure of its health is low.
    Soh(i32),
    /// It takes too little of the current.
    Share {
        /// In percent of what would be fair.
        percent: f64,
    },
    /// It has not been full for long, and only then is it balanced and its state of charge set right.
    NotFull {
        /// For so many days.
        days: f64,
    },
    /// A figure changes faster than years explain.
    Trend(Trend),
    /// The console's state of charge changes by more or less than the charge that flows.
    ChargeDisagrees,
    /// So far it was watched for so many hours.
    TooEarly {
        /// Hours.
        hours: f64,
    },
    /// A way in which cells fail could not show yet.
    NotYetSeen(Evidence),
}

impl fmt::Display for HealthReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(word) => write!(f, "the battery reports {word}"),
            Self::WeakCell { cell, below } => write!(
                f,
                "cell {cell} is weak: it is full before the others and, near empty, {below:.0} mV below them"
            ),
            Self::LowCell { cell, below } => write!(
                f,
                "cell {cell} holds less charge than the others: it is the last to be full and, near empty, {below:.0} mV \
                 below them; a few hours at full charge will balance it"
            ),
            Self::RunsAhead { cell, above, highest, rate, behind } => {
                write!(
                    f,
                    "cell {cell} runs ahead of the others near full: {above:.0} mV above them, at {highest:.0} mV, while \
                     the current is {rate:.2} C; it ends every charge early"
                )?;
                behind.map_or(Ok(()), |below| {
                    write!(f, ", and at rest it is {below:.0} mV below them, which balancing does not fix")
                })
            }
            Self::LagsBehind { cell, below } => write!(
                f,
                "cell {cell} lags behind the others: {below:.0} mV below them near full and at rest; if a few days \
                 of full charges do not balance it, it loses charge by itself"
            ),
            Self::Resistance { cell, more } => write!(
                f,
                "cell {cell} has {more:.2} mΩ more resistance than the others: it is ageing, or a connection is loose"
            ),
            Self::VoltageSensor { cell, off } => write!(
                f,
                "cell {cell} reads {off:+.0} mV compared with the other cells at any current: voltage sensing error"
            ),
            Self::TemperatureSensor { first, last, off } => {
                if first == last {
                    write!(f, "the temperature of cell {first}")?;
                } else {
                    write!(f, "the temperature of cells {first} to {last}")?;
                }
                write!(
                    f,
                    " reads {off:+.1} K compared with the other cells although hardly any current flows"
                )
            }
            Self::Capacity { seen, percent } => write!(
                f,
                "it held {:.1} Ah in full cycles, {percent:.0} % of its nominal capacity",
                seen.ampere_hours()
            ),
            Self::OwnCapacity { capacity, percent } => write!(
                f,
                "by its own measurement it holds {:.1} Ah, {percent:.0} % of its nominal capacity",
                capacity.ampere_hours()
            ),
            Self::Soh(soh) => write!(f, "its reported state of health is {soh} %"),
            Self::Share { percent } => write!(
                f,
                "it takes {percent:.0} % of its share of the current: check the breaker, the cables, and whether it is \
                 switched on"
            ),
            Self::NotFull { days } => write!(f, "it has not been full for {days:.0} days"),
            Self::Trend(trend) => trend.fmt(f),
            Self::ChargeDisagrees => f.write_str(
                "state of charge and measured charge disagree, so its capacity and efficiency are unknown",
            ),
            Self::NotYetSeen(evidence) => f.write_str(match evidence {
                Evidence::Load => {
                    "not yet seen under changing load between 40 and 85 %, where resistance shows"
                }
                Evidence::NearFull => "not yet seen near full, where a cell that is full early shows",
                Evidence::NearEmpty => "not yet seen near empty, where a cell that holds less shows",
            }),
            Self::TooEarly { hours } => {
                write!(
                    f,
                    "watched for {hours:.0} hours so far, a verdict takes a day of full sweeps with cells"
                )
            }
        }
    }
}

/// The cell that is most often the lowest or the highest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ExtremeCell {
    /// From 1.
    pub(crate) cell: u16,
    /// In percent of the last day.
    pub(crate) percent: f64,
}

/// The health of a battery; a value without data is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatteryHealth {
    pub verdict: HealthVerdict,
    /// The worst first: findings or, if the verdict is unknown, missing evidence. Empty for a healthy battery.
    pub reasons: Vec<HealthReason>,
    /// The cell that is mostly the lowest.
    pub(crate) lowest: Option<ExtremeCell>,
    /// The cell that is mostly the highest.
    pub(crate) highest: Option<ExtremeCell>,
    /// Highest minus lowest cell at rest.
    pub(crate) spread_rest: Option<Millivolts>,
    /// The same under load.
    pub(crate) spread_load: Option<Millivolts>,
    /// For how much of the last day a cell was being balanced, in percent.
    pub(crate) balancing: Option<f64>,
    pub capacity_seen: Option<MilliampHours>,
    /// Round-trip efficiency in percent.
    pub efficiency: Option<f64>,
    /// Its share of the bank's current, in percent of its fair share.
    pub(crate) current_share: Option<f64>,
    /// Days since it was last full.
    pub(crate) days_since_full: Option<f64>,
    /// Discharged charge over its lifetime, divided by its nominal capacity.
    pub(crate) cycles_by_charge: Option<f64>,
    pub trends: Vec<Trend>,
}
