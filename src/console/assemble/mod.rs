//! Assembles a reading from the answers of a sweep.

mod device_log;
mod stack_cells;

use std::sync::Arc;

use crate::console::answers;
use crate::console::answers::bat::{BatRow, CellTable};
use crate::console::answers::info::Info;
use crate::console::answers::parsed::Parsed;
use crate::console::answers::pwr_detail::PwrDetail;
use crate::console::answers::pwr_table::{PwrRow, PwrTable};
use crate::console::answers::stack::{StackTableRow, Units};
use crate::console::answers::stat::Stat;
use crate::console::assemble::stack_cells::distribute_cells;
use crate::console::command::{Command, CommandName};
use crate::console::transcript::{Exchange, Transcript};
use crate::console::validation::samples::SampleKind;
use crate::console::validation::tolerance;
use crate::model::device_log::DeviceLogEntry;
use crate::model::facts::{FactSource, Facts};
use crate::model::lifetime::Lifetime;
use crate::model::place::Place;
use crate::model::reading::{BankReading, BatteryReading, CellReading, Measured, MissingAnswer, Presence};

/// Assembles the reading of a transcript. What cannot be parsed is listed in its `missing`; the rest is valid.
#[must_use]
pub fn assemble(transcript: &Transcript) -> BankReading {
    let mut reading = BankReading {
        bank: transcript.bank.clone(),
        kind: transcript.kind,
        taken_at: transcript.started_at,
        began: transcript.started,
        took: transcript.took,
        asked_again: transcript.retries(),
        stack: None,
        batteries: Vec::new(),
        facts: Vec::new(),
        device_log: Vec::new(),
        answered: Vec::new(),
        missing: Vec::new(),
        unreadable_facts: Vec::new(),
    };
    for place in &transcript.known_places {
        battery_mut(&mut reading, *place);
    }
    let mut stack_cells = None;
    let mut fused = Vec::new();
    for exchange in &transcript.exchanges {
        match parse_exchange(exchange, &mut reading) {
            Some(Parsed::Cells(cells)) if cells.stack => {
                reading.stack.get_or_insert_default();
                stack_cells = Some((exchange, cells));
            }
            Some(Parsed::Table(mut table)) => {
                fused.extend(table.fused.drain(..).map(|(row, problem)| (exchange, row, problem)));
                apply_table(&mut reading, table);
            }
            Some(parsed) => {
                if let (Parsed::Detail(detail), Some(place)) = (&parsed, exchange.command.place()) {
                    let confirmed = |row: &PwrRow| row.place == Some(place) && confirms(detail, row);
                    let rows = fused.extract_if(.., |(_, row, _)| confirmed(row));
                    rows.for_each(|(_, row, _)| apply_row(&mut reading, row));
                }
                apply(&mut reading, exchange.command, parsed);
            }
            None => continue,
        }
        reading.answered.push(exchange.command.to_string());
    }
    reading
        .missing
        .extend(fused.into_iter().map(|(exchange, _, problem)| missing_part(exchange, problem.to_string())));
    if let Some((exchange, table)) = stack_cells {
        let first = table.cells.first().and_then(|cell| cell.number);
        // Only up to the last module of this sweep, not those known from earlier ones.
        let last = reading.batteries.iter().rposition(|battery| battery.presence == Presence::Present);
        let modules = &mut reading.batteries[..last.map_or(0, |last| last + 1)];
        if let Err(reason) = distribute_cells(modules, cell_readings(table), first) {
            reading.missing.push(missing_part(exchange, reason));
        }
    }
    reading
}

/// The values of one answer. Errors are listed in `missing`, or in `unreadable_facts` if the answer holds facts: the
/// absence of a fact is not a gap in the sweep.
fn parse_exchange(exchange: &Exchange, reading: &mut BankReading) -> Option<Parsed> {
    let parsed = match &exchange.outcome {
        Err(lost) => Err(lost.to_string()),
        Ok(answer) => answers::parse(exchange.command, answer).map_err(|rejected| rejected.to_string()),
    };
    match parsed {
        Err(reason) => {
            reading.missing.push(missing_part(exchange, reason));
            None
        }
        Ok(parsed) => {
            let list =
                if parsed.holds_facts() { &mut reading.unreadable_facts } else { &mut reading.missing };
            let problems = parsed.problems().iter().take(MAX_LISTED);
            list.extend(problems.map(|problem| missing_part(exchange, problem.to_string())));
            Some(parsed)
        }
    }
}

/// At most this many errors of one answer are listed: a faulty console could print thousands.
const MAX_LISTED: usize = 16;

fn missing_part(exchange: &Exchange, reason: String) -> MissingAnswer {
    MissingAnswer {
        battery: exchange.command.place(),
        command: exchange.command.to_string(),
        reason,
        asked: exchange.attempts,
    }
}

/// The battery at `place`; adds it and those before it if needed.
fn battery_mut(reading: &mut BankReading, place: Place) -> &mut BatteryReading {
    let batteries = &mut reading.batteries;
    for missing in batteries.len()..=place.index() {
        // A place is at most 128, so its number fits.
        batteries.extend(u8::try_from(missing + 1).ok().and_then(Place::new).map(BatteryReading::empty));
    }
    &mut batteries[place.index()]
}

