//! The house around the bank: a day of sun and of people, so that the bank has something to live on.

use fastrand::Rng;

/// Sun and load of a house whose size follows the bank's, so that any bank is filled and emptied by a
/// normal day.
#[derive(Clone, Debug)]
pub(super) struct House {
    /// Energy of the full bank in watt-hours; every power below is a share of it.
    bank_watt_hours: f64,
    /// How much of the sun comes through, 0.1 (overcast) to 1 (clear).
    sky: f64,
    /// What the sky tends to today.
    sky_of_the_day: f64,
    /// Appliances that come and go, as a share of the base load.
    appliances: f64,
}

impl House {
    /// A house for a bank that holds `bank_watt_hours`.
    pub(crate) fn new(bank_watt_hours: f64, rng: &mut Rng) -> Self {
        let sky = 0.5 + rng.f64() * 0.5;
        Self { bank_watt_hours, sky, sky_of_the_day: sky, appliances: 0.0 }
    }

    /// Power the inverter would push into the bank at `hour` (0 to 24) in watts; negative takes it out.
    pub(crate) fn surplus(&mut self, hour: f64, seconds: f64, rng: &mut Rng) -> f64 {
        self.weather(hour, seconds, rng);
        let sun = if (6.0..20.0).contains(&hour) {
            ((hour - 6.0) / 14.0 * std::f64::consts::PI).sin().powf(1.3)
        } else {
            0.0
        };
        let pv = 0.26 * self.bank_watt_hours * sun * self.sky;
        let bump = |at: f64, width: f64| (-((hour - at) / width).powi(2)).exp();
        let people = 1.0 + 1.8 * bump(7.5, 1.2) + 1.1 * bump(12.5, 1.0) + 3.2 * bump(19.5, 2.0);
        let load = 0.021 * self.bank_watt_hours * (people + self.appliances);
        // Inverters are sized well below what the bank could give.
        (pv - load).clamp(-0.4 * self.bank_watt_hours, 0.3 * self.bank_watt_hours)
    }

    /// Clouds drift within minutes around the day's own mean; a kettle goes on now and then.
    fn weather(&mut self, hour: f64, seconds: f64, rng: &mut Rng) {
        if hour < seconds / 3600.0 {
            self.sky_of_the_day = 0.25 + rng.f64() * 0.75;
        }
        let pull = seconds / 900.0;
        self.sky += (self.sky_of_the_day - self.sky) * pull + (rng.f64() - 0.5) * 0.5 * pull.sqrt();
        self.sky = self.sky.clamp(0.1, 1.0);
        self.appliances *= 1.0 - seconds / 240.0;
        if rng.f64() < seconds / 2400.0 {
            self.appliances += 1.0 + rng.f64() * 3.0;
        }
    }
}
