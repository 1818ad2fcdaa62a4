//! The supervision tree of the service on a simulated bank: a failing actor is restarted and the others are not
//! affected. Bugs are injected through the parser, the validator or the logger that the tree is given.

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
use support::actors::{Fault, Output, Port, faulty_logger};
use support::faulty_actor::{LONG, brisk, ms, pinged, restarts, state, supervised};
use support::lines::Lines;
use support::until::until;
use tokio::sync::watch;

const CHAIN: [&str; 3] = ["serial house", "parser house", "stats house"];

fn chain_restarts(health: &watch::Receiver<ServiceHealth>) -> [u64; 3] {
    CHAIN.map(|name| restarts(health, name))
}

/// Two outputs on one bank: the faulty one fails, and the healthy one must still get every sweep, in order.
fn assert_others_unaffected_by(fault: Fault) {
    // A busy machine must not count as a hang.
    let policy = SupervisionPolicy { ping_timeout: ms(1500), command_timeout: ms(1000), ..pinged() };
    supervised(policy, async |mut supervisor, lines| {
        let (port, health) = (Port::start(), supervisor.health());
        let (faulty, to_faulty, _faulty) = Output::start(&mut supervisor, "faulty");
        let (healthy, to_healthy, _healthy) = Output::start(&mut supervisor, "healthy");
        // Each sweep waits until the healthy output has taken the previous one, so its slot never drops a report.
        let (seen, sweeps) = (healthy.clone(), AtomicU64::new(0));
        let log = faulty_logger(&lines, move |message| {
            if message == "sweep complete" {
                seen.wait_for(sweeps.fetch_add(1, Ordering::SeqCst));
            }
        });
        let _chain = BankChain::start(&mut supervisor, port.house(), &[to_faulty, to_healthy], &log).unwrap();
        until(LONG, || faulty.newest() >= 3).await;
        faulty.inject(fault);
        until(LONG, || faulty.fault_triggered()).await;
        let during = healthy.newest();
        until(LONG, || healthy.newest() >= during + 10).await;
        if fault == Fault::Block {
            until(LONG, || state(&health, "faulty") == ChildState::Blocked).await;
            faulty.release();
        } else {
            until(LONG, || restarts(&health, "faulty") >= 1).await;
        }
        let after = healthy.newest();
        until(LONG, || faulty.newest() > after).await;

        let numbers = healthy.numbers.lock().unwrap().clone();
        assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "a sweep is missing");
        assert!(
            faulty.numbers.lock().unwrap().is_sorted_by(|a, b| a < b),
            "an old reading after a newer one"
        );
        assert_eq!((chain_restarts(&health), restarts(&health, "healthy")), ([0; 3], 0));
        assert_eq!(port.opened(), 1, "the port was not reopened");
    });
}

#[test]
fn an_output_that_panics_does_not_affect_the_others() {
    assert_others_unaffected_by(Fault::Panic);
}

#[test]
fn an_output_that_stops_does_not_affect_the_others() {
    assert_others_unaffected_by(Fault::Stop);
}

#[test]
fn an_output_that_hangs_does_not_affect_the_others() {
    assert_others_unaffected_by(Fault::Hang);
}

#[test]
fn an_output_that_fails_to_start_does_not_affect_the_others() {
    assert_others_unaffected_by(Fault::FailToStart);
}

#[test]
fn an_output_that_blocks_its_thread_does_not_affect_the_others() {
    assert_others_unaffected_by(Fault::Block);
}

#[test]
fn a_restarted_output_gets_only_the_newest_reading() {
    let policy = SupervisionPolicy { initial_backoff: ms(1000), max_backoff: ms(1000), ..brisk() };
    supervised(policy, async |mut supervisor, lines| {
        let port = Port::start();
        let (faulty, to_faulty, _faulty) = Output::start(&mut supervisor, "faulty");
        let (healthy, to_healthy, _healthy) = Output::start(&mut supervisor, "healthy");
        let outlets = [to_faulty, to_healthy];
        let _chain = BankChain::start(&mut supervisor, port.house(), &outlets, &lines.logger()).unwrap();
        until(LONG, || faulty.newest() >= 2).await;
        faulty.inject(Fault::Panic);
        until(LONG, || faulty.fault_triggered()).await;
        let (before, mut others) = (faulty.newest(), 0);
        until(LONG, || {
            let now = healthy.newest();
            let is_back = faulty.newest() > before;
            others = if is_back { others } else { now };
            is_back
        })
        .await;
        let numbers = faulty.numbers.lock().unwrap().clone();
        let first_after = *numbers.iter().find(|number| **number > before).unwrap();
        assert!(others > before + 1, "no report arrived while it was down");
        assert!(first_after >= others, "{first_after} is not the newest: the others had {others} by then");
        assert!(numbers.is_sorted_by(|a, b| a < b), "an old reading after a newer one: {numbers:?}");
    });
}

