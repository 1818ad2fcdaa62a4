//! `euro`: lifetime values of the connected battery (protocol, `euro`).
//!
//! ```text
//! SOH:
//! Date of manufacture : 2023-05-11
//! Remain Cap. 1       : 71.25 Ah
//! Chg. Energy Thro.   : 4210 Wh  1834000 mWs
//! ```
//! Two layouts are known, both only from documentation. So the unit is taken from the answer and never assumed: a
//! number with an unknown unit, or without a required one, is ignored. If a line has two values, the second is the
//! remainder of the first in a smaller unit, and only the first is used.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::console::error::{ParseError, excerpt};
use crate::console::framing::answer::Answer;
use crate::console::parsing::labeled_line::{Label, LabeledLine, labeled_lines};
use crate::console::parsing::number::date_time;
use crate::model::lifetime::{LifetimeFigure, Measure};

use LifetimeFigure as Figure;

/// Lifetime values of a battery.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Euro {
    #[serde(serialize_with = "by_column")]
    pub values: BTreeMap<LifetimeFigure, i64>,
    /// Lines with unknown labels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other: Vec<(String, String)>,
    /// Lines that could not be parsed; the others are valid.
    #[serde(skip)]
    pub(crate) problems: Vec<ParseError>,
}

fn by_column<S: serde::Serializer>(
    values: &BTreeMap<LifetimeFigure, i64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(values.iter().map(|(figure, value)| (figure.column(), value)))
}

/// The labels of both layouts. If a label has several values, the unit determines which one it is.
pub const LABELS: &[(&str, &[LifetimeFigure])] = &[
    ("Date of manufacture", &[Figure::Manufactured]),
    ("Date of putting into service", &[Figure::InService]),
    ("Storage", &[Figure::Storage]),
    ("Remain Cap.", &[Figure::Capacity]),
    ("Remain Cap. 1", &[Figure::Capacity]),
    ("Remain Cap. 2", &[Figure::Capacity2]),
    ("Remain Power", &[Figure::Energy, Figure::Power, Figure::PowerShare]),
    ("Round Trip Eff.", &[Figure::RoundTrip]),
    ("Self Dsg Rate", &[Figure::SelfDischarge]),
    ("Resistence", &[Figure::Resistance]),
    ("Resistance", &[Figure::Resistance]),
    ("Chg. Energy Thro.", &[Figure::EnergyCharged]),
    ("Dsg. Energy Thro.", &[Figure::EnergyDischarged]),
    ("Energy Thro.", &[Figure::EnergyThroughput]),
    ("Chg. Capac. Thro.", &[Figure::ChargeIn]),
    ("Dsg. Capac. Thro.", &[Figure::ChargeOut]),
    ("Capac. Thro.", &[Figure::ChargeThroughput]),
    ("Deep Dsg. Count", &[Figure::DeepDischarges]),
    ("Extr. Tempr Total", &[Figure::ExtremeTemperature]),
    ("Extr. Tempr Chg.", &[Figure::ExtremeCharging]),
    ("Chg. Dsg. Cycle", &[Figure::Cycles]),
    ("Chg. Dsg. Cycle2", &[Figure::Cycles2]),
];

/// The known units, each with its factor to the stored unit.
fn units(measure: Measure) -> &'static [(&'static str, f64)] {
    match measure {
        Measure::Date => &[],
        Measure::Days => &[("days", 1.0), ("day", 1.0)],
        Measure::Charge => &[("Ah", 1_000.0), ("mAh", 1.0), ("As", 1.0 / 3.6), ("mAs", 1.0 / 3_600.0)],
        Measure::Energy => &[("kWh", 1_000_000.0), ("Wh", 1_000.0), ("mWh", 1.0), ("Ws", 1.0 / 3.6)],
        Measure::Power => &[("kW", 1_000_000.0), ("W", 1_000.0)],
        Measure::Percent => &[("%", 100.0)],
        Measure::Resistance => &[("Ohm", 1_000_000.0), ("mOhm", 1_000.0), ("uOhm", 1.0)],
        Measure::Time => {
            &[("s", 1.0), ("Sec.", 1.0), ("Sec", 1.0), ("Secs", 1.0), ("min", 60.0), ("h", 3_600.0)]
        }
        Measure::Count => &[("", 1.0), ("times", 1.0)],
    }
}

/// The highest plausible value, in the stored unit.
fn highest(figure: LifetimeFigure) -> i64 {
    match figure {
        Figure::Capacity | Figure::Capacity2 => 10_000_000,
        Figure::Energy => 1_000_000_000,
        _ => match figure.measure() {
            Measure::Date => 20_991_231,
            Measure::Days => 36_525,
            Measure::Charge => 100_000_000_000,
            Measure::Energy => 10_000_000_000_000,
            Measure::Power => 1_000_000_000,
            Measure::Percent => 20_000,
            Measure::Resistance => 10_000_000,
            Measure::Time => 3_200_000_000,
            Measure::Count => 10_000_000,
        },
    }
}

