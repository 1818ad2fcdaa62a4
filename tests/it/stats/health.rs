//! Health over simulated weeks, a reading a minute: the right battery and cell are named with the right reason, and a
//! sound bank never has a finding.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bankwatch::internals::model::facts::Facts;
use bankwatch::internals::model::health::{BatteryHealth, HealthReason, HealthVerdict};
use bankwatch::internals::model::lifetime::{Lifetime, LifetimeFigure};
use bankwatch::internals::model::place::Place;
use bankwatch::internals::model::reading::{
    BankReading, BatteryReading, CellReading, Measured, Presence, SweepKind,
};
use bankwatch::internals::model::report::BankReport;
use bankwatch::internals::model::units::{MilliampHours, Milliamps, Millicelsius, Millivolts, Percent};
use bankwatch::internals::model::word::Word;
use bankwatch::internals::simulator::{BankPlan, SimulatedBank};
use bankwatch::internals::stats::Stats;
use jiff::Timestamp;
use support::simulated_years::{SimulatedYears, plan};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: u64 = 24 * 60;
/// Faults are simulated on this battery and this cell.
const BATTERY: usize = 2;
const CELL: usize = 7;

/// Simulates `days` days, calling `degrade` each hour with the days elapsed so far; returns the last report.
fn after(days: u64, batteries: usize, seed: u64, degrade: impl Fn(&mut SimulatedBank, f64)) -> BankReport {
    let bank = SimulatedBank::new(&plan(batteries, seed)).with_step(40.0);
    let mut simulation = SimulatedYears::new(bank, MINUTE);
    for minute in 0..days * DAY {
        if minute % 60 == 0 {
            degrade(&mut simulation.bank, minute as f64 / DAY as f64);
        }
        simulation.advance(MINUTE);
        simulation.report(SweepKind::Full, |_| {});
    }
    simulation.report(SweepKind::Full, |_| {})
}

/// Applies `degrade` only once, at the beginning.
fn once(degrade: impl Fn(&mut SimulatedBank) -> bool) -> impl Fn(&mut SimulatedBank, f64) {
    move |bank, days| assert!(days > 0.0 || degrade(bank))
}

/// Whether there is no finding: healthy, or unknown because some evidence is still missing.
fn has_no_finding(health: &BatteryHealth) -> bool {
    let missing = |reason: &HealthReason| matches!(reason, HealthReason::NotYetSeen(_));
    match health.verdict {
        HealthVerdict::Healthy => health.reasons.is_empty(),
        HealthVerdict::Unknown => !health.reasons.is_empty() && health.reasons.iter().all(missing),
        HealthVerdict::Watch | HealthVerdict::Failing => false,
    }
}

/// Asserts that the other batteries have no finding; returns the health of the faulty one.
fn health_of_faulty(report: &BankReport) -> &BatteryHealth {
    for (index, battery) in report.derived.batteries.iter().enumerate() {
        let health = &battery.health;
        assert!(
            index + 1 == BATTERY || has_no_finding(health),
            "battery {}: {:?}",
            index + 1,
            health.reasons
        );
    }
    &report.derived.batteries[BATTERY - 1].health
}

#[test]
fn a_healthy_bank_never_gets_a_finding() {
    let seeds = |first: u64| {
        move || {
            let mut healthy = 0;
            for seed in (first..=100).step_by(2) {
                for battery in after(5, 2, seed, |_, _| {}).derived.batteries {
                    let health = battery.health;
                    let reasons: Vec<String> = health.reasons.iter().map(ToString::to_string).collect();
                    assert!(has_no_finding(&health), "seed {seed}: {reasons:?}");
                    healthy += u32::from(health.verdict == HealthVerdict::Healthy);
                }
            }
            healthy
        }
    };
    let both = [1, 2].map(|first| thread::spawn(seeds(first)));
    let healthy: u32 = both.into_iter().map(|half| half.join().unwrap()).sum();
    // Few are both near full and near empty within five days.
    assert!(healthy > 0, "the evidence of some batteries is complete");
}

