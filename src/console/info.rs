//! `info`: model, firmware, barcode (protocol, section 9).
//!
//! ```text
//! Device address      : 1
//! Device name         : US2KBPL
//! Specification       : 48V/50AH
//! ```

use serde::Serialize;

use crate::console::answer::Answer;
use crate::console::error::{ParseError, excerpt};
use crate::console::fields::{Field, Label, fields};
use crate::model::units::{MilliampHours, Milliamps};

/// What a battery says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Info {
    /// Its address in the group, from 1.
    pub address: Option<u16>,
    /// `Pylon` or `PYTES`.
    pub manufacturer: Option<String>,
    /// Its type.
    pub model: Option<String>,
    /// The board.
    pub board: Option<String>,
    /// The main firmware.
    pub firmware: Option<String>,
    /// When that was released, `YY-MM-DD`.
    pub released: Option<String>,
    /// Its serial number.
    pub barcode: Option<String>,
    /// Nominal voltage and capacity as printed.
    pub specification: Option<String>,
    /// The capacity in it.
    #[serde(rename = "nominal_capacity_mah")]
    pub nominal_capacity: Option<MilliampHours>,
    /// How many cells.
    pub cells: Option<u16>,
    /// Most it may be discharged with (negative).
    #[serde(rename = "max_discharge_current_ma")]
    pub max_discharge_current: Option<Milliamps>,
    /// Most it may be charged with.
    #[serde(rename = "max_charge_current_ma")]
    pub max_charge_current: Option<Milliamps>,
    /// Serial numbers of a stack's modules, in the console's order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub module_barcodes: Vec<String>,
    /// Lines nobody here knows, by their label.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other: Vec<(String, String)>,
    /// Lines that could not be read; the others stand.
    #[serde(skip)]
    pub problems: Vec<ParseError>,
}

/// Where a label's value goes; the setter answers what it expected.
type Setter = fn(&mut Info, &Field<'_>) -> Result<(), &'static str>;

const LABELS: &[(&str, Setter)] = &[
    ("Device address", |info, field| count(&mut info.address, field)),
    ("Manufacturer", |info, field| text(&mut info.manufacturer, field)),
    ("Device name", |info, field| text(&mut info.model, field)),
    ("Board version", |info, field| text(&mut info.board, field)),
    ("Main Soft version", |info, field| text(&mut info.firmware, field)),
    ("Release Date", |info, field| text(&mut info.released, field)),
    ("Barcode", |info, field| text(&mut info.barcode, field)),
    ("Module Barcode", |info, field| text(&mut info.barcode, field)),
    ("Specification", specification),
    ("Cell Number", |info, field| count(&mut info.cells, field)),
    ("Max Dischg Curr", |info, field| current(&mut info.max_discharge_current, field)),
    ("Max Charge Curr", |info, field| current(&mut info.max_charge_current, field)),
    ("Module", module),
];

/// Labels that are printed and of no use to anybody yet; known, so that damage to a label stands out.
const PASSED_OVER: &[&str] = &[
    "Board",
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

/// Reads what a battery says of itself. Lines that can't be read are named in `problems`.
///
/// # Errors
/// None of the lines is known.
pub fn parse(answer: &Answer) -> Result<Info, ParseError> {
    let mut info = Info::default();
    let mut read = 0;
    for field in fields(answer) {
        let Some((_, set)) = LABELS.iter().find(|(label, _)| Label(label) == field.label) else {
            if !PASSED_OVER.iter().any(|known| Label(known) == field.label) {
                info.other.push((excerpt(field.label.0), excerpt(field.value)));
            }
            continue;
        };
        match set(&mut info, &field) {
            Ok(()) => read += 1,
            Err(expected) => info.problems.push(field.expected(expected)),
        }
    }
    if read == 0 {
        return Err(ParseError::Nothing {
            expected: "lines like \"Device name : …\"", lines: answer.len()
        });
    }
    Ok(info)
}

fn count(slot: &mut Option<u16>, field: &Field<'_>) -> Result<(), &'static str> {
    *slot = Some(field.value.parse().map_err(|_| "a whole number")?);
    Ok(())
}

/// Printable text; an empty value, as a barcode may be, is as good as no line.
fn text(slot: &mut Option<String>, field: &Field<'_>) -> Result<(), &'static str> {
    if !field.value.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        return Err("printable text");
    }
    *slot = (!field.value.is_empty()).then(|| excerpt(field.value));
    Ok(())
}

fn current(slot: &mut Option<Milliamps>, field: &Field<'_>) -> Result<(), &'static str> {
    let number = field.value.strip_suffix("mA").and_then(|number| number.trim().parse().ok());
    *slot = Some(Milliamps(number.ok_or("a whole number of mA")?));
    Ok(())
}

/// `48V/50AH`, `51.2V/100AH`, `37AH`.
fn specification(info: &mut Info, field: &Field<'_>) -> Result<(), &'static str> {
    text(&mut info.specification, field)?;
    let capacity = field.value.rsplit('/').next().and_then(|part| part.strip_suffix("AH"));
    let ampere_hours: Option<f64> = capacity.and_then(|number| number.parse().ok());
    let sound = ampere_hours.filter(|value| value.is_finite() && (1.0..10_000.0).contains(value));
    info.nominal_capacity = sound.map(|value| MilliampHours((value * 1000.0).round() as i64));
    if info.nominal_capacity.is_some() { Ok(()) } else { Err("a specification like 48V/50AH") }
}

/// `Module:   : <barcode>`: the label's own colon comes first, so the second one stands before the value.
fn module(info: &mut Info, field: &Field<'_>) -> Result<(), &'static str> {
    let mut barcode = None;
    let value = field.value.trim_start_matches([':', ' ']);
    text(&mut barcode, &Field { value, ..*field })?;
    info.module_barcodes.extend(barcode);
    Ok(())
}
