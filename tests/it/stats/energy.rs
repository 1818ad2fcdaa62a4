//! Energy and charge counters: accurate, credited to the right battery, and never decreasing.

use std::sync::Arc;
use std::time::Duration;

use bankwatch::internals::model::derived::{DerivedValues, EnergyTotals};
use bankwatch::internals::model::identity::Identity;
use bankwatch::internals::model::reading::SweepKind;
use bankwatch::internals::model::report::BankReport;
use bankwatch::internals::simulator::{SimulatedBank, SimulatedBattery};
use bankwatch::internals::stats::Stats;
use support::simulated_years;
use support::simulated_years::{SimulatedYears, plan};

const DAY: u64 = 86_400;
const FULL: u64 = 10;

fn simulation(batteries: usize, series: bool, seed: u64) -> SimulatedYears {
    let bank =
        SimulatedBank::new(&bankwatch::internals::simulator::BankPlan { series, ..plan(batteries, seed) });
    SimulatedYears::new(bank, Duration::from_secs(FULL))
}

/// Watt-hours in and out, ampere-hours in and out.
#[derive(Clone, Copy, Default)]
struct Truth([f64; 4]);

impl Truth {
    fn add(&mut self, volts: f64, amperes: f64, seconds: f64) {
        let (energy, charge) = (volts * amperes * seconds / 3600.0, amperes * seconds / 3600.0);
        for (sum, part) in self.0.iter_mut().zip([energy, -energy, charge, -charge]) {
            *sum += part.max(0.0);
        }
    }

    fn assert_counted_by(&self, counted: EnergyTotals, name: &str) {
        let energy = [counted.energy_in, counted.energy_out].map(|energy| energy.0 as f64 / 1000.0);
        let charge = [counted.charge_in, counted.charge_out].map(|charge| charge.ampere_hours());
        for (counted, truth) in energy.into_iter().chain(charge).zip(self.0) {
            assert!(truth > 10.0, "{name}: too little flowed for a meaningful test: {truth}");
            let error = (counted - truth).abs() / truth;
            assert!(
                error <= 0.001,
                "{name}: counted {counted}, true value {truth}, {:.3} % off",
                error * 100.0
            );
        }
    }
}

/// Simulates a day with a sweep every `every` seconds, a full one every ten; returns the last report and the true
/// totals per battery and for the bank.
fn day(simulation: &mut SimulatedYears, every: u64) -> (BankReport, Vec<Truth>, Truth) {
    let mut own = vec![Truth::default(); simulation.bank.places()];
    let mut bank = Truth::default();
    // Sweeps do not coincide with the steps of the simulated physics.
    simulation.advance(Duration::from_millis(700));
    let mut report = simulation.report(SweepKind::Full, |_| {});
    for second in 1..=DAY {
        let batteries: Vec<&SimulatedBattery> =
            simulation.bank.batteries().map(|(_, battery)| battery).collect();
        for (truth, battery) in own.iter_mut().zip(&batteries) {
            truth.add(battery.voltage(), battery.current(), 1.0);
        }
        if simulation.bank.is_series() {
            bank.add(batteries.iter().map(|battery| battery.voltage()).sum(), batteries[0].current(), 1.0);
        } else {
            let power: f64 = batteries.iter().map(|battery| battery.voltage() * battery.current()).sum();
            let current: f64 = batteries.iter().map(|battery| battery.current()).sum();
            bank.add(power / current, current, if current == 0.0 { 0.0 } else { 1.0 });
        }
        simulation.advance(Duration::from_secs(1));
        if second % every == 0 {
            let kind = if second % FULL == 0 { SweepKind::Full } else { SweepKind::Summary };
            report = simulation.report(kind, |_| {});
        }
    }
    (report, own, bank)
}

#[test]
fn a_day_of_sweeps_is_counted_within_a_thousandth() {
    for (every, series) in [(2, false), (10, false), (2, true), (10, true)] {
        let mut simulation = simulation(3, series, 11);
        let (report, own, bank) = day(&mut simulation, every);
        bank.assert_counted_by(report.derived.totals.unwrap(), "the bank");
        for (values, truth) in report.derived.batteries.iter().zip(&own) {
            truth.assert_counted_by(values.totals.unwrap(), "a battery");
            assert_eq!(values.totals, values.place_totals, "no battery was moved");
        }
    }
}

