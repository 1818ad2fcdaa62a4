//! The bank: batteries in parallel (48 V) or in series (high voltage), a household and a clock.
//!
//! Length: many short setters, for tests.

use std::time::Duration;

use fastrand::Rng;
use jiff::civil::DateTime;

use crate::simulator::physics::battery::{EventWordKind, SimulatedBattery};
use crate::simulator::physics::cell::SimulatedCell;
use crate::simulator::physics::household::HouseholdPower;

/// Default step of the simulation in seconds, small enough for the steep ends of the voltage curve.
const STEP: f64 = 10.0;
/// Between two snapshots of `data history`, in seconds.
const HISTORY_INTERVAL: f64 = 1800.0;
/// Simulated before a new bank is used, so that its log and counters have content.
const WARM_UP: Duration = Duration::from_secs(8 * 3600);

#[derive(Clone, Debug)]
pub struct BankPlan {
    /// 1 to 16.
    pub batteries: usize,
    /// Per battery.
    pub cells: usize,
    /// Capacity of each battery in ampere-hours.
    pub amp_hours: f64,
    /// Batteries in series (a high-voltage stack) instead of in parallel.
    pub series: bool,
    /// For the cell variation, the weather and the barcodes.
    pub seed: u64,
    /// The bank's clock when the simulation starts.
    pub start: DateTime,
    /// First letter of the barcodes.
    pub barcode_letter: char,
}

/// A simulated bank. The same plan and simulated time always give the same bank, however the time is divided into
/// calls of [`SimulatedBank::advance`].
#[derive(Clone, Debug)]
pub struct SimulatedBank {
    slots: Vec<Option<SimulatedBattery>>,
    removed: Vec<(usize, SimulatedBattery)>,
    series: bool,
    household: HouseholdPower,
    rng: Rng,
    /// In seconds.
    step: f64,
    epoch: DateTime,
    /// Simulated time in whole steps, in seconds since the epoch.
    simulated: f64,
    /// Remaining time, less than a step, in seconds.
    pending: f64,
}

impl SimulatedBank {
    /// Builds the bank and simulates its first hours.
    pub fn new(plan: &BankPlan) -> Self {
        let mut rng = Rng::with_seed(plan.seed);
        let soc = 0.35 + rng.f64() * 0.4;
        let slots: Vec<_> = (0..plan.batteries)
            .map(|_| {
                let initial = soc + (rng.f64() - 0.5) * 0.04;
                Some(SimulatedBattery::new(
                    plan.barcode_letter,
                    plan.cells,
                    plan.amp_hours,
                    initial,
                    19.0,
                    &mut rng,
                ))
            })
            .collect();
        let watt_hours = plan.amp_hours * 3.3 * (plan.cells * plan.batteries) as f64;
        let epoch = plan.start.saturating_sub(jiff::SignedDuration::try_from(WARM_UP).unwrap_or_default());
        let mut bank = Self {
            slots,
            removed: Vec::new(),
            series: plan.series,
            household: HouseholdPower::new(watt_hours, &mut rng),
            rng,
            step: STEP,
            epoch,
            simulated: 0.0,
            pending: 0.0,
        };
        for battery in bank.slots.iter_mut().flatten() {
            battery.take_event_snapshot(0.0);
        }
        bank.advance(WARM_UP);
        bank
    }

    pub fn advance(&mut self, time: Duration) {
        self.pending += time.as_secs_f64();
        while self.pending >= self.step {
            self.pending -= self.step;
            self.run_step();
        }
    }

    /// Sets the step in seconds. Longer steps are faster and less accurate; above 40 s the steep end of the voltage
    /// curve makes them unstable.
    pub fn with_step(self, seconds: f64) -> Self {
        Self { step: seconds, ..self }
    }

    /// The master's clock.
    pub fn now(&self) -> DateTime {
        self.at(self.simulated + self.pending)
    }

    /// Converts seconds since the epoch.
    pub(crate) fn at(&self, seconds: f64) -> DateTime {
        self.epoch.saturating_add(jiff::SignedDuration::from_secs(seconds.max(0.0) as i64))
    }

