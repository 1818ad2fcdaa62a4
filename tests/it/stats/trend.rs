//! Trends over simulated weeks with a reading every five minutes: a drift is reported with sign, size and uncertainty,
//! and a sound battery has no finding.

use std::thread;
use std::time::Duration;

use bankwatch::internals::model::health::{BatteryHealth, HealthReason, HealthVerdict};
use bankwatch::internals::model::reading::SweepKind;
use bankwatch::internals::model::report::BankReport;
use bankwatch::internals::model::trend::{Trend, TrendMetric};
use bankwatch::internals::simulator::SimulatedBank;
use bankwatch::internals::stats::Stats;
use bankwatch::internals::stats::ledger::Ledger;
use support::simulated_years::{SimulatedYears, plan};

const STEP: Duration = Duration::from_secs(300);
const DAY: u64 = 24 * 12;
const MONTH: f64 = 30.0;
/// Faults are simulated on this battery and this cell.
const BATTERY: usize = 2;
const CELL: usize = 7;

fn simulation(batteries: usize, seed: u64) -> SimulatedYears {
    SimulatedYears::new(SimulatedBank::new(&plan(batteries, seed)).with_step(40.0), STEP)
}

/// Simulates `days` days, calling `degrade` each day; returns the last report.
fn simulate(simulation: &mut SimulatedYears, days: u64, degrade: impl Fn(&mut SimulatedBank)) -> BankReport {
    for step in 0..days * DAY {
        if step % DAY == 0 {
            degrade(&mut simulation.bank);
        }
        simulation.advance(STEP);
        simulation.report(SweepKind::Full, |_| {});
    }
    simulation.report(SweepKind::Full, |_| {})
}

fn health(report: &BankReport) -> &BatteryHealth {
    &report.derived.batteries[BATTERY - 1].health
}

fn trend(health: &BatteryHealth, wanted_metric: TrendMetric) -> Option<Trend> {
    health.trends.iter().copied().find(|trend| trend.metric == wanted_metric)
}

/// Asserts that this battery has the trend, within its stated uncertainty, and that no other battery has a finding.
fn assert_trend_found(report: &BankReport, wanted_metric: TrendMetric, truth: f64) {
    let found = trend(health(report), wanted_metric).unwrap();
    println!("{found}, true value {truth:.2}");
    let reason = HealthReason::Trend(found);
    assert!(health(report).reasons.contains(&reason), "{:?}", health(report).reasons);
    assert_eq!(health(report).verdict.min(HealthVerdict::Watch), health(report).verdict);
    let tolerance = found.plus_minus.max(truth.abs() * 0.2);
    assert!((found.per_month - truth).abs() <= tolerance, "{found}, true value {truth}");
    for (index, other) in report.derived.batteries.iter().enumerate() {
        let has_trend = other.health.reasons.iter().any(|reason| matches!(reason, HealthReason::Trend(_)));
        assert!(index + 1 == BATTERY || !has_trend, "battery {}: {:?}", index + 1, other.health.reasons);
    }
}

#[test]
fn fading_cells_give_the_true_capacity_trend() {
    const DAYS: u64 = 112;
    let mut simulation = simulation(3, 5);
    let report = simulate(&mut simulation, DAYS, |bank| {
        (1..=16).for_each(|cell| assert!(bank.set_cell_capacity(BATTERY, cell, 0.998)));
    });
    let left = 0.998_f64.powf(DAYS as f64);
    assert_trend_found(&report, TrendMetric::Capacity, -100.0 * (1.0 - left) / DAYS as f64 * MONTH);
}

#[test]
fn growing_resistance_is_reported_with_its_rate() {
    let mut simulation = simulation(3, 2);
    let report = simulate(&mut simulation, 42, |bank| {
        assert!(bank.add_cell_resistance(BATTERY, CELL, 0.000_02));
    });
    assert_trend_found(&report, TrendMetric::Resistance, 0.02 * MONTH);
}

#[test]
fn a_drifting_sensing_line_widens_the_spread() {
    let mut simulation = simulation(3, 3);
    // Outside the range of the other cells from the first day on; inside it, the drift would not widen the spread.
    let offset = std::cell::Cell::new(0.004);
    let report = simulate(&mut simulation, 42, |bank| {
        offset.set(offset.get() + 0.000_5);
        assert!(bank.set_cell_offset(BATTERY, CELL, offset.get()));
    });
    assert_trend_found(&report, TrendMetric::SpreadRest, 0.5 * MONTH);
}

#[test]
fn a_loosening_cable_lowers_the_current_share() {
    let mut simulation = simulation(3, 6);
    let ohms = std::cell::Cell::new(0.0);
    let report = simulate(&mut simulation, 42, |bank| {
        ohms.set(ohms.get() + 0.000_5);
        assert!(bank.loosen_cable(BATTERY, ohms.get()));
    });
    let found = trend(health(&report), TrendMetric::Share).unwrap();
    assert!(found.per_month < -5.0, "{found}");
    assert!(health(&report).reasons.contains(&HealthReason::Trend(found)), "{:?}", health(&report).reasons);
}

#[test]
fn weeks_survive_restarts_and_trends_need_enough_of_them() {
    let drift = |bank: &mut SimulatedBank| assert!(bank.add_cell_resistance(BATTERY, CELL, 0.000_02));
    let (mut whole, mut cut) = (simulation(2, 2), simulation(2, 2));
    let early = simulate(&mut cut, 20, drift);
    assert_eq!(health(&early).trends, [], "three weeks are too few");
    let kept = Ledger::from_bytes(&cut.stats.ledger().unwrap().to_bytes().unwrap()).unwrap();
    cut.stats = Stats::new(STEP);
    cut.stats.load(kept);
    let (cut, whole) = (simulate(&mut cut, 20, drift), simulate(&mut whole, 40, drift));
    let [cut, whole] = [&cut, &whole].map(|report| trend(health(report), TrendMetric::Resistance).unwrap());
    assert_eq!(cut.weeks, whole.weeks);
    assert!((cut.per_month - whole.per_month).abs() < 0.02, "{cut} where {whole}");
}

#[test]
fn weeks_of_a_healthy_bank_are_no_finding() {
    let seeds = |first: u64| {
        move || {
            for seed in (first..=100).step_by(2) {
                let report = simulate(&mut simulation(2, seed), 36, |_| {});
                for battery in &report.derived.batteries {
                    let trends: Vec<String> = battery.health.trends.iter().map(Trend::to_string).collect();
                    let verdict = battery.health.verdict;
                    assert!(verdict > HealthVerdict::Watch, "seed {seed}: {:?}", battery.health.reasons);
                    assert!(trends.len() >= 2, "seed {seed}: only {trends:?}");
                }
            }
        }
    };
    let both = [1, 2].map(|first| thread::spawn(seeds(first)));
    both.into_iter().for_each(|half| half.join().unwrap());
}
