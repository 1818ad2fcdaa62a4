//! A bank's chain on any link, with short times.

use std::time::{Duration, Instant};

use bankwatch::internals::actors::serial::SerialSettings;
use bankwatch::internals::actors::stats::StatsSettings;
use bankwatch::internals::app::ChainConfig;
use bankwatch::internals::console::assemble::assemble;
use bankwatch::internals::console::validation::AnswerValidator;
use bankwatch::internals::events::catalogue::Catalogue;
use bankwatch::internals::link::{Link, SerialParams};
use bankwatch::internals::model::units::Percent;
use bankwatch::internals::sweep::client::ConsoleTimeouts;
use bankwatch::internals::sweep::poll_plan::PollSchedule;

pub const FIRST_PAUSE: Duration = Duration::from_millis(50);
pub const LONGEST_PAUSE: Duration = Duration::from_millis(400);
/// The frame that wakes takes 183 ms on its way.
pub const PATIENCE: ConsoleTimeouts = ConsoleTimeouts {
    first_byte: Duration::from_millis(500),
    next_bytes: Duration::from_millis(250),
    whole_answer: Duration::from_secs(3),
    quiet: Duration::from_millis(20),
    wake: Duration::from_millis(400),
    paging: Duration::from_millis(300),
};

/// A bank called `house`, swept every 60 ms; a silent console is not woken.
pub fn house(link: &str) -> ChainConfig {
    let interval = Duration::from_millis(60);
    let rhythm = PollSchedule::new(interval, Duration::ZERO, true);
    let facts_every = rhythm.facts_interval;
    let serial = SerialSettings {
        bank: "house".into(),
        link: Link::parse(link, SerialParams::default()).unwrap(),
        line_end: b"\n",
        rhythm,
        patience: PATIENCE,
        backoff: (FIRST_PAUSE, LONGEST_PAUSE),
        wake: false,
        beat: None,
        judge: AnswerValidator::validate,
    };
    let stats = StatsSettings {
        started: Instant::now(),
        interval,
        facts_every,
        batteries: None,
        cells: None,
        target_soc: Percent(20),
        catalogue: std::sync::Arc::new(Catalogue::load(None).0),
        machine: None,
        ledger: None,
    };
    ChainConfig { serial, assemble, stats }
}
