//! `bankwatch ha`: moves Home Assistant's entities over from pytes_serial and back, or clears what is ours.

use std::collections::BTreeSet;
use std::io::{self, Write};

use clap::{Args, Subcommand};

use crate::cli::exit::Exit;
use crate::cli::service::ServiceArguments;
use crate::mqtt::client_id::{client_id, ha_client_id};
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
use crate::sweep::poll_plan::Rhythm;

/// What to do with Home Assistant's discovery topics.
#[derive(Debug, Subcommand)]
pub(crate) enum HaVerb {
    /// Move the entities of pytes_serial over to bankwatch, history and names included, or back
    #[command(after_help = "The service does this by itself when it finds them.\n\n\
        Examples:\n  bankwatch ha migrate --dry-run\n  bankwatch ha migrate --back")]
    Migrate {
        /// Hand the entities back to pytes_serial, in the form of its version 0.7.1 and later
        #[arg(long)]
        back: bool,
        /// Where
        #[command(flatten)]
        at: At,
    },
    /// Remove the entities of bankwatch from Home Assistant, or those that pytes_serial left behind
    #[command(
        after_help = "Stop the service first: while it is running, it announces its entities again at its next \
        connection.\n\n\
        Examples:\n  bankwatch ha remove --vanished --dry-run   after a battery was sold\n  \
        bankwatch ha remove --legacy --dry-run     entities that bankwatch does not have"
    )]
    Remove {
        /// Only batteries that are offline while their bank is online; the service may be running
        #[arg(long)]
        vanished: bool,
        /// Only what is left of pytes_serial: entities beyond the level of cells, or of batteries that are absent;
        /// the service may be running
        #[arg(long, conflicts_with = "vanished")]
        legacy: bool,
        /// Where
        #[command(flatten)]
        at: At,
    },
}

/// At which broker, and whether in earnest.
#[derive(Debug, Args)]
pub(crate) struct At {
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
    RemoveLegacy,
}

impl Task {
    /// What is printed of the topics, done or not.
    fn words(self, dry_run: bool) -> (&'static str, &'static str) {
        match (self, dry_run) {
            (Self::Over | Self::Back, false) => ("moved", "entities moved"),
            (Self::Over | Self::Back, true) => ("would move", "entities would be moved"),
            (_, false) => ("removed", "topics removed"),
            (_, true) => ("would remove", "topics would be removed"),
        }
    }
}

/// What is to be done for one bank, or for all.
#[derive(Debug, Default)]
struct Work {
    publish: Vec<Message>,
    /// The topics that it clears.
    cleared: Vec<String>,
    /// How many topics are cleared, or entities moved.
    count: usize,
    /// What people should know, printed at the end.
    notes: BTreeSet<String>,
}

impl Work {
    fn clearing<'a>(messages: impl IntoIterator<Item = &'a Message>) -> Self {
        let cleared: Vec<String> = messages.into_iter().map(|message| message.topic.clone()).collect();
        let (publish, count) = (cleared.iter().map(Message::forget).collect(), cleared.len());
        Self { publish, cleared, count, ..Self::default() }
    }

    fn moving(count: usize, handshake: Handshake) -> Self {
        let cleared: Vec<String> = handshake.clear.iter().map(|message| message.topic.clone()).collect();
        let publish = if cleared.is_empty() { Vec::new() } else { handshake.messages().collect() };
        Self { publish, cleared, count, ..Self::default() }
    }

    fn note(mut self, note: Option<String>) -> Self {
        self.notes.extend(note);
        self
    }
}

/// Does it and prints what was done, with a count, and what is left to do. What is done already is nothing to do.
///
/// # Errors
/// The settings are wrong, or the broker can't be talked to.
pub(crate) fn ha(verb: &HaVerb) -> anyhow::Result<Exit> {
    let (task, at) = match verb {
        HaVerb::Migrate { back: false, at } => (Task::Over, at),
        HaVerb::Migrate { back: true, at } => (Task::Back, at),
        HaVerb::Remove { vanished: true, at, .. } => (Task::RemoveVanished, at),
        HaVerb::Remove { legacy: true, at, .. } => (Task::RemoveLegacy, at),
        HaVerb::Remove { at, .. } => (Task::Remove, at),
    };
    let loaded = at.service.load()?;
    let (settings, banks) = (&loaded.settings.mqtt, &loaded.settings.banks);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(carry_out(task, settings, banks, at.dry_run))?;
    let (each, all) = task.words(at.dry_run);
    let mut out = io::stdout().lock();
    for topic in &done.cleared {
        writeln!(out, "{each} {topic}")?;
    }
    writeln!(out, "{} {all} at {}", done.count, settings.url)?;
    for note in &done.notes {
        writeln!(out, "{note}")?;
    }
    Ok(Exit::Well)
}

