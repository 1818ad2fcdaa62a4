//! `bat` and `bat N` of a 48 V bank: one row for each cell.

use crate::simulator::dialect::answer::AnswerBody;
use crate::simulator::dialect::layouts::{CellColumns, CellLayout};
use crate::simulator::dialect::measurement::Measurement;
use crate::simulator::dialect::spec::DialectSpec;
use crate::simulator::dialect::text::{AnswerText, FEED, column, header, row, uneven};
use crate::simulator::physics::battery::SimulatedBattery;
use crate::simulator::printed::{PrintedCellRow, PrintedValues};

const VOLTAGE: CellColumns =
    &[column("Battery", 9, |r| r.index.to_string()), column("Volt", 9, |r| r.voltage_mv.to_string())];
const CURRENT: CellColumns = &[column("Curr", 9, |r| r.current_ma.unwrap_or_default().to_string())];
const STATES: CellColumns = &[
    column("Tempr", 9, |r| r.temperature_mc.to_string()),
    column("Base State", 13, |r| r.base_state.clone().unwrap_or_default()),
    column("Volt. State", 13, |r| r.voltage_state.clone()),
    column("Curr. State", 13, |r| r.temperature_state.clone()),
];
const TEMPERATURE: CellColumns = &[column("Temp. State", 13, |r| r.temperature_state.clone())];
const TEMPERATURES: CellColumns = &[
    column("DTemp. State", 13, |r| r.temperature_state.clone()),
    column("CTemp. State", 13, |r| r.temperature_state.clone()),
];
/// The percentage has no header of its own.
const COULOMB: CellColumns =
    &[uneven("Coulomb", 12, 0, |r| format!("{:3}%{:11} mAH", r.soc, r.charge_mah.unwrap_or_default()))];
/// Event snapshots print only the percentage.
const PERCENT: CellColumns = &[uneven("Coulomb", 12, 0, |r| format!("{:3}%", r.soc))];
const SOC_COULOMB_BALANCE: CellColumns = &[
    uneven("SOC", 13, 0, |r| format!("{:2}%", r.soc)),
    uneven("Coulomb", 13, 0, |r| format!("{:14} mAH", r.charge_mah.unwrap_or_default())),
    uneven("BAL", 12, 0, |r| format!("      {}", balance(r))),
];
const SOC_COULOMB_BALANCE_TIGHT: CellColumns = &[
    column("SOC", 13, |r| format!("{}%", r.soc)),
    uneven("Coulomb", 17, 13, |r| r.charge_mah.unwrap_or_default().to_string()),
    uneven("BAL", 3, 0, |r| format!("mAH {}", balance(r))),
];

/// 8 columns: no current, no header for the percentage.
pub(super) const B8: CellLayout = CellLayout { columns: &[VOLTAGE, STATES, TEMPERATURE, COULOMB] };
/// 9 columns: no header for the percentage.
pub(super) const B9: CellLayout = CellLayout { columns: &[VOLTAGE, CURRENT, STATES, TEMPERATURE, COULOMB] };
/// 11 columns: with percentage and balancing.
pub(super) const B11: CellLayout =
    CellLayout { columns: &[VOLTAGE, CURRENT, STATES, TEMPERATURE, SOC_COULOMB_BALANCE] };
/// 12 columns: two temperature states with one space between their headers.
pub(super) const B12: CellLayout =
    CellLayout { columns: &[VOLTAGE, CURRENT, STATES, TEMPERATURES, SOC_COULOMB_BALANCE_TIGHT] };
/// The cells of `data event`.
pub(super) const SNAPSHOT: CellLayout =
    CellLayout { columns: &[VOLTAGE, CURRENT, STATES, TEMPERATURE, PERCENT] };

impl CellLayout {
    fn has(&self, head: &str) -> bool {
        self.columns.iter().copied().flatten().any(|column| column.head == head)
    }

    /// The cells of a battery, without the values that this layout does not print.
    pub(super) fn rows(&self, battery: &SimulatedBattery, spec: &DialectSpec) -> Vec<PrintedCellRow> {
        let mut cells = Measurement::of(battery, spec.temperature_step).cells;
        for cell in &mut cells {
            cell.energy_mwh = None;
            cell.current_ma = cell.current_ma.filter(|_| self.has("Curr"));
            cell.balancing = cell.balancing.filter(|_| self.has("BAL"));
        }
        cells
    }

    pub(super) fn write(&self, text: &mut AnswerText, cells: &[PrintedCellRow]) {
        text.line(FEED, header(self.columns));
        for cell in cells {
            text.line(FEED, row(self.columns, cell));
        }
    }
}

fn balance(row: &PrintedCellRow) -> char {
    if row.balancing == Some(true) { 'Y' } else { 'N' }
}

/// Answers `bat` and `bat N`.
pub(super) fn answer(
    place: usize,
    battery: &SimulatedBattery,
    spec: &DialectSpec,
    layout: &CellLayout,
) -> AnswerBody {
    let cells = layout.rows(battery, spec);
    let mut text = spec.open_padded();
    layout.write(&mut text, &cells);
    AnswerBody::done(text, PrintedValues::Cells { place, cells })
}