/// Parses the values; lines that cannot be parsed are listed in `problems`.
///
/// # Errors
/// Returns an error if no line has a known label.
pub(crate) fn parse(answer: &Answer) -> Result<Euro, ParseError> {
    let mut euro = Euro::default();
    let mut known = 0;
    for field in labeled_lines(answer) {
        let label = LABELS.iter().find(|(label, _)| Label(label) == field.label);
        known += usize::from(label.is_some());
        // Headings have a colon as well; unset dates and durations are dashes.
        if field.is_blank() || never_set(field.value) {
            continue;
        }
        let Some((_, figures)) = label else {
            euro.other.push((excerpt(field.label.0), excerpt(field.value)));
            continue;
        };
        match value(&field, figures) {
            Ok(Some((figure, value))) => {
                euro.values.insert(figure, value);
            }
            Ok(None) => {}
            Err(expected) => euro.problems.push(field.invalid(expected)),
        }
    }
    if known == 0 {
        return Err(ParseError::Nothing {
            expected: "lines like \"Remain Cap. 1 : …\"",
            lines: answer.len(),
        });
    }
    Ok(euro)
}

/// Whether the value has dashes in place of a number: `- days`.
fn never_set(value: &str) -> bool {
    value.split_ascii_whitespace().next().is_some_and(|number| number.bytes().all(|byte| byte == b'-'))
}

/// The value in a line; `None` if the number lacks a unit that it needs.
fn value(field: &LabeledLine<'_>, figures: &[LifetimeFigure]) -> Result<Option<(Figure, i64)>, &'static str> {
    if let [figure] = figures
        && figure.measure() == Measure::Date
    {
        return Ok(Some((*figure, day(field.value).ok_or("a date")?)));
    }
    let (number, unit, rest) = quantity(field.value).ok_or("a number with its unit")?;
    let is_remainder =
        rest.is_empty() || quantity(rest).is_some_and(|(_, unit, rest)| !unit.is_empty() && rest.is_empty());
    if !is_remainder {
        return Err("a number with its unit, and perhaps its remainder");
    }
    let found = figures.iter().find_map(|figure| {
        let unit_known = |(name, _): &&(&str, f64)| name.eq_ignore_ascii_case(unit);
        let (_, each) = units(figure.measure()).iter().find(unit_known)?;
        Some((*figure, number * each))
    });
    let Some((figure, value)) = found else {
        // Documented for one layout: hundredths of a percent without a unit. That would still be a guess.
        return if unit.is_empty() { Ok(None) } else { Err("a unit that is known for this label") };
    };
    let plausible = (0.0..=highest(figure) as f64).contains(&value);
    // The cast cannot overflow: plausible values are far below `i64::MAX`.
    plausible.then(|| Some((figure, value.round() as i64))).ok_or("a plausible number")
}

/// `71.25 Ah`, `71.25Ah`, `12`: an unsigned number, its unit, and the rest of the text.
fn quantity(text: &str) -> Option<(f64, &str, &str)> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let valid =
        digits.len() <= 18 && digits.starts_with(|c: char| c.is_ascii_digit()) && !digits.ends_with('.');
    let number: f64 = digits.parse().ok().filter(|_| valid)?;
    let rest = rest.trim_start();
    let unit = rest.split_ascii_whitespace().next().unwrap_or("");
    Some((number, unit, rest[unit.len()..].trim_start()))
}

