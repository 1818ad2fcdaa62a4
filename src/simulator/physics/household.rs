//! The power that a household with solar panels exchanges with the bank over a day.

use fastrand::Rng;

/// Solar production and load of a household. Its size follows the bank's, so that a normal day charges and
/// discharges any bank.
#[derive(Clone, Debug)]
pub(super) struct HouseholdPower {
    /// Energy of the full bank in watt-hours; all powers are proportional to it.
    bank_watt_hours: f64,
    /// Share of sunlight that passes the clouds, 0.1 (overcast) to 1 (clear).
    sky: f64,
    /// Today's mean of `sky`.
    daily_sky: f64,
    /// Additional load of appliances, as a share of the base load.
    appliances: f64,
}

impl HouseholdPower {
    pub(crate) fn new(bank_watt_hours: f64, rng: &mut Rng) -> Self {
        let sky = 0.5 + rng.f64() * 0.5;
        Self { bank_watt_hours, sky, daily_sky: sky, appliances: 0.0 }
    }

    /// Power the inverter charges the bank with at `hour` (0 to 24), in watts; negative discharges it.
    pub(crate) fn surplus(&mut self, hour: f64, seconds: f64, rng: &mut Rng) -> f64 {
        self.update_weather(hour, seconds, rng);
        let sun = if (6.0..20.0).contains(&hour) {
            ((hour - 6.0) / 14.0 * std::f64::consts::PI).sin().powf(1.3)
        } else {
            0.0
        };
        let pv = 0.26 * self.bank_watt_hours * sun * self.sky;
        let bump = |at: f64, width: f64| (-((hour - at) / width).powi(2)).exp();
        let demand = 1.0 + 1.8 * bump(7.5, 1.2) + 1.1 * bump(12.5, 1.0) + 3.2 * bump(19.5, 2.0);
        let load = 0.021 * self.bank_watt_hours * (demand + self.appliances);
        // Inverters are smaller than the maximum power of the bank.
        (pv - load).clamp(-0.4 * self.bank_watt_hours, 0.3 * self.bank_watt_hours)
    }

    /// Clouds vary within minutes around the daily mean; appliances such as a kettle are switched on at random.
    fn update_weather(&mut self, hour: f64, seconds: f64, rng: &mut Rng) {
        if hour < seconds / 3600.0 {
            self.daily_sky = 0.25 + rng.f64() * 0.75;
        }
        let pull = seconds / 900.0;
        self.sky += (self.daily_sky - self.sky) * pull + (rng.f64() - 0.5) * 0.5 * pull.sqrt();
        self.sky = self.sky.clamp(0.1, 1.0);
        self.appliances *= 1.0 - seconds / 240.0;
        if rng.f64() < seconds / 2400.0 {
            self.appliances += 1.0 + rng.f64() * 3.0;
        }
    }
}