/// Does it for each bank, or only finds out what there is to do.
async fn carry_out(
    task: Task,
    settings: &MqttSettings,
    banks: &[BankSettings],
    dry_run: bool,
) -> Result<Work, Refusal> {
    // Topics are those of the service, which keeps its connection: a second client needs an id of its own.
    let topics = Topics::new(settings);
    let own = MqttSettings { client_id: AutoOr::Given(ha_client_id(settings)), ..settings.clone() };
    let mut session = Session::new(&own, None, Patience::default())?;
    session.connect().await?;
    let mut all = Work::default();
    for bank in banks {
        let filters = migration::filters(&topics, &bank.name);
        let echo = topics.echo(&session.client_id());
        let kept = kept(&mut session, &filters, &echo).await?;
        let work = work(task, settings, &topics, bank, &kept);
        if !dry_run && let Some(refusal) = session.publish(work.publish).await?.into_iter().next() {
            return Err(refusal);
        }
        all.cleared.extend(work.cleared);
        all.count += work.count;
        all.notes.extend(work.notes);
    }
    session.close().await;
    Ok(all)
}

/// What is to be done for a bank.
fn work(task: Task, settings: &MqttSettings, topics: &Topics, bank: &BankSettings, kept: &[Message]) -> Work {
    let name = &bank.name;
    let is_running = migration::is_running(topics, kept);
    let running = |does: &str| {
        let id = client_id(settings);
        is_running.then(|| {
            format!(
                "the service {id} is running and {does} at its next connection: stop it first, or set discovery = false \
                 in [mqtt] and restart it"
            )
        })
    };
    match task {
        Task::Over => {
            let ours = announced(settings, topics, bank, kept);
            let left = migration::entities(topics, name, migration::left(topics, name, kept, &ours));
            let note = format!(
                "{left} entities of pytes_serial are left behind in bank {name}, beyond the level of cells or of batteries \
                 that are absent: remove them with bankwatch ha remove --legacy"
            );
            let statuses = migration::first_statuses(topics, name, kept, &ours);
            let old = migration::entities(topics, name, kept) - left;
            let mut work = Work::moving(old, migration::over(topics, name, kept, ours));
            if !work.cleared.is_empty() {
                work.publish.extend(statuses);
            }
            work.note((left > 0).then_some(note))
        }
        Task::Back => {
            let handshake = migration::back(topics, name, kept);
            let mut work = Work::moving(handshake.announce.len(), handshake);
            if !is_running {
                let is_status = |message: &&Message| !migration::is_our_discovery(topics, name, message);
                let statuses = kept.iter().filter(|message| migration::is_ours(topics, name, message));
                work.publish.extend(statuses.filter(is_status).map(|status| Message::forget(&*status.topic)));
            }
            let note = running("takes the entities over again").filter(|_| !work.cleared.is_empty());
            work.note(note)
        }
        Task::Remove => {
            // A running service answers for its availability; without it, its entities would stay unavailable.
            let ours = kept.iter().filter(|message| {
                if is_running {
                    migration::is_our_discovery(topics, name, message)
                } else {
                    migration::is_ours(topics, name, message)
                }
            });
            let work = Work::clearing(ours);
            let note = running("announces its entities again").filter(|_| !work.cleared.is_empty());
            work.note(note)
        }
        Task::RemoveVanished => Work::clearing(
            kept.iter().filter(|message| migration::is_of_vanished(topics, name, message, kept)),
        ),
        Task::RemoveLegacy => {
            let ours = announced(settings, topics, bank, kept);
            let work = Work::clearing(migration::left(topics, name, kept, &ours));
            let waiting = migration::over(topics, name, kept, ours).count();
            let note = format!(
                "{waiting} topics of pytes_serial in bank {name} are not removed, as their entities can be taken over \
                 with their history: restart the service, or run bankwatch ha migrate"
            );
            work.note((waiting > 0).then_some(note))
        }
    }
}

/// What the service has announced. Where it has not run yet, or was interrupted before it had taken over everything that
/// it announces, also what the topics of pytes_serial show: without that, the rest would seem to be left for good.
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
    let is_whole = migration::over(topics, &bank.name, kept, ours.clone()).count() == 0;
    if !ours.is_empty() && is_whole {
        return ours;
    }
    let Some((shape, level)) = inherited(bank, topics, kept) else { return ours };
    let facts_every = Rhythm::new(bank.interval, bank.summary_interval, true).facts_every;
    let life = Life::new(settings, bank.interval, facts_every);
    let mut all = discovery::messages(topics, &shape, level, &life.expiry());
    all.retain(|message| ours.iter().all(|ours| ours.topic != message.topic));
    all.extend(ours);
    all
}
