//! `info` and `info N`: identity of one battery or of a stack.

use super::super::bank::Bank;
use super::super::battery::Battery;
use super::super::said::Values;
use super::text::{BARE, HEAD, Text};
use super::{Answer, Spec};

/// A line of `info`.
pub(crate) struct InfoLine {
    /// Label; an empty one is an empty line.
    label: &'static str,
    value: InfoValue,
    before: &'static str,
}

/// What follows the colon.
enum InfoValue {
    Fixed(&'static str),
    Place,
    Maker,
    Device,
    Firmware,
    Barcode,
    Rating,
    CellCount,
    DischargeLimit,
    ChargeLimit,
}

const fn line(label: &'static str, value: InfoValue) -> InfoLine {
    InfoLine { label, value, before: HEAD }
}
const fn fixed(label: &'static str, value: &'static str) -> InfoLine {
    line(label, InfoValue::Fixed(value))
}
const EMPTY: InfoLine = fixed("", "");
const ADDRESS: InfoLine = line("Device address", InfoValue::Place);
const MAKER: InfoLine = line("Manufacturer", InfoValue::Maker);
const DEVICE: InfoLine = line("Device name", InfoValue::Device);
const FIRMWARE: InfoLine = line("Main Soft version", InfoValue::Firmware);
const BARCODE: InfoLine = line("Barcode", InfoValue::Barcode);
const RATING: InfoLine = line("Specification", InfoValue::Rating);
const CELLS: InfoLine = line("Cell Number", InfoValue::CellCount);
const DISCHARGE: InfoLine = line("Max Dischg Curr", InfoValue::DischargeLimit);
const CHARGE: InfoLine = line("Max Charge Curr", InfoValue::ChargeLimit);
const EPON: InfoLine = fixed("EPONPort rate", "1200");
const CONSOLE: InfoLine = fixed("Console Port rate", "115200");

/// A 48 V Pylontech.
pub(crate) const PYLONTECH: &[InfoLine] = &[
    ADDRESS,
    MAKER,
    DEVICE,
    fixed("Board version", "V10R04"),
    FIRMWARE,
    fixed("Soft  version", "V1.7"),
    fixed("Boot  version", "V2.0"),
    fixed("Comm version", "V2.0"),
    fixed("Release Date", "21-01-15"),
    BARCODE,
    EMPTY,
    RATING,
    CELLS,
    DISCHARGE,
    CHARGE,
    EPON,
    CONSOLE,
];
/// A newer one, which names its processor board.
pub(crate) const PYLONTECH_BOARD: &[InfoLine] = &[
    ADDRESS,
    MAKER,
    DEVICE,
    fixed("Board version", "V10R04"),
    fixed("Board", "NF4.E3"),
    FIRMWARE,
    fixed("Soft  version", "V1.3"),
    fixed("Boot  version", "V1.0"),
    fixed("Comm version", "V2.0"),
    fixed("Release Date", "22-09-01"),
    BARCODE,
    EMPTY,
    RATING,
    CELLS,
    DISCHARGE,
    CHARGE,
    EPON,
    CONSOLE,
];
/// A PYTES, whose barcode ends its line in another way.
pub(crate) const PYTES: &[InfoLine] = &[
    ADDRESS,
    MAKER,
    DEVICE,
    fixed("Board version", "SQBMSV13"),
    FIRMWARE,
    fixed("Soft  version", "V1.3"),
    fixed("Boot  version", "V1.6"),
    fixed("Comm version", "V2.0"),
    fixed("Release Date", "22-11-30"),
    BARCODE,
    InfoLine { before: BARE, ..EMPTY },
    RATING,
    CELLS,
    DISCHARGE,
    CHARGE,
    CONSOLE,
];
/// A PYTES V5.
pub(crate) const PYTES_V5: &[InfoLine] = &[
    ADDRESS,
    MAKER,
    DEVICE,
    fixed("Board version", "SQBMSV10"),
    FIRMWARE,
    fixed("Iterate version", "SPBMS16SIM2304V1.10.T5"),
    fixed("Soft  version", "V1.10"),
    fixed("Boot  version", "V1.13"),
    fixed("Comm version", "V2.0"),
    fixed("Release Date", "23-10-01"),
    BARCODE,
    fixed("Board ID", "GD3000000000000000000000001"),
    fixed("Board SRAM Size", "96KB"),
    fixed("Board FLASH Size", "256KB"),
    RATING,
    CELLS,
    DISCHARGE,
    CHARGE,
    CONSOLE,
];
/// A high-voltage stack; the barcodes of its units follow.
pub(crate) const STACK: &[InfoLine] = &[
    ADDRESS,
    MAKER,
    DEVICE,
    fixed("Board version", "MMCBSP02V20R03"),
    fixed("Hard  version", "V20R4C5"),
    FIRMWARE,
    fixed("Soft  version", "V1.5"),
    fixed("Boot  version", "V1.1"),
    fixed("Comm version", "V2.0"),
    fixed("Release Date", "21-07-01"),
    EMPTY,
    line("Module Barcode", InfoValue::Barcode),
    EMPTY,
    RATING,
    CELLS,
    DISCHARGE,
    CHARGE,
    fixed("Shut Circuit", "Yes  "),
    fixed("Relay Feedback", "Yes  "),
];

fn print(value: &InfoValue, place: usize, battery: &Battery, in_a_row: usize, spec: &Spec) -> String {
    let cells = battery.cell_count() * in_a_row;
    let limit = (battery.nominal * spec.limit_per_hour * 1000.0) as i64;
    match value {
        InfoValue::Fixed(text) => (*text).to_owned(),
        InfoValue::Place => place.to_string(),
        InfoValue::Maker => spec.maker.to_owned(),
        InfoValue::Device => spec.device.to_owned(),
        InfoValue::Firmware => spec.firmware.to_owned(),
        InfoValue::Barcode => battery.barcode.clone(),
        InfoValue::Rating => format!("{}/{}AH", rated_volts(cells), battery.nominal),
        InfoValue::CellCount => cells.to_string(),
        InfoValue::DischargeLimit => format!("-{limit}mA"),
        InfoValue::ChargeLimit => format!("{limit}mA"),
    }
}

/// 3.2 V a cell, with the decimal that labels give only to sixteen cells.
fn rated_volts(cells: usize) -> String {
    match cells {
        16 => "51.2V".to_owned(),
        _ => format!("{}V", cells * 32 / 10),
    }
}

/// Answers `info` and `info N`.
pub(super) fn answer(place: usize, battery: &Battery, bank: &Bank, spec: &Spec) -> Answer {
    let in_a_row = if bank.series() { bank.batteries().count() } else { 1 };
    let mut text = if bank.series() { spec.open_stack("info") } else { spec.open_padded() };
    let mut said = Vec::new();
    for line in spec.info {
        let value = print(&line.value, place, battery, in_a_row, spec);
        if line.label.is_empty() {
            text.line(line.before, "");
        } else {
            text.line(line.before, format!("{:<20}: {value}", line.label));
            said.push((line.label.to_owned(), value.trim_end().to_owned()));
        }
    }
    if bank.series() {
        units(bank, &mut text, &mut said);
    }
    Answer::done(text, Values::Info(said))
}

/// Each unit's barcode under a heading of its own.
fn units(bank: &Bank, text: &mut Text, said: &mut Vec<(String, String)>) {
    for (index, battery) in bank.batteries() {
        text.line(HEAD, "");
        text.line(HEAD, format!("Unit {index} Barcode   "));
        text.line(HEAD, format!("Module:   : {:<32}", battery.barcode));
        said.push(("Module:".to_owned(), battery.barcode.clone()));
    }
}
