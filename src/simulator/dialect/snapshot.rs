//! `data event` and `data history`: stored snapshots of a battery or a stack.

use std::collections::VecDeque;

use crate::simulator::dialect::answer::AnswerBody;
use crate::simulator::dialect::events::{self, BitNames, EventStyle};
use crate::simulator::dialect::layouts::{DetailLayout, StackLayout};
use crate::simulator::dialect::measurement::Measurement;
use crate::simulator::dialect::spec::DialectSpec;
use crate::simulator::dialect::text::{AnswerText, FEED, TextColumn, column, header, row};
use crate::simulator::dialect::{cell_table, stack};
use crate::simulator::physics::bank::SimulatedBank;
use crate::simulator::physics::battery::{BatterySnapshot, EventWordKind, SimulatedBattery};
use crate::simulator::printed::{
    PrintedCellRow, PrintedDetail, PrintedSnapshot, PrintedUnitRow, PrintedValues,
};

const RULE: &str = "-----------------------------------------------";

/// Selects a stored snapshot; without an index, the newest.
#[derive(Clone, Copy)]
pub(super) struct SnapshotRequest {
    history: bool,
    index: Option<u32>,
}

impl SnapshotRequest {
    /// Parses the arguments of `data`; `None` if they are invalid.
    pub(super) fn parse(arguments: &[&str]) -> Option<Self> {
        let (kind, rest) = arguments.split_first()?;
        let index = match rest {
            [] => None,
            [index, ..] => Some(index.parse().ok()?),
        };
        matches!(*kind, "event" | "history").then_some(Self { history: *kind == "history", index })
    }

    fn find(self, battery: &SimulatedBattery) -> Option<&BatterySnapshot> {
        let snapshots: &VecDeque<BatterySnapshot> =
            if self.history { &battery.history } else { &battery.event_snapshots };
        match self.index {
            Some(index) => snapshots.iter().find(|snapshot| snapshot.index == index),
            None => snapshots.front(),
        }
    }

    /// The label of the snapshot's index.
    fn label(self) -> &'static str {
        if self.history { "Rec Item Index" } else { "Item Index" }
    }
}

/// Prints the lines that all consoles have, then the given ones, between two rules.
fn print_block(
    text: &mut AnswerText,
    request: SnapshotRequest,
    snapshot: &PrintedSnapshot,
    limits: &[(&str, String)],
    more: &[(&str, String)],
) {
    let detail = &snapshot.detail;
    let common = [
        (request.label(), snapshot.index.to_string()),
        ("Time", snapshot.time.strftime("%y-%m-%d %H:%M:%S").to_string()),
        ("Voltage", number(detail.voltage_mv.into(), "mV")),
        ("Current", number(detail.current_ma.into(), "mA")),
        ("Temperature", number(detail.temperature_mc.into(), "mC")),
        ("Percent", number(detail.soc.into(), "%")),
    ];
    let states = [
        ("Base State", detail.base_state.clone()),
        ("Volt. State", detail.voltage_state.clone()),
        ("Curr. State", detail.current_state.clone()),
        ("Tempr. State", detail.temperature_state.clone()),
    ];
    text.line(FEED, RULE);
    for (label, value) in common.iter().chain(limits).chain(&states).chain(more) {
        text.line(FEED, format!("{label:<16}: {value}"));
    }
    text.line(FEED, RULE);
}

fn number(value: i64, unit: &str) -> String {
    format!("{value:<12}{unit}")
}

fn word(bits: Option<u32>, names: BitNames, style: EventStyle) -> String {
    events::print(bits.unwrap_or_default(), names, 11, style)
}

/// Answers for a 48 V bank.
pub(super) fn answer_pack(
    bank: &SimulatedBank,
    spec: &DialectSpec,
    layout: &DetailLayout,
    style: EventStyle,
    request: SnapshotRequest,
) -> Option<AnswerBody> {
    let BatterySnapshot { index, seconds, battery } = request.find(bank.battery(1)?)?;
    let detail = layout.detail(1, battery, spec);
    let mut cells = cell_table::SNAPSHOT.rows(battery, spec);
    cells.iter_mut().for_each(|cell| cell.charge_mah = None);
    let limits = [
        ("Total Coulomb", number(detail.total_mah.unwrap_or_default(), "mAH")),
        ("Max Voltage", number(spec.max_voltage_mv.into(), "mV")),
    ];
    let more = [
        ("Coul. Status", detail.coulomb_state.clone()),
        ("Power Events", word(detail.power_events, events::POWER, style)),
        ("Bat Events", word(detail.battery_events, events::BATTERY, style)),
        ("Bat Protect ENA", "BOV BHV BLV BUV BSLP CBOT CBHT CBLT CBUT DBOT DBHT DBLT DBUT ".to_owned()),
        ("Pwr Protect ENA", "POV PHV PLV PUV PSLP POT PHT COC2 COC COCA DOCA DOC DOC2 SC LCOUL ".to_owned()),
        ("System Fault", word(detail.system_fault, events::FAULT, style)),
    ];
    let snapshot =
        PrintedSnapshot { index: *index, time: bank.at(*seconds), detail, cells, units: Vec::new() };
    let mut text = AnswerText::marked();
    print_block(&mut text, request, &snapshot, &limits, &more);
    text.line(FEED, "");
    cell_table::SNAPSHOT.write(&mut text, &snapshot.cells);
    Some(AnswerBody::done(text, PrintedValues::Snapshot(Box::new(snapshot))))
}

