//! The ledger file: written atomically, restored after any end of the process, never with decreased counters.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bankwatch::internals::atomic_file::AtomicFile;
use bankwatch::internals::model::reading::SweepKind;
use bankwatch::internals::model::report::BankReport;
use bankwatch::internals::simulator::{Dialect, SimulatedBank, Simulation};
use bankwatch::internals::stats::Stats;
use bankwatch::internals::stats::ledger::{Ledger, LedgerError};
use fastrand::Rng;
use proptest::prelude::*;
use serde_json::Value;
use support::program::{Service, program, wait_until};
use support::simulated_years::{SimulatedYears, plan};
use tempfile::tempdir;

const SWEEP: Duration = Duration::from_secs(10);
/// The time between two saves.
const SAVE_INTERVAL: Duration = Duration::from_secs(45);

fn some_ledger() -> Ledger {
    let mut simulation = SimulatedYears::new(SimulatedBank::new(&plan(2, 1)), SWEEP);
    for _ in 0..360 {
        simulation.advance(SWEEP);
        simulation.report(SweepKind::Full, |_| {});
    }
    simulation.stats.ledger().unwrap().clone()
}

#[test]
fn a_written_ledger_is_read_back() {
    let ledger = some_ledger();
    assert!(ledger.bank.totals().charge_in.0 + ledger.bank.totals().charge_out.0 > 0);
    let read = Ledger::from_bytes(&ledger.to_bytes().unwrap()).unwrap();
    assert_eq!(read.to_bytes().unwrap(), ledger.to_bytes().unwrap());
    assert!(read.counted_as(&ledger));
}

#[test]
fn a_newer_version_is_not_reported_as_damaged() {
    let bytes = String::from_utf8(some_ledger().to_bytes().unwrap()).unwrap();
    let newer = bytes.replacen("{\"bankwatch_ledger\":1,", "{\"bankwatch_ledger\":2,", 1);
    let refused = Ledger::from_bytes(newer.as_bytes()).unwrap_err();
    assert_eq!(refused, LedgerError::Newer { found: 2 });
    assert!(refused.to_string().contains("version 2, but this program supports versions up to 1"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_damage_is_detected(at in any::<prop::sample::Index>(), to in any::<u8>(), cut in any::<bool>()) {
        let whole = some_small_ledger();
        let mut bytes = whole.clone();
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] = to;
        }
        prop_assert!(bytes == whole || Ledger::from_bytes(&bytes).is_err());
    }
}

fn some_small_ledger() -> Vec<u8> {
    let mut simulation = SimulatedYears::new(SimulatedBank::new(&plan(1, 1)), SWEEP);
    simulation.report(SweepKind::Full, |_| {});
    simulation.advance(SWEEP);
    simulation.report(SweepKind::Full, |_| {});
    simulation.stats.ledger().unwrap().to_bytes().unwrap()
}

/// All published energy and charge counters, in a fixed order.
fn counters(report: &BankReport) -> Vec<i64> {
    let values = &report.derived;
    let batteries = values.batteries.iter().flat_map(|battery| [battery.totals, battery.place_totals]);
    let all = std::iter::once(values.totals).chain(batteries);
    let four_counters = |energy_totals: Option<bankwatch::internals::model::derived::EnergyTotals>| {
        let energy_totals = energy_totals.unwrap_or_default();
        [
            energy_totals.energy_in.0,
            energy_totals.energy_out.0,
            energy_totals.charge_in.0,
            energy_totals.charge_out.0,
        ]
    };
    all.flat_map(four_counters).collect()
}

/// Simulates a new process that loads the saved ledger.
fn restart(simulation: &mut SimulatedYears, path: &Path) {
    let saved = match fs::read(path) {
        Ok(bytes) => Ledger::from_bytes(&bytes).unwrap(),
        Err(_) => Ledger::default(),
    };
    simulation.stats = Stats::new(SWEEP);
    simulation.stats.load(saved);
}