#[test]
fn a_cell_that_lost_a_fifth_of_its_capacity_is_a_weak_cell() {
    let report = after(10, 3, 1, once(|bank| bank.set_cell_capacity(BATTERY, CELL, 0.8)));
    let health = health_of_faulty(&report);
    let weak = |reason: &HealthReason| matches!(reason, HealthReason::WeakCell { cell: 7, .. });
    assert!(health.reasons.iter().any(weak), "{:?}", health.reasons);
    assert!(health.verdict <= HealthVerdict::Watch);
}

#[test]
fn a_cell_with_more_resistance_is_reported_with_its_value() {
    let report = after(7, 3, 2, once(|bank| bank.add_cell_resistance(BATTERY, CELL, 0.001_2)));
    let health = health_of_faulty(&report);
    let [HealthReason::Resistance { cell: 7, more }] = *health.reasons else {
        panic!("{:?}", health.reasons)
    };
    assert!((more - 1.2).abs() < 0.2, "{more} mΩ where 1.2 were added");
    assert_eq!(health.verdict, HealthVerdict::Watch);
}

#[test]
fn a_drifting_voltage_is_a_sensing_error_and_not_a_weak_cell() {
    let report = after(10, 3, 3, |bank, days| {
        bank.set_cell_offset(BATTERY, CELL, 0.003 * days);
    });
    let health = health_of_faulty(&report);
    let [HealthReason::VoltageSensor { cell: 7, off }] = *health.reasons else {
        panic!("{:?}", health.reasons)
    };
    assert!((15.0..30.0).contains(&off), "{off} mV where 30 were reached");
}

#[test]
fn a_drifting_temperature_is_reported_for_all_cells_of_its_sensor() {
    let report = after(10, 3, 4, |bank, days| {
        bank.set_sensor_offset(BATTERY, 1, -days);
    });
    let health = health_of_faulty(&report);
    let [HealthReason::TemperatureSensor { first: 6, last: 10, off }] = *health.reasons else {
        panic!("{:?}", health.reasons)
    };
    assert!((-10.5..-5.0).contains(&off), "{off} K where -10 were reached");
}

#[test]
fn full_cycles_reveal_a_third_of_lost_capacity() {
    let report =
        after(10, 3, 5, once(|bank| (1..=16).all(|cell| bank.set_cell_capacity(BATTERY, cell, 0.7))));
    let health = health_of_faulty(&report);
    let [HealthReason::Capacity { seen, .. }] = *health.reasons else { panic!("{:?}", health.reasons) };
    assert!((62_000..71_000).contains(&seen.0), "{seen}");
    let efficiency = health.efficiency.unwrap();
    assert!((95.0..99.9).contains(&efficiency), "{efficiency} %");
}

#[test]
fn a_loose_cable_or_an_open_breaker_lowers_the_current_share() {
    for (ohms, worst, verdict) in [(0.1, 70.0, HealthVerdict::Watch), (10.0, 5.0, HealthVerdict::Failing)] {
        let report = after(3, 3, 6, once(|bank| bank.loosen_cable(BATTERY, ohms)));
        let health = health_of_faulty(&report);
        let [HealthReason::Share { percent }] = *health.reasons else { panic!("{:?}", health.reasons) };
        assert!(percent < worst, "{percent} % behind {ohms} Ω");
        assert_eq!(health.verdict, verdict);
    }
}

#[test]
fn a_cell_is_found_though_only_the_stack_states_a_capacity() {
    let bank = SimulatedBank::new(&BankPlan { series: true, ..plan(3, 2) }).with_step(40.0);
    let mut simulation = SimulatedYears::new(bank, MINUTE);
    assert!(simulation.bank.add_cell_resistance(BATTERY, CELL, 0.001_2));
    let stack = Facts { nominal_capacity: Some(MilliampHours(100_000)), ..Facts::default() };
    let mut last = None;
    for _ in 0..7 * DAY {
        simulation.advance(MINUTE);
        let reading = simulation.reading(SweepKind::Full);
        let nothing = vec![Facts::default(); 3];
        last = Some(simulation.stats.report(reading, nothing, stack.clone(), Default::default()));
    }
    let report = last.unwrap();
    let [HealthReason::Resistance { cell: 7, more }] = *health_of_faulty(&report).reasons else {
        panic!("{:?}", health_of_faulty(&report).reasons)
    };
    assert!((more - 1.2).abs() < 0.2, "{more} mΩ where 1.2 were added");
    assert_eq!(report.facts[0].nominal_capacity, None, "a capacity that was not reported is not invented");
}

