//! `bankwatch ha`: moves Home Assistant's entities over from the predecessor and back, or clears what is ours.

use std::io::{self, Write};

use clap::{Args, Subcommand};

use crate::cli::exit::Exit;
use crate::cli::service::ServiceArguments;
use crate::mqtt::discovery;
use crate::mqtt::expiry::Life;
use crate::mqtt::inherited::inherited;
use crate::mqtt::kept::kept;
use crate::mqtt::message::Message;
use crate::mqtt::migration::{self, Handshake};
use crate::mqtt::refusal::Refusal;
use crate::mqtt::session::{Patience, Session};
use crate::mqtt::topics::Topics;
use crate::settings::{AutoOr, BankSettings, MqttSettings};
use crate::sweep::plan::Rhythm;

/// What to do with Home Assistant's discovery topics.
#[derive(Debug, Subcommand)]
pub enum HaVerb {
    /// Move the predecessor's entities over to bankwatch, history and names included, or back
    #[command(after_help = "The service does this by itself when it finds them.\n\n\
        Examples:\n  bankwatch ha migrate --dry-run\n  bankwatch ha migrate --back")]
    Migrate {
        /// Hand our entities back to the predecessor
        #[arg(long)]
        back: bool,
        /// Where
        #[command(flatten)]
        at: At,
    },
    /// Take our entities out of Home Assistant
    #[command(after_help = "Example: a battery was sold, and its entities are to go\n  \
        bankwatch ha remove --vanished --dry-run")]
    Remove {
        /// Only batteries that are offline while their bank is online
        #[arg(long)]
        vanished: bool,
        /// Where
        #[command(flatten)]
        at: At,
    },
}

/// At which broker, and whether in earnest.
#[derive(Debug, Args)]
pub struct At {
    /// Show what would be done and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Whose
    #[command(flatten)]
    service: ServiceArguments,
}

/// What is done with what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    Over,
    Back,
    Remove,
    RemoveVanished,
}

impl Task {
    /// What is said of the topics, done or not.
    fn words(self, dry_run: bool) -> (&'static str, &'static str) {
        match (self, dry_run) {
            (Self::Over | Self::Back, false) => ("moved", "entities' topics moved"),
            (Self::Over | Self::Back, true) => ("would move", "entities' topics would be moved"),
            (Self::Remove | Self::RemoveVanished, false) => ("removed", "topics removed"),
            (Self::Remove | Self::RemoveVanished, true) => ("would remove", "topics would be removed"),
        }
    }
}

/// Does it and says what was done, with a count at the end. What is done already is nothing to do.
///
/// # Errors
/// The settings are wrong, or the broker can't be talked to.
pub fn ha(verb: &HaVerb) -> anyhow::Result<Exit> {
    let (task, at) = match verb {
        HaVerb::Migrate { back: false, at } => (Task::Over, at),
        HaVerb::Migrate { back: true, at } => (Task::Back, at),
        HaVerb::Remove { vanished: false, at } => (Task::Remove, at),
        HaVerb::Remove { vanished: true, at } => (Task::RemoveVanished, at),
    };
    let loaded = at.service.load()?;
    let (settings, banks) = (&loaded.settings.mqtt, &loaded.settings.banks);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (topics, count) = runtime.block_on(carry_out(task, settings, banks, at.dry_run))?;
    let (each, all) = task.words(at.dry_run);
    let mut out = io::stdout().lock();
    for topic in topics {
        writeln!(out, "{each} {topic}")?;
    }
    writeln!(out, "{count} {all} at {}", settings.url)?;
    Ok(Exit::Well)
}

/// Gives the topics that were cleared, or would be, and how many.
async fn carry_out(
    task: Task,
    settings: &MqttSettings,
    banks: &[BankSettings],
    dry_run: bool,
) -> Result<(Vec<String>, usize), Refusal> {
    let topics = Topics::new(settings);
    // The running service keeps its connection: a second client needs an id of its own.
    let own = format!("{}-ha", crate::mqtt::client_id::client_id(settings));
    let settings = MqttSettings { client_id: AutoOr::Given(own), ..settings.clone() };
    let mut session = Session::new(&settings, None, Patience::default())?;
    session.connect().await?;
    let mut cleared = Vec::new();
    for bank in banks {
        let filters = migration::filters(&topics, &bank.name);
        let echo = topics.echo(&session.client_id());
        let kept = kept(&mut session, &filters, &echo).await?;
        let (messages, clear) = work(task, &settings, &topics, bank, &kept);
        if !dry_run && let Some(refusal) = session.publish(messages).await?.into_iter().next() {
            return Err(refusal);
        }
        cleared.extend(clear);
    }
    session.close().await;
    let count = cleared.len();
    Ok((cleared, count))
}

/// What is to be published for a bank, and which topics are cleared by it.
fn work(
    task: Task,
    settings: &MqttSettings,
    topics: &Topics,
    bank: &BankSettings,
    kept: &[Message],
) -> (Vec<Message>, Vec<String>) {
    let remove = |wanted: &dyn Fn(&Message) -> bool| {
        let clear: Vec<String> =
            kept.iter().filter(|message| wanted(message)).map(|message| message.topic.clone()).collect();
        (clear.iter().map(Message::forget).collect(), clear)
    };
    let shake = |handshake: Handshake| {
        let clear = handshake.clear.iter().map(|message| message.topic.clone()).collect();
        (if handshake.count() > 0 { handshake.messages().collect() } else { Vec::new() }, clear)
    };
    match task {
        Task::Over => {
            shake(migration::over(topics, &bank.name, kept, announced(settings, topics, bank, kept)))
        }
        Task::Back => shake(migration::back(topics, &bank.name, kept)),
        Task::Remove => remove(&|message| migration::is_ours(topics, &bank.name, message)),
        Task::RemoveVanished => {
            remove(&|message| migration::is_of_vanished(topics, &bank.name, message, kept))
        }
    }
}

/// What the service has announced; where it has not run yet, what the predecessor's own topics show.
fn announced(
    settings: &MqttSettings,
    topics: &Topics,
    bank: &BankSettings,
    kept: &[Message],
) -> Vec<Message> {
    let ours: Vec<Message> = kept
        .iter()
        .filter(|message| migration::is_our_discovery(topics, &bank.name, message))
        .cloned()
        .collect();
    if !ours.is_empty() {
        return ours;
    }
    let Some((shape, level)) = inherited(bank, topics, kept) else { return Vec::new() };
    let facts_every = Rhythm::new(bank.interval, bank.summary_interval, true).facts_every;
    let life = Life::new(settings, bank.interval, facts_every);
    discovery::messages(topics, &shape, level, &life.expiry())
}
