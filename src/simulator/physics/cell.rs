//! One LFP cell: charge, open-circuit voltage, resistance.

use fastrand::Rng;

/// Open-circuit voltage of an LFP cell in volts over its state of charge (0 to 1), interpolated linearly: steep at both
/// ends and nearly flat in between, which is why batteries count coulombs.
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

/// Maximum cell voltage while charging, in volts.
pub(super) const CELL_MAX: f64 = 3.60;
/// Minimum cell voltage while discharging, in volts.
pub(super) const CELL_MIN: f64 = 2.75;

/// A cell, with the small variations of real cells.
#[derive(Clone, Debug)]
pub(crate) struct SimulatedCell {
    /// Capacity in ampere-seconds.
    pub(crate) capacity: f64,
    /// Remaining charge in ampere-seconds.
    pub(crate) charge: f64,
    /// Internal resistance in ohms.
    pub(crate) resistance: f64,
    /// Self-discharge in amperes.
    pub(crate) leak: f64,
    /// Whether the balancing resistor is on.
    pub(crate) balancing: bool,
    /// Measurement error of the voltage, in volts; random at each step.
    pub(crate) reading_error: f64,
    /// Constant error of a faulty voltage measurement, in volts.
    pub(crate) offset: f64,
}

impl SimulatedCell {
    /// A cell of about `amp_hours` after `cycles`, charged to about `soc` (0 to 1).
    pub(crate) fn new(amp_hours: f64, cycles: f64, soc: f64, rng: &mut Rng) -> Self {
        // Sixty cycles cost one percent of the capacity; the resistance rises faster.
        let capacity = amp_hours * 3600.0 * (1.0 - cycles / 6000.0) * random_factor(rng, 0.01);
        let charge = capacity * (soc + (rng.f64() - 0.5) * 0.01).clamp(0.0, 1.0);
        // 0.9 mΩ is typical of a cell of 100 Ah; smaller cells have more.
        let resistance =
            0.000_9 * (100.0 / amp_hours).sqrt() * (1.0 + cycles / 1500.0) * random_factor(rng, 0.08);
        let leak = rng.f64() * 0.03;
        Self { capacity, charge, resistance, leak, balancing: false, reading_error: 0.0, offset: 0.0 }
    }

    /// State of charge, 0 to 1.
    pub(crate) fn soc(&self) -> f64 {
        self.charge / self.capacity
    }

    /// In volts.
    pub(crate) fn open_circuit_voltage(&self) -> f64 {
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
        self.open_circuit_voltage() + current * self.resistance
    }

    /// Charges or discharges the cell for `seconds`; balancing costs some charge.
    pub(crate) fn apply_current(&mut self, current: f64, seconds: f64) {
        const BLEED: f64 = 0.08;
        let bleed = if self.balancing { BLEED } else { 0.0 };
        self.charge = (self.charge + (current - bleed - self.leak) * seconds).clamp(0.0, self.capacity);
    }
}

/// A factor in 1 ± `spread`, uniformly distributed.
fn random_factor(rng: &mut Rng, spread: f64) -> f64 {
    1.0 + (rng.f64() * 2.0 - 1.0) * spread
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_circuit_voltage_rises_with_the_charge() {
        let mut cell = SimulatedCell::new(100.0, 0.0, 0.0, &mut Rng::with_seed(1));
        let mut before = 0.0;
        for percent in 0..=100 {
            cell.charge = cell.capacity * f64::from(percent) / 100.0;
            assert!(cell.open_circuit_voltage() > before, "at {percent} %");
            before = cell.open_circuit_voltage();
        }
    }

    #[test]
    fn charge_stays_between_zero_and_capacity() {
        let mut cell = SimulatedCell::new(50.0, 300.0, 0.5, &mut Rng::with_seed(2));
        cell.apply_current(100.0, 1e6);
        assert!((cell.soc() - 1.0).abs() < 1e-9);
        cell.apply_current(-100.0, 1e6);
        assert!(cell.soc().abs() < 1e-9);
    }
}