/// Sweeps every ten seconds for `seconds`; returns the last report.
fn sweep_for(simulation: &mut SimulatedYears, seconds: u64) -> BankReport {
    let mut last = None;
    for _ in 0..seconds / FULL {
        simulation.advance(Duration::from_secs(FULL));
        last = Some(simulation.report(SweepKind::Full, |_| {}));
    }
    last.unwrap()
}

fn charge_throughput(energy_totals: Option<EnergyTotals>) -> i64 {
    let energy_totals = energy_totals.unwrap();
    energy_totals.charge_in.0 + energy_totals.charge_out.0
}

#[test]
fn swapped_batteries_keep_their_counters_and_so_do_the_places() {
    let mut simulation = simulation(3, false, 5);
    let before = sweep_for(&mut simulation, 4 * 3600).derived.batteries;
    assert!(simulation.bank.swap(1, 3));
    let swapped = sweep_for(&mut simulation, FULL).derived.batteries;
    let after = sweep_for(&mut simulation, 4 * 3600).derived.batteries;
    for (here, there) in [(0, 2), (1, 1), (2, 0)] {
        assert_eq!(after[there].identity, before[here].identity, "the barcode moves with the battery");
        for (then, now) in [(&before, &swapped), (&swapped, &after)] {
            let there = if std::ptr::eq(then, &before) { there } else { here };
            let (old, new) = (then[here].totals, now[there].totals);
            assert!(charge_throughput(new) >= charge_throughput(old), "the battery's counter decreased");
            let (old, new) = (then[here].place_totals, now[here].place_totals);
            assert!(charge_throughput(new) >= charge_throughput(old), "the place's counter decreased");
        }
        // Nothing is counted between the readings of the old and the new battery.
        assert!(
            charge_throughput(swapped[there].totals) - charge_throughput(before[here].totals) < 300,
            "a jump at the swap"
        );
        assert!(
            charge_throughput(after[here].place_totals) > charge_throughput(before[here].place_totals) + 1000,
            "the counter of the place stopped"
        );
    }
}

#[test]
fn a_second_battery_with_the_barcode_is_counted_by_place() {
    let mut simulation = simulation(3, false, 6);
    let before = sweep_for(&mut simulation, 4 * 3600).derived.batteries;
    let [one, two] = [1, 2].map(|place| simulation.bank.battery(place).unwrap().barcode.clone());
    let known = |values: &[bankwatch::internals::model::derived::BatteryDerivedValues]| {
        values.iter().map(|battery| battery.identity.clone().unwrap().to_string()).collect::<Vec<_>>()
    };
    let third = known(&before).remove(2);
    let apart = [format!("barcode:{one}"), "place:2".to_owned(), third.clone()];
    assert!(simulation.bank.set_barcode(2, &one));
    let shared = sweep_for(&mut simulation, 4 * 3600).derived.batteries;
    assert_eq!(known(&shared), apart);
    assert!(
        charge_throughput(shared[0].totals) > charge_throughput(before[0].totals) + 1000,
        "the first one continues"
    );
    let (own, place) = (
        charge_throughput(shared[1].totals),
        charge_throughput(shared[1].place_totals) - charge_throughput(before[1].place_totals),
    );
    assert!(own > 1000 && own <= place, "{own} of {place}");
    let unlike = charge_throughput(shared[0].totals) - charge_throughput(before[0].totals);
    assert!(unlike < 2 * place, "{unlike}: the first one was credited with the flow of both");
    // A restart with nothing but the ledger.
    let kept = simulation.stats.ledger().unwrap().clone();
    simulation.stats = Stats::without_persistence(Duration::from_secs(FULL));
    simulation.stats.load(kept);
    assert_eq!(known(&sweep_for(&mut simulation, FULL).derived.batteries), apart);
    // With its own barcode again it has its former identity.
    assert!(simulation.bank.set_barcode(2, &two));
    let unique = sweep_for(&mut simulation, FULL).derived.batteries;
    assert_eq!(known(&unique), known(&before));
    assert!(
        charge_throughput(unique[1].totals) - charge_throughput(before[1].totals) < 300,
        "flow while the barcode was shared is not credited to it"
    );
    // Once another battery is in the place of the first, the second alone has the barcode, and keeps it from then on.
    assert!(simulation.bank.set_barcode(2, &one));
    sweep_for(&mut simulation, FULL);
    assert!(simulation.bank.set_barcode(1, "B220000000000009"));
    let alone = [format!("barcode:{}", "B220000000000009"), format!("barcode:{one}"), third.clone()];
    assert_eq!(known(&sweep_for(&mut simulation, FULL).derived.batteries), alone);
    assert!(simulation.bank.set_barcode(1, &one));
    let again = ["place:1".to_owned(), format!("barcode:{one}"), third];
    assert_eq!(known(&sweep_for(&mut simulation, FULL).derived.batteries), again);
}

