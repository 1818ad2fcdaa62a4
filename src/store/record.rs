//! What a store takes: readings, minutes, events, in plain numbers. Also the form in which a record waits on disk
//! until a database has confirmed it: JSON, so that what a database refuses can be read by whoever mends it.
//!
//! Length: each record stands beside how it is made of the model's values.

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use crate::model;
use crate::model::device_log::DeviceLogBatch;
use crate::model::event::EventKind;
use crate::model::place::Place;
use crate::model::reading::{BankReading, BatteryReading, CellReading, Measured, Presence, SweepKind};
use crate::model::report::BankReport;
use crate::model::statistics::CellStatistics;
use crate::model::word::Word;
use crate::store::lifetime::LifetimeRecord;
use crate::store::rollup::Minute;
use crate::store::text::{barcode, bounded};
use crate::store::values::{BankValues, BatteryValues, CellValues, Words};

/// One thing to be stored. Storing it twice is storing it once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// A full sweep.
    Sweep(Box<Sweep>),
    /// What all sweeps of a minute amount to, of a bank or of a battery.
    Minute(Box<Minute>),
    /// A bit that rose in an event word, or that cleared.
    Event(Box<Event>),
    /// A record of a battery's own log.
    Log(Box<LogEntry>),
    /// The state of a counter.
    Counter(Box<Counter>),
    /// What a battery has measured of its own life.
    Lifetime(Box<LifetimeRecord>),
}

/// The form on disk, by its version.
#[derive(Serialize, Deserialize)]
enum OnDisk<R> {
    #[serde(rename = "1")]
    V1(R),
}

/// Why bytes are no record.
#[derive(Debug, thiserror::Error)]
#[error("expected a record as this version or an earlier one writes it: {0}")]
pub struct NotARecord(#[source] serde_json::Error);

impl Record {
    /// The form in which it waits on disk: JSON with its version.
    ///
    /// # Errors
    /// Never in practice: every record has such a form.
    pub fn to_bytes(&self) -> Result<Vec<u8>, NotARecord> {
        serde_json::to_vec(&OnDisk::V1(self)).map_err(NotARecord)
    }

    /// Undoes [`Self::to_bytes`], also of earlier versions.
    ///
    /// # Errors
    /// The bytes are none of ours, or of a later version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NotARecord> {
        let OnDisk::V1(record) = serde_json::from_slice(bytes).map_err(NotARecord)?;
        Ok(record)
    }

    /// The time it is about, in milliseconds since 1970, UTC: of a minute its begin.
    #[must_use]
    pub fn at_ms(&self) -> i64 {
        match self {
            Self::Sweep(sweep) => sweep.taken_at_ms,
            Self::Minute(minute) => minute.started_at_ms,
            Self::Event(event) => event.raised_at_ms,
            Self::Log(entry) => entry.clock_local_s.saturating_mul(1000),
            Self::Counter(counter) => counter.taken_at_ms,
            Self::Lifetime(lifetime) => lifetime.taken_at_ms,
        }
    }

    /// Moves its times by so many milliseconds, for a clock that was set late. A battery's own clock is its own.
    pub fn shift(&mut self, ms: i64) {
        let moved = |at: &mut i64| *at = at.saturating_add(ms);
        match self {
            Self::Sweep(sweep) => moved(&mut sweep.taken_at_ms),
            Self::Event(event) => {
                // One that rose after its own end rose before a restart, by a clock that was right.
                if event.cleared_at_ms.is_none_or(|cleared| event.raised_at_ms <= cleared) {
                    moved(&mut event.raised_at_ms);
                }
                event.cleared_at_ms.iter_mut().for_each(moved);
            }
            Self::Counter(counter) => moved(&mut counter.taken_at_ms),
            Self::Lifetime(lifetime) => moved(&mut lifetime.taken_at_ms),
            // A minute by the wrong clock is no minute of the right one: whoever corrects the clock sums up afterwards.
            Self::Minute(_) | Self::Log(_) => {}
        }
    }
}

/// Who a battery is: by its barcode where that is known, else by its place; and what else is known of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Serial number.
    pub(crate) barcode: Option<String>,
    /// `Pylon`, `PYTES`.
    pub(crate) manufacturer: Option<String>,
    /// Type.
    pub(crate) model: Option<String>,
    /// Main firmware.
    pub(crate) firmware: Option<String>,
    /// Nominal capacity.
    pub(crate) nominal_capacity_mah: Option<i64>,
    /// Usable capacity as the battery has learned it.
    pub(crate) usable_capacity_mah: Option<i64>,
    /// How many cells.
    pub(crate) cells: Option<i32>,
}

