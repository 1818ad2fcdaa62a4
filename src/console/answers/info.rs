//! `info`: model, firmware, barcode (protocol, section 9).
//!
//! ```text
//! Device address      : 1
//! Device name         : US2KBPL
//! Specification       : 48V/50AH
//! ```

use serde::Serialize;

use crate::console::error::{ParseError, excerpt};
use crate::console::framing::answer::Answer;
use crate::console::parsing::labeled_line::{Label, LabeledLine, labeled_lines};
use crate::console::parsing::number::amount;
use crate::model::identity::MAX_BARCODE_LEN;
use crate::model::units::{MilliampHours, Milliamps};

/// Identity and ratings of a battery.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Info {
    /// In the group, from 1.
    pub address: Option<u16>,
    /// `Pylon` or `PYTES`.
    pub manufacturer: Option<String>,
    pub model: Option<String>,
    pub board: Option<String>,
    pub firmware: Option<String>,
    /// `YY-MM-DD`.
    pub released: Option<String>,
    pub barcode: Option<String>,
    /// Nominal voltage and capacity as printed.
    pub specification: Option<String>,
    /// From the specification.
    #[serde(rename = "nominal_capacity_mah")]
    pub nominal_capacity: Option<MilliampHours>,
    pub cells: Option<u16>,
    /// Negative.
    #[serde(rename = "max_discharge_current_ma")]
    pub max_discharge_current: Option<Milliamps>,
    #[serde(rename = "max_charge_current_ma")]
    pub max_charge_current: Option<Milliamps>,
    /// Serial numbers of a stack's modules, in the console's order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub module_barcodes: Vec<String>,
    /// Lines with unknown labels, by label.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other: Vec<(String, String)>,
    /// Lines that could not be parsed; the others are valid.
    #[serde(skip)]
    pub(crate) problems: Vec<ParseError>,
}

