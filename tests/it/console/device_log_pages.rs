//! The device log of a battery has many pages: how many are requested.

use std::time::Duration;

use bankwatch::internals::console::answers::log;
use bankwatch::internals::console::command::{Command, CommandName};
use bankwatch::internals::console::framing::answer::Answer;
use bankwatch::internals::console::validation::AnswerValidator;
use bankwatch::internals::link::{Link, SerialParams};
use bankwatch::internals::simulator::{Dialect, PrintedValues, Simulation, SimulatorHandle};
use bankwatch::internals::sweep::client::{ConsoleClient, ConsoleTimeouts, PageLimit};
use bankwatch::internals::sweep::poll_plan::PollSchedule;
use bankwatch::internals::sweep::sweeper::{SweepProgress, Sweeper};
use tokio::time::Instant;

const LOG: Command = CommandName::Log.bare();

fn bank() -> SimulatorHandle {
    Simulation::new(Dialect::Us2000c).speed(0.0).unpaced().start().unwrap()
}

async fn talk(bank: &SimulatorHandle) -> ConsoleClient {
    let link = Link::parse(&bank.link(), SerialParams::default()).unwrap().open().await.unwrap();
    // A busy machine must not end the paging.
    let patience = ConsoleTimeouts { paging: Duration::from_secs(60), ..ConsoleTimeouts::default() };
    ConsoleClient::new(link, b"\n", patience)
}

fn records(answer: &Answer) -> usize {
    log::parse(answer).unwrap().records.len()
}

/// Number of records in the console.
fn all(bank: &SimulatorHandle) -> usize {
    let truth = bank.answer_history();
    let PrintedValues::Log(entries) = &truth.latest("log").unwrap().values else {
        panic!("no log was asked")
    };
    entries.len()
}

fn run<F: Future<Output = ()>>(test: F) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

#[test]
fn paging_stops_in_time_and_frees_the_console_at_once() {
    run(async {
        let bank = bank();
        let mut conversation = talk(&bank).await;
        let whole = conversation.execute(LOG).await.unwrap();
        assert_eq!(records(&whole), all(&bank));
        assert!(all(&bank) > 9, "three records a page, and pages enough");

        let due = PageLimit { until: Some(Instant::now()), stop_when: &|_| false };
        let first = conversation.execute_paged(LOG, due).await.unwrap();
        assert_eq!(records(&first), 3, "a sweep is due: one page, which was there already");

        let enough = |so_far: &Answer| log::parse(so_far).is_ok_and(|log| log.records.len() >= 6);
        let two =
            conversation.execute_paged(LOG, PageLimit { until: None, stop_when: &enough }).await.unwrap();
        assert_eq!(records(&two), 6);

        let table = conversation.execute(CommandName::Pwr.bare()).await.unwrap();
        assert!(table.len() > 2, "nothing of the next question was lost to the pager");
    });
}

#[test]
fn a_log_is_read_twice_and_then_up_to_the_first_known_record() {
    run(async {
        let bank = bank();
        let mut conversation = talk(&bank).await;
        // Long enough that no sweep is due within the log, even on a busy machine.
        let rhythm = PollSchedule::new(Duration::from_millis(1_500), Duration::ZERO, true);
        let mut sweeper = Sweeper::new("bank".into(), rhythm, AnswerValidator::validate);
        let mut read = Vec::new();
        sweeper.on_link_open();
        while read.len() < 4 {
            match sweeper.step(&mut conversation).await {
                SweepProgress::InProgress => {}
                SweepProgress::Idle(until) => tokio::time::sleep_until(until).await,
                // A slow command follows a sweep, and its answer is part of the next one.
                SweepProgress::Complete(transcript) => {
                    let log = transcript.exchanges.iter().find(|exchange| exchange.command == LOG);
                    read.extend(log.map(|log| records(log.outcome.as_ref().unwrap())));
                    if log.is_some() && read.len() == 2 {
                        sweeper.on_link_open();
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(read, [all(&bank), all(&bank), 3, 3]);
    });
}