#[test]
fn a_panicking_parser_loses_one_sweep_and_queued_sweeps_survive() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    static QUEUED: AtomicU32 = AtomicU32::new(0);
    // Long enough for some sweeps, even on a busy machine.
    let policy = SupervisionPolicy { initial_backoff: ms(400), max_backoff: ms(400), ..brisk() };
    supervised(policy, async |mut supervisor, lines| {
        let (port, health) = (Port::start(), supervisor.health());
        let (healthy, to_healthy, _healthy) = Output::start(&mut supervisor, "healthy");
        let bank = ChainConfig {
            assemble: |transcript| {
                static PANICKED: std::sync::OnceLock<jiff::Timestamp> = std::sync::OnceLock::new();
                if CALLS.fetch_add(1, Ordering::SeqCst) == 2 {
                    PANICKED.get_or_init(jiff::Timestamp::now);
                    panic!("a bug in the parser");
                }
                // Swept during the backoff of the parser, and handled nevertheless.
                let waited = jiff::Timestamp::now().duration_since(transcript.started_at);
                if PANICKED.get().is_some_and(|at| transcript.started_at > *at) && waited.as_millis() > 40 {
                    QUEUED.fetch_add(1, Ordering::SeqCst);
                }
                assemble(transcript)
            },
            ..port.house()
        };
        let _chain = BankChain::start(&mut supervisor, bank, &[to_healthy], &lines.logger()).unwrap();
        until(LONG, || healthy.newest() >= 10).await;
        assert_eq!(chain_restarts(&health), [0, 1, 0]);
        assert!(QUEUED.load(Ordering::SeqCst) > 0, "no sweep was queued meanwhile");
        let logged = lines.containing("actor restarted").remove(0);
        assert!(logged.contains("reason=panicked: a bug in the parser"), "{logged}");
        // The statistics number the sweeps: all except the one being parsed arrived there.
        let (handed_on, counted) = (u64::from(CALLS.load(Ordering::SeqCst)) - 1, healthy.newest());
        assert!((counted..=counted + 3).contains(&handed_on), "{handed_on} handed on, {counted} counted");
        assert_eq!(port.opened(), 1);
    });
}

#[test]
fn panicking_statistics_lose_one_sweep_and_start_over() {
    supervised(brisk(), async |mut supervisor, lines| {
        let (port, health) = (Port::start(), supervisor.health());
        let (healthy, to_healthy, _healthy) = Output::start(&mut supervisor, "healthy");
        let sweeps = AtomicU32::new(0);
        let log = faulty_logger(&lines, move |message| {
            let fifth = message == "sweep complete" && sweeps.fetch_add(1, Ordering::SeqCst) == 4;
            assert!(!fifth, "a bug in the statistics");
        });
        let _chain = BankChain::start(&mut supervisor, port.house(), &[to_healthy], &log).unwrap();
        until(LONG, || restarts(&health, "stats house") == 1).await;
        until(LONG, || healthy.numbers.lock().unwrap().len() >= 12).await;
        let numbers = healthy.numbers.lock().unwrap().clone();
        let again =
            numbers.windows(2).position(|pair| pair[1] < pair[0]).expect("the numbers start over") + 1;
        assert!(numbers[again - 1] <= 4 && numbers[again] <= 2, "{numbers:?}");
        assert_eq!(chain_restarts(&health), [0, 0, 1]);
        assert_eq!(port.opened(), 1, "the serial actor was not affected");
    });
}

#[test]
fn a_panicking_serial_actor_reopens_the_port_and_continues() {
    supervised(brisk(), async |mut supervisor, lines| {
        let (port, health) = (Port::start(), supervisor.health());
        let (healthy, to_healthy, _healthy) = Output::start(&mut supervisor, "healthy");
        let links = AtomicU32::new(0);
        let log = faulty_logger(&lines, move |message| {
            let first = message == "link up" && links.fetch_add(1, Ordering::SeqCst) == 0;
            assert!(!first, "a bug in the serial actor");
        });
        let _chain = BankChain::start(&mut supervisor, port.house(), &[to_healthy], &log).unwrap();
        until(LONG, || healthy.newest() >= 5).await;
        assert_eq!(chain_restarts(&health), [1, 0, 0]);
        assert_eq!(port.opened(), 2);
        assert_eq!(lines.containing("link up").len(), 2, "the restarted actor logs its link again");
        assert!(lines.containing("link lost").is_empty(), "the link itself did not fail");
    });
}

