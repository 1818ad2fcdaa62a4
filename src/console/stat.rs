//! `stat`: lifetime counters (protocol, section 9).
//!
//! ```text
//! Device address           1
//! CYCLE Times     :      666
//! Pwr Coulomb     : 158824440
//! ```

use serde::Serialize;

use crate::console::answer::Answer;
use crate::console::error::{ParseError, excerpt};
use crate::console::fields::field;
use crate::console::number::integer;
use crate::model::units::{MilliampHours, Percent};

/// Lifetime counters of a battery.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stat {
    /// The battery's address, from 1 (0 for a stack).
    pub address: Option<i64>,
    /// Full cycles, as the battery counts them.
    pub cycles: Option<i64>,
    /// State of health; not on every firmware.
    #[serde(rename = "soh_percent")]
    pub soh: Option<Percent>,
    /// Charge left, in milliampere-seconds.
    #[serde(rename = "remaining_mas")]
    pub remaining: Option<i64>,
    /// Charge taken out over the battery's life.
    #[serde(rename = "discharged_mah")]
    pub discharged: Option<MilliampHours>,
    /// Every counter by its label, in the console's order.
    pub counters: Vec<(String, i64)>,
    /// Lines that could not be read; the others stand.
    #[serde(skip)]
    pub problems: Vec<ParseError>,
}

impl Stat {
    /// The counter that the console labels so.
    #[must_use]
    pub fn counter(&self, label: &str) -> Option<i64> {
        self.counters.iter().find(|(name, _)| name == label).map(|(_, value)| *value)
    }
}

/// Reads the counters. Lines that can't be read are named in `problems`.
///
/// # Errors
/// There is no counter at all.
pub fn parse(answer: &Answer) -> Result<Stat, ParseError> {
    let mut stat = Stat::default();
    for (line, text) in answer.lines() {
        if let Some(address) =
            text.trim().strip_prefix("Device address").and_then(|rest| integer(rest.trim()))
        {
            stat.address = Some(address);
            continue;
        }
        let read = field(line, text).map(|field| (field.label.0, integer(field.value)));
        match read {
            Some((label, Some(value))) => stat.counters.push((excerpt(label), value)),
            _ => stat.problems.push(ParseError::Value {
                line,
                what: "a line".into(),
                expected: "a label, a colon and a whole number",
                found: excerpt(text.trim()),
            }),
        }
    }
    if stat.counters.is_empty() {
        return Err(ParseError::Nothing { expected: "lines like \"CYCLE Times : 12\"", lines: answer.len() });
    }
    // The second label of a pair is a high-voltage stack's.
    let first = |labels: [&str; 2]| labels.into_iter().find_map(|label| stat.counter(label));
    let cycles = stat.counter("CYCLE Times");
    let soh = first(["SOH", "SOH Percent"]).and_then(|value| i32::try_from(value).ok()).map(Percent);
    let remaining = first(["Pwr Coulomb", "Pwr Coulomb(mAS)"]);
    let discharged = first(["Dsg Cap", "Dsg Cap(mAH)"]).map(MilliampHours);
    Ok(Stat { cycles, soh, remaining, discharged, ..stat })
}
