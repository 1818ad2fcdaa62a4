//! High-voltage stacks: `pwr`, `unit` and `bat` of batteries in series.

use crate::simulator::dialect::answer::AnswerBody;
use crate::simulator::dialect::layouts::{EnergyUnit, StackLayout};
use crate::simulator::dialect::measurement::Measurement;
use crate::simulator::dialect::spec::DialectSpec;
use crate::simulator::dialect::text::{FEED, TextColumn, column, header, row, uneven};
use crate::simulator::physics::bank::SimulatedBank;
use crate::simulator::physics::battery::{EventWordKind, SimulatedBattery};
use crate::simulator::printed::{PrintedCellRow, PrintedStackRow, PrintedUnitRow, PrintedValues};

const POWER: &[TextColumn<PrintedStackRow>] = &[
    column("Volt", 7, |r| r.voltage_mv.to_string()),
    column("Curr", 7, |r| r.current_ma.to_string()),
    column("Tempr", 7, |r| r.temperature_mc.to_string()),
    column("BTlow", 7, |r| r.cell_temperature_mc[0].to_string()),
    column("BThigh", 7, |r| r.cell_temperature_mc[1].to_string()),
    column("BVlow", 7, |r| r.cell_voltage_mv[0].to_string()),
    column("BVhigh", 7, |r| r.cell_voltage_mv[1].to_string()),
    column("UTlow", 7, |r| r.unit_temperature_mc[0].to_string()),
    column("UThigh", 7, |r| r.unit_temperature_mc[1].to_string()),
    column("UVlow", 7, |r| r.unit_voltage_mv[0].to_string()),
    column("UVhigh", 7, |r| r.unit_voltage_mv[1].to_string()),
    column("Base.St", 9, |r| r.base_state.clone()),
    column("Volt.St", 9, |_| normal()),
    column("Curr.St", 9, |_| normal()),
    column("Temp.St", 9, |_| normal()),
    uneven("CoulombAH", 25, 24, |r| charge(r.soc, r.charge_mah)),
];
const POWER_MWH: &[TextColumn<PrintedStackRow>] = &[uneven("CoulombWH", 23, 0, |r| energy(r.energy, "mWH "))];
const POWER_WH: &[TextColumn<PrintedStackRow>] = &[uneven("CoulombWH", 23, 0, |r| energy(r.energy, "WH "))];
const POWER_END: &[TextColumn<PrintedStackRow>] = &[
    column("Time", 21, |r| r.time.strftime("%Y-%m-%d %H:%M:%S").to_string()),
    column("B.V.St", 9, |_| normal()),
    column("B.T.St", 9, |_| normal()),
    column("U.V.St", 9, |_| normal()),
    column("U.T.St", 9, |_| normal()),
    column("Err Code", 0, |r| format!("0x{:x}", r.error)),
];

const UNIT: &[TextColumn<PrintedUnitRow>] = &[
    column("Index", 7, |r| r.index.to_string()),
    column("Volt", 7, |r| r.voltage_mv.to_string()),
    column("Curr", 7, |r| r.current_ma.to_string()),
    column("Tempr", 7, |r| r.temperature_mc.to_string()),
];
const UNIT_MEAN: &[TextColumn<PrintedUnitRow>] =
    &[column("AvgTempr", 9, |r| r.average_temperature_mc.unwrap_or_default().to_string())];
const UNIT_STATE: &[TextColumn<PrintedUnitRow>] = &[
    column("BTlow", 7, |r| r.cell_temperature_mc[0].to_string()),
    column("BThigh", 7, |r| r.cell_temperature_mc[1].to_string()),
    column("BVlow", 7, |r| r.cell_voltage_mv[0].to_string()),
    uneven("BVhigh", 7, 8, |r| r.cell_voltage_mv[1].to_string()),
    column("Base.St", 9, |r| r.base_state.clone()),
    column("Volt.St", 9, |_| normal()),
    column("Temp.St", 9, |_| normal()),
    uneven("CoulombAH", 25, 24, |r| charge(r.soc, r.charge_mah)),
];
const UNIT_MWH: &[TextColumn<PrintedUnitRow>] = &[uneven("CoulombWH", 24, 0, |r| energy(r.energy, "mWH "))];
const UNIT_WH: &[TextColumn<PrintedUnitRow>] = &[uneven("CoulombWH", 24, 0, |r| energy(r.energy, "WH "))];
const UNIT_END: &[TextColumn<PrintedUnitRow>] =
    &[uneven("Time", 19, 20, |r| r.time.strftime("%Y-%m-%d %H:%M:%S").to_string())];

