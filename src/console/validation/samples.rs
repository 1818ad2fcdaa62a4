//! Lists the values of an answer as samples, each of a kind that has a tolerance, so that the validator can compare
//! them.

use crate::console::answers::parsed::Parsed;
use crate::console::answers::pwr_detail::event_indexes;
use crate::console::answers::pwr_table::PwrRow;
use crate::console::answers::stack::StackTableRow;
use crate::console::word_slot::place_index;
use crate::model::event_word::EventWord;
use crate::model::lifetime::Measure;

/// What a sample measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SampleKind {
    /// Of a battery, a module or a stack, in mV.
    Voltage,
    /// Of a battery, a module or a stack, in mA.
    Current,
    /// Of a board, in m°C.
    Temperature,
    /// In percent.
    Soc,
    /// Lowest cell in the table, in mV.
    CellVoltageLow,
    /// Highest cell in the table, in mV.
    CellVoltageHigh,
    /// Coldest cell in the table, in m°C.
    CellTemperatureLow,
    /// Warmest cell in the table, in m°C.
    CellTemperatureHigh,
    /// Of one cell, in mV.
    CellVoltage,
    /// Of one cell, in m°C.
    CellTemperature,
    /// Of one cell, in percent.
    CellSoc,
    /// Remaining in one cell, in mAh.
    CellCharge,
    /// Remaining in a stack or module, in mAh.
    Charge,
    /// Remaining in a stack, module or cell, in mWh.
    Energy,
    /// Capacities and limits, which never change by themselves.
    Rating,
    /// Energy over a battery's life, in mWh.
    Throughput,
    /// Counts up slowly.
    Counter,
    /// Bits of an event word.
    Events,
    /// Seconds of the battery's own clock.
    Clock,
    /// Barcode, model, firmware.
    Identity,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SampleValue {
    /// In the unit of the sample's kind.
    Number(i64),
    Text(String),
    Events(EventWord),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    pub kind: SampleKind,
    /// Distinguishes samples of one kind: the cell, the battery in a table, or the field of a detail.
    pub index: u16,
    pub value: SampleValue,
}

/// Collects the values that are present.
#[derive(Default)]
struct SampleCollector(Vec<Sample>);

impl SampleCollector {
    fn number(&mut self, kind: SampleKind, index: u16, value: Option<impl Into<i64>>) {
        self.0.extend(value.map(|value| Sample { kind, index, value: SampleValue::Number(value.into()) }));
    }

    fn text(&mut self, index: u16, value: Option<&String>) {
        self.0.extend(value.map(|text| Sample {
            kind: SampleKind::Identity,
            index,
            value: SampleValue::Text(text.clone()),
        }));
    }

    fn events(&mut self, index: u16, word: Option<&EventWord>) {
        self.0.extend(word.map(|word| Sample {
            kind: SampleKind::Events,
            index,
            value: SampleValue::Events(word.clone()),
        }));
    }

    fn row(&mut self, row: &PwrRow) {
        let place = place_index(row.place);
        self.number(SampleKind::Voltage, place, row.voltage.map(|v| v.0));
        self.number(SampleKind::Current, place, row.current.map(|v| v.0));
        self.number(SampleKind::Temperature, place, row.temperature.map(|v| v.0));
        self.number(SampleKind::Soc, place, row.soc.map(|v| v.0));
        self.number(SampleKind::CellVoltageLow, place, row.cell_voltage_low.map(|v| v.0));
        self.number(SampleKind::CellVoltageHigh, place, row.cell_voltage_high.map(|v| v.0));
        self.number(SampleKind::CellTemperatureLow, place, row.cell_temperature_low.map(|v| v.0));
        self.number(SampleKind::CellTemperatureHigh, place, row.cell_temperature_high.map(|v| v.0));
        self.number(SampleKind::Temperature, MOS + place, row.mos_temperature.map(|v| v.0));
        self.number(SampleKind::Clock, place, row.clock.map(seconds));
        self.text(place, row.barcode.as_ref());
        self.text(MODEL + place, row.model.as_ref());
        // The presence of a battery is remembered for as long as the service runs, so it has to be confirmed.
        self.text(PRESENT + place, Some(&String::new()));
    }

    fn stack(&mut self, row: &StackTableRow) {
        let place = place_index(row.place);
        self.number(SampleKind::Voltage, place, row.voltage.map(|v| v.0));
        self.number(SampleKind::Current, place, row.current.map(|v| v.0));
        self.number(SampleKind::Temperature, place, row.temperature.map(|v| v.0));
        self.number(SampleKind::Soc, place, row.soc.map(|v| v.0));
        self.number(SampleKind::Charge, place, row.coulomb.map(|v| v.0));
        self.number(SampleKind::Energy, place, row.energy.map(|v| v.0));
        self.number(SampleKind::CellVoltageLow, place, row.cell_voltage_low.map(|v| v.0));
        self.number(SampleKind::CellVoltageHigh, place, row.cell_voltage_high.map(|v| v.0));
        self.number(SampleKind::CellTemperatureLow, place, row.cell_temperature_low.map(|v| v.0));
        self.number(SampleKind::CellTemperatureHigh, place, row.cell_temperature_high.map(|v| v.0));
        self.number(SampleKind::Clock, place, row.clock.map(seconds));
        self.events(place, row.error_code.as_ref());
    }
}

