//! A single wrong digit anywhere in any answer, without any retry: no counter decreases, and none changes by more
//! than a battery could have caused.

use std::thread;
use std::time::{Duration, Instant};

use bankwatch::internals::console::assemble::assemble;
use bankwatch::internals::console::command::Command;
use bankwatch::internals::console::framing::answer::Answer;
use bankwatch::internals::console::transcript::{Exchange, Transcript};
use bankwatch::internals::model::derived::{DerivedValues, EnergyTotals};
use bankwatch::internals::model::facts::{FactBook, Facts};
use bankwatch::internals::model::place::Place;
use bankwatch::internals::model::reading::{BankReading, SweepKind};
use bankwatch::internals::simulator::{Console, Dialect, Simulation};
use bankwatch::internals::stats::Stats;
use support::framed_answers::ask;

const SWEEP: Duration = Duration::from_secs(10);

/// The answers of one sweep of a bank of one battery, or of a stack.
fn poll(console: &mut Console, dialect: Dialect) -> Vec<(Command, Vec<u8>)> {
    let questions: &[&str] = match dialect.is_stack() {
        true => &["pwr", "unit", "bat", "info", "stat"],
        false => &["pwr", "pwr 1", "bat 1", "info 1", "stat 1"],
    };
    questions.iter().map(|question| (question.parse().unwrap(), ask(console, question).received)).collect()
}

/// Statistics with the facts from the answers, as in the service.
#[derive(Clone)]
struct StatsFixture {
    stats: Stats,
    facts: FactBook,
    began: Instant,
    passed: Duration,
}

impl StatsFixture {
    fn report(&mut self, reading: &BankReading) -> DerivedValues {
        self.passed += SWEEP;
        let reading = BankReading { began: self.began + self.passed, ..reading.clone() };
        for battery in &reading.batteries {
            for (source, facts) in &battery.facts {
                self.facts.take(battery.place, *source, facts.clone(), self.passed);
            }
        }
        let facts = reading.batteries.iter().map(|battery| self.facts.of(battery.place)).collect();
        self.stats.report(reading, facts, Facts::default(), Default::default()).derived
    }
}

fn framed((command, received): &(Command, Vec<u8>)) -> Exchange {
    Exchange { command: *command, outcome: Ok(Answer::from_transcript(received)), attempts: 1 }
}

fn read(exchanges: &[Exchange], began: Instant) -> BankReading {
    assemble(&Transcript {
        bank: "bank".into(),
        kind: SweepKind::Full,
        started_at: jiff::Timestamp::UNIX_EPOCH,
        started: began,
        took: Duration::ZERO,
        known_places: vec![Place::FIRST],
        exchanges: exchanges.to_vec(),
    })
}

/// The counters of the bank, of the first place and of the battery in it.
fn counters(values: &DerivedValues) -> [EnergyTotals; 3] {
    let first = &values.batteries[0];
    assert!(first.identity.is_some(), "the sweep after the damaged one has the barcode again");
    [values.totals, first.place_totals, first.totals].map(Option::unwrap)
}

/// The largest possible charge (mAh) and energy (mWh) between the sound sweeps before and after the damaged one, at
/// maximum current and voltage.
fn max_flow(dialect: Dialect, cells: i64) -> (i64, i64) {
    let amperes = if dialect.is_stack() { 500 } else { 5 * (dialect_capacity(dialect)) };
    let charge = amperes * 1_000 * 2 * SWEEP.as_secs() as i64 / 3_600;
    (charge, charge * 4 * cells)
}

fn dialect_capacity(dialect: Dialect) -> i64 {
    let console = Simulation::new(dialect).batteries(1).console().unwrap();
    console.bank().battery(1).unwrap().nominal as i64
}

