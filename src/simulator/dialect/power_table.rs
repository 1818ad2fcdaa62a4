//! `pwr` of a 48 V bank: one row for each place.

use super::super::bank::Bank;
use super::super::battery::Battery;
use super::super::said::{TableRow, Values};
use super::text::{Column, FEED, Text, absent_row, column, header, row, uneven};
use super::{Answer, Dialect, Spec, measure};

type Columns = &'static [Column<TableRow>];

/// How the table of a dialect is laid out.
pub(crate) struct TableLayout {
    /// The columns of a battery that is there.
    present: &'static [Columns],
    /// The columns of a place without one; `None` leaves the row out.
    absent: Option<&'static [Columns]>,
    /// What stands between the row of a present battery and the next.
    after_present: &'static str,
}

const ELECTRIC: Columns = &[
    column("Power", 6, |r| r.place.to_string()),
    column("Volt", 7, |r| r.voltage_mv.to_string()),
    column("Curr", 7, |r| r.current_ma.to_string()),
    column("Tempr", 7, |r| r.temperature_mc.to_string()),
];
const EXTREMES: Columns = &[
    column("Tlow", 7, |r| r.temperature_low_mc.to_string()),
    column("Thigh", 7, |r| r.temperature_high_mc.to_string()),
    column("Vlow", 7, |r| r.cell_low_mv.to_string()),
    column("Vhigh", 7, |r| r.cell_high_mv.to_string()),
];
/// The same with the index of the cell beside each.
const EXTREMES_AND_WHERE: Columns = &[
    column("Tlow", 7, |r| r.temperature_low_mc.to_string()),
    column("Tlow.Id", 9, |r| cell_id(r, 0)),
    column("Thigh", 7, |r| r.temperature_high_mc.to_string()),
    column("Thigh.Id", 9, |r| cell_id(r, 1)),
    column("Vlow", 7, |r| r.cell_low_mv.to_string()),
    column("Vlow.Id", 9, |r| cell_id(r, 2)),
    column("Vhigh", 7, |r| r.cell_high_mv.to_string()),
    column("Vhigh.Id", 9, |r| cell_id(r, 3)),
];
const STATES: Columns = &[
    column("Base.St", 9, |r| r.base_state.clone()),
    column("Volt.St", 9, |r| r.voltage_state.clone()),
    column("Curr.St", 9, |r| r.current_state.clone()),
    column("Temp.St", 9, |r| r.temperature_state.clone()),
    column("Coulomb", 9, |r| format!("{}%", r.soc)),
    column("Time", 21, |r| r.time.strftime("%Y-%m-%d %H:%M:%S").to_string()),
    column("B.V.St", 9, |r| r.voltage_state.clone()),
];
const LAST: Columns = &[column("B.T.St", 8, |r| r.temperature_state.clone())];
const NOT_LAST: Columns = &[column("B.T.St", 9, |r| r.temperature_state.clone())];
/// Where a sensor is present the row is one blank short of its header.
const MOSFET: Columns = &[
    uneven("B.T.St", 9, 8, |r| r.temperature_state.clone()),
    uneven("MosTempr", 9, 9, mosfet),
    column("M.T.St", 8, mosfet_state),
];
const MOSFET_ALIGNED: Columns = &[
    column("B.T.St", 9, |r| r.temperature_state.clone()),
    column("MosTempr", 9, mosfet),
    column("M.T.St", 8, mosfet_state),
];
const MOSFET_AND_ALARM: Columns = &[
    column("B.T.St", 8, |r| r.temperature_state.clone()),
    column("MosTempr", 9, mosfet),
    column("M.T.St", 9, mosfet_state),
    uneven("SysAlarm.St", 11, 8, |r| r.voltage_state.clone()),
];
const LABEL: Columns = &[
    column("Barcode", 21, |r| r.barcode.clone().unwrap_or_else(dash)),
    column("DevType", 20, |r| r.device_type.clone().unwrap_or_else(dash)),
];

const SHORT: &[Columns] = &[ELECTRIC, EXTREMES, STATES, LAST];

/// 16 columns: US2000, E-BOX-4850P.
pub(crate) const A: TableLayout = TableLayout { present: SHORT, absent: Some(SHORT), after_present: FEED };
/// 18 columns, with the switching transistors: US2000C, US3000C.
pub(crate) const B: TableLayout =
    TableLayout { present: &[ELECTRIC, EXTREMES, STATES, MOSFET], absent: Some(SHORT), after_present: FEED };