fn apply(reading: &mut BankReading, command: Command, parsed: Parsed) {
    // A command without an index is about the connected battery, and the answer states its address.
    let stated = parsed.stated_battery().and_then(|number| u8::try_from(number).ok()).and_then(Place::new);
    let place = match command.index {
        None => stated.or(Some(Place::FIRST)),
        Some(_) => command.place(),
    };
    // The number is outside the range of places.
    let Some(place) = place else { return };
    match parsed {
        Parsed::Stack(row) => reading.stack = Some(measured_from_stack(*row)),
        Parsed::Units(units) => apply_units(reading, units),
        Parsed::Detail(detail) => {
            let battery = battery_mut(reading, place);
            battery.presence = Presence::Present;
            apply_detail(battery, *detail);
        }
        Parsed::Cells(table) if command.index.is_some() => {
            let battery = battery_mut(reading, place);
            battery.presence = Presence::Present;
            battery.cells = Some(cell_readings(table));
        }
        Parsed::Info(info) => facts_mut(reading, place).push((FactSource::Info, facts_from_info(*info))),
        Parsed::Stat(stat) => facts_mut(reading, place).push((FactSource::Stat, facts_from_stat(&stat))),
        Parsed::Log(log) => apply_device_log(reading, place, device_log::from_log(log)),
        Parsed::Event(snapshot) if command.name == CommandName::DataEvent => {
            apply_device_log(reading, place, device_log::from_snapshot(&snapshot));
        }
        // The modules of a stack have no lifetime values of their own.
        Parsed::Euro(euro) if !reading.is_series() => {
            let lifetime = Some(Arc::new(Lifetime { read_at: reading.taken_at, values: euro.values }));
            let facts = Facts { lifetime, ..Facts::default() };
            battery_mut(reading, place).facts.push((FactSource::Euro, facts));
        }
        Parsed::Table(_) | Parsed::Event(_) | Parsed::Cells(_) | Parsed::Soh(_) | Parsed::Clock(_) => {}
        Parsed::Help(_) | Parsed::Euro(_) => {}
    }
}

/// The facts of the stack, or of the battery at `place`.
fn facts_mut(reading: &mut BankReading, place: Place) -> &mut Vec<(FactSource, Facts)> {
    if reading.is_series() { &mut reading.facts } else { &mut battery_mut(reading, place).facts }
}

/// A stack has one device log; with batteries in parallel, the log is that of the connected battery.
fn apply_device_log(
    reading: &mut BankReading,
    place: Place,
    records: impl IntoIterator<Item = DeviceLogEntry>,
) {
    match reading.is_series() {
        true => reading.device_log.extend(records),
        false => battery_mut(reading, place).device_log.extend(records),
    }
}

fn apply_table(reading: &mut BankReading, table: PwrTable) {
    let last = table.present_places().last();
    if let Some(last) = last {
        battery_mut(reading, last);
    }
    for battery in &mut reading.batteries {
        battery.presence = match table.presence_at(battery.place) {
            Some(true) => Presence::Present,
            Some(false) => Presence::Absent,
            None => Presence::Missing,
        };
    }
    table.rows.into_iter().filter(|row| !row.absent).for_each(|row| apply_row(reading, row));
}

fn apply_row(reading: &mut BankReading, row: PwrRow) {
    let Some(place) = row.place else { return };
    let battery = battery_mut(reading, place);
    if row.barcode.is_some() || row.model.is_some() {
        let facts = Facts { barcode: row.barcode.clone(), model: row.model.clone(), ..Facts::default() };
        battery.facts.push((FactSource::Table, facts));
    }
    battery.measured = measured_from_row(row);
}

/// Whether the details confirm a row that was split by its column widths.
fn confirms(detail: &PwrDetail, row: &PwrRow) -> bool {
    let close = |kind: SampleKind, row: Option<i32>, detail: Option<i32>| {
        let near = |(row, detail): (i32, i32)| {
            f64::from(row.abs_diff(detail)) <= tolerance::tolerance_for(kind).flat
        };
        row.zip(detail).is_some_and(near)
    };
    close(SampleKind::Voltage, row.voltage.map(|v| v.0), detail.voltage.map(|v| v.0))
        && close(SampleKind::Current, row.current.map(|v| v.0), detail.current.map(|v| v.0))
        && close(SampleKind::Temperature, row.temperature.map(|v| v.0), detail.temperature.map(|v| v.0))
        && close(SampleKind::Soc, row.soc.map(|v| v.0), detail.soc.map(|v| v.0))
}

fn measured_from_row(row: PwrRow) -> Measured {
    Measured {
        voltage: row.voltage,
        current: row.current,
        temperature: row.temperature,
        soc: row.soc,
        base_state: row.base_state,
        volt_state: row.volt_state,
        current_state: row.current_state,
        temp_state: row.temp_state,
        cell_volt_state: row.cell_volt_state,
        cell_temp_state: row.cell_temp_state,
        mos_temp_state: row.mos_temp_state,
        system_alarm: row.system_alarm,
        mos_temperature: row.mos_temperature,
        cell_voltage_low: row.cell_voltage_low,
        cell_voltage_high: row.cell_voltage_high,
        cell_temperature_low: row.cell_temperature_low,
        cell_temperature_high: row.cell_temperature_high,
        clock: row.clock,
        ..Measured::default()
    }
}