/// Stores the value of a label; the error is what it expected instead.
type Setter = fn(&mut Info, &LabeledLine<'_>) -> Result<(), &'static str>;

const LABELS: &[(&str, Setter)] = &[
    ("Device address", |info, field| count(&mut info.address, field)),
    ("Manufacturer", |info, field| text(&mut info.manufacturer, field)),
    ("Device name", |info, field| text(&mut info.model, field)),
    ("Board version", |info, field| text(&mut info.board, field)),
    ("Board", board),
    ("Main Soft version", |info, field| text(&mut info.firmware, field)),
    ("Release Date", |info, field| text(&mut info.released, field)),
    ("Barcode", |info, field| barcode(&mut info.barcode, field)),
    ("Module Barcode", |info, field| barcode(&mut info.barcode, field)),
    ("Specification", specification),
    ("Cell Number", |info, field| count(&mut info.cells, field)),
    ("Max Dischg Curr", |info, field| current(&mut info.max_discharge_current, field)),
    ("Max Charge Curr", |info, field| current(&mut info.max_charge_current, field)),
    ("Module", module),
];

/// Known labels whose values are ignored; listed so that a damaged label can be detected. Also in `docs/console.md`.
pub const IGNORED_LABELS: &[&str] = &[
    "Iterate version",
    "Soft version",
    "Boot version",
    "Comm version",
    "Hard version",
    "Board ID",
    "Board SRAM Size",
    "Board FLASH Size",
    "EPONPort rate",
    "Console Port rate",
    "PCBA Barcode",
    "PowerSupply Barcode",
    "Device Test Time",
    "Shut Circuit",
    "Relay Feedback",
    "PCBA",
    "New",
];

/// Parses the answer; lines that cannot be parsed are listed in `problems`.
///
/// # Errors
/// Returns an error if no line has a known label.
pub(crate) fn parse(answer: &Answer) -> Result<Info, ParseError> {
    let mut info = Info::default();
    let mut values = 0;
    for field in labeled_lines(answer) {
        let Some((_, set)) = LABELS.iter().find(|(label, _)| Label(label) == field.label) else {
            if !IGNORED_LABELS.iter().any(|known| Label(known) == field.label) {
                info.other.push((excerpt(field.label.0), excerpt(field.value)));
            }
            continue;
        };
        if field.is_blank() {
            continue;
        }
        match set(&mut info, &field) {
            Ok(()) => values += 1,
            Err(expected) => info.problems.push(field.invalid(expected)),
        }
    }
    if values == 0 {
        return Err(ParseError::Nothing {
            expected: "lines like \"Device name : …\"", lines: answer.len()
        });
    }
    Ok(info)
}

fn count(slot: &mut Option<u16>, field: &LabeledLine<'_>) -> Result<(), &'static str> {
    *slot = Some(field.value.parse().map_err(|_| "a whole number")?);
    Ok(())
}

fn text(slot: &mut Option<String>, field: &LabeledLine<'_>) -> Result<(), &'static str> {
    if !field.value.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        return Err("printable text");
    }
    *slot = Some(excerpt(field.value));
    Ok(())
}

/// A barcode is never shortened, since two may differ only in their last digit.
fn barcode(slot: &mut Option<String>, field: &LabeledLine<'_>) -> Result<(), &'static str> {
    text(slot, field)?;
    if field.value.len() <= MAX_BARCODE_LEN {
        *slot = Some(field.value.to_owned());
    }
    Ok(())
}

/// The processor board, for a battery without a `Board version`.
fn board(info: &mut Info, field: &LabeledLine<'_>) -> Result<(), &'static str> {
    let mut board = None;
    text(&mut board, field)?;
    info.board = info.board.take().or(board);
    Ok(())
}

/// Plausible limits of the current, in mA.
const LIMITS: std::ops::RangeInclusive<i64> = 1_000..=1_000_000;

/// `90000mA`, `-90A`, or without a unit if only milliamperes make it a plausible current.
fn current(slot: &mut Option<Milliamps>, field: &LabeledLine<'_>) -> Result<(), &'static str> {
    const EXPECTED: &str = "a current in mA or A";
    let milliamps = match amount(field.value) {
        Some((number, "" | "mA")) => Some(number),
        Some((number, "A")) => number.checked_mul(1_000),
        _ => None,
    };
    let limit = milliamps.filter(|limit| LIMITS.contains(&limit.saturating_abs())).ok_or(EXPECTED)?;
    *slot = Some(Milliamps(i32::try_from(limit).map_err(|_| EXPECTED)?));
    Ok(())
}

/// `48V/50AH`, `51.2V/100Ah`, `48V 50 AH`, `37AH`.
fn specification(info: &mut Info, field: &LabeledLine<'_>) -> Result<(), &'static str> {
    text(&mut info.specification, field)?;
    let capacity = rated_capacity(field.value).filter(|value| (1.0..10_000.0).contains(value));
    info.nominal_capacity = capacity.map(|value| MilliampHours((value * 1000.0).round() as i64));
    if info.nominal_capacity.is_some() { Ok(()) } else { Err("a specification like 48V/50AH") }
}

/// The ampere-hours in a specification: the number before its only `AH`, after the voltage or alone.
fn rated_capacity(specification: &str) -> Option<f64> {
    let upper = specification.to_ascii_uppercase();
    let mut parts = upper.split("AH");
    let (before, after) = (parts.next()?.trim_end(), parts.next()?);
    if parts.next().is_some() || after.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let start = before.rfind(|c: char| !(c.is_ascii_digit() || c == '.')).map_or(0, |at| at + 1);
    let separated = before[..start].ends_with(['/', ' ', ',', 'V']) || start == 0;
    before[start..].parse().ok().filter(|_| separated)
}

/// `Module:   : <barcode>`: the label ends with a colon, so the value follows the second one.
fn module(info: &mut Info, field: &LabeledLine<'_>) -> Result<(), &'static str> {
    let mut barcode = None;
    let value = field.value.trim_start_matches([':', ' ']);
    text(&mut barcode, &LabeledLine { value, ..*field })?;
    info.module_barcodes.extend(barcode);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(lines: &str) -> Info {
        let text = format!("info\n@\nDevice address : 1\n{lines}\nCommand completed successfully\n$$\n");
        parse(&Answer::from_transcript(text.as_bytes())).expect("an info")
    }

    #[test]
    fn a_specification_is_parsed_in_every_notation() {
        let capacity = |specification: &str| {
            let read = info(&format!("Specification : {specification}"));
            (read.nominal_capacity.map(|capacity| capacity.0), read.problems.len())
        };
        for (specification, milliampere_hours) in [
            ("48V/50AH", 50_000),
            ("48V/50Ah", 50_000),
            ("51.2V/100Ah", 100_000),
            ("48V/47.5 ah", 47_500),
            ("48V50AH", 50_000),
            ("37AH", 37_000),
            ("48V/74AH LFP", 74_000),
        ] {
            assert_eq!(capacity(specification), (Some(milliampere_hours), 0), "{specification}");
        }
        for blank in ["", "N/A", "n/a", "NULL", "--", "????"] {
            assert_eq!(capacity(blank), (None, 0), "{blank}");
        }
        for damaged in ["48V/1x50AH", "48V/50A", "48V/0AH", "48V/50AHx", "48V/50AH/60AH", "48V/5.0.0AH"] {
            assert_eq!(capacity(damaged), (None, 1), "{damaged}");
        }
        let read = info("Specification : 48V 50\nCell Number : 15");
        assert_eq!((read.cells, read.problems.len()), (Some(15), 1), "an unreadable value loses only itself");
    }

    #[test]
    fn an_ambiguous_current_limit_needs_a_unit() {
        let limit = |value: &str| {
            let read = info(&format!("Max Dischg Curr : {value}"));
            (read.max_discharge_current.map(|limit| limit.0), read.problems.len())
        };
        for (value, milliamperes) in [
            ("-90000mA", -90_000),
            ("-90000 mA", -90_000),
            ("-90A", -90_000),
            ("100 A", 100_000),
            ("50000", 50_000),
        ] {
            assert_eq!(limit(value), (Some(milliamperes), 0), "{value}");
        }
        for unclear in ["90", "90000A", "50mA", "-90kA", "90.5A", "9x0mA"] {
            assert_eq!(limit(unclear), (None, 1), "{unclear}");
        }
        assert_eq!(limit(""), (None, 0));
    }

    #[test]
    fn a_blank_value_never_replaces_another() {
        let read =
            info("Barcode : P220000000000001\nModule Barcode :\nManufacturer : Pylon\nManufacturer : N/A");
        assert_eq!(read.barcode.as_deref(), Some("P220000000000001"));
        assert_eq!(read.manufacturer.as_deref(), Some("Pylon"));
        assert_eq!(info("Module Barcode : M1A\nBarcode :").barcode.as_deref(), Some("M1A"));
        assert_eq!(info("Barcode : N/A").barcode, None);
    }

    #[test]
    fn the_board_replaces_an_empty_board_version() {
        let board = |lines| info(lines).board;
        assert_eq!(board("Board version :\nBoard : NF4.E3").as_deref(), Some("NF4.E3"));
        assert_eq!(board("Board : NF4.E3\nBoard version : V10R04").as_deref(), Some("V10R04"));
        assert_eq!(board("Board version : V10R04\nBoard : NF4.E3").as_deref(), Some("V10R04"));
    }
}