#[test]
fn a_gap_is_not_bridged() {
    let mut simulation = simulation(2, false, 3);
    let before = sweep_for(&mut simulation, 3600).derived;
    simulation.advance(Duration::from_secs(1800));
    let behind = simulation.report(SweepKind::Full, |_| {}).derived;
    let counters = |values: &DerivedValues| {
        let own = values.batteries.iter().map(|battery| (battery.totals, battery.place_totals));
        (values.totals, own.collect::<Vec<_>>())
    };
    assert_eq!(counters(&before), counters(&behind));
    let after = sweep_for(&mut simulation, 3600).derived;
    assert!(charge_throughput(after.totals) > charge_throughput(behind.totals) + 100);
}

#[test]
fn flow_before_the_barcode_is_known_is_credited_to_it() {
    let mut simulation = simulation(2, false, 9);
    let unlabelled = |simulation: &mut SimulatedYears| {
        simulation.advance(Duration::from_secs(FULL));
        let mut facts = simulated_years::facts(&simulation.bank);
        facts[0].barcode = None;
        let reading = simulation.reading(SweepKind::Full);
        simulation.stats.report(reading, facts, Default::default(), Default::default()).derived.batteries
    };
    for _ in 0..6 {
        let batteries = unlabelled(&mut simulation);
        assert_eq!(
            (&batteries[0].identity, batteries[0].totals),
            (&None, None),
            "the barcode is not known yet"
        );
        assert!(batteries[1].totals.is_some());
    }
    let known = sweep_for(&mut simulation, FULL).derived.batteries;
    assert_eq!(known[0].totals, known[0].place_totals, "all of it is his");
    assert!(matches!(known[0].identity, Some(Identity::Barcode(_))));
}

#[test]
fn a_battery_without_barcode_is_identified_by_place_after_a_minute() {
    let mut simulation = simulation(1, false, 9);
    assert!(simulation.bank.set_barcode(1, ""));
    let mut last = None;
    for _ in 0..8 {
        simulation.advance(Duration::from_secs(FULL));
        let reading = simulation.reading(SweepKind::Full);
        let report = simulation.stats.report(
            reading,
            vec![Default::default()],
            Default::default(),
            Default::default(),
        );
        last = report.derived.batteries.into_iter().next();
    }
    let last = last.unwrap();
    assert_eq!(last.identity.map(|identity| identity.to_string()).as_deref(), Some("place:1"));
    assert_eq!(last.totals, last.place_totals);
}

#[test]
fn totals_are_absent_until_the_ledger_is_loaded_and_then_hold_both() {
    let mut first = simulation(1, false, 4);
    let hour = sweep_for(&mut first, 3600).derived;
    let kept = first.stats.ledger().unwrap().clone();

    let mut second = SimulatedYears::new(first.bank.clone(), Duration::from_secs(FULL));
    second.stats = Stats::new(Duration::from_secs(FULL));
    let absent = sweep_for(&mut second, 3600).derived;
    assert_eq!(
        (absent.totals, absent.batteries[0].totals, absent.batteries[0].place_totals),
        (None, None, None)
    );
    assert!(second.stats.ledger().is_none(), "what is not whole must not be written");
    second.stats.load(kept);
    let loaded = sweep_for(&mut second, FULL).derived;
    assert_eq!(loaded.totals, hour.totals, "the totals on disk are published");
    let both = Arc::new(second.stats.ledger().unwrap().clone());
    second.stats.on_saved(both);
    let continued = sweep_for(&mut second, FULL).derived;
    assert!(charge_throughput(continued.totals) > charge_throughput(hour.totals));
    assert!(charge_throughput(continued.batteries[0].totals) > charge_throughput(hour.batteries[0].totals));
}
