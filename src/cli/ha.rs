//! `bankwatch ha`: migrates Home Assistant entities from pytes_serial to bankwatch or back, and removes discovery
//! topics.

use std::collections::BTreeSet;
use std::io::{self, Write};

use clap::{Args, Subcommand};

use crate::cli::exit::Exit;
use crate::cli::service::ServiceArguments;
use crate::mqtt::client::client_id::{client_id, ha_client_id};
use crate::mqtt::client::error::MqttError;
use crate::mqtt::client::retained::fetch_retained;
use crate::mqtt::client::session::{MqttSession, MqttTimeouts};
use crate::mqtt::homeassistant::discovery;
use crate::mqtt::homeassistant::expiry::ExpiryPolicy;
use crate::mqtt::homeassistant::legacy_discovery::devices_from_legacy_discovery;
use crate::mqtt::homeassistant::migration::{self, Migration};
use crate::mqtt::message::Message;
use crate::mqtt::topics::Topics;
use crate::settings::{AutoOr, BankSettings, MqttSettings};
use crate::sweep::poll_plan::PollSchedule;

#[derive(Debug, Subcommand)]
pub(crate) enum HaCommand {
    /// Take over the entities of pytes_serial with their history and names, or hand them back
    #[command(after_help = "The service takes over entities automatically when it finds them.\n\n\
        Examples:\n  bankwatch ha migrate --dry-run\n  bankwatch ha migrate --back")]
    Migrate {
        /// Hand the entities back to pytes_serial, version 0.7.1 or later
        #[arg(long)]
        back: bool,
        #[command(flatten)]
        at: BrokerArguments,
    },
    /// Remove the entities of bankwatch from Home Assistant, or those that pytes_serial left behind
    #[command(
        after_help = "Stop the service first: while it is running, it announces its entities again the next time \
        it connects.\n\n\
        Examples:\n  bankwatch ha remove --vanished --dry-run   after removing a battery\n  \
        bankwatch ha remove --legacy --dry-run     entities that bankwatch does not have"
    )]
    Remove {
        /// Only batteries that are offline while their bank is online (the service may be running)
        #[arg(long)]
        vanished: bool,
        /// Only entities of pytes_serial that bankwatch does not have: beyond the cell level, or of absent batteries
        /// (the service may be running)
        #[arg(long, conflicts_with = "vanished")]
        legacy: bool,
        #[command(flatten)]
        at: BrokerArguments,
    },
}

#[derive(Debug, Args)]
pub(crate) struct BrokerArguments {
    /// Print what would be done without doing it
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    service: ServiceArguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HaTask {
    Migrate,
    MigrateBack,
    Remove,
    RemoveVanished,
    RemoveLegacy,
}

impl HaTask {
    /// The words that are printed before each topic and after the count.
    fn labels(self, dry_run: bool) -> (&'static str, &'static str) {
        match (self, dry_run) {
            (Self::Migrate | Self::MigrateBack, false) => ("moved", "entities moved"),
            (Self::Migrate | Self::MigrateBack, true) => ("would move", "entities would be moved"),
            (_, false) => ("removed", "topics removed"),
            (_, true) => ("would remove", "topics would be removed"),
        }
    }
}

/// The changes to the topics of one bank, or of all banks.
#[derive(Debug, Default)]
struct PlannedChanges {
    publish: Vec<Message>,
    /// Topics to clear.
    cleared: Vec<String>,
    /// Number of topics cleared, or of entities moved.
    count: usize,
    /// Advice for the user, printed at the end.
    notes: BTreeSet<String>,
}

impl PlannedChanges {
    fn clearing<'a>(messages: impl IntoIterator<Item = &'a Message>) -> Self {
        let cleared: Vec<String> = messages.into_iter().map(|message| message.topic.clone()).collect();
        let (publish, count) = (cleared.iter().map(Message::clear_retained).collect(), cleared.len());
        Self { publish, cleared, count, ..Self::default() }
    }

    fn moving(count: usize, handshake: Migration) -> Self {
        let cleared: Vec<String> = handshake.clear.iter().map(|message| message.topic.clone()).collect();
        let publish = if cleared.is_empty() { Vec::new() } else { handshake.messages().collect() };
        Self { publish, cleared, count, ..Self::default() }
    }

    fn note(mut self, note: Option<String>) -> Self {
        self.notes.extend(note);
        self
    }
}

/// Makes the changes and prints each topic, a count and what is left to do. Running it again changes nothing.
///
/// # Errors
/// Returns an error if the configuration is invalid, or if the broker cannot be reached or refuses a message.
pub(crate) fn ha(verb: &HaCommand) -> anyhow::Result<Exit> {
    let (task, at) = match verb {
        HaCommand::Migrate { back: false, at } => (HaTask::Migrate, at),
        HaCommand::Migrate { back: true, at } => (HaTask::MigrateBack, at),
        HaCommand::Remove { vanished: true, at, .. } => (HaTask::RemoveVanished, at),
        HaCommand::Remove { legacy: true, at, .. } => (HaTask::RemoveLegacy, at),
        HaCommand::Remove { at, .. } => (HaTask::Remove, at),
    };
    let loaded = at.service.load()?;
    let (settings, banks) = (&loaded.settings.mqtt, &loaded.settings.banks);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(apply(task, settings, banks, at.dry_run))?;
    let (each, all) = task.labels(at.dry_run);
    let mut out = io::stdout().lock();
    for topic in &done.cleared {
        writeln!(out, "{each} {topic}")?;
    }
    writeln!(out, "{} {all} at {}", done.count, settings.url)?;
    for note in &done.notes {
        writeln!(out, "{note}")?;
    }
    Ok(Exit::Success)
}

