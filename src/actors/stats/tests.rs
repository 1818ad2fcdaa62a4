//! What the statistics remember, and for how long.

use super::*;
use crate::console::assemble::assemble;
use crate::console::command::{Command, CommandName};
use crate::console::transcript::Transcript;
use crate::console::validation::Findings;
use crate::model::identity::Identity;
use crate::model::reading::{BatteryReading, Measured};
use crate::model::units::{Milliamps, Millivolts};
use crate::stats::ledger::Ledger;
use crate::sweep::poll_plan::{PlanStep, PollPlan, PollSchedule};

const INTERVAL: Duration = Duration::from_secs(10);
const RARE: Duration = Duration::from_secs(900);

fn actor() -> StatsActor {
    let settings = StatsSettings {
        started: Instant::now(),
        interval: INTERVAL,
        facts_every: RARE,
        batteries: None,
        cells: None,
        target_soc: Percent(20),
        catalogue: Arc::default(),
        ledger: None,
        machine: None,
    };
    StatsActor::new(settings, Logger::root(slog::Discard, slog::o!()), Vec::new())
}

/// A sweep in which a stack said this of itself.
fn stack(facts: &[(FactSource, Facts)]) -> BankReading {
    BankReading { facts: facts.to_vec(), ..silence() }
}

/// A sweep in which nobody said anything.
fn silence() -> BankReading {
    let nothing = Transcript {
        bank: Arc::from("stack"),
        kind: SweepKind::Full,
        started_at: jiff::Timestamp::UNIX_EPOCH,
        started: Instant::now(),
        took: Duration::ZERO,
        known_places: Vec::new(),
        exchanges: Vec::new(),
    };
    assemble(&nothing)
}