/// Returns the number of wrong digits tried, and how many of them changed a counter.
fn every_digit_of(dialect: Dialect) -> (usize, usize) {
    let batteries = if dialect.is_stack() { 2 } else { 1 };
    let mut console = Simulation::new(dialect).batteries(batteries).console().unwrap();
    let began = Instant::now();
    let (stats, facts) = (Stats::without_persistence(SWEEP), FactBook::default());
    let mut before = StatsFixture { stats, facts, began, passed: Duration::ZERO };
    let mut next = || {
        console.bank_mut().advance(SWEEP);
        let answers = poll(&mut console, dialect);
        let exchanges: Vec<Exchange> = answers.iter().map(framed).collect();
        let reading = read(&exchanges, began);
        (answers, exchanges, reading)
    };
    let first: Vec<DerivedValues> = (0..7).map(|_| before.report(&next().2)).collect();
    let (at_first, (answers, sound, sound_reading), (_, _, after)) = (counters(&first[6]), next(), next());
    let counters_after = |middle: &BankReading| {
        let mut fixture = before.clone();
        fixture.report(middle);
        counters(&fixture.report(&after))
    };
    let truth = counters_after(&sound_reading);
    let cells = console.bank().batteries().map(|(_, battery)| battery.cell_count() as i64).sum();
    let (max_charge, max_energy) = max_flow(dialect, cells);
    let (mut digits, mut moved) = (0, 0);
    for (index, (command, answer)) in answers.iter().enumerate() {
        let positions = (command.to_string().len()..answer.len()).filter(|at| answer[*at].is_ascii_digit());
        for (at, digit) in positions.flat_map(|at| (b'0'..=b'9').map(move |digit| (at, digit))) {
            if answer[at] == digit {
                continue;
            }
            let (mut damaged, mut wrong) = (sound.clone(), answer.clone());
            wrong[at] = digit;
            damaged[index] = framed(&(*command, wrong));
            let reading = read(&damaged, began);
            digits += 1;
            if reading == sound_reading {
                continue;
            }
            let counted = counters_after(&reading);
            moved += usize::from(counted != truth);
            for ((counted, truth), first) in counted.iter().zip(&truth).zip(&at_first) {
                let what = || format!("{dialect:?}: {command:?}, byte {at} as {:?}", char::from(digit));
                let energy = [
                    (counted.energy_in, truth.energy_in, first.energy_in),
                    (counted.energy_out, truth.energy_out, first.energy_out),
                ];
                for (counted, truth, first) in energy {
                    assert!(counted >= first, "{}: decreased to {counted} from {first}", what());
                    assert!(
                        (counted.0 - truth.0).abs() <= max_energy,
                        "{}: {counted} instead of {truth}",
                        what()
                    );
                }
                let charge = [
                    (counted.charge_in, truth.charge_in, first.charge_in),
                    (counted.charge_out, truth.charge_out, first.charge_out),
                ];
                for (counted, truth, first) in charge {
                    assert!(counted >= first, "{}: decreased to {counted} from {first}", what());
                    assert!(
                        (counted.0 - truth.0).abs() <= max_charge,
                        "{}: {counted} instead of {truth}",
                        what()
                    );
                }
            }
        }
    }
    (digits, moved)
}

#[test]
fn no_wrong_digit_moves_a_counter_beyond_what_a_battery_could() {
    let half = |first: usize| {
        move || -> Vec<(usize, usize)> {
            Dialect::ALL.iter().skip(first).step_by(2).map(|dialect| every_digit_of(*dialect)).collect()
        }
    };
    let halves = [0, 1].map(|first| thread::spawn(half(first)));
    let all: Vec<(usize, usize)> = halves.into_iter().flat_map(|half| half.join().unwrap()).collect();
    let digits: usize = all.iter().map(|(digits, _)| digits).sum();
    let moved: usize = all.iter().map(|(_, moved)| moved).sum();
    assert!(digits > 20_000, "{digits} wrong digits are not all there are");
    assert!(moved > 0 && moved * 10 < digits, "{moved} of {digits} moved a counter");
}
