//! The program itself, killed at random moments: nothing that was told is ever taken back, and a kill costs less than a
//! minute.

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

/// From one look at what is told to the next.
const LOOK: Duration = Duration::from_millis(20);

/// The service on one bank called `house`, with everything it writes in this folder.
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

/// Ampere-hours in and out of the bank that are on disk.
fn kept(folder: &Path) -> f64 {
    let ledger = Ledger::from_bytes(&fs::read(folder.join("house_ledger.json")).unwrap()).unwrap();
    let turnover = ledger.bank.totals();
    turnover.charge_in.ampere_hours() + turnover.charge_out.ampere_hours()
}

/// The most that each counter was ever said to be.
#[derive(Default)]
struct Watch {
    most: BTreeMap<String, f64>,
    unknown: usize,
}

impl Watch {
    fn look(&mut self, folder: &Path) {
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
        for (whose, values) in std::iter::once(("bank".to_owned(), &document)).chain(devices) {
            for counter in COUNTERS {
                let Some(told) = values[counter].as_f64() else {
                    self.unknown += 1;
                    continue;
                };
                let most = self.most.entry(format!("{whose} {counter}")).or_default();
                assert!(told >= *most, "{counter} of {whose} stepped back from {most} to {told}");
                *most = told;
            }
        }
    }
}

#[test]
fn repeated_kills_lose_at_most_the_last_minute() {
    const LIVES: usize = 12;
    let bank = Simulation::new(Dialect::Pytes).batteries(2).unpaced().start().unwrap();
    let folder = tempdir().unwrap();
    let (folder, mut rng, mut watch) = (folder.path(), Rng::with_seed(41), Watch::default());
    // Something to lose.
    let mut first = house(&bank, folder);
    wait_until(|| document(folder)["serial_stat"]["loops"].as_u64() >= Some(20));
    assert!(first.stop().success());
    assert!(first.lines_with("ledger").is_empty(), "{:#?}", first.log);
    assert!(kept(folder) > 0.0);
    for _ in 0..LIVES {
        let before = kept(folder);
        let service = house(&bank, folder);
        let end = Instant::now() + Duration::from_millis(rng.u64(..1_500));
        while Instant::now() < end {
            watch.look(folder);
            thread::sleep(LOOK);
        }
        drop(service);
        assert!(kept(folder) >= before, "{} on disk after {before}", kept(folder));
    }
    assert!(watch.most["bank charge_in_ah"] + watch.most["bank charge_out_ah"] > 0.0);
    // Once it lives long enough to write in its course, and what flowed is known from the bank itself.
    let before = kept(folder);
    let mut service = house(&bank, folder);
    service.wait_for_line("sweep complete");
    let (begin, lives) = (Instant::now(), Duration::from_millis(rng.u64(47_000..52_000)));
    let (mut at, mut flowed, mut due) = (begin, 0.0, 0.0);
    while begin.elapsed() < lives {
        watch.look(folder);
        thread::sleep(LOOK);
        let current: f64 =
            bank.with_bank(|bank| bank.batteries().map(|(_, battery)| battery.current()).sum());
        let seconds = at.elapsed().as_secs_f64();
        at = Instant::now();
        flowed += current.abs() * seconds / 3_600.0;
        if begin.elapsed() < Duration::from_secs(44) {
            due = flowed;
        }
    }
    drop(service);
    let counted = kept(folder) - before;
    println!("{flowed:.4} Ah flowed in {lives:?}, {counted:.4} of them on disk; {} unknown", watch.unknown);
    assert!(counted >= due * 0.98, "{counted} Ah on disk of {due} that flowed until the writing was due");
    assert!(counted <= flowed * 1.05 + 0.05, "{counted} Ah on disk of {flowed} that flowed");
    watch.look(folder);
}