#[test]
fn a_month_without_full_charge_is_reported_but_not_without_history() {
    let mut simulation = SimulatedYears::new(SimulatedBank::new(&plan(1, 7)).with_step(40.0), MINUTE);
    let health = |report: BankReport| report.derived.batteries[0].health.clone();
    simulation.report(SweepKind::Full, |reading| reading.batteries[0].measured.soc = Some(Percent(100)));
    simulation.advance(60 * MINUTE);
    for _ in 0..DAY / 2 {
        simulation.advance(MINUTE);
        simulation.report(SweepKind::Full, |reading| reading.batteries[0].measured.soc = Some(Percent(60)));
    }
    let early = health(simulation.report(SweepKind::Full, |_| {}));
    assert_eq!(early.verdict, HealthVerdict::Unknown);
    assert!(early.reasons[0].to_string().starts_with("watched for 12 hours"), "{:?}", early.reasons);
    simulation.advance(Duration::from_secs(31 * 86_400));
    let late = health(
        simulation.report(SweepKind::Full, |reading| reading.batteries[0].measured.soc = Some(Percent(60))),
    );
    assert!(
        matches!(*late.reasons, [HealthReason::NotFull { days }] if (31.0..32.0).contains(&days)),
        "{late:?}"
    );
}

/// A battery of 15 cells and 100 Ah with scripted current and cell voltages.
struct ScriptedBattery {
    stats: Stats,
    start: Instant,
    minute: u64,
    /// Minutes between readings.
    pace: u64,
    soc: f64,
}

impl ScriptedBattery {
    fn at(soc: f64) -> Self {
        Self { stats: Stats::without_persistence(MINUTE), start: Instant::now(), minute: 0, pace: 1, soc }
    }

    /// Runs for `minutes` with all cells at `middle` mV, except that `added` mV are added to cell `cell` (from 1).
    fn go(&mut self, minutes: u64, amperes: f64, middle: i32, (cell, added): (usize, i32)) -> BatteryHealth {
        let mut last = BatteryHealth::default();
        for _ in 0..minutes / self.pace {
            self.minute += self.pace;
            self.soc = (self.soc + amperes * self.pace as f64 / 60.0).clamp(0.0, 100.0);
            let mut volts: Vec<i32> = (0..15).map(|cell| middle + cell % 3 - 1).collect();
            volts[cell - 1] = middle + added;
            last = self.look(amperes, &volts);
        }
        last
    }

    fn look(&mut self, amperes: f64, volts: &[i32]) -> BatteryHealth {
        let cell = |volts: &i32| CellReading {
            voltage: Some(Millivolts(*volts)),
            temperature: Some(Millicelsius(22_000)),
            ..CellReading::default()
        };
        let battery = BatteryReading {
            presence: Presence::Present,
            measured: Measured {
                voltage: Some(Millivolts(volts.iter().sum())),
                current: Some(Milliamps((amperes * 1_000.0) as i32)),
                soc: Some(Percent(self.soc.round() as i32)),
                ..Measured::default()
            },
            cells: Some(volts.iter().map(cell).collect()),
            ..BatteryReading::empty(Place::FIRST)
        };
        let time = MINUTE * u32::try_from(self.minute).unwrap();
        let reading = BankReading {
            bank: "bank".into(),
            kind: SweepKind::Full,
            taken_at: Timestamp::from_second(1_780_000_000).unwrap() + time,
            began: self.start + time,
            took: Duration::ZERO,
            asked_again: 0,
            answered: Vec::new(),
            stack: None,
            batteries: vec![battery],
            facts: Vec::new(),
            missing: Vec::new(),
            device_log: Vec::new(),
            unreadable_facts: Vec::new(),
        };
        let facts = Facts {
            barcode: Some("K150000000000001".into()),
            nominal_capacity: Some(MilliampHours(100_000)),
            ..Facts::default()
        };
        let report = self.stats.report(reading, vec![facts], Facts::default(), Default::default());
        report.derived.batteries[0].health.clone()
    }