/// A full sweep of a bank.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sweep {
    /// The bank's name.
    pub(crate) bank: String,
    /// When the sweep began, in milliseconds since 1970, UTC.
    pub(crate) taken_at_ms: i64,
    /// The bank's own values.
    pub values: BankValues,
    /// The bank's state: an index into `states`.
    pub state: u16,
    /// The sets of state words that occur in this sweep, each once.
    pub(crate) states: Vec<Words>,
    /// The batteries that said something.
    pub(crate) batteries: Vec<Battery>,
}

/// A battery in a sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Battery {
    /// Its place, from 1.
    pub(crate) place: u8,
    /// Who it is.
    pub(crate) identity: Identity,
    /// Its values.
    pub(crate) values: BatteryValues,
    /// Its state: an index into the sweep's.
    pub(crate) state: u16,
    /// Its cells in order; none where they were not asked or did not answer.
    pub(crate) cells: Vec<Cell>,
}

/// A cell in a sweep: its values and its state, an index into the sweep's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell(pub(crate) CellValues, pub(crate) u16);

/// A bit of an event word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The bank's name.
    pub(crate) bank: String,
    /// The battery's place; none for the bank itself.
    pub(crate) place: Option<u8>,
    /// The battery's barcode, where known.
    pub barcode: Option<String>,
    /// Which word: `battery`, `power`, `system` or the console's own label.
    pub word: String,
    /// The bit.
    pub(crate) bit: u32,
    /// When it rose, in milliseconds since 1970, UTC.
    pub(crate) raised_at_ms: i64,
    /// When it cleared; none while it stands.
    pub cleared_at_ms: Option<i64>,
    /// `info` or `warning`.
    pub level: String,
    /// What it means.
    pub text: String,
}

impl From<&model::event::Event> for Event {
    fn from(event: &model::event::Event) -> Self {
        // What is noted is over as soon as it is.
        let over = event.kind != EventKind::Raised;
        Self {
            bank: event.bank.to_string(),
            place: event.battery.map(Place::number),
            barcode: event.barcode.clone(),
            word: event.word.to_string(),
            bit: event.condition.bit(),
            raised_at_ms: event.raised_at.as_millisecond(),
            cleared_at_ms: over.then(|| event.at.as_millisecond()),
            level: event.level.word().to_owned(),
            text: event.text.clone(),
        }
    }
}

/// A record of a battery's own log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// The bank's name.
    pub(crate) bank: String,
    /// The battery's place.
    pub(crate) place: u8,
    /// The battery's barcode, where known.
    pub(crate) barcode: Option<String>,
    /// The record's number; higher is newer.
    pub(crate) record: i64,
    /// The battery's own clock as seconds since 1970, as if it were UTC.
    pub(crate) clock_local_s: i64,
    /// Which module wrote it.
    pub(crate) module: Option<String>,
    /// Its code.
    pub code: Option<i64>,
    /// What happened.
    pub(crate) info: Option<String>,
}

impl LogEntry {
    /// The records of what a battery remembers. What its clock did not date has no place in a history.
    pub(crate) fn all(memory: &DeviceLogBatch) -> impl Iterator<Item = Self> + '_ {
        let epoch = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
        memory.records.iter().filter_map(move |record| {
            Some(Self {
                bank: memory.bank.to_string(),
                place: memory.battery.map_or(0, Place::number),
                barcode: memory.barcode.clone(),
                record: record.index,
                clock_local_s: record.clock?.duration_since(epoch).as_secs(),
                module: record.module.clone(),
                code: record.code.map(i64::from),
                info: record.text.clone(),
            })
        })
    }
}

/// Whose counter it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// The bank's.
    Bank,
    /// That of a place, whichever battery sits there.
    Place(u8),
    /// That of a battery, wherever it sits.
    Battery {
        /// Where it sits.
        place: u8,
        /// Its barcode, where known.
        barcode: Option<String>,
    },
}