const CELL: &[TextColumn<PrintedCellRow>] = &[
    column("Bat", 5, |r| r.index.to_string()),
    column("Volt", 5, |r| r.voltage_mv.to_string()),
    column("Curr", 8, |r| r.current_ma.unwrap_or_default().to_string()),
    column("Tempr", 8, |r| r.temperature_mc.to_string()),
    column("V.State", 8, |r| r.voltage_state.clone()),
    column("T.State", 8, |r| r.temperature_state.clone()),
];
const CELL_ENERGY: &[TextColumn<PrintedCellRow>] = &[
    uneven("AH(mAH)", 14, 0, |r| format!("{:3}%{:9} ", r.soc, r.charge_mah.unwrap_or_default())),
    uneven("WH(mWH)", 19, 0, |r| format!("{:3}%{:13}", r.soc, r.energy_mwh.unwrap_or_default())),
    column("Bal", 0, balance),
];
const CELL_CHARGE: &[TextColumn<PrintedCellRow>] = &[
    uneven("AH(mAH)", 20, 0, |r| format!("{:3}%{:11} mAH", r.soc, r.charge_mah.unwrap_or_default())),
    column("Bal", 0, balance),
];

/// Force H2.
pub(super) const FORCE_H2: StackLayout = StackLayout {
    stack: &[POWER, POWER_MWH, POWER_END],
    units: &[UNIT, UNIT_STATE, UNIT_MWH, UNIT_END],
    cells: &[CELL, CELL_ENERGY],
    preamble: ["AverageTempr", "DC Volt", "Bat Volt"],
    timed: false,
    energy: EnergyUnit::MilliwattHours,
    unmarked: &["bat", "unit", "info", "stat", "soh", "time", "log"],
};
/// SC500 and SC1000: watt-hours, and the mean temperature of each unit.
pub(super) const SC500: StackLayout = StackLayout {
    stack: &[POWER, POWER_WH, POWER_END],
    units: &[UNIT, UNIT_MEAN, UNIT_STATE, UNIT_WH, UNIT_END],
    energy: EnergyUnit::WattHours,
    unmarked: &[],
    ..FORCE_H2
};
/// SC0500: a different preamble, no energy.
pub(super) const SC0500: StackLayout = StackLayout {
    stack: &[POWER, POWER_END],
    units: &[UNIT, UNIT_STATE, UNIT_END],
    cells: &[CELL, CELL_CHARGE],
    preamble: ["Bat.Avg.Tmpr", "D+D-.Volt", "B+B-.Volt"],
    timed: true,
    energy: EnergyUnit::None,
    unmarked: &[],
};

fn normal() -> String {
    "Normal".to_owned()
}

fn balance(row: &PrintedCellRow) -> String {
    format!("   {}", if row.balancing == Some(true) { 'Y' } else { 'N' })
}

fn charge(soc: i32, mah: i64) -> String {
    format!("{soc:3}%{mah:15} mAH")
}

fn energy(energy: Option<(i32, i64)>, unit: &str) -> String {
    energy.map(|(percent, amount)| format!("{percent:3}%{amount:16} {unit}")).unwrap_or_default()
}

impl StackLayout {
    fn has_mean_temperature(&self) -> bool {
        self.units.iter().copied().flatten().any(|column| column.head == "AvgTempr")
    }

    /// Remaining energy: percent, and the amount in this layout's unit.
    fn energy_of(&self, soc: i32, milliwatt_hours: i64) -> Option<(i32, i64)> {
        match self.energy {
            EnergyUnit::MilliwattHours => Some((soc, milliwatt_hours)),
            EnergyUnit::WattHours => Some((soc, milliwatt_hours / 1000)),
            EnergyUnit::None => None,
        }
    }
}

fn range(values: impl Iterator<Item = i32> + Clone) -> [i32; 2] {
    [values.clone().min().unwrap_or(0), values.max().unwrap_or(0)]
}

fn mean(values: impl Iterator<Item = i32> + Clone) -> i32 {
    let count = values.clone().count().max(1) as i64;
    (values.map(i64::from).sum::<i64>() / count) as i32
}

pub(super) fn unit_row(
    bank: &SimulatedBank,
    index: usize,
    battery: &SimulatedBattery,
    spec: &DialectSpec,
    layout: &StackLayout,
) -> PrintedUnitRow {
    let measured = Measurement::of(battery, spec.temperature_step);
    let charge_mah = measured.charge_mas / 3_600;
    let milliwatt_hours = (charge_mah as f64 * battery.cell_count() as f64 * 3.2) as i64;
    PrintedUnitRow {
        index,
        voltage_mv: measured.voltage_mv,
        current_ma: measured.current_ma,
        temperature_mc: measured.temperature_mc,
        average_temperature_mc: layout
            .has_mean_temperature()
            .then(|| mean(measured.cells.iter().map(|cell| cell.temperature_mc))),
        cell_temperature_mc: [measured.temperature_low_mc, measured.temperature_high_mc],
        cell_voltage_mv: [measured.cell_low_mv, measured.cell_high_mv],
        base_state: measured.base_state.to_owned(),
        soc: measured.soc,
        charge_mah,
        energy: layout.energy_of(measured.soc, milliwatt_hours),
        time: bank.now(),
    }
}

