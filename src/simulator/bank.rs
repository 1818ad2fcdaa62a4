//! The bank: batteries side by side (48 V) or in a row (high voltage), a house, a clock.

use std::time::Duration;

use fastrand::Rng;
use jiff::civil::DateTime;

use super::battery::{Battery, Word};
use super::cell::Cell;
use super::house::House;

/// One step of the physics in seconds, but where somebody wants weeks in no time. Small enough for the steep ends of the voltage curve.
const STEP: f64 = 10.0;
/// From one moment of `data history` to the next, in seconds.
const HISTORY_EVERY: f64 = 1800.0;
/// How long a new bank has lived before anybody looks, so that its log and counters hold something.
const PAST: Duration = Duration::from_secs(8 * 3600);

/// How a bank is built.
#[derive(Clone, Debug)]
pub struct BankPlan {
    /// Number of batteries, 1 to 16.
    pub batteries: usize,
    /// Cells of each battery.
    pub cells: usize,
    /// Capacity of each battery in ampere-hours.
    pub amp_hours: f64,
    /// In a row (a high-voltage stack) instead of side by side.
    pub series: bool,
    /// What the scatter, the weather and the barcodes follow from.
    pub seed: u64,
    /// The time on the bank's clock when the simulation starts.
    pub start: DateTime,
    /// First letter of the barcodes.
    pub barcode_letter: char,
}

/// A bank that lives. The same plan and the same span of time always give the same bank, however that
/// span is cut into calls of [`Bank::advance`].
#[derive(Clone, Debug)]
pub struct Bank {
    slots: Vec<Option<Battery>>,
    taken_out: Vec<(usize, Battery)>,
    series: bool,
    house: House,
    rng: Rng,
    /// In seconds.
    step: f64,
    epoch: DateTime,
    /// Whole steps lived, in seconds since the epoch.
    lived: f64,
    /// Time that has passed but does not yet make a whole step, in seconds.
    pending: f64,
}

impl Bank {
    /// Builds the bank and lets it live through its first hours.
    #[must_use]
    pub fn new(plan: &BankPlan) -> Self {
        let mut rng = Rng::with_seed(plan.seed);
        let soc = 0.35 + rng.f64() * 0.4;
        let slots: Vec<_> = (0..plan.batteries)
            .map(|_| {
                let own = soc + (rng.f64() - 0.5) * 0.04;
                Some(Battery::new(plan.barcode_letter, plan.cells, plan.amp_hours, own, 19.0, &mut rng))
            })
            .collect();
        let watt_hours = plan.amp_hours * 3.3 * (plan.cells * plan.batteries) as f64;
        let epoch = plan.start.saturating_sub(jiff::SignedDuration::try_from(PAST).unwrap_or_default());
        let mut bank = Self {
            slots,
            taken_out: Vec::new(),
            series: plan.series,
            house: House::new(watt_hours, &mut rng),
            rng,
            step: STEP,
            epoch,
            lived: 0.0,
            pending: 0.0,
        };
        for battery in bank.slots.iter_mut().flatten() {
            battery.keep(0.0);
        }
        bank.advance(PAST);
        bank
    }

    /// Lets time pass.
    pub fn advance(&mut self, time: Duration) {
        self.pending += time.as_secs_f64();
        while self.pending >= self.step {
            self.pending -= self.step;
            self.live();
        }
    }

    /// Lives on in steps of so many seconds: more than ten are rougher and faster, and past forty the steep end of the
    /// voltage curve is too steep for them.
    #[must_use]
    pub fn in_steps_of(self, seconds: f64) -> Self {
        Self { step: seconds, ..self }
    }

    /// The time on the master's clock.
    #[must_use]
    pub fn now(&self) -> DateTime {
        self.at(self.lived + self.pending)
    }

    /// The time of a moment given in seconds since the epoch.
    pub(super) fn at(&self, seconds: f64) -> DateTime {
        self.epoch.saturating_add(jiff::SignedDuration::from_secs(seconds.max(0.0) as i64))
    }