    /// Eight hours of changing currents.
    fn plateau(&mut self) -> BatteryHealth {
        for _ in 0..4 {
            self.go(60, 20.0, 3_330, ALIKE);
            self.go(60, -20.0, 3_270, ALIKE);
        }
        self.go(1, -20.0, 3_270, ALIKE)
    }
}

/// No cell differs from the others.
const ALIKE: (usize, i32) = (1, 0);

fn sentences(health: &BatteryHealth) -> Vec<String> {
    health.reasons.iter().map(ToString::to_string).collect()
}

#[test]
fn a_battery_is_healthy_once_all_evidence_has_been_seen() {
    let mut battery = ScriptedBattery::at(60.0);
    let missing = |health: &BatteryHealth| {
        assert_eq!(health.verdict, HealthVerdict::Unknown, "{:?}", health.reasons);
        let words = sentences(health).join("\n");
        ["under changing load", "near full", "near empty"]
            .map(|way| words.contains(&format!("not yet seen {way}")))
    };
    assert_eq!(missing(&battery.go(25 * 60, 0.0, 3_300, ALIKE)), [true, true, true]);
    assert_eq!(missing(&battery.plateau()), [false, true, true]);
    battery.go(111, 20.0, 3_335, ALIKE);
    assert_eq!(missing(&battery.go(65, 5.0, 3_440, ALIKE)), [false, false, true]);
    battery.go(276, -20.0, 3_280, ALIKE);
    let health = battery.go(40, -5.0, 3_120, ALIKE);
    assert_eq!((health.verdict, sentences(&health)), (HealthVerdict::Healthy, vec![]));
}

#[test]
fn a_table_without_its_last_cell_does_not_reset_the_model() {
    let mut battery = ScriptedBattery::at(60.0);
    let watched =
        |health: BatteryHealth| !sentences(&health).join("\n").contains("not yet seen under changing load");
    assert!(watched(battery.plateau()));
    battery.minute += 1;
    battery.look(-20.0, &[3_270; 14]);
    assert!(watched(battery.go(1, -20.0, 3_270, ALIKE)));
    // Twice in a row is another battery.
    battery.minute += 1;
    battery.look(-20.0, &[3_270; 14]);
    battery.minute += 1;
    assert!(!watched(battery.look(-20.0, &[3_270; 14])));
}

#[test]
fn a_cell_that_lags_and_runs_ahead_is_found_without_deep_discharge() {
    let mut battery = ScriptedBattery::at(90.0);
    battery.go(14 * 60, -0.5, 3_325, ALIKE);
    battery.go(50, 20.0, 3_410, (13, -40));
    for below in [114, 105, 95, 80] {
        battery.go(60, 0.0, 3_430, (13, -below));
    }
    let at_rest = battery.go(1, 0.0, 3_430, (13, -80));
    let [HealthReason::LagsBehind { cell: 13, below }] = *at_rest.reasons else {
        panic!("{:?}", at_rest.reasons)
    };
    assert!((85.0..110.0).contains(&below), "{below}");
    let charged = battery.go(2, 12.0, 3_479, (13, 120));
    assert_eq!(charged.verdict, HealthVerdict::Watch);
    let words = sentences(&charged).remove(0);
    let ahead = "cell 13 runs ahead of the others near full: 120 mV above them, at 3599 mV, while the current is 0.12 C";
    assert!(words.starts_with(ahead) && words.contains("and at rest it is "), "{words}");
}

#[test]
fn a_near_full_finding_disappears_once_repaired() {
    let mut battery = ScriptedBattery::at(99.0);
    let early = battery.go(3, 12.0, 3_470, (4, 100));
    assert!(
        matches!(*early.reasons, [HealthReason::RunsAhead { cell: 4, behind: None, .. }]),
        "{:?}",
        early.reasons
    );
    battery.pace = 10;
    let late = battery.go(31 * DAY, 12.0, 3_470, ALIKE);
    assert!(has_no_finding(&late), "{:?}", late.reasons);
}

