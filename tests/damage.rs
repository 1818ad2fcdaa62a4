//! What becomes of damage on the line: what is caught, what is left, and how far off that can be.
#![allow(clippy::expect_used, reason = "a test that cannot be set up has failed")]

#[path = "support/asking.rs"]
mod asking;
#[path = "support/scripted.rs"]
mod scripted;
#[path = "support/seen.rs"]
mod seen;
#[path = "support/tally.rs"]
mod tally;

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use asking::{PATIENCE, restless, sweep};
use bankwatch::simulator::{Damage, Dialect, Fault, Faults, Said, Simulation, Truth};
use fastrand::Rng;
use scripted::Scripted;
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

/// Asks a bank in whose answers, at this rate, one digit is another: the damage that no syntax betrays.
fn ask_with_wrong_digits(dialect: Dialect, seed: u64, rate: f64, sweeps: u64) -> Tally {
    let plan = Simulation::new(dialect).batteries(4).cells(16).seed(seed);
    let mut console = plan.console().expect("a console");
    let mut rng = Rng::with_seed(seed);
    let truth: Arc<Mutex<Truth>> = Arc::default();
    let keep = Arc::clone(&truth);
    let script = Scripted::start(move |line| {
        console.bank_mut().advance(Duration::from_millis(200));
        let (mut heard, said) = console.type_and_hear(format!("{line}\n").as_bytes());
        let body = line.len() + 2..heard.len();
        let digits: Vec<usize> = body.filter(|at| heard[*at].is_ascii_digit()).collect();
        // A page behind the pager belongs to an answer whose damage was told already.
        let strike = rng.f64() < rate && !digits.is_empty() && !said.is_empty();
        let struck = strike.then(|| digits[rng.usize(..digits.len())]);
        if let Some(at) = struck {
            heard[at] = b'0' + (heard[at] - b'0' + rng.u8(1..10)) % 10;
        }
        let mut truth = keep.lock().expect("no test panics while it reads the truth");
        for (command, values) in said {
            let damage = struck.map(|at| Damage { fault: Fault::Garble, at: vec![at] });
            let (number, at) = (truth.answers.len() as u64 + 1, console.bank().now());
            truth.answers.push(Said { number, at, command, damage, values });
        }
        heard
    });
    let (mut tally, mut waiting, mut after) = (Tally::default(), Vec::new(), 0);
    sweep(
        &script.link(),
        PATIENCE,
        restless(),
        || {},
        |transcript| {
            let upto = truth.lock().expect("the console does not panic").answers.len() as u64;
            waiting.push(Swept { transcript, after, upto, at: Instant::now() });
            after = upto;
            waiting.len() as u64 == sweeps
        },
    );
    tally.judge(&truth.lock().expect("the console does not panic"), waiting);
    tally
}

/// Asks several banks at once: they mostly wait.
fn ask_all(dialects: &[Dialect], ask: impl Fn(Dialect, u64) -> Tally + Clone + Send + 'static) -> Tally {
    let begun = Instant::now();
    let banks: Vec<_> = (1..)
        .zip(dialects)
        .map(|(seed, dialect)| {
            let (dialect, ask) = (*dialect, ask.clone());
            thread::spawn(move || ask(dialect, seed))
        })
        .collect();
    let mut all = Tally::default();
    banks.into_iter().for_each(|bank| all.add(bank.join().expect("a bank is asked to the end")));
    // Not by `eprintln`, which the test harness hides.
    let _ = writeln!(io::stderr(), "{all}in {:.1} s", begun.elapsed().as_secs_f64());
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
    let all = ask_all(&EIGHT, move |dialect, seed| ask(dialect, seed, faults.clone(), 250));
    assert_eq!(all.sweeps, 2000);
    assert!(all.complete * 100 >= all.sweeps * 99, "too few sweeps are complete\n{all}");
    assert!(all.violations.is_empty(), "{all}");
}

#[test]
fn late_noisy_and_slow_answers_are_nobody_elses() {
    let pause = Duration::from_millis(400);
    let faults = Faults::none().late_by(pause).slow_by(pause);
    let faults = faults.with(Fault::Late, 0.02).with(Fault::Noise, 0.02).with(Fault::Slow, 0.02);
    let all = ask_all(&EIGHT[..4], move |dialect, seed| ask(dialect, seed, faults.clone(), 40));
    assert!(all.complete * 100 >= all.sweeps * 95, "too few sweeps are complete\n{all}");
    assert!(all.violations.is_empty(), "{all}");
}

#[test]
fn a_wrong_digit_is_believed_only_within_its_tolerance() {
    let all = ask_all(&EIGHT, |dialect, seed| ask_with_wrong_digits(dialect, seed, 0.1, 1000));
    assert!(all.complete * 100 >= all.sweeps * 99, "too few sweeps are complete\n{all}");
    assert!(all.violations.is_empty(), "{all}");
    // What nothing could be compared with, or what came third after two other damaged answers.
    assert!(all.unguarded.len() as u64 * 500 <= all.struck["garble"], "{all}");
}
