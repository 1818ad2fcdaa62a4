//! `bat` and `bat N` of a 48 V bank: one row for each cell.

use super::super::battery::Battery;
use super::super::said::{CellRow, Values};
use super::text::{Column, FEED, Text, column, header, row, uneven};
use super::{Answer, Spec, measure};

type Columns = &'static [Column<CellRow>];

/// How the cells of a dialect are laid out.
pub(crate) struct CellLayout {
    columns: &'static [Columns],
}

const VOLTAGE: Columns =
    &[column("Battery", 9, |r| r.index.to_string()), column("Volt", 9, |r| r.voltage_mv.to_string())];
const CURRENT: Columns = &[column("Curr", 9, |r| r.current_ma.unwrap_or_default().to_string())];
const STATES: Columns = &[
    column("Tempr", 9, |r| r.temperature_mc.to_string()),
    column("Base State", 13, |r| r.base_state.clone().unwrap_or_default()),
    column("Volt. State", 13, |r| r.voltage_state.clone()),
    column("Curr. State", 13, |r| r.temperature_state.clone()),
];
const TEMPERATURE: Columns = &[column("Temp. State", 13, |r| r.temperature_state.clone())];
const TEMPERATURES: Columns = &[
    column("DTemp. State", 13, |r| r.temperature_state.clone()),
    column("CTemp. State", 13, |r| r.temperature_state.clone()),
];
/// The percentage stands in a column without a header.
const COULOMB: Columns =
    &[uneven("Coulomb", 12, 0, |r| format!("{:3}%{:11} mAH", r.soc, r.charge_mah.unwrap_or_default()))];
/// What an event's snapshot keeps of it.
const PERCENT: Columns = &[uneven("Coulomb", 12, 0, |r| format!("{:3}%", r.soc))];
const SOC_COULOMB_BALANCE: Columns = &[
    uneven("SOC", 13, 0, |r| format!("{:2}%", r.soc)),
    uneven("Coulomb", 13, 0, |r| format!("{:14} mAH", r.charge_mah.unwrap_or_default())),
    uneven("BAL", 12, 0, |r| format!("      {}", balance(r))),
];
const SOC_COULOMB_BALANCE_TIGHT: Columns = &[
    column("SOC", 13, |r| format!("{}%", r.soc)),
    uneven("Coulomb", 17, 13, |r| r.charge_mah.unwrap_or_default().to_string()),
    uneven("BAL", 3, 0, |r| format!("mAH {}", balance(r))),
];

/// 8 columns: no current, no header for the percentage.
pub(crate) const B8: CellLayout = CellLayout { columns: &[VOLTAGE, STATES, TEMPERATURE, COULOMB] };
/// 9 columns: no header for the percentage.
pub(crate) const B9: CellLayout = CellLayout { columns: &[VOLTAGE, CURRENT, STATES, TEMPERATURE, COULOMB] };
/// 11 columns: percentage and balancing too.
pub(crate) const B11: CellLayout =
    CellLayout { columns: &[VOLTAGE, CURRENT, STATES, TEMPERATURE, SOC_COULOMB_BALANCE] };
/// 12 columns: two temperature states with one blank between their headers.
pub(crate) const B12: CellLayout =
    CellLayout { columns: &[VOLTAGE, CURRENT, STATES, TEMPERATURES, SOC_COULOMB_BALANCE_TIGHT] };
/// What `data event` shows.
pub(super) const OF_AN_EVENT: CellLayout =
    CellLayout { columns: &[VOLTAGE, CURRENT, STATES, TEMPERATURE, PERCENT] };

impl CellLayout {
    fn has(&self, head: &str) -> bool {
        self.columns.iter().copied().flatten().any(|column| column.head == head)
    }

    /// The cells of a battery, with what this layout does not show left out.
    pub(super) fn rows_of(&self, battery: &Battery, spec: &Spec) -> Vec<CellRow> {
        let mut cells = measure::Seen::of(battery, spec.temperature_step).cells;
        for cell in &mut cells {
            cell.energy_mwh = None;
            cell.current_ma = cell.current_ma.filter(|_| self.has("Curr"));
            cell.balancing = cell.balancing.filter(|_| self.has("BAL"));
        }
        cells
    }

    /// Adds header and rows.
    pub(super) fn write(&self, text: &mut Text, cells: &[CellRow]) {
        text.line(FEED, header(self.columns));
        for cell in cells {
            text.line(FEED, row(self.columns, cell));
        }
    }
}

fn balance(row: &CellRow) -> char {
    if row.balancing == Some(true) { 'Y' } else { 'N' }
}

/// Answers `bat` and `bat N`.
pub(super) fn answer(place: usize, battery: &Battery, spec: &Spec, layout: &CellLayout) -> Answer {
    let cells = layout.rows_of(battery, spec);
    let mut text = spec.open_padded();
    layout.write(&mut text, &cells);
    Answer::done(text, Values::Cells { place, cells })
}