#[test]
fn a_bug_in_a_parser_never_ends_the_serial_actor() {
    supervised(brisk(), async |mut supervisor, lines| {
        let (port, health) = (Port::start(), supervisor.health());
        let (healthy, to_healthy, _healthy) = Output::start(&mut supervisor, "healthy");
        let mut bank = port.house();
        bank.serial.judge = |review, command, now, asked, answer| {
            assert_ne!(command.name, CommandName::Bat, "a bug in the parser of cells");
            AnswerValidator::validate(review, command, now, asked, answer)
        };
        let _chain = BankChain::start(&mut supervisor, bank, &[to_healthy], &lines.logger()).unwrap();
        until(LONG, || healthy.newest() >= 10).await;
        assert_eq!(chain_restarts(&health), [0; 3]);
        assert_eq!(port.opened(), 1);
        // Logged once per battery, not once per sweep, and marked as a bug of the program.
        let logged = lines.containing("answer missing");
        assert_eq!(logged.len(), 2, "{logged:?}");
        assert!(logged[0].contains("command=bat 1") && logged[0].contains("this is a bug"), "{logged:?}");
    });
}

/// Statistics that never finish the first reading.
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
fn a_stuck_stage_never_delays_the_port_and_drops_are_counted() {
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
        // One being handled, two in the mailbox, and possibly one being counted right now.
        let (swept, dropped) = (u64::from(CALLS.load(Ordering::SeqCst)), to_stuck.dropped());
        assert!((3..=5).contains(&(swept - dropped)), "{swept} swept, {dropped} dropped");
        assert!(lines.containing("link lost").is_empty());
        assert_eq!(lines.containing("queue full, messages dropped").len(), 1);
        drop(release);
    });
}

#[test]
fn sweeps_continue_during_a_long_backoff_of_the_statistics() {
    let policy = SupervisionPolicy { initial_backoff: LONG * 10, max_backoff: LONG * 10, ..brisk() };
    supervised(policy, async |mut supervisor, lines| {
        let (port, health) = (Port::start(), supervisor.health());
        let log = faulty_logger(&lines, |message| assert_ne!(message, "sweep complete", "a bug"));
        let _chain = BankChain::start(&mut supervisor, port.house(), &[], &log).unwrap();
        until(LONG, || matches!(state(&health, "stats house"), ChildState::Restarting { .. })).await;
        // A sweep of two batteries takes at least five commands: many times the capacity of the mailboxes.
        let before = port.bank.answer_count();
        until(LONG, || port.bank.answer_count() >= before + 5 * 40).await;
        assert_eq!((port.opened(), chain_restarts(&health)), (1, [0, 0, 1]));
    });
}

#[test]
fn a_blocked_chain_thread_is_fatal_and_its_blocker_is_named() {
    let policy = SupervisionPolicy { command_timeout: ms(100), ping_timeout: ms(100), ..pinged() };
    supervised(policy, async |mut supervisor: Supervisor, lines: Lines| {
        let port = Port::start();
        let (healthy, to_healthy, _healthy) = Output::start(&mut supervisor, "healthy");
        let released = Arc::new(std::sync::Barrier::new(2));
        let wait = released.clone();
        // The serial actor logs this line and never returns from it.
        let log = faulty_logger(&lines, move |message| {
            if message == "link up" {
                wait.wait();
            }
        });
        let fatal = supervisor.fatal();
        let _chain = BankChain::start(&mut supervisor, port.house(), &[to_healthy], &log).unwrap();
        let fatal = tokio::time::timeout(LONG, fatal).await.expect("the end of the process is requested");
        // Which child is pinged first is random; which one blocks is not.
        assert!(CHAIN.contains(&fatal.actor.as_str()), "{fatal}");
        assert_eq!(fatal.reason, "thread blocked by serial house");
        assert_eq!(healthy.newest(), 0);
        let start = Instant::now();
        let report = supervisor.shutdown(Vec::new(), ms(2000)).await;
        assert!(start.elapsed() < Duration::from_secs(10), "shutdown does not wait for a blocked thread");
        assert!(report.blocked.contains(&"serial house".to_owned()), "{report:?}");
        released.wait();
    });
}
