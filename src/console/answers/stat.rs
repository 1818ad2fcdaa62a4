//! `stat`: lifetime counters (protocol, section 9).
//!
//! ```text
//! Device address           1
//! CYCLE Times     :      666
//! Pwr Coulomb     : 158824440
//! ```

use serde::Serialize;

use crate::console::answers::stat_labels;
use crate::console::error::{ParseError, excerpt};
use crate::console::framing::answer::Answer;
use crate::console::parsing::labeled_line::{Label, is_one_of, parse_labeled_line};
use crate::console::parsing::number::{amount, integer};
use crate::model::units::{MilliampHours, Percent};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stat {
    /// The battery's address, from 1 (0 for a stack).
    pub(crate) address: Option<i64>,
    pub cycles: Option<i64>,
    /// Not printed by every firmware.
    #[serde(rename = "soh_percent")]
    pub soh: Option<Percent>,
    /// In milliampere-seconds.
    #[serde(rename = "remaining_mas")]
    pub remaining: Option<i64>,
    /// Over the battery's life.
    #[serde(rename = "discharged_mah")]
    pub discharged: Option<MilliampHours>,
    /// The counters with known labels, in the console's order.
    pub counters: Vec<(String, i64)>,
    /// Counters with unknown labels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) other: Vec<(String, i64)>,
    /// Lines that could not be parsed; the others are valid.
    #[serde(skip)]
    pub(crate) problems: Vec<ParseError>,
}

/// Parses the counters; lines that cannot be parsed are listed in `problems`.
///
/// # Errors
/// Returns an error if there is no counter.
pub(crate) fn parse(answer: &Answer) -> Result<Stat, ParseError> {
    let mut stat = Stat::default();
    let mut units = Vec::new();
    for (line, text) in answer.lines() {
        let field = parse_labeled_line(line, text);
        let address = field.map_or(text.trim().strip_prefix(ADDRESS), |field| {
            (field.label == Label(ADDRESS)).then_some(field.value)
        });
        if let Some(address) = address.and_then(|number| integer(number.trim())) {
            stat.address = Some(address);
            continue;
        }
        let read = field.map(|field| (field, amount(field.value).filter(|(_, unit)| is_one_of(UNITS, unit))));
        match read {
            Some((field, Some((value, unit)))) if stat_labels::is_known(field.label.0) => {
                stat.counters.push((excerpt(field.label.0), value));
                units.push(unit);
            }
            Some((field, Some((value, _)))) => stat.other.push((excerpt(field.label.0), value)),
            Some((field, None)) if field.is_blank() => {}
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
    // Of two labels, the second is that of a high-voltage stack.
    let first = |labels: &[&str], known: &[&str]| {
        let unit_of = |label: &str| stat.counters.iter().position(|(name, _)| Label(name) == Label(label));
        let at = labels.iter().find_map(|label| unit_of(label))?;
        is_one_of(known, units[at]).then(|| stat.counters[at].1)
    };
    let cycles = first(&["CYCLE Times"], &[""]);
    let soh = first(&["SOH", "SOH Percent", "Sys SOH"], &["", "%"])
        .and_then(|value| i32::try_from(value).ok())
        .map(Percent);
    let remaining = first(&["Pwr Coulomb", "Pwr Coulomb(mAS)"], &["", "mAS"]);
    let discharged = first(&["Dsg Cap", "Dsg Cap(mAH)"], &["", "mAH"]).map(MilliampHours);
    Ok(Stat { cycles, soh, remaining, discharged, ..stat })
}

const ADDRESS: &str = "Device address";

/// The units of counters; most have none.
const UNITS: &[&str] = &["", "%", "mAS", "mAH", "mWH", "WH", "uWH", "S", "Sec", "Secs", "mV"];

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(lines: &str) -> Stat {
        let text = format!("stat\n@\nDevice address 1\n{lines}\nCommand completed successfully\n$$\n");
        parse(&Answer::from_transcript(text.as_bytes())).expect("counters")
    }

    #[test]
    fn the_state_of_health_is_parsed_with_and_without_unit() {
        for line in ["SOH : 92", "SOH : 92%", "Sys SOH : 92%", "SOH Percent : 92 %"] {
            let read = stat(line);
            assert_eq!((read.soh, read.problems.len()), (Some(Percent(92)), 0), "{line}");
        }
        let read = stat("SOH : 92mAH\nCYCLE Times : 666%\nDsg Cap : 33318354mAH");
        assert_eq!((read.soh, read.cycles), (None, None), "another unit is another value");
        assert_eq!(read.discharged, Some(MilliampHours(33_318_354)));
    }

    #[test]
    fn a_damaged_label_is_an_unknown_counter() {
        let read = stat("CYCLE Timqs : 666\nSOH : 92\nDsg  Cap : 7\nShut Times : 3");
        assert_eq!(read.other, [("CYCLE Timqs".to_owned(), 666)]);
        assert_eq!(
            (
                read.cycles,
                read.soh,
                read.counters.iter().find(|(name, _)| name == "Shut Times").map(|(_, value)| *value)
            ),
            (None, Some(Percent(92)), Some(3))
        );
        assert_eq!(read.discharged, Some(MilliampHours(7)), "more blanks are no damage");
    }

    #[test]
    fn a_blank_or_unreadable_counter_loses_only_itself() {
        let read = stat("SOH :\nSOH Times : N/A\nReset Times : 1x\nCYCLE Times : 12");
        assert_eq!((read.soh, read.cycles, read.counters.len()), (None, Some(12), 1));
        assert_eq!(read.problems.len(), 1, "{:?}", read.problems);
        assert_eq!(stat("Device address : 3\nShut Times : 3").address, Some(3));
    }
}
