//! One LFP cell: charge, open-circuit voltage, resistance.

use fastrand::Rng;

/// Open-circuit voltage of an LFP cell in volts over its state of charge (0 to 1), in steps joined by
/// straight lines: steep at both ends, nearly flat between, which is why batteries count coulombs.
const OPEN_CIRCUIT: [(f64, f64); 16] = [
    (0.00, 2.80),
    (0.02, 2.98),
    (0.05, 3.10),
    (0.10, 3.19),
    (0.20, 3.24),
    (0.30, 3.27),
    (0.40, 3.285),
    (0.50, 3.295),
    (0.60, 3.31),
    (0.70, 3.325),
    (0.80, 3.333),
    (0.90, 3.338),
    (0.95, 3.345),
    (0.98, 3.38),
    (0.99, 3.42),
    (1.00, 3.52),
];

/// The highest voltage a battery lets one of its cells have under charge, in volts.
pub(super) const CELL_MAX: f64 = 3.60;
/// The lowest voltage a battery lets one of its cells have under discharge, in volts.
pub(super) const CELL_MIN: f64 = 2.75;

/// One cell, with the small differences that every real cell has.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    /// What it holds when full, in ampere-seconds.
    pub(crate) capacity: f64,
    /// What it holds now, in ampere-seconds.
    pub(crate) charge: f64,
    /// Internal resistance in ohms.
    pub(crate) resistance: f64,
    /// What it loses by itself, in amperes.
    pub(crate) leak: f64,
    /// Whether its bleeding resistor is on.
    pub(crate) balancing: bool,
    /// What the measuring chip adds to the true voltage, in volts; drawn anew each step.
    pub(crate) reading_error: f64,
    /// What a measuring line that is off adds, in volts.
    pub(crate) offset: f64,
}

impl Cell {
    /// A cell of about `amp_hours` that has been through `cycles`, at about `soc` (0 to 1).
    pub(crate) fn new(amp_hours: f64, cycles: f64, soc: f64, rng: &mut Rng) -> Self {
        // A per cent of the capacity goes in sixty cycles, and the resistance rises faster than that.
        let capacity = amp_hours * 3600.0 * (1.0 - cycles / 6000.0) * around_one(rng, 0.01);
        let charge = capacity * (soc + (rng.f64() - 0.5) * 0.01).clamp(0.0, 1.0);
        // 0.9 mΩ suits a cell of 100 Ah; smaller cells have more.
        let resistance =
            0.000_9 * (100.0 / amp_hours).sqrt() * (1.0 + cycles / 1500.0) * around_one(rng, 0.08);
        let leak = rng.f64() * 0.03;
        Self { capacity, charge, resistance, leak, balancing: false, reading_error: 0.0, offset: 0.0 }
    }

    /// State of charge, 0 to 1.
    pub(crate) fn soc(&self) -> f64 {
        self.charge / self.capacity
    }

    /// Voltage with no current flowing, in volts.
    pub(crate) fn open_circuit(&self) -> f64 {
        let soc = self.soc();
        for pair in OPEN_CIRCUIT.windows(2) {
            let ((from, low), (to, high)) = (pair[0], pair[1]);
            if soc <= to {
                return low + (high - low) * (soc - from) / (to - from);
            }
        }
        OPEN_CIRCUIT[OPEN_CIRCUIT.len() - 1].1
    }

    /// Voltage at the terminals under `current` (amperes, positive charging), in volts.
    pub(crate) fn voltage(&self, current: f64) -> f64 {
        self.open_circuit() + current * self.resistance
    }

    /// Counts the coulombs of one step; a balancing cell loses some through its resistor.
    pub(crate) fn pass(&mut self, current: f64, seconds: f64) {
        const BLEED: f64 = 0.08;
        let bleed = if self.balancing { BLEED } else { 0.0 };
        self.charge = (self.charge + (current - bleed - self.leak) * seconds).clamp(0.0, self.capacity);
    }
}

/// A factor around one, evenly spread over ± `spread`.
fn around_one(rng: &mut Rng, spread: f64) -> f64 {
    1.0 + (rng.f64() * 2.0 - 1.0) * spread
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_open_circuit_voltage_rises_with_the_charge() {
        let mut cell = Cell::new(100.0, 0.0, 0.0, &mut Rng::with_seed(1));
        let mut before = 0.0;
        for percent in 0..=100 {
            cell.charge = cell.capacity * f64::from(percent) / 100.0;
            assert!(cell.open_circuit() > before, "at {percent} %");
            before = cell.open_circuit();
        }
    }

    #[test]
    fn a_cell_never_holds_more_than_its_capacity_nor_less_than_nothing() {
        let mut cell = Cell::new(50.0, 300.0, 0.5, &mut Rng::with_seed(2));
        cell.pass(100.0, 1e6);
        assert!((cell.soc() - 1.0).abs() < 1e-9);
        cell.pass(-100.0, 1e6);
        assert!(cell.soc().abs() < 1e-9);
    }
}
