//! The tree as the service grows it, on a simulated bank: whatever breaks is restarted, and the others do not
//! notice. The bugs come in by what the tree is handed: a parser, a judge, a log.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actix::{Actor, Context, Handler, Supervised};
use bankwatch::internals::app::{BankChain, ChainConfig};
use bankwatch::internals::console::assemble::assemble;
use bankwatch::internals::console::command::CommandName;
use bankwatch::internals::console::validation::AnswerValidator;
use bankwatch::internals::messages::{Queue, ReadingReady, SweepDone};
use bankwatch::internals::supervise::{
    ChildSpec, ChildState, Ping, ServiceHealth, SupervisionPolicy, Supervisor,
};
use support::actors::{Harm, Output, Port, harmful};
use support::faulty_actor::{LONG, brisk, ms, pinged, restarts, state, supervised};
use support::lines::Lines;
use support::until::until;
use tokio::sync::watch;

const CHAIN: [&str; 3] = ["serial house", "parser house", "stats house"];

fn chain_restarts(health: &watch::Receiver<ServiceHealth>) -> [u64; 3] {
    CHAIN.map(|name| restarts(health, name))
}

/// Two outputs on one bank: the sick one does harm, and the well one must have every single sweep, in order.
fn is_no_concern_of_the_others(harm: Harm) {
    // A busy machine is no hang.
    let policy = SupervisionPolicy { ping_timeout: ms(1500), command_timeout: ms(1000), ..pinged() };
    supervised(policy, async |mut supervisor, lines| {
        let (port, health) = (Port::start(), supervisor.health());
        let (sick, to_sick, _sick) = Output::keep(&mut supervisor, "sick");
        let (well, to_well, _well) = Output::keep(&mut supervisor, "well");
        // Each sweep waits until the well output has the one before: its slot never has to drop one.
        let (seen, sweeps) = (well.clone(), AtomicU64::new(0));
        let log = harmful(&lines, move |message| {
            if message == "sweep complete" {
                seen.wait_for(sweeps.fetch_add(1, Ordering::SeqCst));
            }
        });
        let _chain = BankChain::start(&mut supervisor, port.house(), &[to_sick, to_well], &log).unwrap();
        until(LONG, || sick.newest() >= 3).await;
        sick.will(harm);
        until(LONG, || sick.has_done_it()).await;
        let during = well.newest();
        until(LONG, || well.newest() >= during + 10).await;
        if harm == Harm::Block {
            until(LONG, || state(&health, "sick") == ChildState::Blocked).await;
            sick.let_go();
        } else {
            until(LONG, || restarts(&health, "sick") >= 1).await;
        }
        let after = well.newest();
        until(LONG, || sick.newest() > after).await;

        let numbers = well.numbers.lock().unwrap().clone();
        assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "a sweep is missing");
        assert!(sick.numbers.lock().unwrap().is_sorted_by(|a, b| a < b), "an old reading after a newer one");
        assert_eq!((chain_restarts(&health), restarts(&health, "well")), ([0; 3], 0));
        assert_eq!(port.opened(), 1, "nobody touched the port");
    });
}

#[test]
fn an_output_that_panics_costs_the_others_nothing() {
    is_no_concern_of_the_others(Harm::Panic);
}

#[test]
fn an_output_that_stops_costs_the_others_nothing() {
    is_no_concern_of_the_others(Harm::Stop);
}

#[test]
fn an_output_that_hangs_costs_the_others_nothing() {
    is_no_concern_of_the_others(Harm::Hang);
}

#[test]
fn an_output_that_fails_to_start_costs_the_others_nothing() {
    is_no_concern_of_the_others(Harm::FailToStart);
}

#[test]
fn an_output_that_blocks_its_thread_costs_the_others_nothing() {
    is_no_concern_of_the_others(Harm::Block);
}

#[test]
fn an_output_that_was_away_finds_the_newest_reading_and_no_older_one() {
    let policy = SupervisionPolicy { initial_backoff: ms(1000), max_backoff: ms(1000), ..brisk() };
    supervised(policy, async |mut supervisor, lines| {
        let port = Port::start();
        let (sick, to_sick, _sick) = Output::keep(&mut supervisor, "sick");
        let (well, to_well, _well) = Output::keep(&mut supervisor, "well");
        let outlets = [to_sick, to_well];
        let _chain = BankChain::start(&mut supervisor, port.house(), &outlets, &lines.logger()).unwrap();
        until(LONG, || sick.newest() >= 2).await;
        sick.will(Harm::Panic);
        until(LONG, || sick.has_done_it()).await;
        let (before, mut others) = (sick.newest(), 0);
        until(LONG, || {
            let now = well.newest();
            let is_back = sick.newest() > before;
            others = if is_back { others } else { now };
            is_back
        })
        .await;
        let numbers = sick.numbers.lock().unwrap().clone();
        let first_after = *numbers.iter().find(|number| **number > before).unwrap();
        assert!(others > before + 1, "nothing came while it was away");
        assert!(first_after >= others, "{first_after} is not the newest: the others had {others} by then");
        assert!(numbers.is_sorted_by(|a, b| a < b), "an old reading after a newer one: {numbers:?}");
    });
}

