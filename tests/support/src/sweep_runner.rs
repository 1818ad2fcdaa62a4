//! Sweeps over a link, without the actors around them.

use std::time::Duration;

use bankwatch::internals::console::transcript::Transcript;
use bankwatch::internals::console::validation::Review;
use bankwatch::internals::link::{Link, SerialParams};
use bankwatch::internals::sweep::client::{Conversation, Patience};
use bankwatch::internals::sweep::poll_plan::Rhythm;
use bankwatch::internals::sweep::sweeper::{Sweeper, Swept};

/// Long enough for a machine with much else to do, short enough for thousands of lost answers.
pub const PATIENCE: Patience = Patience {
    first: Duration::from_millis(250),
    between: Duration::from_millis(150),
    whole: Duration::from_secs(5),
    quiet: Duration::from_millis(10),
    wake: Duration::from_millis(10),
    pages: Duration::from_secs(1),
};

/// One sweep after the other without a pause.
pub fn restless() -> Rhythm {
    Rhythm {
        facts_every: Duration::from_secs(3),
        ..Rhythm::new(Duration::from_millis(1), Duration::ZERO, true)
    }
}

/// Asks until `enough` of a transcript; `after_step` is called after each question.
pub fn sweep(
    link: &str,
    patience: Patience,
    rhythm: Rhythm,
    mut after_step: impl FnMut(),
    mut enough: impl FnMut(Transcript) -> bool,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let link = Link::parse(link, SerialParams::default()).expect("a link");
        let mut sweeper = Sweeper::new("bank".into(), rhythm, Review::judge);
        loop {
            let open = link.open().await.expect("the console is there");
            let mut conversation = Conversation::new(open, b"\n", patience);
            sweeper.opened();
            loop {
                let swept = sweeper.step(&mut conversation).await;
                after_step();
                match swept {
                    Swept::Going => {}
                    Swept::Idle(until) => tokio::time::sleep_until(until).await,
                    Swept::Transcript(transcript) => {
                        if enough(*transcript) {
                            return;
                        }
                    }
                    // As the port's owner does: open it anew.
                    Swept::Silent(_) | Swept::LinkGone(_) => break,
                }
            }
        }
    });
}