/// The values of the details take precedence over those of the table, which are older.
fn apply_detail(battery: &mut BatteryReading, detail: PwrDetail) {
    let table = std::mem::take(&mut battery.measured);
    let soh_state = detail.soh_state.clone();
    battery.measured = Measured {
        voltage: detail.voltage.or(table.voltage),
        current: detail.current.or(table.current),
        temperature: detail.temperature.or(table.temperature),
        soc: detail.soc.or(table.soc),
        base_state: detail.base_state.or(table.base_state),
        volt_state: detail.volt_state.or(table.volt_state),
        current_state: detail.current_state.or(table.current_state),
        temp_state: detail.temp_state.or(table.temp_state),
        coulomb_state: detail.coulomb_state,
        soh_state: detail.soh_state,
        heater: detail.heater,
        charge_switch: detail.charge_switch,
        discharge_switch: detail.discharge_switch,
        battery_events: detail.battery_events,
        power_events: detail.power_events,
        system_fault: detail.system_fault,
        other_events: detail.other_events,
        ..table
    };
    let facts = Facts {
        barcode: detail.barcode,
        model: detail.model,
        firmware: detail.firmware,
        nominal_capacity: detail.nominal_capacity,
        usable_capacity: detail.usable_capacity,
        soh_state,
        max_voltage: detail.max_voltage,
        ..Facts::default()
    };
    battery.facts.push((FactSource::Detail, facts));
}

fn cell_readings(table: CellTable) -> Vec<CellReading> {
    table.cells.into_iter().map(cell_reading).collect()
}

fn cell_reading(row: BatRow) -> CellReading {
    CellReading {
        voltage: row.voltage,
        current: row.current,
        temperature: row.temperature,
        base_state: row.base_state,
        volt_state: row.volt_state,
        current_state: row.current_state,
        temp_state: row.temp_state,
        soc: row.soc,
        coulomb: row.coulomb,
        balancing: row.balancing,
    }
}

fn facts_from_info(info: Info) -> Facts {
    Facts {
        barcode: info.barcode,
        manufacturer: info.manufacturer,
        model: info.model,
        firmware: info.firmware,
        nominal_capacity: info.nominal_capacity,
        cells: info.cells,
        max_charge_current: info.max_charge_current,
        max_discharge_current: info.max_discharge_current,
        ..Facts::default()
    }
}

fn facts_from_stat(stat: &Stat) -> Facts {
    Facts { soh: stat.soh, cycles: stat.cycles, discharged: stat.discharged, ..Facts::default() }
}

fn measured_from_stack(row: StackTableRow) -> Measured {
    Measured {
        voltage: row.voltage,
        current: row.current,
        temperature: row.temperature,
        soc: row.soc,
        remaining: row.coulomb,
        energy: row.energy,
        base_state: row.base_state,
        volt_state: row.volt_state,
        current_state: row.current_state,
        temp_state: row.temp_state,
        cell_voltage_low: row.cell_voltage_low,
        cell_voltage_high: row.cell_voltage_high,
        cell_temperature_low: row.cell_temperature_low,
        cell_temperature_high: row.cell_temperature_high,
        system_fault: row.error_code,
        clock: row.clock,
        ..Measured::default()
    }
}

fn apply_units(reading: &mut BankReading, units: Units) {
    // Modules are in series even if the stack's own row is missing from this sweep.
    reading.stack.get_or_insert_default();
    for row in units.units {
        let Some(place) = row.place else { continue };
        let battery = battery_mut(reading, place);
        battery.presence = Presence::Present;
        battery.measured = measured_from_stack(row);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::console::framing::answer::Answer;
    use crate::model::reading::SweepKind;

    #[test]
    fn an_unreadable_fact_loses_only_itself_and_no_answer_is_missing() {
        let text = b"info 1\n@\nDevice address : 1\nBarcode : A1B2C3D4\nSpecification : 48 volts\n\
                     Command completed successfully\n$$\npylon>";
        let command: Command = "info 1".parse().expect("a command");
        let answer = Answer::from_transcript(text);
        let reading = assemble(&Transcript {
            bank: Arc::from("bank"),
            kind: SweepKind::Full,
            started_at: jiff::Timestamp::UNIX_EPOCH,
            started: Instant::now(),
            took: Duration::ZERO,
            known_places: Vec::new(),
            exchanges: vec![Exchange { command, outcome: Ok(answer), attempts: 2 }],
        });
        assert_eq!(reading.missing, []);
        assert_eq!(reading.unreadable_facts.len(), 1, "{:?}", reading.unreadable_facts);
        let (source, facts) = &reading.batteries[0].facts[0];
        assert_eq!((*source, facts.barcode.as_deref()), (FactSource::Info, Some("A1B2C3D4")));
        assert_eq!(facts.nominal_capacity, None);
    }
}
