//! One full sweep outside of the service: for `read` and `doctor`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::console::assemble::assemble;
use crate::console::command::Command;
use crate::console::transcript::{Exchange, Lost};
use crate::console::validation::Review;
use crate::link::Link;
use crate::model::report::BankReport;
use crate::sweep::client::Conversation;
use crate::sweep::poll_plan::Rhythm;
use crate::sweep::sweeper::{Sweeper, Swept};

/// How long each question took.
#[derive(Debug, Default)]
pub(crate) struct Timing {
    took: Vec<(Command, Duration)>,
}

impl Timing {
    /// What was asked several times took that many round trips.
    fn share(&mut self, exchanges: &[Exchange]) {
        for (command, took) in &mut self.took {
            let asked = exchanges.iter().find(|exchange| exchange.command == *command);
            *took /= asked.map_or(1, |exchange| exchange.asked.max(1));
        }
    }

    /// The slowest question of each kind, in the order asked.
    pub(crate) fn slowest(&self) -> Vec<(&'static str, Duration)> {
        let mut kinds: Vec<(&'static str, Duration)> = Vec::new();
        for (command, took) in &self.took {
            let name = match (command.verb.text(), command.index) {
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

/// Why there is no sweep.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Unswept {
    /// The link went away.
    #[error("{link} went away while it was being read: {why}")]
    Gone {
        /// The link.
        link: Link,
        /// How it showed.
        why: String,
    },
    /// Nobody is there who understands.
    #[error("the console on {link} {}: {lost}", if *.lost == Lost::Silent { "does not answer" } else { "can't be understood" })]
    Unheard {
        /// The link.
        link: Link,
        /// What came of the question.
        lost: Lost,
    },
}

/// One full sweep.
///
/// # Errors
/// Nobody answers, or the link goes away.
pub(crate) async fn one(
    link: &Link,
    conversation: &mut Conversation,
    mut timing: Option<&mut Timing>,
) -> Result<BankReport, Unswept> {
    let rhythm = Rhythm::new(Duration::from_secs(10), Duration::ZERO, true);
    let mut sweeper = Sweeper::new(Arc::from("bank"), rhythm, Review::judge);
    sweeper.opened();
    loop {
        let began = Instant::now();
        match sweeper.step(conversation).await {
            Swept::Going => {
                if let (Some(timing), Some(command)) = (&mut timing, sweeper.asked_last()) {
                    timing.took.push((command, began.elapsed()));
                }
            }
            Swept::Idle(_) => {}
            Swept::Transcript(transcript) => {
                timing.into_iter().for_each(|timing| timing.share(&transcript.exchanges));
                return Ok(BankReport::of_one(assemble(&transcript)));
            }
            Swept::LinkGone(why) => return Err(Unswept::Gone { link: link.clone(), why }),
            Swept::Silent(lost) => return Err(Unswept::Unheard { link: link.clone(), lost }),
        }
    }
}
