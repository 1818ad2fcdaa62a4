//! `pwr` of a 48 V bank: one row per place.

use crate::simulator::dialect::answer::AnswerBody;
use crate::simulator::dialect::layouts::{PowerColumns, TableLayout};
use crate::simulator::dialect::measurement::{self, Measurement};
use crate::simulator::dialect::spec::DialectSpec;
use crate::simulator::dialect::text::{AnswerText, FEED, absent_row, column, header, row, uneven};
use crate::simulator::physics::bank::SimulatedBank;
use crate::simulator::physics::battery::SimulatedBattery;
use crate::simulator::printed::{PrintedTableRow, PrintedValues};

const ELECTRIC: PowerColumns = &[
    column("Power", 6, |r| r.place.to_string()),
    column("Volt", 7, |r| r.voltage_mv.to_string()),
    column("Curr", 7, |r| r.current_ma.to_string()),
    column("Tempr", 7, |r| r.temperature_mc.to_string()),
];
const EXTREMES: PowerColumns = &[
    column("Tlow", 7, |r| r.temperature_low_mc.to_string()),
    column("Thigh", 7, |r| r.temperature_high_mc.to_string()),
    column("Vlow", 7, |r| r.cell_low_mv.to_string()),
    column("Vhigh", 7, |r| r.cell_high_mv.to_string()),
];
/// The same, each followed by the index of its cell.
const EXTREMES_WITH_CELLS: PowerColumns = &[
    column("Tlow", 7, |r| r.temperature_low_mc.to_string()),
    column("Tlow.Id", 9, |r| cell_id(r, 0)),
    column("Thigh", 7, |r| r.temperature_high_mc.to_string()),
    column("Thigh.Id", 9, |r| cell_id(r, 1)),
    column("Vlow", 7, |r| r.cell_low_mv.to_string()),
    column("Vlow.Id", 9, |r| cell_id(r, 2)),
    column("Vhigh", 7, |r| r.cell_high_mv.to_string()),
    column("Vhigh.Id", 9, |r| cell_id(r, 3)),
];
const STATES: PowerColumns = &[
    column("Base.St", 9, |r| r.base_state.clone()),
    column("Volt.St", 9, |r| r.voltage_state.clone()),
    column("Curr.St", 9, |r| r.current_state.clone()),
    column("Temp.St", 9, |r| r.temperature_state.clone()),
    column("Coulomb", 9, |r| format!("{}%", r.soc)),
    column("Time", 21, |r| r.time.strftime("%Y-%m-%d %H:%M:%S").to_string()),
    column("B.V.St", 9, |r| r.voltage_state.clone()),
];
const LAST: PowerColumns = &[column("B.T.St", 8, |r| r.temperature_state.clone())];
const NOT_LAST: PowerColumns = &[column("B.T.St", 9, |r| r.temperature_state.clone())];
/// With a sensor present, the row is one space shorter than its header.
const MOSFET: PowerColumns = &[
    uneven("B.T.St", 9, 8, |r| r.temperature_state.clone()),
    uneven("MosTempr", 9, 9, mosfet),
    column("M.T.St", 8, mosfet_state),
];
const MOSFET_ALIGNED: PowerColumns = &[
    column("B.T.St", 9, |r| r.temperature_state.clone()),
    column("MosTempr", 9, mosfet),
    column("M.T.St", 8, mosfet_state),
];
const MOSFET_AND_ALARM: PowerColumns = &[
    column("B.T.St", 8, |r| r.temperature_state.clone()),
    column("MosTempr", 9, mosfet),
    column("M.T.St", 9, mosfet_state),
    uneven("SysAlarm.St", 11, 8, |r| r.voltage_state.clone()),
];
const LABEL: PowerColumns = &[
    column("Barcode", 21, |r| r.barcode.clone().unwrap_or_else(dash)),
    column("DevType", 20, |r| r.device_type.clone().unwrap_or_else(dash)),
];

const SHORT: &[PowerColumns] = &[ELECTRIC, EXTREMES, STATES, LAST];

/// 16 columns: US2000, E-BOX-4850P.
pub(super) const A: TableLayout = TableLayout { present: SHORT, absent: Some(SHORT), after_present: FEED };
/// 18 columns, with MOSFET temperature: US2000C, US3000C.
pub(super) const B: TableLayout =
    TableLayout { present: &[ELECTRIC, EXTREMES, STATES, MOSFET], absent: Some(SHORT), after_present: FEED };