#[test]
fn the_last_sweep_is_written_even_if_no_other_follows() {
    let (folder, every) = (tempfile::tempdir().unwrap(), Duration::from_millis(300));
    let path = folder.path().join("bank_ledger.json");
    let ledger = LedgerFile { path: path.clone(), every, deadline: Duration::from_secs(5) };
    let counted = || {
        let bytes = std::fs::read(&path).unwrap_or_default();
        crate::stats::ledger::Ledger::from_bytes(&bytes).is_ok_and(|kept| kept.bank != Default::default())
    };
    actix::System::new().block_on(async {
        let mut actor = actor();
        actor.settings.ledger = Some(ledger.clone());
        actor.store = Some(LedgerStore::of(ledger, actor.log.clone()));
        actor.stats = Stats::new(INTERVAL);
        let addr = actor.start();
        let amperes = Measured {
            voltage: Some(Millivolts(50_000)),
            current: Some(Milliamps(20_000)),
            ..Measured::default()
        };
        let began = Instant::now();
        for after in [Duration::ZERO, INTERVAL] {
            let stack = Some(amperes.clone());
            let reading = BankReading { stack, began: began + after, ..silence() };
            addr.send(ReadingReady(Arc::new(reading))).await.unwrap();
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        while !counted() {
            assert!(Instant::now() < deadline, "nothing was written");
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn facts_of_a_stack_are_merged_and_expire() {
    let mut actor = actor();
    let info = Facts { model: Some("SC0500".into()), ..Facts::default() };
    let stat = Facts { cycles: Some(83), ..Facts::default() };
    let known = |actor: &StatsActor| actor.state.bank_facts.of(Place::FIRST);

    actor.learn(&stack(&[(FactSource::Info, info.clone())]), Duration::ZERO);
    actor.learn(&stack(&[(FactSource::Stat, stat.clone())]), RARE);
    assert_eq!(known(&actor), Facts { cycles: Some(83), ..info.clone() }, "neither drives the other out");

    actor.learn(&stack(&[]), 3 * RARE);
    assert_eq!(known(&actor).model, info.model);
    actor.learn(&stack(&[]), 3 * RARE + INTERVAL);
    assert_eq!(known(&actor), stat, "the older answer is too old now");
    actor.learn(&stack(&[]), 4 * RARE + INTERVAL);
    assert_eq!(known(&actor), Facts::default());
}

fn place(number: u8) -> Place {
    Place::new(number).expect("a place")
}

/// What a battery states of itself.
fn stated(source: FactSource, number: u8) -> (FactSource, Facts) {
    let facts = match source {
        FactSource::Info => Facts { barcode: Some(format!("K22110400000{number:02}")), ..Facts::default() },
        _ => Facts { cycles: Some(100 + i64::from(number)), ..Facts::default() },
    };
    (source, facts)
}

/// A sweep over batteries that stated these facts.
fn sweep(batteries: Vec<Vec<(FactSource, Facts)>>) -> BankReading {
    let battery = |(number, facts)| BatteryReading {
        presence: Presence::Present,
        facts,
        ..BatteryReading::empty(place(number))
    };
    BankReading { batteries: (1..).zip(batteries).map(battery).collect(), ..silence() }
}

fn up(up_s: u64) -> Option<MachineTime> {
    Some(MachineTime { boot: "a".into(), up_s })
}

/// The statistics of a run that started when the machine had been `up`, with what an earlier one left on disk.
fn run(up: Option<MachineTime>, left: Option<&Ledger>) -> StatsActor {
    let mut actor = actor();
    actor.settings.machine = up;
    actor.stats = Stats::new(INTERVAL);
    let left = left.map(|left| Ledger::from_bytes(&left.to_bytes().unwrap()).unwrap());
    actor.stats.load(left.unwrap_or_default());
    actor
}

/// How long `cycles` of the last of so many batteries is unknown after a start, with answers that take 0.1 s.
fn unknown_for(actor: &mut StatsActor, summary_interval: Duration, batteries: u8) -> Duration {
    let mut plan = PollPlan::new(PollSchedule::new(INTERVAL, summary_interval, true));
    plan.on_link_open(Duration::ZERO);
    let present = (1..=batteries).map(place).collect::<Vec<_>>();
    let (mut now, mut said) = (Duration::ZERO, vec![Vec::new(); batteries.into()]);
    loop {
        match plan.next_step(now) {
            PlanStep::BeginSweep(_) => {}
            PlanStep::Execute(Command { name: verb, index }) => {
                now += Duration::from_millis(100);
                let command = Command { name: verb, index };
                let present = (command == CommandName::Pwr.bare()).then(|| present.clone());
                plan.on_answer(command, now, &Findings { present, ..Findings::default() });
                let source = match verb {
                    CommandName::Info => FactSource::Info,
                    CommandName::Stat => FactSource::Stat,
                    _ => continue,
                };
                let number = command.place().expect("a battery").number();
                said[usize::from(number - 1)].push(stated(source, number));
            }
            PlanStep::EndSweep(_) => {
                let said = std::mem::replace(&mut said, vec![Vec::new(); batteries.into()]);
                let report = actor.report(&sweep(said));
                if report.facts.iter().all(|facts| facts.cycles.is_some()) {
                    return now;
                }
            }
            PlanStep::WaitUntil(until) => now = until,
        }
    }
}

#[test]
fn rare_facts_are_known_with_the_first_sweep_after_a_restart() {
    // With summaries, and without as a pytes_serial.cfg has it.
    let unknown = [Duration::from_secs(2), Duration::ZERO].map(|summary_interval| {
        let mut first = run(up(1_000), None);
        let at_first = unknown_for(&mut first, summary_interval, 8);
        let mut second = run(up(1_300), first.stats.ledger());
        [at_first, unknown_for(&mut second, summary_interval, 8)].map(|unknown| unknown.as_millis())
    });
    // Of a restart: one table, and three answers of each battery.
    assert_eq!(unknown, [[26_100, 2_500], [121_700, 2_500]]);
}

#[test]
fn rare_facts_are_restored_to_their_own_battery_while_fresh() {
    let info = |number| vec![stated(FactSource::Info, number)];
    let both = |number| vec![stated(FactSource::Info, number), stated(FactSource::Stat, number)];
    let mut before = run(up(1_000), None);
    before.report(&sweep(vec![both(1), both(2), both(3)]));
    let ledger = before.stats.ledger().unwrap().clone();
    let cycles = |report: BankReport| report.facts.iter().map(|facts| facts.cycles).collect::<Vec<_>>();
    let other_boot = Some(MachineTime { boot: "b".into(), up_s: 1_300 });
    let longest = 3 * RARE.as_secs();
    for (up, places, expected) in [
        (up(1_300), [info(1), info(2), info(3)], [Some(101), Some(102), Some(103)]),
        (up(1_300), [info(2), info(3), info(1)], [Some(102), Some(103), Some(101)]),
        (up(1_300), [info(1), info(9), vec![]], [Some(101), None, None]),
        (up(1_300), [info(1), info(2), info(2)], [Some(101), Some(102), None]),
        (up(1_000 + longest - 1), [info(1), info(2), info(3)], [Some(101), Some(102), Some(103)]),
        (up(1_000 + longest + 1), [info(1), info(2), info(3)], [None; 3]),
        (up(999), [info(1), info(2), info(3)], [None; 3]),
        (other_boot, [info(1), info(2), info(3)], [None; 3]),
        (None, [info(1), info(2), info(3)], [None; 3]),
    ] {
        let mut after = run(up.clone(), Some(&ledger));
        assert_eq!(cycles(after.report(&sweep(places.to_vec()))), expected, "{up:?} {places:?}");
    }

    // Not before the barcode was read, not over what the battery states now, and not once it turned out to be another.
    let mut after = run(up(1_300), Some(&ledger));
    assert_eq!(cycles(after.report(&sweep(vec![vec![], vec![], vec![]]))), [None; 3]);
    let newer = (FactSource::Stat, Facts { cycles: Some(7), ..Facts::default() });
    let stated_now = vec![newer, stated(FactSource::Info, 1)];
    assert_eq!(
        cycles(after.report(&sweep(vec![stated_now, info(2), info(3)]))),
        [Some(7), Some(102), Some(103)]
    );
    assert_eq!(cycles(after.report(&sweep(vec![info(9), info(2), info(3)]))), [None, Some(102), Some(103)]);

    // What another battery may have stated is not kept, and a failure of the actor costs no more than the barcodes.
    let kept = |actor: &StatsActor, number: u8| {
        let (_, facts) = stated(FactSource::Info, number);
        let book = actor.stats.ledger().unwrap().batteries.get(&Identity::Barcode(facts.barcode.unwrap()));
        book.is_some_and(|book| book.rare.is_some())
    };
    assert!(!kept(&after, 1) && kept(&after, 2) && !kept(&after, 9));
    after.state = StatsState::new(&after.settings, &after.log);
    after.stats.reset();
    assert_eq!(cycles(after.report(&sweep(vec![info(9), info(2), info(3)]))), [None, Some(102), Some(103)]);
}

#[test]
fn a_shared_barcode_stores_no_rare_facts() {
    let both = |number| vec![stated(FactSource::Info, number), stated(FactSource::Stat, number)];
    let mut before = run(up(1_000), None);
    before.report(&sweep(vec![both(1), both(1)]));
    let mut after = run(up(1_001), before.stats.ledger());
    let info = vec![stated(FactSource::Info, 1)];
    let report = after.report(&sweep(vec![info, vec![]]));
    assert!(report.facts.iter().all(|facts| facts.cycles.is_none()), "{:?}", report.facts);
}