fn unit_rows(bank: &SimulatedBank, spec: &DialectSpec, layout: &StackLayout) -> Vec<PrintedUnitRow> {
    bank.batteries().map(|(index, battery)| unit_row(bank, index, battery, spec, layout)).collect()
}

/// Answers `pwr`.
pub(super) fn power(bank: &SimulatedBank, spec: &DialectSpec, layout: &StackLayout) -> AnswerBody {
    let units = unit_rows(bank, spec, layout);
    let sum: i32 = units.iter().map(|unit| unit.voltage_mv).sum();
    let emptiest = units.iter().min_by_key(|unit| unit.charge_mah);
    let energy: i64 = units.iter().filter_map(|unit| Some(unit.energy?.1)).sum();
    let all = |pick: fn(&PrintedUnitRow) -> [i32; 2]| {
        range(units.iter().flat_map(pick).collect::<Vec<_>>().into_iter())
    };
    let stack = PrintedStackRow {
        average_temperature_mc: mean(units.iter().map(|unit| unit.temperature_mc)),
        // Voltage drop of contactor and wiring.
        dc_voltage_mv: sum - 480,
        battery_voltage_mv: sum,
        voltage_mv: sum,
        current_ma: units.first().map_or(0, |unit| unit.current_ma),
        temperature_mc: units.iter().map(|unit| unit.temperature_mc).max().unwrap_or(0),
        cell_temperature_mc: all(|unit| unit.cell_temperature_mc),
        cell_voltage_mv: all(|unit| unit.cell_voltage_mv),
        unit_temperature_mc: range(units.iter().map(|unit| unit.temperature_mc)),
        unit_voltage_mv: range(units.iter().map(|unit| unit.voltage_mv)),
        base_state: units.first().map_or_else(|| "Idle".to_owned(), |unit| unit.base_state.clone()),
        soc: emptiest.map_or(0, |unit| unit.soc),
        charge_mah: emptiest.map_or(0, |unit| unit.charge_mah),
        energy: emptiest.and_then(|unit| Some((unit.energy?.0, energy))),
        time: bank.now(),
        error: bank
            .batteries()
            .map(|(_, battery)| battery.event_bits(EventWordKind::Fault))
            .fold(0, |all, bits| all | bits),
    };
    let mut text = spec.open_stack("pwr");
    if layout.timed {
        text.line(FEED, format!("Time: {} ", stack.time.strftime("%Y-%m-%d %H:%M:%S")));
    }
    let preamble = [stack.average_temperature_mc, stack.dc_voltage_mv, stack.battery_voltage_mv];
    for (label, value) in layout.preamble.iter().zip(preamble) {
        text.line(FEED, format!("{label:<15}: {value:<12}"));
    }
    text.line(FEED, "");
    text.line(FEED, header(layout.stack));
    text.line(FEED, row(layout.stack, &stack));
    AnswerBody::done(text, PrintedValues::Stack(Box::new(stack)))
}

/// Answers `unit`.
pub(super) fn units(bank: &SimulatedBank, spec: &DialectSpec, layout: &StackLayout) -> AnswerBody {
    let units = unit_rows(bank, spec, layout);
    let mut text = spec.open_stack("unit");
    text.line(FEED, format!("AverageTempr: {:<12}", mean(units.iter().map(|unit| unit.temperature_mc))));
    text.line(FEED, header(layout.units));
    for unit in &units {
        text.line(FEED, row(layout.units, unit));
    }
    AnswerBody::done(text, PrintedValues::Units(units))
}

/// Answers `bat`: the cells of all units in one table.
pub(super) fn cells(bank: &SimulatedBank, spec: &DialectSpec, layout: &StackLayout) -> AnswerBody {
    let all = bank.batteries().flat_map(|(_, battery)| Measurement::of(battery, spec.temperature_step).cells);
    let cells: Vec<_> = (0..)
        .zip(all)
        .map(|(index, cell)| PrintedCellRow {
            index,
            base_state: None,
            energy_mwh: cell.energy_mwh.filter(|_| layout.energy != EnergyUnit::None),
            ..cell
        })
        .collect();
    let state = bank.battery(1).map_or("Idle", |battery| battery.state().word());
    let limit = bank.battery(1).map_or(0.0, |battery| battery.nominal * spec.limit_per_hour * 1000.0) as i64;
    let mut text = spec.open_stack("bat");
    text.line(FEED, format!("Time: {} ", bank.now().strftime("%Y-%m-%d %H:%M:%S")));
    text.line(FEED, format!("A.Tempr: {:<7}", mean(cells.iter().map(|cell| cell.temperature_mc))));
    text.line(FEED, format!("C.Curr : {limit:<8}mA"));
    text.line(FEED, format!("D.Curr : {:<8}mA", -limit));
    text.line(FEED, format!("B.State: {state} "));
    text.line(FEED, "BalVolt: 3360");
    text.line(FEED, header(layout.cells));
    for cell in &cells {
        text.line(FEED, row(layout.cells, cell));
    }
    AnswerBody::done(text, PrintedValues::Cells { place: 0, cells })
}
