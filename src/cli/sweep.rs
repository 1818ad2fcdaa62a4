//! One full sweep without the service, for `read` and `doctor`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::console::assemble::assemble;
use crate::console::command::Command;
use crate::console::transcript::{CommandError, Exchange};
use crate::console::validation::AnswerValidator;
use crate::link::Link;
use crate::model::report::BankReport;
use crate::sweep::client::ConsoleClient;
use crate::sweep::poll_plan::PollSchedule;
use crate::sweep::sweeper::{SweepProgress, Sweeper};

/// The round-trip time of each command.
#[derive(Debug, Default)]
pub(crate) struct RoundTrips {
    took: Vec<(Command, Duration)>,
}

impl RoundTrips {
    /// A command that was sent several times took that many round trips.
    fn divide_by_attempts(&mut self, exchanges: &[Exchange]) {
        for (command, took) in &mut self.took {
            let asked = exchanges.iter().find(|exchange| exchange.command == *command);
            *took /= asked.map_or(1, |exchange| exchange.attempts.max(1));
        }
    }

    /// The slowest round trip of each kind of command, in the order sent.
    pub(crate) fn slowest(&self) -> Vec<(&'static str, Duration)> {
        let mut kinds: Vec<(&'static str, Duration)> = Vec::new();
        for (command, took) in &self.took {
            let name = match (command.name.text(), command.index) {
                ("pwr", Some(_)) => "pwr N",
                ("bat", Some(_)) => "bat N",
                ("info", Some(_)) => "info N",
                (text, _) => text,
            };
            match kinds.iter_mut().find(|(kind, _)| *kind == name) {
                Some((_, most)) => *most = (*most).max(*took),
                None => kinds.push((name, *took)),
            }
        }
        kinds
    }
}

/// Why a sweep failed.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum SweepError {
    #[error("lost the link {link} during the sweep: {why}")]
    LinkLost { link: Link, why: String },
    #[error(
        "the console on {link} {}: {lost}",
        if *.lost == CommandError::NoResponse { "does not answer" } else { "gives no valid answer" }
    )]
    NoAnswer { link: Link, lost: CommandError },
}

/// Runs one full sweep.
///
/// # Errors
/// Returns an error if the console does not answer or the link is lost.
pub(crate) async fn run_once(
    link: &Link,
    conversation: &mut ConsoleClient,
    mut round_trips: Option<&mut RoundTrips>,
) -> Result<BankReport, SweepError> {
    let rhythm = PollSchedule::new(Duration::from_secs(10), Duration::ZERO, true);
    let mut sweeper = Sweeper::new(Arc::from("bank"), rhythm, AnswerValidator::validate);
    sweeper.on_link_open();
    loop {
        let began = Instant::now();
        match sweeper.step(conversation).await {
            SweepProgress::InProgress => {
                if let (Some(round_trips), Some(command)) = (&mut round_trips, sweeper.last_command()) {
                    round_trips.took.push((command, began.elapsed()));
                }
            }
            SweepProgress::Idle(_) => {}
            SweepProgress::Complete(transcript) => {
                round_trips
                    .into_iter()
                    .for_each(|round_trips| round_trips.divide_by_attempts(&transcript.exchanges));
                return Ok(BankReport::of_one(assemble(&transcript)));
            }
            SweepProgress::LinkGone(why) => return Err(SweepError::LinkLost { link: link.clone(), why }),
            SweepProgress::NoResponse(lost) => return Err(SweepError::NoAnswer { link: link.clone(), lost }),
        }
    }
}