/// The state of a counter; it never steps back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counter {
    /// The bank's name.
    pub(crate) bank: String,
    /// Whose it is.
    pub(crate) whose: Whose,
    /// What it counts, with its unit: `charged_mwh`.
    pub(crate) name: String,
    /// How far it has come.
    pub(crate) value: i64,
    /// When, in milliseconds since 1970, UTC.
    pub(crate) taken_at_ms: i64,
}

impl Sweep {
    /// What of a report is history. A battery that said nothing has no row: nothing is not zero.
    #[must_use]
    pub fn of(report: &BankReport) -> Self {
        let BankReport { reading, statistics, .. } = report;
        let mut states = Vec::new();
        let stack = reading.stack.as_ref();
        let base_state = Words { base_state: word(statistics.base_state.as_ref()), ..Words::default() };
        let state = index(&mut states, stack.map_or(base_state, words));
        let extremes = extremes(&statistics.cells);
        let small = |count: u128| i32::try_from(count).unwrap_or(i32::MAX);
        let values = BankValues {
            took_ms: small(reading.took.as_millis()),
            asked_again: small(reading.asked_again.into()),
            missing: small(reading.missing.len() as u128),
            batteries: small(present(reading) as u128),
            voltage_mv: statistics.voltage.map(|v| v.0),
            current_ma: statistics.current.map(|c| c.0),
            power_mw: statistics.power.map(|p| p.0),
            temperature_mc: statistics.temperature.map(|t| t.0),
            soc_permille: permille(statistics.soc),
            remaining_mah: stack.and_then(|stack| stack.remaining).map(|c| c.0),
            energy_mwh: stack.and_then(|stack| stack.energy).map(|e| e.0),
            cell_voltage_low_mv: extremes[0],
            cell_voltage_high_mv: extremes[1],
            cell_temperature_low_mc: extremes[2],
            cell_temperature_high_mc: extremes[3],
        };
        let said = (0..).zip(&reading.batteries).filter(|(_, battery)| battery.presence == Presence::Present);
        let batteries = said.map(|(at, battery)| Battery::of(report, at, battery, &mut states)).collect();
        let taken_at_ms = reading.taken_at.as_millisecond();
        Self { bank: bounded(&reading.bank, 64), taken_at_ms, values, state, states, batteries }
    }
}

/// How many batteries are there; of a stack's summary, which names none, how many are known.
fn present(reading: &BankReading) -> usize {
    let names_none = reading.is_series() && reading.kind == SweepKind::Summary;
    let is_there = |battery: &&BatteryReading| names_none || battery.presence == Presence::Present;
    reading.batteries.iter().filter(is_there).count()
}

/// Percent as tenths of a percent.
pub(super) fn permille(percent: Option<f64>) -> Option<i32> {
    // Rounded and far inside the range: a percentage is some hundreds at most.
    percent.filter(|soc| soc.abs() < 10_000.0).map(|soc| (soc * 10.0).round() as i32)
}

impl Battery {
    fn of(report: &BankReport, at: usize, battery: &BatteryReading, states: &mut Vec<Words>) -> Self {
        let facts = report.facts.get(at).cloned().unwrap_or_default();
        let statistics = report.statistics.batteries.get(at).copied().unwrap_or_default();
        let measured = &battery.measured;
        let state = index(states, words(measured));
        let cells = battery.cells.iter().flatten().map(|cell| Cell::of(cell, states)).collect();
        let text = |text: &Option<String>| text.as_deref().map(|text| bounded(text, 64));
        let identity = Identity {
            barcode: facts.barcode.as_deref().map(barcode).filter(|barcode| !barcode.is_empty()),
            manufacturer: text(&facts.manufacturer),
            model: text(&facts.model),
            firmware: text(&facts.firmware),
            nominal_capacity_mah: facts.nominal_capacity.map(|c| c.0),
            usable_capacity_mah: facts.usable_capacity.map(|c| c.0),
            cells: facts.cells.map(i32::from),
        };
        let own = extremes(&statistics.cells);
        let values = BatteryValues {
            voltage_mv: measured.voltage.map(|v| v.0),
            current_ma: measured.current.map(|c| c.0),
            temperature_mc: measured.temperature.map(|t| t.0),
            soc_percent: measured.soc.map(|soc| soc.0),
            remaining_mah: measured.remaining.map(|c| c.0),
            energy_mwh: measured.energy.map(|e| e.0),
            mos_temperature_mc: measured.mos_temperature.map(|t| t.0),
            cell_voltage_low_mv: own[0].or(measured.cell_voltage_low.map(|v| v.0)),
            cell_voltage_high_mv: own[1].or(measured.cell_voltage_high.map(|v| v.0)),
            cell_temperature_low_mc: own[2].or(measured.cell_temperature_low.map(|t| t.0)),
            cell_temperature_high_mc: own[3].or(measured.cell_temperature_high.map(|t| t.0)),
            battery_events: measured.battery_events.as_ref().map(|word| word.bits.into()),
            power_events: measured.power_events.as_ref().map(|word| word.bits.into()),
            system_fault: measured.system_fault.as_ref().map(|word| word.bits.into()),
            other_events: other_events(measured),
            clock_local_s: measured.clock.map(|clock| {
                let epoch = jiff::civil::DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
                clock.duration_since(epoch).as_secs()
            }),
            soh_percent: facts.soh.map(|soh| soh.0),
            cycles: facts.cycles,
        };
        Self { place: battery.place.number(), identity, values, state, cells }
    }
}

