//! Damage on the line: how much is detected, how much remains, and how large the remaining errors are.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bankwatch::internals::console::assemble::assemble;
use bankwatch::internals::console::transcript::Transcript;
use bankwatch::internals::events::catalogue::Catalogue;
use bankwatch::internals::events::tracker::Tracker;
use bankwatch::internals::model::event::{ANSWERS, EventLevel, LINK, PRESENCE};
use bankwatch::internals::model::report::BankReport;
use bankwatch::internals::simulator::{
    AnswerHistory, Damage, Dialect, FaultKind, Faults, PrintedAnswer, Simulation,
};
use fastrand::Rng;
use support::damage_stats::{DamageStats, RecordedSweep};
use support::scripted::Scripted;
use support::sweep_runner::{PATIENCE, restless, sweep};

/// Sweeps that are evaluated together; the simulator remembers more answers than these have.
const BATCH: usize = 40;

/// Polls a bank of four batteries at twenty times the normal speed, under `faults`.
fn ask(dialect: Dialect, seed: u64, faults: Faults, sweeps: u64) -> DamageStats {
    let plan = Simulation::new(dialect).batteries(4).cells(16).seed(seed).speed(20.0).unpaced();
    let bank = plan.faults(faults).start().expect("a bank");
    let (mut tally, mut pending, mut after, mut taken) = (DamageStats::default(), Vec::new(), 0, 0);
    sweep(
        &bank.link(),
        PATIENCE,
        restless(),
        || {},
        |transcript| {
            let upto = bank.answer_count();
            pending.push(RecordedSweep { transcript, after, upto, at: Instant::now() });
            after = upto;
            taken += 1;
            if pending.len() == BATCH || taken == sweeps {
                tally.evaluate(&bank.answer_history(), pending.drain(..));
            }
            taken == sweeps
        },
    );
    tally
}

/// Damages an answer after its echo, which ends before that byte; returns the position of the damage, if any.
type Strike = fn(&mut Rng, &mut Vec<u8>, usize) -> Option<usize>;

/// Changes one digit: damage that no syntax check detects.
#[allow(clippy::ptr_arg, reason = "it is a Strike")]
fn wrong_digit(rng: &mut Rng, received: &mut Vec<u8>, echo: usize) -> Option<usize> {
    let digits: Vec<usize> = (echo..received.len()).filter(|at| received[*at].is_ascii_digit()).collect();
    let at = *rng.choice(&digits)?;
    received[at] = b'0' + (received[at] - b'0' + rng.u8(1..10)) % 10;
    Some(at)
}

/// Removes one byte, anywhere.
fn lost_byte(rng: &mut Rng, received: &mut Vec<u8>, _: usize) -> Option<usize> {
    let at = rng.usize(..received.len());
    received.remove(at);
    Some(at)
}

/// Polls a bank with answers damaged at this rate.
fn ask_struck(
    dialect: Dialect,
    seed: u64,
    (damage, rate): (Strike, f64),
    sweeps: u64,
    mut look: impl FnMut(&Transcript),
) -> DamageStats {
    let plan = Simulation::new(dialect).batteries(4).cells(16).seed(seed);
    let mut console = plan.console().expect("a console");
    let mut rng = Rng::with_seed(seed);
    let truth: Arc<Mutex<AnswerHistory>> = Arc::default();
    let keep = Arc::clone(&truth);
    let script = Scripted::start(move |line| {
        console.bank_mut().advance(Duration::from_millis(200));
        let (mut received, printed) = console.type_with_values(format!("{line}\n").as_bytes());
        // Further pages belong to an answer that was already counted as damaged.
        let damages = rng.f64() < rate && !printed.is_empty();
        let damaged = damages.then(|| damage(&mut rng, &mut received, line.len() + 2)).flatten();
        let mut truth = keep.lock().expect("no test panics while it reads the truth");
        for (command, values) in printed {
            let damage = damaged.map(|at| Damage { fault: FaultKind::Garble, at: vec![at] });
            let (number, at) = (truth.answers.len() as u64 + 1, console.bank().now());
            truth.answers.push(PrintedAnswer { number, at, command, damage, values });
        }
        received
    });
    let (mut tally, mut pending, mut after) = (DamageStats::default(), Vec::new(), 0);
    sweep(
        &script.link(),
        PATIENCE,
        restless(),
        || {},
        |transcript| {
            look(&transcript);
            let upto = truth.lock().expect("the console does not panic").answers.len() as u64;
            pending.push(RecordedSweep { transcript, after, upto, at: Instant::now() });
            after = upto;
            pending.len() as u64 == sweeps
        },
    );
    tally.evaluate(&truth.lock().expect("the console does not panic"), pending);
    tally
}