const UNIT: &[TextColumn<PrintedUnitRow>] = &[
    column("Unit", 9, |r| r.index.to_string()),
    column("Volt", 9, |r| r.voltage_mv.to_string()),
    column("Tempr", 9, |r| r.temperature_mc.to_string()),
    column("BTLow", 9, |r| r.cell_temperature_mc[0].to_string()),
    column("BTHigh", 9, |r| r.cell_temperature_mc[1].to_string()),
    column("BVLow", 9, |r| r.cell_voltage_mv[0].to_string()),
    column("BVHigh", 9, |r| r.cell_voltage_mv[1].to_string()),
];

/// Answers for a stack: the cells of all modules in one table, then the modules below another rule.
pub(super) fn answer_stack(
    bank: &SimulatedBank,
    spec: &DialectSpec,
    layout: &StackLayout,
    style: EventStyle,
    request: SnapshotRequest,
) -> Option<AnswerBody> {
    let modules: Vec<(usize, &BatterySnapshot)> =
        bank.batteries().filter_map(|(place, battery)| Some((place, request.find(battery)?))).collect();
    let (_, BatterySnapshot { index, seconds, battery: first }) = *modules.first()?;
    let units: Vec<PrintedUnitRow> = modules
        .iter()
        .map(|(place, snapshot)| stack::unit_row(bank, *place, &snapshot.battery, spec, layout))
        .collect();
    let cells = modules.iter().flat_map(|(_, snapshot)| cell_table::SNAPSHOT.rows(&snapshot.battery, spec));
    let cells: Vec<PrintedCellRow> =
        (0..).zip(cells).map(|(index, cell)| PrintedCellRow { index, charge_mah: None, ..cell }).collect();
    let bits = |word| {
        modules.iter().map(|(_, snapshot)| snapshot.battery.event_bits(word)).fold(0, |all, bits| all | bits)
    };
    let measured = Measurement::of(first, spec.temperature_step);
    let detail = PrintedDetail {
        voltage_mv: units.iter().map(|unit| unit.voltage_mv).sum(),
        current_ma: measured.current_ma,
        temperature_mc: units.iter().map(|unit| unit.temperature_mc).max().unwrap_or(0),
        soc: units.iter().map(|unit| unit.soc).min().unwrap_or(0),
        base_state: measured.base_state.to_owned(),
        voltage_state: measured.voltage_state.to_owned(),
        current_state: measured.current_state.to_owned(),
        temperature_state: measured.temperature_state.to_owned(),
        battery_events: Some(bits(EventWordKind::Battery)),
        power_events: Some(bits(EventWordKind::Power)),
        system_fault: Some(bits(EventWordKind::Fault)),
        ..PrintedDetail::default()
    };
    let more = [
        ("Power Events", word(detail.power_events, events::POWER, style)),
        ("Bat Events", word(detail.battery_events, events::BATTERY, style)),
        ("Unit Events", word(Some(0), events::POWER, style)),
        ("System Fault", word(detail.system_fault, events::FAULT, style)),
    ];
    let snapshot = PrintedSnapshot { index: *index, time: bank.at(*seconds), detail, cells, units };
    let mut text = AnswerText::marked();
    print_block(&mut text, request, &snapshot, &[], &more);
    text.line(FEED, "");
    cell_table::SNAPSHOT.write(&mut text, &snapshot.cells);
    text.line(FEED, RULE);
    text.line(FEED, header(&[UNIT]));
    for unit in &snapshot.units {
        text.line(FEED, row(&[UNIT], unit));
    }
    Some(AnswerBody::done(text, PrintedValues::Snapshot(Box::new(snapshot))))
}
