//! How a battery is: a verdict, and its reasons in words.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::trend::Trend;
use crate::model::units::{MilliampHours, Millivolts};

/// The verdict on a battery, from bad to good; the worst of its reasons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthVerdict {
    /// Something is wrong that will not mend itself.
    Failing,
    /// Something is out of the ordinary.
    Watch,
    /// Too little was seen of it.
    #[default]
    Unknown,
    /// Nothing speaks against it.
    Healthy,
}

impl HealthVerdict {
    /// Its word in keys and logs.
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

/// What must have been seen of a battery before it is called healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// Changing currents on the flat part of the voltage curve: resistance.
    Load,
    /// The steep end near full: cells that are full before the others.
    NearFull,
    /// The steep end near empty: cells that hold less than the others.
    NearEmpty,
}

/// What a verdict is based on: what speaks against a battery, or what is missing for a verdict. Cells are counted from
/// 1.
#[derive(Clone, Debug, PartialEq)]
pub enum HealthReason {
    /// It says so itself.
    Fault(String),
    /// A cell is full and empty before the others.
    WeakCell {
        /// Which.
        cell: u16,
        /// How far below the others when nearly empty, in millivolts.
        below: f64,
    },
    /// A cell lags behind the others at both ends.
    LowCell {
        /// Which.
        cell: u16,
        /// How far below the others when nearly empty, in millivolts.
        below: f64,
    },
    /// Near full a cell is far above the others although hardly any current flows.
    RunsAhead {
        /// Which.
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
        /// Which.
        cell: u16,
        /// How far below the others, in millivolts.
        below: f64,
    },
    /// A cell or its connection has more resistance than the others.
    Resistance {
        /// Which.
        cell: u16,
        /// How much more, in milliohms.
        more: f64,
    },
    /// A cell's voltage is read wrongly: it differs where all are alike, whatever the current.
    VoltageSensor {
        /// Which.
        cell: u16,
        /// By how much, in millivolts.
        off: f64,
    },
    /// A temperature differs from the others although hardly any current flows.
    TemperatureSensor {
        /// The first cell that it is told of.
        first: u16,
        /// The last.
        last: u16,
        /// By how much, in degrees.
        off: f64,
    },
    /// It holds less than it was sold for.
    Capacity {
        /// What it held in full cycles.
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
            Self::Fault(word) => write!(f, "the battery says {word}"),
            Self::WeakCell { cell, below } => write!(
                f,
                "cell {cell} is weak: it is full before the others, and nearly empty {below:.0} mV below them"
            ),
            Self::LowCell { cell, below } => write!(
                f,
                "cell {cell} holds less charge than the others: the last to be full, and nearly empty {below:.0} mV below \
                 them; a few hours at full charge balance it"
            ),
            Self::RunsAhead { cell, above, highest, rate, behind } => {
                write!(
                    f,
                    "cell {cell} runs ahead of the others near full: {above:.0} mV above them, at {highest:.0} mV, while \
                     the current is {rate:.2} C; it ends every charge early"
                )?;
                behind.map_or(Ok(()), |below| {
                    write!(f, ", and at rest it is {below:.0} mV below them, which balancing does not cure")
                })
            }
            Self::LagsBehind { cell, below } => write!(
                f,
                "cell {cell} lags behind the others: {below:.0} mV below them near full and at rest; if a few days \
                 of full charges do not balance it, it loses charge by itself"
            ),
            Self::Resistance { cell, more } => write!(
                f,
                "cell {cell} has {more:.2} mΩ more than the others: the cell ages, or a connection of it is loose"
            ),
            Self::VoltageSensor { cell, off } => write!(
                f,
                "cell {cell} reads {off:+.0} mV beside the others at any current: its measuring line is off"
            ),
            Self::TemperatureSensor { first, last, off } => {
                if first == last {
                    write!(f, "the temperature of cell {first}")?;
                } else {
                    write!(f, "the temperature of cells {first} to {last}")?;
                }
                write!(f, " reads {off:+.1} K beside the others although hardly any current flows")
            }
            Self::Capacity { seen, percent } => write!(
                f,
                "it held {:.1} Ah in full cycles, {percent:.0} % of what it was sold for",
                seen.ampere_hours()
            ),
            Self::OwnCapacity { capacity, percent } => write!(
                f,
                "by its own measurement it holds {:.1} Ah, {percent:.0} % of what it was sold for",
                capacity.ampere_hours()
            ),
            Self::Soh(soh) => write!(f, "its own state of health is {soh} %"),
            Self::Share { percent } => write!(
                f,
                "it takes {percent:.0} % of its share of the current: a breaker, a loose cable, or a battery that is \
                 switched off"
            ),
            Self::NotFull { days } => write!(f, "it has not been full for {days:.0} days"),
            Self::Trend(trend) => trend.fmt(f),
            Self::ChargeDisagrees => f.write_str(
                "state of charge and measured charge disagree, so its capacity and efficiency are not known",
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

/// A cell, and how steadily it is the one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ExtremeCell {
    /// From 1.
    pub(crate) cell: u16,
    /// In percent of the last day.
    pub(crate) percent: f64,
}

/// What is known of a battery's health. A figure that could not be seen is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatteryHealth {
    /// The verdict.
    pub verdict: HealthVerdict,
    /// What it is based on, the worst first: what speaks against it or, if it is unknown, what is missing. Empty for a
    /// healthy battery.
    pub reasons: Vec<HealthReason>,
    /// The cell that is mostly the lowest.
    pub(crate) lowest: Option<ExtremeCell>,
    /// The cell that is mostly the highest.
    pub(crate) highest: Option<ExtremeCell>,
    /// Highest less lowest cell at rest.
    pub(crate) spread_rest: Option<Millivolts>,
    /// The same under load.
    pub(crate) spread_load: Option<Millivolts>,
    /// For how much of the last day a cell was being balanced, in percent.
    pub(crate) balancing: Option<f64>,
    /// What it held in full cycles.
    pub capacity_seen: Option<MilliampHours>,
    /// What came out of what went in, in percent, from one full charge to the next.
    pub efficiency: Option<f64>,
    /// Its share of the bank's current, in percent of what would be fair.
    pub(crate) current_share: Option<f64>,
    /// Days since it was last full.
    pub(crate) days_since_full: Option<f64>,
    /// Charge taken out over its life, in times its nominal capacity.
    pub(crate) cycles_by_charge: Option<f64>,
    /// Where its figures are heading, those of which enough is known.
    pub trends: Vec<Trend>,
}