    /// The time on a battery's own clock, which is never quite the master's.
    pub(super) fn clock_of(&self, battery: &Battery) -> DateTime {
        self.at(self.lived + self.pending - battery.clock_behind)
    }

    /// Whether the batteries are in a row.
    #[must_use]
    pub fn series(&self) -> bool {
        self.series
    }

    /// Number of places, taken or not.
    #[must_use]
    pub fn places(&self) -> usize {
        self.slots.len()
    }

    /// The battery at `place` (from 1), if there is one.
    #[must_use]
    pub fn battery(&self, place: usize) -> Option<&Battery> {
        self.slots.get(place.checked_sub(1)?)?.as_ref()
    }

    /// The batteries that are there, each with its place (from 1).
    pub fn batteries(&self) -> impl Iterator<Item = (usize, &Battery)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| Some((index + 1, slot.as_ref()?)))
    }

    /// Takes the battery at `place` (from 1) out; false if there is none.
    pub fn take_out(&mut self, place: usize) -> bool {
        let Some(battery) = self.slot(place).and_then(Option::take) else { return false };
        self.taken_out.push((place, battery));
        true
    }

    /// Puts the battery that was taken out of `place` (from 1) back; false if none was.
    pub fn put_back(&mut self, place: usize) -> bool {
        let Some(found) = self.taken_out.iter().position(|(from, _)| *from == place) else { return false };
        let (_, battery) = self.taken_out.remove(found);
        if let Some(slot) = self.slot(place) {
            *slot = Some(battery);
        }
        true
    }

    /// Lets two batteries change places (from 1); false if one of the places does not exist.
    pub fn swap(&mut self, one: usize, other: usize) -> bool {
        let places = 1..=self.slots.len();
        let known = places.contains(&one) && places.contains(&other);
        if known {
            self.slots.swap(one - 1, other - 1);
        }
        known
    }

    /// Gives the battery at `place` (from 1) another barcode; false if there is none.
    pub fn set_barcode(&mut self, place: usize, barcode: &str) -> bool {
        self.with(place, |battery| barcode.clone_into(&mut battery.barcode))
    }

    /// Raises bits of an event word of the battery at `place` (from 1); false if there is none.
    pub fn raise_event(&mut self, place: usize, word: Word, bits: u32) -> bool {
        let now = self.lived + self.pending;
        let found = self.with(place, |battery| {
            battery.raised[word as usize] |= bits;
            battery.keep(now);
        });
        self.keep_together(now);
        found
    }

    /// Clears bits that were raised; false if there is no battery at `place` (from 1).
    pub fn clear_event(&mut self, place: usize, word: Word, bits: u32) -> bool {
        self.with(place, |battery| battery.raised[word as usize] &= !bits)
    }

    /// Fills or empties every cell of the battery at `place` (from 1) to `soc` (0 to 1).
    pub fn set_soc(&mut self, place: usize, soc: f64) -> bool {
        self.with(place, |battery| {
            for cell in &mut battery.cells {
                cell.charge = cell.capacity * soc.clamp(0.0, 1.0);
            }
        })
    }

    /// Makes a cell (both from 1) of the battery at `place` hold this share of what it held.
    pub fn set_cell_capacity(&mut self, place: usize, cell: usize, share: f64) -> bool {
        self.with_cell(place, cell, |cell| {
            cell.capacity *= share;
            cell.charge *= share;
        })
    }

    /// Gives a cell (both from 1) of the battery at `place` so much more resistance, in ohms.
    pub fn add_cell_resistance(&mut self, place: usize, cell: usize, more: f64) -> bool {
        self.with_cell(place, cell, |cell| cell.resistance += more)
    }

    /// Lets the measuring line of a cell (both from 1) of the battery at `place` be off by so many volts.
    pub fn set_cell_offset(&mut self, place: usize, cell: usize, volts: f64) -> bool {
        self.with_cell(place, cell, |cell| cell.offset = volts)
    }

    /// Lets a temperature sensor (from 0) of the battery at `place` (from 1) be off by so many degrees.
    pub fn set_sensor_offset(&mut self, place: usize, sensor: usize, degrees: f64) -> bool {
        self.with(place, |battery| battery.ailments.sensor = Some((sensor, degrees)))
    }

    /// Puts a loose cable of so many ohms before the battery at `place` (from 1).
    pub fn loosen(&mut self, place: usize, ohms: f64) -> bool {
        self.with(place, |battery| battery.ailments.loose = ohms)
    }

    fn with_cell(&mut self, place: usize, cell: usize, change: impl FnOnce(&mut Cell)) -> bool {
        let mut found = false;
        self.with(place, |battery| {
            let cell = cell.checked_sub(1).and_then(|index| battery.cells.get_mut(index));
            found = cell.map(change).is_some();
        });
        found
    }

    /// Says whether the board of the battery at `place` (from 1) measures its switching transistors: an old
    /// battery behind a newer master does not, and its row has dashes there.
    pub fn set_mosfet_sensor(&mut self, place: usize, present: bool) -> bool {
        self.with(place, |battery| battery.mosfet_sensor = present)
    }

    fn with(&mut self, place: usize, change: impl FnOnce(&mut Battery)) -> bool {
        let found = self.slot(place).and_then(Option::as_mut);
        found.map(change).is_some()
    }

    fn slot(&mut self, place: usize) -> Option<&mut Option<Battery>> {
        self.slots.get_mut(place.checked_sub(1)?)
    }

    fn live(&mut self) {
        let step = self.step;
        let now = self.at(self.lived).time();
        let hour = f64::from(now.hour()) + f64::from(now.minute()) / 60.0 + f64::from(now.second()) / 3600.0;
        let ambient = 19.0 + 4.0 * ((hour - 9.0) / 24.0 * std::f64::consts::TAU).sin();
        let power = self.house.surplus(hour, step, &mut self.rng);
        let currents = if self.series { self.in_a_row(power) } else { self.side_by_side(power) };
        for (battery, current) in self.slots.iter_mut().flatten().zip(currents) {
            battery.step(current, ambient, step, self.lived, &mut self.rng);
        }
        let due = ((self.lived + step) / HISTORY_EVERY).floor() > (self.lived / HISTORY_EVERY).floor();
        self.lived += step;
        for battery in self.slots.iter_mut().flatten().filter(|_| due) {
            battery.record(self.lived);
        }
        self.keep_together(self.lived);
    }

    /// A stack keeps its moments as a whole: what one of its batteries kept, the others keep with the same number.
    fn keep_together(&mut self, now: f64) {
        let newest = |battery: &Battery| battery.moments.front().map_or(0, |moment| moment.index);
        let last = self.slots.iter().flatten().map(newest).max().unwrap_or(0);
        for battery in self.slots.iter_mut().flatten().filter(|_| self.series) {
            while newest(battery) < last {
                battery.keep(now);
            }
        }
    }

    /// Batteries in parallel settle on one voltage; each takes what its own voltage and resistance make of it.
    fn side_by_side(&self, power: f64) -> Vec<f64> {
        let batteries: Vec<_> = self.slots.iter().flatten().collect();
        let conductance: f64 = batteries.iter().map(|battery| 1.0 / battery.resistance()).sum();
        if batteries.is_empty() {
            return Vec::new();
        }
        let resting: f64 =
            batteries.iter().map(|battery| battery.electromotive_force() / battery.resistance()).sum::<f64>()
                / conductance;
        let wanted = self.within_soc(power / resting, batteries.iter().map(|battery| battery.soc()));
        let cells = batteries.iter().map(|battery| battery.cell_count()).max().unwrap_or(0);
        // The inverter holds this voltage once it is reached, and the current fades.
        let voltage = (resting + wanted / conductance).min(cells as f64 * 3.50);
        batteries
            .iter()
            .map(|battery| battery.allowed((voltage - battery.electromotive_force()) / battery.resistance()))
            .collect()
    }

    /// Batteries in a row share one current: the least that any of them allows.
    fn in_a_row(&self, power: f64) -> Vec<f64> {
        let batteries: Vec<_> = self.slots.iter().flatten().collect();
        let resting: f64 = batteries.iter().map(|battery| battery.electromotive_force()).sum();
        let wanted = self.within_soc(power / resting.max(1.0), batteries.iter().map(|battery| battery.soc()));
        let current = batteries
            .iter()
            .map(|battery| battery.allowed(wanted))
            .fold(wanted, |least, allowed| if allowed.abs() < least.abs() { allowed } else { least });
        vec![current; batteries.len()]
    }

    /// The inverter leaves a reserve, and turns to the grid below it.
    fn within_soc(&self, current: f64, socs: impl Iterator<Item = f64>) -> f64 {
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
    fn a_week_of_life_stays_within_physics() {
        for series in [false, true] {
            let mut bank = Bank::new(&plan(3, series));
            let (mut low, mut high) = (1.0_f64, 0.0_f64);
            for _ in 0..7 * 24 * 6 {
                bank.advance(Duration::from_secs(600));
                for (place, battery) in bank.batteries() {
                    assert!((0.0..=1.0).contains(&battery.soc()), "battery {place}");
                    assert!(battery.current().abs() <= 100.0, "battery {place}: {} A", battery.current());
                    for voltage in battery.cell_voltages() {
                        assert!((2.5..=3.65).contains(&voltage), "battery {place}: {voltage} V");
                    }
                    let warmth = battery.board_temperature();
                    assert!((10.0..45.0).contains(&warmth), "battery {place}: {warmth} °C");
                    low = low.min(battery.soc());
                    high = high.max(battery.soc());
                }
            }
            assert!(high - low > 0.3, "the week should move the charge, but it stayed in {low}..{high}");
        }
    }

    #[test]
    fn however_time_is_cut_the_bank_lives_the_same_life() {
        let mut at_once = Bank::new(&plan(4, false));
        let mut in_bits = at_once.clone();
        at_once.advance(Duration::from_secs(7200));
        for _ in 0..7200 * 4 {
            in_bits.advance(Duration::from_millis(250));
        }
        assert_eq!(at_once.now(), in_bits.now());
        for ((_, one), (_, other)) in at_once.batteries().zip(in_bits.batteries()) {
            assert_eq!(one.voltage().to_bits(), other.voltage().to_bits());
            assert_eq!(one.counters(), other.counters());
        }
    }

    #[test]
    fn parallel_batteries_share_the_current_and_never_fight_for_long() {
        let mut bank = Bank::new(&plan(4, false));
        bank.set_soc(2, 0.2);
        let before = bank.battery(2).unwrap().soc();
        bank.advance(Duration::from_secs(3600));
        assert!(bank.battery(2).unwrap().soc() > before, "the emptier battery takes from the others");
    }

    #[test]
    fn a_battery_can_leave_and_come_back_or_change_places() {
        let mut bank = Bank::new(&plan(3, false));
        let code = |bank: &Bank, place| bank.battery(place).map(|battery| battery.barcode.clone());
        let (first, second) = (code(&bank, 1), code(&bank, 2));
        assert!(bank.swap(1, 2));
        assert_eq!((code(&bank, 1), code(&bank, 2)), (second, first.clone()));
        assert!(bank.take_out(2));
        assert_eq!(code(&bank, 2), None);
        bank.advance(Duration::from_secs(600));
        assert!(bank.put_back(2));
        assert_eq!(code(&bank, 2), first);
        assert!(!bank.put_back(2) && !bank.take_out(9) && !bank.swap(0, 1));
    }
}