/// Offsets of the indexes, apart from a battery's other samples of the same kind.
const MOS: u16 = 1000;
const MODEL: u16 = 1000;
const FIRMWARE: u16 = 2000;
const PRESENT: u16 = 2000;
/// Apart from the samples of `stat`.
const LIFETIME: u16 = 100;

fn seconds(clock: jiff::civil::DateTime) -> i64 {
    clock.duration_since(jiff::civil::DateTime::MIN).as_secs()
}

/// The samples of an answer. `place` is that of the battery, so that its samples have the same index as in the table.
pub fn collect_samples(parsed: &Parsed, place: u16) -> Vec<Sample> {
    let mut all = SampleCollector::default();
    match parsed {
        Parsed::Table(table) => table.rows.iter().filter(|row| !row.absent).for_each(|row| all.row(row)),
        Parsed::Stack(row) => all.stack(row),
        Parsed::Units(units) => units.units.iter().for_each(|row| all.stack(row)),
        Parsed::Detail(detail) => {
            all.number(SampleKind::Voltage, place, detail.voltage.map(|v| v.0));
            all.number(SampleKind::Current, place, detail.current.map(|v| v.0));
            all.number(SampleKind::Temperature, place, detail.temperature.map(|v| v.0));
            all.number(SampleKind::Soc, place, detail.soc.map(|v| v.0));
            all.number(SampleKind::Rating, 0, detail.nominal_capacity.map(|v| v.0));
            all.number(SampleKind::Rating, 1, detail.usable_capacity.map(|v| v.0));
            all.number(SampleKind::Rating, 2, detail.max_voltage.map(|v| v.0));
            all.number(SampleKind::Counter, 0, detail.charge_times);
            all.events(0, detail.battery_events.as_ref());
            all.events(1, detail.power_events.as_ref());
            all.events(2, detail.system_fault.as_ref());
            for (index, (_, word)) in
                event_indexes(&detail.other_events).into_iter().zip(&detail.other_events)
            {
                all.events(index, Some(word));
            }
            all.text(place, detail.barcode.as_ref());
            all.text(MODEL + place, detail.model.as_ref());
            all.text(FIRMWARE + place, detail.firmware.as_ref());
        }
        Parsed::Cells(table) => {
            // Cells are identified by their position, so a table without its first row would shift them.
            all.number(SampleKind::Rating, 0, table.cells.first().and_then(|cell| cell.number));
            for (index, cell) in (0..).zip(&table.cells) {
                all.number(SampleKind::CellVoltage, index, cell.voltage.map(|v| v.0));
                all.number(SampleKind::CellTemperature, index, cell.temperature.map(|v| v.0));
                all.number(SampleKind::Current, 1 + index, cell.current.map(|v| v.0));
                all.number(SampleKind::CellSoc, index, cell.soc.map(|v| v.0));
                all.number(SampleKind::CellCharge, index, cell.coulomb.map(|v| v.0));
                all.number(SampleKind::Energy, index, cell.energy.map(|v| v.0));
            }
        }
        Parsed::Info(info) => {
            all.text(0, info.barcode.as_ref());
            all.text(1, info.model.as_ref());
            all.text(2, info.firmware.as_ref());
            all.text(3, info.manufacturer.as_ref());
            all.number(SampleKind::Rating, 0, info.nominal_capacity.map(|v| v.0));
            all.number(SampleKind::Rating, 1, info.cells);
            all.number(SampleKind::Rating, 2, info.max_charge_current.map(|v| v.0));
            all.number(SampleKind::Rating, 3, info.max_discharge_current.map(|v| v.0));
        }
        Parsed::Stat(stat) => {
            all.number(SampleKind::Rating, 0, stat.soh.map(|v| v.0));
            all.number(SampleKind::Counter, 0, stat.cycles);
            all.number(SampleKind::CellCharge, 0, stat.discharged.map(|v| v.0));
        }
        Parsed::Euro(euro) => {
            for (figure, value) in &euro.values {
                let kind = match figure.measure() {
                    Measure::Charge => SampleKind::CellCharge,
                    Measure::Energy => SampleKind::Throughput,
                    Measure::Time | Measure::Count => SampleKind::Counter,
                    _ => SampleKind::Rating,
                };
                all.number(kind, LIFETIME + *figure as u16, Some(*value));
            }
            // These values are used for hours, so they have to be confirmed when they are first received.
            all.text(LIFETIME, (!euro.values.is_empty()).then(String::new).as_ref());
        }
        Parsed::Help(_) | Parsed::Soh(_) | Parsed::Clock(_) | Parsed::Log(_) | Parsed::Event(_) => {}
    }
    all.0
}