#[test]
fn one_sample_or_the_end_of_a_strong_charge_is_no_finding() {
    let mut battery = ScriptedBattery::at(99.0);
    for (minutes, amperes, cell) in
        [(5, 12.0, ALIKE), (1, 12.0, (4, 100)), (60, 12.0, (4, 20)), (60, 60.0, (4, 100))]
    {
        let health = battery.go(minutes, amperes, 3_470, cell);
        assert!(health.verdict == HealthVerdict::Unknown, "{:?}", health.reasons);
    }
}

#[test]
fn a_jumping_state_of_charge_is_no_finding() {
    let mut battery = ScriptedBattery::at(60.0);
    battery.plateau();
    battery.go(111, 20.0, 3_340, ALIKE);
    for soc in [97.0, 11.0, 97.0, 11.0, 97.0] {
        battery.soc = soc;
        battery.go(10, -1.0, 3_338, ALIKE);
    }
    let health = battery.go(10, 0.2, 3_338, ALIKE);
    assert_eq!(
        (health.verdict, health.capacity_seen, health.efficiency),
        (HealthVerdict::Unknown, None, None)
    );
    let words = sentences(&health);
    assert!(words[0].starts_with("state of charge and measured charge disagree"), "{words:?}");
}

#[test]
fn a_fault_reported_by_the_battery_is_a_verdict_at_once() {
    let mut simulation = SimulatedYears::new(SimulatedBank::new(&plan(1, 8)), MINUTE);
    let report = simulation.report(SweepKind::Full, |reading| {
        let cell = &mut reading.batteries[0].cells.as_mut().unwrap()[3];
        cell.base_state = Some(Word::new("SysError"));
    });
    let health = &report.derived.batteries[0].health;
    assert_eq!(health.verdict, HealthVerdict::Failing);
    assert_eq!(health.reasons[0].to_string(), "the battery reports SysError of cell 4");
}

#[test]
fn a_measured_capacity_takes_precedence_over_a_computed_soh() {
    let last_of = |capacity: i64| {
        let mut simulation = SimulatedYears::new(SimulatedBank::new(&plan(1, 8)), MINUTE);
        let mut seen = Vec::new();
        for soc in 50..=75 {
            simulation.advance(MINUTE);
            let mut reading = simulation.reading(SweepKind::Full);
            reading.batteries[0].measured.soc = Some(Percent(soc));
            let values = [(LifetimeFigure::Capacity, capacity)].into();
            let lifetime = Some(Arc::new(Lifetime { read_at: reading.taken_at, values }));
            let nominal_capacity = Some(MilliampHours(100_000));
            let barcode = Some("K221104000001".to_owned());
            let facts =
                Facts { barcode, soh: Some(Percent(55)), nominal_capacity, lifetime, ..Facts::default() };
            let report = simulation.stats.report(reading, vec![facts], Facts::default(), Default::default());
            seen.push(report.derived.batteries[0].health.clone());
        }
        assert!(
            matches!(*seen[0].reasons, [HealthReason::Soh(55), ..]),
            "not sure yet: {:?}",
            seen[0].reasons
        );
        // Once the figure has expired it is not known any more.
        simulation.advance(MINUTE);
        let nominal_capacity = Some(MilliampHours(100_000));
        let facts = Facts { soh: Some(Percent(55)), nominal_capacity, ..Facts::default() };
        let reading = simulation.reading(SweepKind::Full);
        let report = simulation.stats.report(reading, vec![facts], Facts::default(), Default::default());
        let expired = &report.derived.batteries[0].health.reasons;
        assert!(matches!(**expired, [HealthReason::Soh(55), ..]), "{expired:?}");
        seen.pop().unwrap()
    };
    let sound = last_of(97_000);
    assert_eq!(sound.verdict, HealthVerdict::Unknown, "{:?}", sound.reasons);
    let worn = last_of(58_000);
    assert!(matches!(*worn.reasons, [HealthReason::OwnCapacity { .. }, ..]), "{:?}", worn.reasons);
    assert_eq!(worn.verdict, HealthVerdict::Failing);
    let text = worn.reasons[0].to_string();
    assert_eq!(text, "by its own measurement it holds 58.0 Ah, 58 % of its nominal capacity");
}