#[test]
fn a_parser_that_panics_costs_the_sweep_in_hand_and_queued_sweeps_survive() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    static QUEUED: AtomicU32 = AtomicU32::new(0);
    // Long enough for some sweeps, even on a busy machine.
    let policy = SupervisionPolicy { initial_backoff: ms(400), max_backoff: ms(400), ..brisk() };
    supervised(policy, async |mut supervisor, lines| {
        let (port, health) = (Port::start(), supervisor.health());
        let (well, to_well, _well) = Output::keep(&mut supervisor, "well");
        let bank = ChainConfig {
            assemble: |transcript| {
                static PANICKED: std::sync::OnceLock<jiff::Timestamp> = std::sync::OnceLock::new();
                if CALLS.fetch_add(1, Ordering::SeqCst) == 2 {
                    PANICKED.get_or_init(jiff::Timestamp::now);
                    panic!("a bug in the parser");
                }
                // Swept while the parser was in its pause, and handled all the same.
                let waited = jiff::Timestamp::now().duration_since(transcript.started_at);
                if PANICKED.get().is_some_and(|at| transcript.started_at > *at) && waited.as_millis() > 40 {
                    QUEUED.fetch_add(1, Ordering::SeqCst);
                }
                assemble(transcript)
            },
            ..port.house()
        };
        let _chain = BankChain::start(&mut supervisor, bank, &[to_well], &lines.logger()).unwrap();
        until(LONG, || well.newest() >= 10).await;
        assert_eq!(chain_restarts(&health), [0, 1, 0]);
        assert!(QUEUED.load(Ordering::SeqCst) > 0, "nothing was queued meanwhile");
        let told = lines.containing("actor restarted").remove(0);
        assert!(told.contains("reason=panicked: a bug in the parser"), "{told}");
        // Numbers are given by the statistics: all but the sweep in hand arrived there.
        let (handed_on, counted) = (u64::from(CALLS.load(Ordering::SeqCst)) - 1, well.newest());
        assert!((counted..=counted + 3).contains(&handed_on), "{handed_on} handed on, {counted} counted");
        assert_eq!(port.opened(), 1);
    });
}

#[test]
fn statistics_that_panic_cost_the_sweep_in_hand_and_begin_afresh() {
    supervised(brisk(), async |mut supervisor, lines| {
        let (port, health) = (Port::start(), supervisor.health());
        let (well, to_well, _well) = Output::keep(&mut supervisor, "well");
        let sweeps = AtomicU32::new(0);
        let log = harmful(&lines, move |message| {
            let fifth = message == "sweep complete" && sweeps.fetch_add(1, Ordering::SeqCst) == 4;
            assert!(!fifth, "a bug in the statistics");
        });
        let _chain = BankChain::start(&mut supervisor, port.house(), &[to_well], &log).unwrap();
        until(LONG, || restarts(&health, "stats house") == 1).await;
        until(LONG, || well.numbers.lock().unwrap().len() >= 12).await;
        let numbers = well.numbers.lock().unwrap().clone();
        let again = numbers.windows(2).position(|pair| pair[1] < pair[0]).expect("they begin anew") + 1;
        assert!(numbers[again - 1] <= 4 && numbers[again] <= 2, "{numbers:?}");
        assert_eq!(chain_restarts(&health), [0, 0, 1]);
        assert_eq!(port.opened(), 1, "the port's owner did not notice");
    });
}

#[test]
fn an_owner_of_the_port_that_panics_opens_it_afresh_and_goes_on() {
    supervised(brisk(), async |mut supervisor, lines| {
        let (port, health) = (Port::start(), supervisor.health());
        let (well, to_well, _well) = Output::keep(&mut supervisor, "well");
        let links = AtomicU32::new(0);
        let log = harmful(&lines, move |message| {
            let first = message == "link up" && links.fetch_add(1, Ordering::SeqCst) == 0;
            assert!(!first, "a bug in the port's owner");
        });
        let _chain = BankChain::start(&mut supervisor, port.house(), &[to_well], &log).unwrap();
        until(LONG, || well.newest() >= 5).await;
        assert_eq!(chain_restarts(&health), [1, 0, 0]);
        assert_eq!(port.opened(), 2);
        assert_eq!(lines.containing("link up").len(), 2, "a fresh life tells anew what it found");
        assert!(lines.containing("link lost").is_empty(), "nothing was wrong with the link");
    });
}

#[test]
fn a_bug_in_a_parser_never_ends_the_owner_of_the_port() {
    supervised(brisk(), async |mut supervisor, lines| {
        let (port, health) = (Port::start(), supervisor.health());
        let (well, to_well, _well) = Output::keep(&mut supervisor, "well");
        let mut bank = port.house();
        bank.serial.judge = |review, command, now, asked, heard| {
            assert_ne!(command.name, CommandName::Bat, "a bug in the parser of cells");
            AnswerValidator::validate(review, command, now, asked, heard)
        };
        let _chain = BankChain::start(&mut supervisor, bank, &[to_well], &lines.logger()).unwrap();
        until(LONG, || well.newest() >= 10).await;
        assert_eq!(chain_restarts(&health), [0; 3]);
        assert_eq!(port.opened(), 1);
        // Told once for each battery, not once a sweep, and it says whose fault it is.
        let told = lines.containing("answer missing");
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("command=bat 1") && told[0].contains("this is a bug"), "{told:?}");
    });
}