    /// A battery's own clock, which lags a little behind the master's.
    pub(crate) fn battery_clock(&self, battery: &SimulatedBattery) -> DateTime {
        self.at(self.simulated + self.pending - battery.clock_lag)
    }

    /// Whether the batteries are in series.
    pub fn is_series(&self) -> bool {
        self.series
    }

    /// Number of places, including empty ones.
    pub fn places(&self) -> usize {
        self.slots.len()
    }

    /// The battery at `place` (from 1).
    pub fn battery(&self, place: usize) -> Option<&SimulatedBattery> {
        self.slots.get(place.checked_sub(1)?)?.as_ref()
    }

    /// The present batteries, each with its place (from 1).
    pub fn batteries(&self) -> impl Iterator<Item = (usize, &SimulatedBattery)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| Some((index + 1, slot.as_ref()?)))
    }

    /// Removes the battery at `place` (from 1); false if there is none.
    pub fn take_out(&mut self, place: usize) -> bool {
        let Some(battery) = self.slot(place).and_then(Option::take) else { return false };
        self.removed.push((place, battery));
        true
    }

    /// Puts back the battery removed from `place` (from 1); false if none was.
    pub fn put_back(&mut self, place: usize) -> bool {
        let Some(found) = self.removed.iter().position(|(from, _)| *from == place) else { return false };
        let (_, battery) = self.removed.remove(found);
        if let Some(slot) = self.slot(place) {
            *slot = Some(battery);
        }
        true
    }

    /// Exchanges two batteries; false if one of the places (from 1) does not exist.
    pub fn swap(&mut self, one: usize, other: usize) -> bool {
        let places = 1..=self.slots.len();
        let exist = places.contains(&one) && places.contains(&other);
        if exist {
            self.slots.swap(one - 1, other - 1);
        }
        exist
    }

    /// Changes the barcode of the battery at `place` (from 1); false if there is none.
    pub fn set_barcode(&mut self, place: usize, barcode: &str) -> bool {
        self.modify(place, |battery| barcode.clone_into(&mut battery.barcode))
    }

    /// Raises bits of an event word; false if there is no battery at `place` (from 1).
    pub fn raise_event(&mut self, place: usize, word: EventWordKind, bits: u32) -> bool {
        let now = self.simulated + self.pending;
        let found = self.modify(place, |battery| {
            battery.raised[word as usize] |= bits;
            battery.take_event_snapshot(now);
        });
        self.align_snapshots(now);
        found
    }

    /// Clears raised bits; false if there is no battery at `place` (from 1).
    pub fn clear_event(&mut self, place: usize, word: EventWordKind, bits: u32) -> bool {
        self.modify(place, |battery| battery.raised[word as usize] &= !bits)
    }

    /// Sets the state of charge (0 to 1) of every cell of the battery at `place` (from 1).
    pub fn set_soc(&mut self, place: usize, soc: f64) -> bool {
        self.modify(place, |battery| {
            for cell in &mut battery.cells {
                cell.charge = cell.capacity * soc.clamp(0.0, 1.0);
            }
        })
    }

    /// Multiplies the capacity and charge of a cell by `share`; `place` and `cell` count from 1.
    pub fn set_cell_capacity(&mut self, place: usize, cell: usize, share: f64) -> bool {
        self.modify_cell(place, cell, |cell| {
            cell.capacity *= share;
            cell.charge *= share;
        })
    }

    /// Increases the resistance of a cell by `more` ohms; `place` and `cell` count from 1.
    pub fn add_cell_resistance(&mut self, place: usize, cell: usize, more: f64) -> bool {
        self.modify_cell(place, cell, |cell| cell.resistance += more)
    }

    /// Sets a constant measurement error of a cell's voltage; `place` and `cell` count from 1.
    pub fn set_cell_offset(&mut self, place: usize, cell: usize, volts: f64) -> bool {
        self.modify_cell(place, cell, |cell| cell.offset = volts)
    }

    /// Sets a constant error of a temperature sensor (from 0) of the battery at `place` (from 1).
    pub fn set_sensor_offset(&mut self, place: usize, sensor: usize, degrees: f64) -> bool {
        self.modify(place, |battery| battery.defects.sensor = Some((sensor, degrees)))
    }

    /// Adds the resistance of a loose cable to the battery at `place` (from 1).
    pub fn loosen_cable(&mut self, place: usize, ohms: f64) -> bool {
        self.modify(place, |battery| battery.defects.cable_resistance = ohms)
    }

    fn modify_cell(&mut self, place: usize, cell: usize, change: impl FnOnce(&mut SimulatedCell)) -> bool {
        let mut found = false;
        self.modify(place, |battery| {
            let cell = cell.checked_sub(1).and_then(|index| battery.cells.get_mut(index));
            found = cell.map(change).is_some();
        });
        found
    }

    /// Sets whether the battery at `place` (from 1) measures its MOSFET temperature. An old battery with a newer master
    /// does not, and its row has dashes there.
    pub fn set_mosfet_sensor(&mut self, place: usize, present: bool) -> bool {
        self.modify(place, |battery| battery.mosfet_sensor = present)
    }

    fn modify(&mut self, place: usize, change: impl FnOnce(&mut SimulatedBattery)) -> bool {
        let found = self.slot(place).and_then(Option::as_mut);
        found.map(change).is_some()
    }

    fn slot(&mut self, place: usize) -> Option<&mut Option<SimulatedBattery>> {
        self.slots.get_mut(place.checked_sub(1)?)
    }

    fn run_step(&mut self) {
        let step = self.step;
        let now = self.at(self.simulated).time();
        let hour = f64::from(now.hour()) + f64::from(now.minute()) / 60.0 + f64::from(now.second()) / 3600.0;
        let ambient = 19.0 + 4.0 * ((hour - 9.0) / 24.0 * std::f64::consts::TAU).sin();
        let power = self.household.surplus(hour, step, &mut self.rng);
        let currents = if self.series { self.series_currents(power) } else { self.parallel_currents(power) };
        for (battery, current) in self.slots.iter_mut().flatten().zip(currents) {
            battery.step(current, ambient, step, self.simulated, &mut self.rng);
        }
        let due = ((self.simulated + step) / HISTORY_INTERVAL).floor()
            > (self.simulated / HISTORY_INTERVAL).floor();
        self.simulated += step;
        for battery in self.slots.iter_mut().flatten().filter(|_| due) {
            battery.take_history_snapshot(self.simulated);
        }
        self.align_snapshots(self.simulated);
    }

    /// A stack takes snapshots of all its batteries together: if one takes a snapshot, the others take one with the
    /// same index.
    fn align_snapshots(&mut self, now: f64) {
        let newest =
            |battery: &SimulatedBattery| battery.event_snapshots.front().map_or(0, |snapshot| snapshot.index);
        let last = self.slots.iter().flatten().map(newest).max().unwrap_or(0);
        for battery in self.slots.iter_mut().flatten().filter(|_| self.series) {
            while newest(battery) < last {
                battery.take_event_snapshot(now);
            }
        }
    }

    /// Batteries in parallel have a common voltage; the current of each follows from its own voltage and resistance.
    fn parallel_currents(&self, power: f64) -> Vec<f64> {
        let batteries: Vec<_> = self.slots.iter().flatten().collect();
        let conductance: f64 = batteries.iter().map(|battery| 1.0 / battery.resistance()).sum();
        if batteries.is_empty() {
            return Vec::new();
        }
        let resting: f64 = batteries
            .iter()
            .map(|battery| battery.open_circuit_voltage() / battery.resistance())
            .sum::<f64>()
            / conductance;
        let requested = self.apply_reserve(power / resting, batteries.iter().map(|battery| battery.soc()));
        let cells = batteries.iter().map(|battery| battery.cell_count()).max().unwrap_or(0);
        // The inverter limits the voltage to this value, and the current falls.
        let voltage = (resting + requested / conductance).min(cells as f64 * 3.50);
        batteries
            .iter()
            .map(|battery| {
                battery.limit_current((voltage - battery.open_circuit_voltage()) / battery.resistance())
            })
            .collect()
    }

    /// Batteries in series have a common current: the smallest that any of them allows.
    fn series_currents(&self, power: f64) -> Vec<f64> {
        let batteries: Vec<_> = self.slots.iter().flatten().collect();
        let resting: f64 = batteries.iter().map(|battery| battery.open_circuit_voltage()).sum();
        let requested =
            self.apply_reserve(power / resting.max(1.0), batteries.iter().map(|battery| battery.soc()));
        let current = batteries
            .iter()
            .map(|battery| battery.limit_current(requested))
            .fold(requested, |least, current| if current.abs() < least.abs() { current } else { least });
        vec![current; batteries.len()]
    }

    /// The inverter keeps a reserve, below which it uses the grid.
    fn apply_reserve(&self, current: f64, socs: impl Iterator<Item = f64>) -> f64 {
        const RESERVE: f64 = 0.05;
        let emptiest = socs.fold(1.0, f64::min);
        if current < 0.0 && emptiest < RESERVE { 0.0 } else { current }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(batteries: usize, series: bool) -> BankPlan {
        BankPlan {
            batteries,
            cells: 16,
            amp_hours: 100.0,
            series,
            seed: 7,
            start: jiff::civil::date(2026, 6, 1).at(12, 0, 0, 0),
            barcode_letter: 'B',
        }
    }

    #[test]
    fn a_week_stays_within_physical_limits() {
        for series in [false, true] {
            let mut bank = SimulatedBank::new(&plan(3, series));
            let (mut low, mut high) = (1.0_f64, 0.0_f64);
            for _ in 0..7 * 24 * 6 {
                bank.advance(Duration::from_secs(600));
                for (place, battery) in bank.batteries() {
                    assert!((0.0..=1.0).contains(&battery.soc()), "battery {place}");
                    assert!(battery.current().abs() <= 100.0, "battery {place}: {} A", battery.current());
                    for voltage in battery.cell_voltages() {
                        assert!((2.5..=3.65).contains(&voltage), "battery {place}: {voltage} V");
                    }
                    let temperature = battery.board_temperature();
                    assert!((10.0..45.0).contains(&temperature), "battery {place}: {temperature} °C");
                    low = low.min(battery.soc());
                    high = high.max(battery.soc());
                }
            }
            assert!(high - low > 0.3, "the state of charge stayed within {low}..{high}");
        }
    }

    #[test]
    fn result_is_independent_of_how_time_is_divided() {
        let mut at_once = SimulatedBank::new(&plan(4, false));
        let mut in_steps = at_once.clone();
        at_once.advance(Duration::from_secs(7200));
        for _ in 0..7200 * 4 {
            in_steps.advance(Duration::from_millis(250));
        }
        assert_eq!(at_once.now(), in_steps.now());
        for ((_, one), (_, other)) in at_once.batteries().zip(in_steps.batteries()) {
            assert_eq!(one.voltage().to_bits(), other.voltage().to_bits());
            assert_eq!(one.counters(), other.counters());
        }
    }

    #[test]
    fn parallel_batteries_equalize() {
        let mut bank = SimulatedBank::new(&plan(4, false));
        bank.set_soc(2, 0.2);
        let before = bank.battery(2).unwrap().soc();
        bank.advance(Duration::from_secs(3600));
        assert!(bank.battery(2).unwrap().soc() > before, "the emptier battery is charged by the others");
    }

    #[test]
    fn batteries_can_be_removed_put_back_and_swapped() {
        let mut bank = SimulatedBank::new(&plan(3, false));
        let barcode =
            |bank: &SimulatedBank, place| bank.battery(place).map(|battery| battery.barcode.clone());
        let (first, second) = (barcode(&bank, 1), barcode(&bank, 2));
        assert!(bank.swap(1, 2));
        assert_eq!((barcode(&bank, 1), barcode(&bank, 2)), (second, first.clone()));
        assert!(bank.take_out(2));
        assert_eq!(barcode(&bank, 2), None);
        bank.advance(Duration::from_secs(600));
        assert!(bank.put_back(2));
        assert_eq!(barcode(&bank, 2), first);
        assert!(!bank.put_back(2) && !bank.take_out(9) && !bank.swap(0, 1));
    }
}