/// 18 columns, with barcode and model: newer PYTES.
pub(crate) const C: TableLayout = TableLayout {
    present: &[ELECTRIC, EXTREMES, STATES, NOT_LAST, LABEL],
    absent: Some(&[ELECTRIC, EXTREMES, STATES, NOT_LAST, LABEL]),
    after_present: FEED,
};
/// The same from the V5, which ends the row of a present battery in its own way.
pub(crate) const C_V5: TableLayout = TableLayout { after_present: "\n\r\n", ..C };
/// 22 columns, absent places left out: US3000D.
pub(crate) const D: TableLayout = TableLayout {
    present: &[ELECTRIC, EXTREMES_AND_WHERE, STATES, MOSFET_ALIGNED],
    absent: None,
    after_present: FEED,
};
/// 23 columns, but absent places in the short shape: US5000.
pub(crate) const E: TableLayout = TableLayout {
    present: &[ELECTRIC, EXTREMES_AND_WHERE, STATES, MOSFET_AND_ALARM],
    absent: Some(SHORT),
    after_present: FEED,
};

impl TableLayout {
    fn has(&self, head: &str) -> bool {
        self.present.iter().copied().flatten().any(|column| column.head == head)
    }
}

fn dash() -> String {
    "-".to_owned()
}

fn cell_id(row: &TableRow, which: usize) -> String {
    row.cell_ids.map_or_else(dash, |ids| ids[which].to_string())
}

fn mosfet(row: &TableRow) -> String {
    row.mosfet_mc.map_or_else(|| " -".to_owned(), |temperature| temperature.to_string())
}

fn mosfet_state(row: &TableRow) -> String {
    row.mosfet_mc.map_or_else(|| " -".to_owned(), |_| row.temperature_state.clone())
}

/// Answers `pwr`.
pub(super) fn answer(bank: &Bank, dialect: Dialect, layout: &TableLayout) -> Answer {
    let spec = dialect.spec();
    let places = bank.places().max(spec.slots);
    let mut text = Text::marked();
    text.line(FEED, header(layout.present));
    let mut rows = Vec::new();
    let mut before = FEED;
    for place in 1..=places {
        if let Some(battery) = bank.battery(place) {
            let said = row_of(bank, place, battery, spec, layout);
            text.line(before, row(layout.present, &said));
            rows.push(said);
            before = layout.after_present;
        } else if let Some(absent) = layout.absent {
            text.line(before, absent_row(absent, place));
            rows.push(TableRow { place, ..TableRow::default() });
            before = FEED;
        }
    }
    Answer::done(text, Values::Table(rows))
}

fn row_of(bank: &Bank, place: usize, battery: &Battery, spec: &Spec, layout: &TableLayout) -> TableRow {
    let seen = measure::Seen::of(battery, spec.temperature_step);
    let ids = layout.has("Vlow.Id").then(|| {
        let voltages: Vec<_> = seen.cells.iter().map(|cell| cell.voltage_mv).collect();
        let warmth: Vec<_> = seen.cells.iter().map(|cell| cell.temperature_mc).collect();
        [
            measure::lowest(&warmth),
            measure::highest(&warmth),
            measure::lowest(&voltages),
            measure::highest(&voltages),
        ]
    });
    TableRow {
        place,
        present: true,
        voltage_mv: seen.voltage_mv,
        current_ma: seen.current_ma,
        temperature_mc: seen.temperature_mc,
        temperature_low_mc: seen.temperature_low_mc,
        temperature_high_mc: seen.temperature_high_mc,
        cell_low_mv: seen.cell_low_mv,
        cell_high_mv: seen.cell_high_mv,
        cell_ids: ids,
        base_state: seen.base_state.to_owned(),
        voltage_state: seen.voltage_state.to_owned(),
        current_state: seen.current_state.to_owned(),
        temperature_state: seen.temperature_state.to_owned(),
        soc: seen.soc,
        time: bank.clock_of(battery),
        mosfet_mc: seen.mosfet_mc.filter(|_| layout.has("MosTempr")),
        barcode: layout.has("Barcode").then(|| battery.barcode.clone()),
        device_type: layout.has("DevType").then(|| spec.device.to_owned()),
    }
}