/// `2023-05-11` or `23-05-11`, optionally followed by a time, as the number `yyyymmdd`.
fn day(value: &str) -> Option<i64> {
    let mut parts = value.split_ascii_whitespace();
    let (date, time) = (parts.next()?, parts.next().unwrap_or("00:00:00"));
    let day = date_time(date, time)?.filter(|_| parts.next().is_none())?.date();
    (2000..2100)
        .contains(&day.year())
        .then(|| i64::from(day.year()) * 10_000 + i64::from(day.month()) * 100 + i64::from(day.day()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn euro(lines: &str) -> Euro {
        let text = format!("euro\n@\n{lines}\nCommand completed successfully\n$$\n");
        parse(&Answer::from_transcript(text.as_bytes())).expect("figures")
    }

    fn one(line: &str) -> (Vec<(LifetimeFigure, i64)>, usize) {
        let read = euro(&format!("Storage : - days\n{line}"));
        (read.values.into_iter().collect(), read.problems.len())
    }

    #[test]
    fn the_first_layout_is_parsed() {
        let read = euro(
            "Date of manufacture : 2023-05-11\nDate of putting into service : 23-08-01 12:30:00\nStorage : 82 days\n\
             Remain Cap. 1 : 71.25 Ah\nRemain Cap. 2 : 70900 mAh\nRemain Power : 3418 Wh  21000 mWs\n\
             Round Trip Eff. : 95.31 %\nSelf Dsg Rate : 1.2%\nResistence : 14.5 mOhm\n\
             Chg. Energy Thro. : 4210 Wh  1834000 mWs\nDsg. Energy Thro. : 4003 Wh  12 mWs\n\
             Chg. Capac. Thro. : 81 Ah  7200 mAs\nDsg. Capac. Thro. : 80Ah\nDeep Dsg. Count : 3\n\
             Extr. Tempr Total : 5400 s\nExtr. Tempr Chg. : 2 h\nChg. Dsg. Cycle : 57\nChg. Dsg. Cycle2 : 58 times",
        );
        let expected = [
            (Figure::Manufactured, 20_230_511),
            (Figure::InService, 20_230_801),
            (Figure::Storage, 82),
            (Figure::Capacity, 71_250),
            (Figure::Capacity2, 70_900),
            (Figure::Energy, 3_418_000),
            (Figure::RoundTrip, 9_531),
            (Figure::SelfDischarge, 120),
            (Figure::Resistance, 14_500),
            (Figure::EnergyCharged, 4_210_000),
            (Figure::EnergyDischarged, 4_003_000),
            (Figure::ChargeIn, 81_000),
            (Figure::ChargeOut, 80_000),
            (Figure::DeepDischarges, 3),
            (Figure::ExtremeTemperature, 5_400),
            (Figure::ExtremeCharging, 7_200),
            (Figure::Cycles, 57),
            (Figure::Cycles2, 58),
        ];
        assert_eq!((read.values, read.problems), (BTreeMap::from(expected), vec![]));
    }

    #[test]
    fn the_second_layout_is_parsed() {
        let read = euro(
            "SOH:\nDate of manufacture : ---------- --:--:--\nStorage : - days\nRemain Cap. : 74 Ah\n\
             Remain Power : 9950\nRound Trip Eff. : 9531\nSelf Dsg Rate : 12\nResistence : 16 mOhm\n\
             Life Expectance:\nEnergy Thro. : 8213 Wh  3100 mWs\nCapac. Thro. : 161 Ah  900 mAs\n\
             Extr. Tempr Total : 60 Sec.\nChg. Dsg. Cycle : 57",
        );
        let expected = [
            (Figure::Capacity, 74_000),
            (Figure::Resistance, 16_000),
            (Figure::EnergyThroughput, 8_213_000),
            (Figure::ChargeThroughput, 161_000),
            (Figure::ExtremeTemperature, 60),
            (Figure::Cycles, 57),
        ];
        assert_eq!((read.values, read.other, read.problems), (BTreeMap::from(expected), vec![], vec![]));
    }

    #[test]
    fn units_come_from_the_answer_and_distinguish_energy_from_power() {
        assert_eq!(one("Remain Power : 3.4 kWh"), (vec![(Figure::Energy, 3_400_000)], 0));
        assert_eq!(one("Remain Power : 3700 W"), (vec![(Figure::Power, 3_700_000)], 0));
        assert_eq!(one("Remain Power : 99.5 %"), (vec![(Figure::PowerShare, 9_950)], 0));
        assert_eq!(one("Remain Cap. 1 : 71"), (vec![], 0), "no unit, no value");
        for unknown in ["Remain Cap. 1 : 71 Qh", "Round Trip Eff. : 95 pm", "Resistence : 14 A"] {
            assert_eq!(one(unknown), (vec![], 1), "{unknown}");
        }
    }

    #[test]
    fn a_damaged_line_of_euro_loses_only_itself() {
        for damaged in [
            "Remain Cap. 1 : 7x Ah",
            "Remain Cap. 1 : -71 Ah",
            "Remain Cap. 1 : 71. Ah",
            "Remain Cap. 1 : 7.1.1 Ah",
            "Remain Cap. 1 : 71 Ah x",
            "Remain Cap. 1 : 4294967295 Ah",
            "Round Trip Eff. : 953 %",
            "Date of manufacture : 2023-13-11",
            "Date of manufacture : 1970-01-01",
            "Chg. Dsg. Cycle : 4294967295",
        ] {
            assert_eq!(one(damaged), (vec![], 1), "{damaged}");
        }
        let read = euro("Remain Cap. 1 : 71 Ah\nRemain Cop. 2 : 5 Ah");
        assert_eq!(read.other, [("Remain Cop. 2".to_owned(), "5 Ah".to_owned())]);
        let unknown = Answer::from_transcript(b"euro\n@\nhello : 5\nCommand completed successfully\n$$\n");
        assert!(parse(&unknown).is_err());
    }
}