/// Makes the changes for each bank; a dry run only collects them.
async fn apply(
    task: HaTask,
    settings: &MqttSettings,
    banks: &[BankSettings],
    dry_run: bool,
) -> Result<PlannedChanges, MqttError> {
    // The topics are those of the service. Its client id is in use while it is connected, so this client has another.
    let topics = Topics::new(settings);
    let own = MqttSettings { client_id: AutoOr::Given(ha_client_id(settings)), ..settings.clone() };
    let mut session = MqttSession::new(&own, None, MqttTimeouts::default())?;
    session.connect().await?;
    let mut all = PlannedChanges::default();
    for bank in banks {
        let filters = migration::filters(&topics, &bank.name);
        let echo = topics.echo(&session.client_id());
        let kept = fetch_retained(&mut session, &filters, &echo).await?;
        let work = plan_changes(task, settings, &topics, bank, &kept);
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

/// Compares the retained messages of a bank with the goal of `task`.
fn plan_changes(
    task: HaTask,
    settings: &MqttSettings,
    topics: &Topics,
    bank: &BankSettings,
    kept: &[Message],
) -> PlannedChanges {
    let name = &bank.name;
    let is_running = migration::is_running(topics, kept);
    let running = |does: &str| {
        let id = client_id(settings);
        is_running.then(|| {
            format!(
                "the service {id} is running and {does} the next time it connects: stop it first, or set \
                 discovery = false in [mqtt] and restart it"
            )
        })
    };
    match task {
        HaTask::Migrate => {
            let ours = announced(settings, topics, bank, kept);
            let left =
                migration::count_entities(topics, name, migration::not_taken_over(topics, name, kept, &ours));
            let note = format!(
                "{left} entities of pytes_serial are left behind in bank {name}, beyond the cell level or of absent \
                 batteries: remove them with bankwatch ha remove --legacy"
            );
            let statuses = migration::missing_statuses(topics, name, kept, &ours);
            let old = migration::count_entities(topics, name, kept) - left;
            let mut work = PlannedChanges::moving(old, migration::take_over(topics, name, kept, ours));
            if !work.cleared.is_empty() {
                work.publish.extend(statuses);
            }
            work.note((left > 0).then_some(note))
        }
        HaTask::MigrateBack => {
            let handshake = migration::hand_back(topics, name, kept);
            let mut work = PlannedChanges::moving(handshake.announce.len(), handshake);
            if !is_running {
                let is_status = |message: &&Message| !migration::is_our_discovery(topics, name, message);
                let statuses = kept.iter().filter(|message| migration::is_ours(topics, name, message));
                work.publish
                    .extend(statuses.filter(is_status).map(|status| Message::clear_retained(&*status.topic)));
            }
            let note = running("takes the entities over again").filter(|_| !work.cleared.is_empty());
            work.note(note)
        }
        HaTask::Remove => {
            // A running service maintains its status topics; without them, its entities would stay unavailable.
            let ours = kept.iter().filter(|message| {
                if is_running {
                    migration::is_our_discovery(topics, name, message)
                } else {
                    migration::is_ours(topics, name, message)
                }
            });
            let work = PlannedChanges::clearing(ours);
            let note = running("announces its entities again").filter(|_| !work.cleared.is_empty());
            work.note(note)
        }
        HaTask::RemoveVanished => PlannedChanges::clearing(
            kept.iter().filter(|message| migration::is_of_vanished_battery(topics, name, message, kept)),
        ),
        HaTask::RemoveLegacy => {
            let ours = announced(settings, topics, bank, kept);
            let work = PlannedChanges::clearing(migration::not_taken_over(topics, name, kept, &ours));
            let waiting = migration::take_over(topics, name, kept, ours).count();
            let note = format!(
                "{waiting} topics of pytes_serial in bank {name} are not removed, as their entities can be taken over \
                 with their history: restart the service, or run bankwatch ha migrate"
            );
            work.note((waiting > 0).then_some(note))
        }
    }
}

/// The discovery messages of the service.
///
/// If it has not run yet, or was interrupted before it had taken over everything that it announces, they are completed
/// from the topics of pytes_serial. Otherwise the rest would be reported as left behind.
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
    let is_whole = migration::take_over(topics, &bank.name, kept, ours.clone()).count() == 0;
    if !ours.is_empty() && is_whole {
        return ours;
    }
    let Some((shape, level)) = devices_from_legacy_discovery(bank, topics, kept) else { return ours };
    let facts_every = PollSchedule::new(bank.interval, bank.summary_interval, true).facts_interval;
    let life = ExpiryPolicy::new(settings, bank.interval, facts_every);
    let mut all = discovery::messages(topics, &shape, level, &life.expiry());
    all.retain(|message| ours.iter().all(|ours| ours.topic != message.topic));
    all.extend(ours);
    all
}
