//! The real program, killed at random moments: published counters never decrease, and a kill loses less than a minute.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use bankwatch::internals::simulator::{Dialect, Simulation, SimulatorHandle};
use bankwatch::internals::stats::ledger::Ledger;
use fastrand::Rng;
use serde_json::Value;
use support::program::{Service, program, wait_until};
use tempfile::tempdir;

/// The time between two checks of the published counters.
const CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// The service with one bank named `house`, writing to this folder.
fn house(bank: &SimulatorHandle, folder: &Path) -> Service {
    let mut run = program(folder);
    run.arg("run");
    for set in ["bank.name=house", &format!("bank.link={}", bank.link()), "bank.interval=100ms"] {
        run.args(["--set", set]);
    }
    Service::start(&mut run)
}

fn document(folder: &Path) -> Value {
    let text = fs::read(folder.join("house_status.json")).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// The saved ampere-hours in and out of the bank.
fn saved_charge(folder: &Path) -> f64 {
    let ledger = Ledger::from_bytes(&fs::read(folder.join("house_ledger.json")).unwrap()).unwrap();
    let energy_totals = ledger.bank.totals();
    energy_totals.charge_in.ampere_hours() + energy_totals.charge_out.ampere_hours()
}

/// The highest published value of each counter.
#[derive(Default)]
struct CounterMonitor {
    most: BTreeMap<String, f64>,
    unknown: usize,
}

impl CounterMonitor {
    fn check(&mut self, folder: &Path) {
        const COUNTERS: [&str; 8] = [
            "energy_charged_kwh",
            "energy_discharged_kwh",
            "charge_in_ah",
            "charge_out_ah",
            "battery_energy_charged_kwh",
            "battery_energy_discharged_kwh",
            "battery_charge_in_ah",
            "battery_charge_out_ah",
        ];
        let document = document(folder);
        let devices = document["devices"].as_array().into_iter().flatten();
        let devices = devices.map(|device| (device["power"].to_string(), device));
        for (device, values) in std::iter::once(("bank".to_owned(), &document)).chain(devices) {
            for counter in COUNTERS {
                let Some(published) = values[counter].as_f64() else {
                    self.unknown += 1;
                    continue;
                };
                let most = self.most.entry(format!("{device} {counter}")).or_default();
                assert!(published >= *most, "{counter} of {device} decreased from {most} to {published}");
                *most = published;
            }
        }
    }
}

#[test]
fn repeated_kills_lose_at_most_the_last_minute() {
    const KILLS: usize = 12;
    let bank = Simulation::new(Dialect::Pytes).batteries(2).unpaced().start().unwrap();
    let folder = tempdir().unwrap();
    let (folder, mut rng, mut monitor) = (folder.path(), Rng::with_seed(41), CounterMonitor::default());
    // Some counters to lose.
    let mut first = house(&bank, folder);
    wait_until(|| document(folder)["serial_stat"]["loops"].as_u64() >= Some(20));
    assert!(first.stop().success());
    assert!(first.lines_with("ledger").is_empty(), "{:#?}", first.log);
    assert!(saved_charge(folder) > 0.0);
    for _ in 0..KILLS {
        let before = saved_charge(folder);
        let service = house(&bank, folder);
        let end = Instant::now() + Duration::from_millis(rng.u64(..1_500));
        while Instant::now() < end {
            monitor.check(folder);
            thread::sleep(CHECK_INTERVAL);
        }
        drop(service);
        assert!(saved_charge(folder) >= before, "{} on disk after {before}", saved_charge(folder));
    }
    assert!(monitor.most["bank charge_in_ah"] + monitor.most["bank charge_out_ah"] > 0.0);
    // Once it runs long enough for a regular save; the true flow is known from the simulated bank.
    let before = saved_charge(folder);
    let mut service = house(&bank, folder);
    service.wait_for_line("sweep complete");
    let (started_at, runtime) = (Instant::now(), Duration::from_millis(rng.u64(47_000..52_000)));
    let (mut at, mut flowed, mut due) = (started_at, 0.0, 0.0);
    while started_at.elapsed() < runtime {
        monitor.check(folder);
        thread::sleep(CHECK_INTERVAL);
        let current: f64 =
            bank.with_bank(|bank| bank.batteries().map(|(_, battery)| battery.current()).sum());
        let seconds = at.elapsed().as_secs_f64();
        at = Instant::now();
        flowed += current.abs() * seconds / 3_600.0;
        if started_at.elapsed() < Duration::from_secs(44) {
            due = flowed;
        }
    }
    drop(service);
    let counted = saved_charge(folder) - before;
    println!(
        "{flowed:.4} Ah flowed in {runtime:?}, {counted:.4} of them on disk; {} unknown",
        monitor.unknown
    );
    assert!(counted >= due * 0.98, "{counted} Ah on disk of {due} that flowed until the save was due");
    assert!(counted <= flowed * 1.05 + 0.05, "{counted} Ah on disk of {flowed} that flowed");
    monitor.check(folder);
}