/// 18 columns, with barcode and model: newer PYTES.
pub(super) const C: TableLayout = TableLayout {
    present: &[ELECTRIC, EXTREMES, STATES, NOT_LAST, LABEL],
    absent: Some(&[ELECTRIC, EXTREMES, STATES, NOT_LAST, LABEL]),
    after_present: FEED,
};
/// The same for the V5, which has a different line end after a present battery.
pub(super) const C_V5: TableLayout = TableLayout { after_present: "\n\r\n", ..C };
/// 22 columns, absent places omitted: US3000D.
pub(super) const D: TableLayout = TableLayout {
    present: &[ELECTRIC, EXTREMES_WITH_CELLS, STATES, MOSFET_ALIGNED],
    absent: None,
    after_present: FEED,
};
/// 23 columns, but absent places in the 16-column layout of [`A`]: US5000.
pub(super) const E: TableLayout = TableLayout {
    present: &[ELECTRIC, EXTREMES_WITH_CELLS, STATES, MOSFET_AND_ALARM],
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

fn cell_id(row: &PrintedTableRow, which: usize) -> String {
    row.cell_ids.map_or_else(dash, |ids| ids[which].to_string())
}

fn mosfet(row: &PrintedTableRow) -> String {
    row.mosfet_mc.map_or_else(|| " -".to_owned(), |temperature| temperature.to_string())
}

fn mosfet_state(row: &PrintedTableRow) -> String {
    row.mosfet_mc.map_or_else(|| " -".to_owned(), |_| row.temperature_state.clone())
}

/// Answers `pwr`.
pub(super) fn answer(bank: &SimulatedBank, spec: &DialectSpec, layout: &TableLayout) -> AnswerBody {
    let places = bank.places().max(spec.slots);
    let mut text = AnswerText::marked();
    text.line(FEED, header(layout.present));
    let mut rows = Vec::new();
    let mut before = FEED;
    for place in 1..=places {
        if let Some(battery) = bank.battery(place) {
            let values = measure_row(bank, place, battery, spec, layout);
            text.line(before, row(layout.present, &values));
            rows.push(values);
            before = layout.after_present;
        } else if let Some(absent) = layout.absent {
            text.line(before, absent_row(absent, place));
            rows.push(PrintedTableRow { place, ..PrintedTableRow::default() });
            before = FEED;
        }
    }
    AnswerBody::done(text, PrintedValues::Table(rows))
}

fn measure_row(
    bank: &SimulatedBank,
    place: usize,
    battery: &SimulatedBattery,
    spec: &DialectSpec,
    layout: &TableLayout,
) -> PrintedTableRow {
    let measured = Measurement::of(battery, spec.temperature_step);
    let ids = layout.has("Vlow.Id").then(|| {
        let voltages: Vec<_> = measured.cells.iter().map(|cell| cell.voltage_mv).collect();
        let temperatures: Vec<_> = measured.cells.iter().map(|cell| cell.temperature_mc).collect();
        [
            measurement::lowest(&temperatures),
            measurement::highest(&temperatures),
            measurement::lowest(&voltages),
            measurement::highest(&voltages),
        ]
    });
    PrintedTableRow {
        place,
        present: true,
        voltage_mv: measured.voltage_mv,
        current_ma: measured.current_ma,
        temperature_mc: measured.temperature_mc,
        temperature_low_mc: measured.temperature_low_mc,
        temperature_high_mc: measured.temperature_high_mc,
        cell_low_mv: measured.cell_low_mv,
        cell_high_mv: measured.cell_high_mv,
        cell_ids: ids,
        base_state: measured.base_state.to_owned(),
        voltage_state: measured.voltage_state.to_owned(),
        current_state: measured.current_state.to_owned(),
        temperature_state: measured.temperature_state.to_owned(),
        soc: measured.soc,
        time: bank.battery_clock(battery),
        mosfet_mc: measured.mosfet_mc.filter(|_| layout.has("MosTempr")),
        barcode: layout.has("Barcode").then(|| battery.barcode.clone()),
        device_type: layout.has("DevType").then(|| spec.device.to_owned()),
    }
}
