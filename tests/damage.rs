//! What becomes of damage on the line: what is caught, what is left, and how far off that can be.
#![allow(clippy::expect_used, reason = "a test that cannot be set up has failed")]

#[path = "support/asking.rs"]
mod asking;
#[path = "support/seen.rs"]
mod seen;
#[path = "support/tally.rs"]
mod tally;

use std::thread;
use std::time::{Duration, Instant};

use asking::{PATIENCE, restless, sweep};
use bankwatch::simulator::{Dialect, Fault, Faults, Simulation};
use tally::{Swept, Tally};

/// Sweeps that are judged together; the simulator remembers the answers of more.
const BATCH: usize = 40;

/// Asks a bank of four batteries that lives twenty times as fast, under `faults`.
fn ask(dialect: Dialect, seed: u64, faults: Faults, sweeps: u64) -> Tally {
    let plan = Simulation::new(dialect).batteries(4).cells(16).seed(seed).speed(20.0).unpaced();
    let bank = plan.faults(faults).start().expect("a bank");
    let (mut tally, mut waiting, mut after, mut taken) = (Tally::default(), Vec::new(), 0, 0);
    sweep(
        &bank.link(),
        PATIENCE,
        restless(),
        || {},
        |transcript| {
            let upto = bank.answers();
            waiting.push(Swept { transcript, after, upto, at: Instant::now() });
            after = upto;
            taken += 1;
            if waiting.len() == BATCH || taken == sweeps {
                tally.judge(&bank.truth(), waiting.drain(..));
            }
            taken == sweeps
        },
    );
    tally
}

/// The same at several banks at once: they mostly wait.
fn ask_all(dialects: &[Dialect], faults: &Faults, sweeps: u64) -> Tally {
    let begun = Instant::now();
    let banks: Vec<_> = (1..)
        .zip(dialects)
        .map(|(seed, dialect)| {
            let (dialect, faults) = (*dialect, faults.clone());
            thread::spawn(move || ask(dialect, seed, faults, sweeps))
        })
        .collect();
    let mut all = Tally::default();
    banks.into_iter().for_each(|bank| all.add(bank.join().expect("a bank is asked to the end")));
    eprintln!("{all}in {:.1} s", begun.elapsed().as_secs_f64());
    all
}

const EIGHT: [Dialect; 8] = [
    Dialect::PytesV5,
    Dialect::Us5000,
    Dialect::Us2000c,
    Dialect::PytesR,
    Dialect::PytesC,
    Dialect::Us3000c,
    Dialect::Us2000,
    Dialect::Us3000d,
];

#[test]
fn of_two_thousand_damaged_sweeps_nearly_all_are_complete_and_nothing_wrong_is_believed() {
    let faults = Faults::none().with(Fault::Mute, 0.02).with(Fault::Garble, 0.02).with(Fault::Truncate, 0.02);
    let all = ask_all(&EIGHT, &faults, 250);
    assert_eq!(all.sweeps, 2000);
    assert!(all.complete * 100 >= all.sweeps * 99, "too few sweeps are complete\n{all}");
    assert!(all.violations.is_empty(), "{all}");
}

#[test]
fn late_noisy_and_slow_answers_are_nobody_elses() {
    let pause = Duration::from_millis(400);
    let faults = Faults::none().late_by(pause).slow_by(pause);
    let faults = faults.with(Fault::Late, 0.02).with(Fault::Noise, 0.02).with(Fault::Slow, 0.02);
    let all = ask_all(&EIGHT[..4], &faults, 40);
    assert!(all.complete * 100 >= all.sweeps * 95, "too few sweeps are complete\n{all}");
    assert!(all.violations.is_empty(), "{all}");
}
