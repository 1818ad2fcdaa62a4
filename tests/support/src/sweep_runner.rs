//! Sweeps over a link, without actors.

use std::time::Duration;

use bankwatch::internals::console::transcript::Transcript;
use bankwatch::internals::console::validation::AnswerValidator;
use bankwatch::internals::link::{Link, SerialParams};
use bankwatch::internals::sweep::client::{ConsoleClient, ConsoleTimeouts};
use bankwatch::internals::sweep::poll_plan::PollSchedule;
use bankwatch::internals::sweep::sweeper::{SweepProgress, Sweeper};

/// Long enough for a busy machine, short enough for thousands of lost answers.
pub const PATIENCE: ConsoleTimeouts = ConsoleTimeouts {
    first_byte: Duration::from_millis(250),
    next_bytes: Duration::from_millis(150),
    whole_answer: Duration::from_secs(5),
    quiet: Duration::from_millis(10),
    wake: Duration::from_millis(10),
    paging: Duration::from_secs(1),
};

/// One sweep after the other, without a pause.
pub fn restless() -> PollSchedule {
    PollSchedule {
        facts_interval: Duration::from_secs(3),
        ..PollSchedule::new(Duration::from_millis(1), Duration::ZERO, true)
    }
}

/// Polls until `enough` of a transcript; `after_step` is called after each command.
pub fn sweep(
    link: &str,
    patience: ConsoleTimeouts,
    rhythm: PollSchedule,
    mut after_step: impl FnMut(),
    mut enough: impl FnMut(Transcript) -> bool,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let link = Link::parse(link, SerialParams::default()).expect("a link");
        let mut sweeper = Sweeper::new("bank".into(), rhythm, AnswerValidator::validate);
        loop {
            let open = link.open().await.expect("the console is there");
            let mut conversation = ConsoleClient::new(open, b"\n", patience);
            sweeper.on_link_open();
            loop {
                let swept = sweeper.step(&mut conversation).await;
                after_step();
                match swept {
                    SweepProgress::InProgress => {}
                    SweepProgress::Idle(until) => tokio::time::sleep_until(until).await,
                    SweepProgress::Complete(transcript) => {
                        if enough(*transcript) {
                            return;
                        }
                    }
                    // As `SerialActor` does: reopen it.
                    SweepProgress::NoResponse(_) | SweepProgress::LinkGone(_) => break,
                }
            }
        }
    });
}
