//! `data event` and `data history`: a battery or a stack as it was at a moment.

use std::collections::VecDeque;

use super::super::bank::Bank;
use super::super::battery::{Battery, Moment, Word};
use super::super::said::{CellRow, Detail, Snapshot, UnitRow, Values};
use super::detail::DetailLayout;
use super::events::Names;
use super::stack::StackLayout;
use super::text::{Column, FEED, Text, column, header, row};
use super::{Answer, EventStyle, Spec, cell_table, events, measure, stack};

const RULE: &str = "-----------------------------------------------";

/// Which memory, and which of its moments; without a number the newest.
#[derive(Clone, Copy)]
pub(super) struct SnapshotRequest {
    history: bool,
    index: Option<u32>,
}

impl SnapshotRequest {
    /// What the words behind `data` ask for; nothing where no console takes them.
    pub(super) fn of(arguments: &[&str]) -> Option<Self> {
        let (kind, rest) = arguments.split_first()?;
        let index = match rest {
            [] => None,
            [index, ..] => Some(index.parse().ok()?),
        };
        matches!(*kind, "event" | "history").then_some(Self { history: *kind == "history", index })
    }

    fn of_battery(self, battery: &Battery) -> Option<&Moment> {
        let moments: &VecDeque<Moment> = if self.history { &battery.history } else { &battery.moments };
        match self.index {
            Some(index) => moments.iter().find(|moment| moment.index == index),
            None => moments.front(),
        }
    }

    /// How the console calls the number of a moment.
    fn label(self) -> &'static str {
        if self.history { "Rec Item Index" } else { "Item Index" }
    }
}

/// The lines that every console has of a moment, then its own, between two rules.
fn block(
    text: &mut Text,
    asked: SnapshotRequest,
    snapshot: &Snapshot,
    limits: &[(&str, String)],
    own: &[(&str, String)],
) {
    let detail = &snapshot.detail;
    let common = [
        (asked.label(), snapshot.index.to_string()),
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
    for (label, value) in common.iter().chain(limits).chain(&states).chain(own) {
        text.line(FEED, format!("{label:<16}: {value}"));
    }
    text.line(FEED, RULE);
}

fn number(value: i64, unit: &str) -> String {
    format!("{value:<12}{unit}")
}

fn word(bits: Option<u32>, names: Names, style: EventStyle) -> String {
    events::print(bits.unwrap_or_default(), names, 11, style)
}

/// Answers for a battery.
pub(super) fn of_pack(
    bank: &Bank,
    spec: &Spec,
    layout: &DetailLayout,
    style: EventStyle,
    asked: SnapshotRequest,
) -> Option<Answer> {
    let Moment { index, seconds, battery } = asked.of_battery(bank.battery(1)?)?;
    let detail = layout.of(1, battery, spec);
    let mut cells = cell_table::OF_AN_EVENT.rows_of(battery, spec);
    cells.iter_mut().for_each(|cell| cell.charge_mah = None);
    let limits = [
        ("Total Coulomb", number(detail.total_mah.unwrap_or_default(), "mAH")),
        ("Max Voltage", number(spec.max_voltage_mv.into(), "mV")),
    ];
    let own = [
        ("Coul. Status", detail.coulomb_state.clone()),
        ("Power Events", word(detail.power_events, events::POWER, style)),
        ("Bat Events", word(detail.battery_events, events::BATTERY, style)),
        ("Bat Protect ENA", "BOV BHV BLV BUV BSLP CBOT CBHT CBLT CBUT DBOT DBHT DBLT DBUT ".to_owned()),
        ("Pwr Protect ENA", "POV PHV PLV PUV PSLP POT PHT COC2 COC COCA DOCA DOC DOC2 SC LCOUL ".to_owned()),
        ("System Fault", word(detail.system_fault, events::FAULT, style)),
    ];
    let snapshot = Snapshot { index: *index, time: bank.at(*seconds), detail, cells, units: Vec::new() };
    let mut text = Text::marked();
    block(&mut text, asked, &snapshot, &limits, &own);
    text.line(FEED, "");
    cell_table::OF_AN_EVENT.write(&mut text, &snapshot.cells);
    Some(Answer::done(text, Values::Snapshot(Box::new(snapshot))))
}

const UNIT: &[Column<UnitRow>] = &[
    column("Unit", 9, |r| r.index.to_string()),
    column("Volt", 9, |r| r.voltage_mv.to_string()),
    column("Tempr", 9, |r| r.temperature_mc.to_string()),
    column("BTLow", 9, |r| r.cell_temperature_mc[0].to_string()),
    column("BTHigh", 9, |r| r.cell_temperature_mc[1].to_string()),
    column("BVLow", 9, |r| r.cell_voltage_mv[0].to_string()),
    column("BVHigh", 9, |r| r.cell_voltage_mv[1].to_string()),
];

/// Answers for a stack: the cells of all modules in one table, and behind another rule the modules.
pub(super) fn of_stack(
    bank: &Bank,
    spec: &Spec,
    layout: &StackLayout,
    style: EventStyle,
    asked: SnapshotRequest,
) -> Option<Answer> {
    let modules: Vec<(usize, &Moment)> =
        bank.batteries().filter_map(|(place, battery)| Some((place, asked.of_battery(battery)?))).collect();
    let (_, Moment { index, seconds, battery: first }) = *modules.first()?;
    let units: Vec<UnitRow> = modules
        .iter()
        .map(|(place, moment)| stack::unit_of(bank, *place, &moment.battery, spec, layout))
        .collect();
    let cells = modules.iter().flat_map(|(_, moment)| cell_table::OF_AN_EVENT.rows_of(&moment.battery, spec));
    let cells: Vec<CellRow> =
        (0..).zip(cells).map(|(index, cell)| CellRow { index, charge_mah: None, ..cell }).collect();
    let bits =
        |word| modules.iter().map(|(_, moment)| moment.battery.events(word)).fold(0, |all, one| all | one);
    let seen = measure::Seen::of(first, spec.temperature_step);
    let detail = Detail {
        voltage_mv: units.iter().map(|unit| unit.voltage_mv).sum(),
        current_ma: seen.current_ma,
        temperature_mc: units.iter().map(|unit| unit.temperature_mc).max().unwrap_or(0),
        soc: units.iter().map(|unit| unit.soc).min().unwrap_or(0),
        base_state: seen.base_state.to_owned(),
        voltage_state: seen.voltage_state.to_owned(),
        current_state: seen.current_state.to_owned(),
        temperature_state: seen.temperature_state.to_owned(),
        battery_events: Some(bits(Word::Battery)),
        power_events: Some(bits(Word::Power)),
        system_fault: Some(bits(Word::Fault)),
        ..Detail::default()
    };
    let own = [
        ("Power Events", word(detail.power_events, events::POWER, style)),
        ("Bat Events", word(detail.battery_events, events::BATTERY, style)),
        ("Unit Events", word(Some(0), events::POWER, style)),
        ("System Fault", word(detail.system_fault, events::FAULT, style)),
    ];
    let snapshot = Snapshot { index: *index, time: bank.at(*seconds), detail, cells, units };
    let mut text = Text::marked();
    block(&mut text, asked, &snapshot, &[], &own);
    text.line(FEED, "");
    cell_table::OF_AN_EVENT.write(&mut text, &snapshot.cells);
    text.line(FEED, RULE);
    text.line(FEED, header(&[UNIT]));
    for unit in &snapshot.units {
        text.line(FEED, row(&[UNIT], unit));
    }
    Some(Answer::done(text, Values::Snapshot(Box::new(snapshot))))
}