/// Polls several banks at once: they mostly wait.
fn ask_all(
    dialects: &[Dialect],
    ask: impl Fn(Dialect, u64) -> DamageStats + Clone + Send + 'static,
) -> DamageStats {
    let start = Instant::now();
    let banks: Vec<_> = (1..)
        .zip(dialects)
        .map(|(seed, dialect)| {
            let (dialect, ask) = (*dialect, ask.clone());
            thread::spawn(move || ask(dialect, seed))
        })
        .collect();
    let mut all = DamageStats::default();
    banks.into_iter().for_each(|bank| all.add(bank.join().expect("the polling thread panicked")));
    // Not by `eprintln`, which the test harness hides.
    let _ = writeln!(io::stderr(), "{all}in {:.1} s", start.elapsed().as_secs_f64());
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
fn damaged_sweeps_are_nearly_all_complete_and_never_wrong() {
    let faults = Faults::none()
        .with(FaultKind::Mute, 0.02)
        .with(FaultKind::Garble, 0.02)
        .with(FaultKind::Truncate, 0.02);
    let all = ask_all(&EIGHT, move |dialect, seed| ask(dialect, seed, faults.clone(), 250));
    assert_eq!(all.sweeps, 2000);
    assert!(all.complete * 100 >= all.sweeps * 99, "too few sweeps are complete\n{all}");
    assert!(all.violations.is_empty(), "{all}");
}

#[test]
fn late_noisy_and_slow_answers_are_not_misattributed() {
    let pause = Duration::from_millis(400);
    let faults = Faults::none().late_by(pause).slow_by(pause);
    let faults = faults.with(FaultKind::Late, 0.02).with(FaultKind::Noise, 0.02).with(FaultKind::Slow, 0.02);
    let all = ask_all(&EIGHT[..4], move |dialect, seed| ask(dialect, seed, faults.clone(), 40));
    assert!(all.complete * 100 >= all.sweeps * 95, "too few sweeps are complete\n{all}");
    assert!(all.violations.is_empty(), "{all}");
}

#[test]
fn a_wrong_digit_is_accepted_only_within_its_tolerance() {
    let all = ask_all(&EIGHT, |dialect, seed| ask_struck(dialect, seed, (wrong_digit, 0.1), 1000, |_| {}));
    assert!(all.complete * 100 >= all.sweeps * 99, "too few sweeps are complete\n{all}");
    assert!(all.violations.is_empty(), "{all}");
    // Values without anything to compare, or third answers after two other damaged ones.
    assert!(all.unguarded.len() as u64 * 500 <= all.damaged["garble"], "{all}");
}

/// Polls a bank of which half of all answers lose a byte, and tracks its events: the bank has none, so every event
/// except
/// `missing` is false.
fn ask_with_lost_bytes(dialect: Dialect, seed: u64) -> DamageStats {
    let catalogue = Catalogue::load(None).0;
    let mut tracker = Tracker::new(Arc::from("bank"), Duration::from_secs(10), Duration::ZERO);
    let mut tally = ask_struck(dialect, seed, (lost_byte, 0.5), 40, |transcript| {
        let report = BankReport::of_one(assemble(transcript));
        for event in tracker.take(&report, &catalogue, (Duration::ZERO, Duration::ZERO)) {
            let own = [PRESENCE, ANSWERS, LINK].contains(&&*event.word);
            assert!(own || event.level == EventLevel::Info, "{dialect}: {event:?}");
        }
    });
    // A number without anything to compare may be wrong; a word never is.
    let words = tally.unguarded.extract_if(.., |what| what.contains("Text(") || what.contains("event"));
    let words: Vec<String> = words.collect();
    tally.violations.extend(words);
    tally
}

#[test]
fn lost_bytes_show_no_unknown_word_and_raise_no_false_event() {
    let all = ask_all(&EIGHT, ask_with_lost_bytes);
    assert!(all.violations.is_empty(), "{all}");
    assert!(all.damaged["garble"] * 3 > all.attempts, "too few were damaged\n{all}");
    assert!(all.unguarded.len() as u64 * 500 <= all.damaged["garble"], "{all}");
}