/// Statistics that never come to the end of the first reading.
struct Stuck(std::sync::mpsc::Receiver<()>);

impl Actor for Stuck {
    type Context = Context<Self>;
}

impl Supervised for Stuck {}

impl Handler<ReadingReady> for Stuck {
    type Result = ();

    fn handle(&mut self, _: ReadingReady, _: &mut Self::Context) {
        let _ = self.0.recv();
    }
}

impl Handler<Ping> for Stuck {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Self::Context) {}
}

#[test]
fn a_stage_that_is_stuck_never_makes_the_port_wait_and_drops_are_counted() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    supervised(brisk(), async |mut supervisor, lines| {
        let port = Port::start();
        let bank = port.house();
        let (release, released) = std::sync::mpsc::channel();
        let stuck =
            supervisor.start_child(ChildSpec::new("stats").capacity(2), move |_| Stuck(released)).unwrap();
        let to_stuck = Queue::<ReadingReady>::named("stats", stuck, &lines.logger());
        let handed = to_stuck.clone();
        let parser = supervisor
            .start_child(ChildSpec::new("parser"), move |_| {
                let counted = |transcript: &_| {
                    CALLS.fetch_add(1, Ordering::SeqCst);
                    assemble(transcript)
                };
                bankwatch::internals::actors::parser::ParserActor::new(counted, handed)
            })
            .unwrap();
        let to_parser = Queue::<SweepDone>::to(parser);
        let settings = bank.serial;
        let log = lines.logger();
        let _serial = supervisor
            .start_child(ChildSpec::new("serial"), move |_| {
                bankwatch::internals::actors::serial::SerialActor::new(settings, log, to_parser)
            })
            .unwrap();
        until(LONG, || to_stuck.dropped() >= 20).await;
        // One in hand, two in the mailbox, and one that is being counted just now.
        let (swept, dropped) = (u64::from(CALLS.load(Ordering::SeqCst)), to_stuck.dropped());
        assert!((3..=5).contains(&(swept - dropped)), "{swept} swept, {dropped} dropped");
        assert!(lines.containing("link lost").is_empty());
        assert_eq!(lines.containing("queue full, messages dropped").len(), 1);
        drop(release);
    });
}

#[test]
fn sweeps_go_on_while_the_statistics_are_in_a_long_pause() {
    let policy = SupervisionPolicy { initial_backoff: LONG * 10, max_backoff: LONG * 10, ..brisk() };
    supervised(policy, async |mut supervisor, lines| {
        let (port, health) = (Port::start(), supervisor.health());
        let log = harmful(&lines, |message| assert_ne!(message, "sweep complete", "a bug"));
        let _chain = BankChain::start(&mut supervisor, port.house(), &[], &log).unwrap();
        until(LONG, || matches!(state(&health, "stats house"), ChildState::Restarting { .. })).await;
        // A sweep of two batteries is five questions and more: many times what the mailboxes hold.
        let before = port.bank.answer_count();
        until(LONG, || port.bank.answer_count() >= before + 5 * 40).await;
        assert_eq!((port.opened(), chain_restarts(&health)), (1, [0, 0, 1]));
    });
}

#[test]
fn a_chain_whose_thread_is_blocked_asks_for_the_end_and_says_who_blocks_it() {
    let policy = SupervisionPolicy { command_timeout: ms(100), ping_timeout: ms(100), ..pinged() };
    supervised(policy, async |mut supervisor: Supervisor, lines: Lines| {
        let port = Port::start();
        let (well, to_well, _well) = Output::keep(&mut supervisor, "well");
        let released = Arc::new(std::sync::Barrier::new(2));
        let wait = released.clone();
        // The port's owner writes this line, and never comes back from it.
        let log = harmful(&lines, move |message| {
            if message == "link up" {
                wait.wait();
            }
        });
        let fatal = supervisor.fatal();
        let _chain = BankChain::start(&mut supervisor, port.house(), &[to_well], &log).unwrap();
        let fatal = tokio::time::timeout(LONG, fatal).await.expect("the end is asked for");
        // Who is asked first is chance; who is at work is not.
        assert!(CHAIN.contains(&fatal.actor.as_str()), "{fatal}");
        assert_eq!(fatal.reason, "thread blocked by serial house");
        assert_eq!(well.newest(), 0);
        let begun = Instant::now();
        let report = supervisor.shutdown(Vec::new(), ms(2000)).await;
        assert!(begun.elapsed() < Duration::from_secs(10), "a blocked thread is left behind");
        assert!(report.blocked.contains(&"serial house".to_owned()), "{report:?}");
        released.wait();
    });
}
