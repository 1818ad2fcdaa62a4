//! `info` and `info N`: identity of a battery or a stack.

use crate::simulator::dialect::answer::AnswerBody;
use crate::simulator::dialect::layouts::{InfoLine, InfoValue};
use crate::simulator::dialect::spec::DialectSpec;
use crate::simulator::dialect::text::{AnswerText, BARE, HEAD};
use crate::simulator::physics::bank::SimulatedBank;
use crate::simulator::physics::battery::SimulatedBattery;
use crate::simulator::printed::PrintedValues;

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
pub(super) const PYLONTECH: &[InfoLine] = &[
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
/// A newer Pylontech, which also prints its processor board.
pub(super) const PYLONTECH_BOARD: &[InfoLine] = &[
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
/// A PYTES; the line after the barcode has a different line end.
pub(super) const PYTES: &[InfoLine] = &[
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
pub(super) const PYTES_V5: &[InfoLine] = &[
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
pub(super) const STACK: &[InfoLine] = &[
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

fn print(
    value: &InfoValue,
    place: usize,
    battery: &SimulatedBattery,
    in_series: usize,
    spec: &DialectSpec,
) -> String {
    let cells = battery.cell_count() * in_series;
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

/// 3.2 V per cell; labels print the decimal only for sixteen cells.
fn rated_volts(cells: usize) -> String {
    match cells {
        16 => "51.2V".to_owned(),
        _ => format!("{}V", cells * 32 / 10),
    }
}

/// Answers `info` and `info N`.
pub(super) fn answer(
    place: usize,
    battery: &SimulatedBattery,
    bank: &SimulatedBank,
    spec: &DialectSpec,
) -> AnswerBody {
    let in_series = if bank.is_series() { bank.batteries().count() } else { 1 };
    let mut text = if bank.is_series() { spec.open_stack("info") } else { spec.open_padded() };
    let mut printed = Vec::new();
    for line in spec.info {
        let value = print(&line.value, place, battery, in_series, spec);
        if line.label.is_empty() {
            text.line(line.before, "");
        } else {
            text.line(line.before, format!("{:<20}: {value}", line.label));
            printed.push((line.label.to_owned(), value.trim_end().to_owned()));
        }
    }
    if bank.is_series() {
        print_units(bank, &mut text, &mut printed);
    }
    AnswerBody::done(text, PrintedValues::Info(printed))
}

/// Prints the barcode of each unit under its own heading.
fn print_units(bank: &SimulatedBank, text: &mut AnswerText, printed: &mut Vec<(String, String)>) {
    for (index, battery) in bank.batteries() {
        text.line(HEAD, "");
        text.line(HEAD, format!("Unit {index} Barcode   "));
        text.line(HEAD, format!("Module:   : {:<32}", battery.barcode));
        printed.push(("Module:".to_owned(), battery.barcode.clone()));
    }
}