impl Cell {
    fn of(cell: &CellReading, states: &mut Vec<Words>) -> Self {
        let said = Words {
            base_state: word(cell.base_state.as_ref()),
            volt_state: word(cell.volt_state.as_ref()),
            current_state: word(cell.current_state.as_ref()),
            temp_state: word(cell.temp_state.as_ref()),
            ..Words::default()
        };
        let values = CellValues {
            voltage_mv: cell.voltage.map(|v| v.0),
            current_ma: cell.current.map(|c| c.0),
            temperature_mc: cell.temperature.map(|t| t.0),
            soc_percent: cell.soc.map(|soc| soc.0),
            coulomb_mah: cell.coulomb.map(|c| c.0),
            balancing: cell.balancing.map(i32::from),
        };
        Self(values, index(states, said))
    }
}

/// Lowest and highest voltage, lowest and highest temperature.
pub(super) fn extremes(cells: &CellStatistics) -> [Option<i32>; 4] {
    [
        cells.voltage.map(|spread| spread.min.value.0),
        cells.voltage.map(|spread| spread.max.value.0),
        cells.temperature.map(|spread| spread.min.value.0),
        cells.temperature.map(|spread| spread.max.value.0),
    ]
}

/// Event words of other names, as JSON: `{"CMOS": 1}`; none where all are silent.
fn other_events(measured: &Measured) -> Option<String> {
    let standing = measured.other_events.iter().filter(|(_, word)| word.stands());
    let named: serde_json::Map<_, _> =
        standing.take(16).map(|(label, word)| (bounded(label, 32), word.bits.into())).collect();
    (!named.is_empty()).then(|| serde_json::Value::Object(named).to_string())
}

/// A word as a column holds it; without what JSON would have to escape, so that the length of a set is bounded.
fn word(word: Option<&Word>) -> Option<String> {
    word.map(|word| bounded(word.as_str(), 24).replace(['"', '\\'], "?")).filter(|word| !word.is_empty())
}

fn words(measured: &Measured) -> Words {
    Words {
        base_state: word(measured.base_state.as_ref()),
        volt_state: word(measured.volt_state.as_ref()),
        current_state: word(measured.current_state.as_ref()),
        temp_state: word(measured.temp_state.as_ref()),
        coulomb_state: word(measured.coulomb_state.as_ref()),
        soh_state: word(measured.soh_state.as_ref()),
        heater: word(measured.heater.as_ref()),
        charge_switch: word(measured.charge_switch.as_ref()),
        discharge_switch: word(measured.discharge_switch.as_ref()),
        cell_volt_state: word(measured.cell_volt_state.as_ref()),
        cell_temp_state: word(measured.cell_temp_state.as_ref()),
        system_alarm: word(measured.system_alarm.as_ref()),
        mos_temp_state: word(measured.mos_temp_state.as_ref()),
    }
}

/// Where the set stands among those of the sweep; it is added where it does not. Past what an index can hold, which
/// no console reaches, the first stands for the rest.
fn index(states: &mut Vec<Words>, said: Words) -> u16 {
    let at = states.iter().position(|known| *known == said).unwrap_or_else(|| {
        states.push(said);
        states.len() - 1
    });
    u16::try_from(at).unwrap_or(0)
}