#[test]
fn kills_at_any_time_never_decrease_a_counter() {
    const KILLS: u32 = 200;
    let folder = tempdir().unwrap();
    let path = folder.path().join("bank_ledger.json");
    let mut rng = Rng::with_seed(6);
    // One that is never killed has the true counters.
    let bank = SimulatedBank::new(&plan(2, 3));
    let (mut uninterrupted, mut killed) =
        (SimulatedYears::new(bank.clone(), SWEEP), SimulatedYears::new(bank, SWEEP));
    restart(&mut killed, &path);
    let mut before = counters(&killed.report(SweepKind::Full, |_| {}));
    let mut truth = counters(&uninterrupted.report(SweepKind::Full, |_| {}));
    for _ in 0..KILLS {
        let mut file = AtomicFile::state(&path);
        let mut since_written = SAVE_INTERVAL;
        for _ in 0..rng.u32(1..40) {
            uninterrupted.advance(SWEEP);
            killed.advance(SWEEP);
            truth = counters(&uninterrupted.report(SweepKind::Full, |_| {}));
            let now = counters(&killed.report(SweepKind::Full, |_| {}));
            assert!(
                now.iter().zip(&before).all(|(now, before)| now >= before),
                "{before:?} decreased to {now:?}"
            );
            before = now;
            since_written += SWEEP;
            if since_written >= SAVE_INTERVAL {
                let ledger = Arc::new(killed.stats.ledger().unwrap().clone());
                let content = ledger.to_bytes().unwrap();
                // Killed while writing: a partial temporary file is left next to it.
                if rng.u8(..10) == 0 {
                    fs::write(
                        folder.path().join(".bank_ledger.json.new"),
                        &content[..rng.usize(..content.len())],
                    )
                    .unwrap();
                    break;
                }
                file.replace(&content).unwrap();
                // Or killed before the save was acknowledged.
                if rng.u8(..10) == 0 {
                    break;
                }
                killed.stats.on_saved(ledger);
                since_written = Duration::ZERO;
            }
        }
        file = AtomicFile::state(&path);
        drop(file);
        restart(&mut killed, &path);
    }
    let last = counters(&killed.report(SweepKind::Full, |_| {}));
    // A hundred amperes for a minute; flow between the sweeps before and after the restart is not counted.
    let most_charge = i64::from(KILLS) * 100_000 / 60 * 2;
    for (index, ((last, before), truth)) in last.iter().zip(&before).zip(&truth).enumerate() {
        assert!(last >= before && last <= truth, "{index}: {before} {last} {truth}");
        let most = if index % 4 < 2 { most_charge * 60 } else { most_charge };
        assert!(truth - last <= most, "{index}: {} are missing", truth - last);
    }
    let carried = last.iter().zip(&truth).filter(|(last, truth)| **last * 2 > **truth);
    assert!(carried.count() >= last.len() / 2, "most of it is restored: {last:?} of {truth:?}");
}

/// The service with one bank named `house`, writing to this folder.
fn house(link: &str, folder: &Path) -> Service {
    let mut run = program(folder);
    run.arg("run");
    for set in ["bank.name=house", &format!("bank.link={link}"), "bank.interval=100ms"] {
        run.args(["--set", set]);
    }
    Service::start(&mut run)
}

#[test]
fn a_killed_service_continues_its_counters() {
    let bank = Simulation::new(Dialect::Pytes).unpaced().start().unwrap();
    let folder = tempdir().unwrap();
    let status = || {
        let text = fs::read(folder.path().join("house_status.json")).unwrap_or_default();
        serde_json::from_slice::<Value>(&text).unwrap_or_default()
    };
    let sweeps = || status()["serial_stat"]["loops"].as_u64();
    let counted = || {
        let saved = Ledger::from_bytes(&fs::read(folder.path().join("house_ledger.json")).unwrap()).unwrap();
        let energy_totals = saved.bank.totals();
        energy_totals.charge_in.0 + energy_totals.charge_out.0
    };
    // After an orderly stop everything is saved.
    let mut first = house(&bank.link(), folder.path());
    let cycles = || status()["devices"][0]["cycles"].as_i64();
    wait_until(|| sweeps() >= Some(20) && cycles().is_some());
    assert!(first.stop().success());
    let after_stop = counted();
    assert!(after_stop > 0, "some current flowed for seconds");
    // After a kill the saved counters are restored, and nothing else is published.
    fs::remove_file(folder.path().join("house_status.json")).unwrap();
    let second = house(&bank.link(), folder.path());
    // Four commands for the device log precede the one for the cycles.
    wait_until(|| sweeps() >= Some(2));
    assert!(cycles().is_some() || sweeps() > Some(4), "restored from the ledger");
    wait_until(|| sweeps() >= Some(20));
    drop(second);
    let after_kill = counted();
    assert!(after_kill >= after_stop, "{after_kill} after {after_stop}");
    let published = status()["charge_in_ah"].as_f64().unwrap() + status()["charge_out_ah"].as_f64().unwrap();
    assert!(
        (0.0..=0.002).contains(&(after_kill as f64 / 1_000.0 - published)),
        "{published} Ah published, {after_kill} mAh saved"
    );
    let mut third = house(&bank.link(), folder.path());
    third.wait_for_line("sweep complete");
    assert!(third.stop().success());
    assert!(counted() >= after_kill);
}

#[test]
fn a_damaged_file_is_moved_aside_and_a_newer_one_left_untouched() {
    let bank = Simulation::new(Dialect::Pytes).unpaced().start().unwrap();
    let folder = tempdir().unwrap();
    let path = folder.path().join("house_ledger.json");
    fs::write(&path, "{\"bankwatch_ledger\":1,\"checksum\":\"0\"}\n{}\n").unwrap();
    let mut service = house(&bank.link(), folder.path());
    let logged = service.wait_for_line("ledger corrupt, moved aside; counters restart at zero");
    assert!(logged.contains("checksum mismatch"), "{logged}");
    assert!(service.stop().success());
    let moved = fs::read_to_string(folder.path().join("house_ledger.json.damaged")).unwrap();
    assert!(moved.ends_with("{}\n"), "{moved}");
    assert!(Ledger::from_bytes(&fs::read(&path).unwrap()).is_ok());

    let newer = "{\"bankwatch_ledger\":9,\"checksum\":\"\"}\n";
    fs::write(&path, newer).unwrap();
    let mut service = house(&bank.link(), folder.path());
    let logged = service.wait_for_line("ledger has a newer version, counters are not saved");
    assert!(logged.contains("version 9"), "{logged}");
    assert!(service.stop().success());
    assert_eq!(service.lines_with("ledger").len(), 1, "{:#?}", service.log);
    assert_eq!(fs::read_to_string(&path).unwrap(), newer);
}
