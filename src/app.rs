//! The actor tree: the children in start order, and which actor feeds which.
//!
//! ```text
//!                        ┌─► json_file ─► <bank>_status.json          each output on its own thread
//! serial ─► parser ─► stats ─► mqtt ─► broker, Home Assistant         one chain per bank, on its own thread
//!                        ├─► event ─► battery_events.log
//!                        ├─► db ─► SQLite, or journal ─► MariaDB
//!                        └─► terminal (demo)
//! ```
//! Outputs start before their sources and stop after them; the event actor is a source for other outputs.
//!
//! Length: the tree is one list, with the arguments of each child next to it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, Addr, Context, Handler, Recipient, Supervised};
use slog::{Logger, crit, info, warn};

use crate::actors::db::{DbActor, HistoryConfig};
use crate::actors::event::{EventActor, Listeners};
use crate::actors::json_file::JsonFileActor;
use crate::actors::mqtt::{MqttActor, MqttActorConfig};
use crate::actors::parser::{Assemble, ParserActor};
use crate::actors::serial::{SerialActor, SerialSettings};
use crate::actors::stats::{LedgerFile, StatsActor, StatsSettings, machine_time};
use crate::actors::systemd::SystemdActor;
use crate::actors::terminal::TerminalActor;
use crate::console::assemble::assemble;
use crate::console::validation::AnswerValidator;
use crate::events::catalogue::Catalogue;
use crate::events::config::EventConfig;
use crate::link::{Link, LinkError, SerialParams};
use crate::messages::{LatestReports, Queue, ReportReady, ReportSink, SlotUpdated};
use crate::model::reading::OFFLINE_AFTER;
use crate::model::units::Percent;
use crate::mqtt::client::session::MqttTimeouts;
use crate::mqtt::publisher::BankView;
use crate::outage::HumanDuration;
use crate::settings::{BankSettings, BatteryCount, CellLevel, Settings, WakeMode};
use crate::supervise::{
    ChildSpec, FatalFailure, Flush, HeartbeatSet, Ping, Role, ShutdownPhase, Signal, Signals, StopHandle,
    SupervisionPolicy, Supervisor, signals,
};
use crate::sweep::client::ConsoleTimeouts;
use crate::sweep::poll_plan::PollSchedule;
use crate::sweep::sweeper::ValidateFn;
use crate::systemd;

/// The time limit of a shutdown. Five seconds are documented; the last lines of the log may need one of them.
const SHUTDOWN: Duration = Duration::from_secs(4);
/// A serial actor that attempts nothing for this long is stuck: three attempts of a slow command take some 50 s.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(120);
/// How often the systemd status is refreshed without a new reading.
const STATUS_INTERVAL: Duration = Duration::from_secs(30);
/// How often the counters of a bank are saved: together with the write deadline, a power cut loses less than a minute.
const LEDGER_INTERVAL: Duration = Duration::from_secs(45);
/// The mailbox size of each actor of a chain, in sweeps.
const CHAIN_QUEUE: usize = 8;
/// The mailbox size of the database actor, in sweeps.
const HISTORY_QUEUE: usize = 64;
/// The mailbox size of the event actor, in sweeps.
const EVENT_QUEUE: usize = 64;
/// A live output reads its slot, so one pending `SlotUpdated` is enough.
const LIVE_QUEUE: usize = 1;

/// The child name of the event actor.
const EVENTS: &str = "events";

#[derive(Debug)]
pub struct AppConfig {
    pub settings: Settings,
    /// The configuration file, for the log.
    pub config_file: String,
    /// Whether to show a table on the terminal.
    pub show_table: bool,
    pub overrides: Overrides,
}

/// Timeouts and functions that tests override to inject bugs or to save time.
#[derive(Clone, Debug)]
pub struct Overrides {
    pub policy: SupervisionPolicy,
    pub console_timeouts: ConsoleTimeouts,
    /// The first and the longest pause before a lost link is reopened.
    pub link_backoff: (Duration, Duration),
    /// The time limit for one call that writes files: the JSON files of all banks, a ledger, events, the journal.
    pub write_deadline: Duration,
    /// The time limit for one batch of database rows.
    pub batch_deadline: Duration,
    pub mqtt_timeouts: MqttTimeouts,
    pub judge: ValidateFn,
    pub assemble: Assemble,
}

impl Default for Overrides {
    fn default() -> Self {
        Self {
            policy: SupervisionPolicy::default(),
            console_timeouts: ConsoleTimeouts::default(),
            link_backoff: (Duration::from_secs(1), Duration::from_secs(30)),
            write_deadline: Duration::from_secs(5),
            batch_deadline: Duration::from_secs(30),
            mqtt_timeouts: MqttTimeouts::default(),
            judge: AnswerValidator::validate,
            assemble,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// An invalid link.
    #[error("bank {bank:?}: {error}")]
    Link { bank: String, error: LinkError },
    /// The system refused a thread or a signal handler.
    #[error("cannot start the service: {0}")]
    System(#[from] io::Error),
    #[error(transparent)]
    Fatal(FatalFailure),
}

/// Runs the service until a signal stops it; SIGHUP calls `hangup`.
///
/// # Errors
/// Fails if the service can't start or a critical actor fails permanently.
pub fn run(config: AppConfig, log: &Logger, hangup: &dyn Fn(&Logger)) -> Result<(), AppError> {
    let (catalogue, findings) = Catalogue::load(config.settings.events.catalogue.as_deref());
    for finding in findings.brief() {
        warn!(log, "settings warning"; "warning" => finding);
    }
    let catalogue = Arc::new(catalogue);
    let events = EventConfig::of(&config.settings, &catalogue, config.overrides.write_deadline);
    let bank =
        |settings| ChainConfig::new(settings, &config.settings.data_dir, &config.overrides, &catalogue);
    let banks = config.settings.banks.iter().map(bank).collect::<Result<Vec<_>, _>>()?;
    actix::System::new().block_on(serve(config, banks, events, log, hangup))
}

async fn serve(
    config: AppConfig,
    mut banks: Vec<ChainConfig>,
    events: Option<EventConfig>,
    log: &Logger,
    hangup: &dyn Fn(&Logger),
) -> Result<(), AppError> {
    let mut signals = signals()?;
    let mut beats = HeartbeatSet::default();
    banks.iter_mut().for_each(|bank| bank.serial.beat = Some(beats.register(HEARTBEAT_TIMEOUT)));
    info!(log, "service started"; "version" => env!("CARGO_PKG_VERSION"), "banks" => banks.len(), "config" => &config.config_file);
    let mut supervisor = Supervisor::new(log.clone(), config.overrides.policy.clone());
    let fatal = supervisor.fatal();
    let tree = start_children(&mut supervisor, &config, banks, events, log)?;
    systemd::ready();
    let outcome = tokio::select! {
        fatal = fatal => {
            crit!(log, "service stopping"; "reason" => &fatal.reason, "actor" => &fatal.actor, "exit" => FatalFailure::EXIT_CODE);
            Err(AppError::Fatal(fatal))
        }
        never = systemd::feed_watchdog(&beats) => match never {},
        () = wait_for_stop_signal(&mut signals, log, hangup) => Ok(()),
    };
    systemd::stopping();
    // The tree holds the addresses until all children have stopped: a child without an address is not restarted.
    let report = supervisor.shutdown(tree.shutdown_phases(), SHUTDOWN).await;
    if !report.is_clean() {
        warn!(log, "service stopped late"; "late" => ?report.late, "blocked" => ?report.blocked, "took" => HumanDuration(report.took));
    }
    outcome
}

/// Waits for the signal that stops the service; handles SIGHUP meanwhile.
async fn wait_for_stop_signal(signals: &mut Signals, log: &Logger, hangup: &dyn Fn(&Logger)) {
    loop {
        match signals.next().await {
            Signal::Hangup => hangup(log),
            signal @ (Signal::Terminate | Signal::Interrupt) => {
                info!(log, "service stopping"; "signal" => %signal);
                return;
            }
        }
    }
}

/// The configuration of one bank's chain.
#[derive(Clone, Debug)]
pub struct ChainConfig {
    pub serial: SerialSettings,
    pub assemble: Assemble,
    pub stats: StatsSettings,
}

impl ChainConfig {
    /// # Errors
    /// Fails if the link is invalid.
    pub(crate) fn new(
        settings: &BankSettings,
        data_dir: &Path,
        overrides: &Overrides,
        catalogue: &Arc<Catalogue>,
    ) -> Result<Self, AppError> {
        let line = SerialParams { baud: settings.baud, dtr: settings.dtr, rts: settings.rts };
        let link = Link::parse(&settings.link, line);
        let link = link.map_err(|error| AppError::Link { bank: settings.name.clone(), error })?;
        let rhythm = poll_schedule(settings);
        let counted = match settings.batteries {
            BatteryCount::Count(count) => Some(count),
            BatteryCount::Auto => settings.expected.and_then(|expected| expected.batteries),
        };
        let stats = StatsSettings {
            started: Instant::now(),
            interval: settings.interval,
            facts_every: rhythm.facts_interval,
            batteries: counted,
            cells: settings.expected.and_then(|expected| expected.cells),
            target_soc: Percent(settings.target_soc.into()),
            catalogue: catalogue.clone(),
            ledger: Some(LedgerFile {
                path: data_dir.join(format!("{}_ledger.json", settings.name)),
                every: LEDGER_INTERVAL,
                deadline: overrides.write_deadline,
            }),
            machine: machine_time(),
        };
        let serial = SerialSettings {
            bank: Arc::from(settings.name.as_str()),
            link,
            line_end: settings.line_end.as_bytes(),
            rhythm,
            patience: overrides.console_timeouts,
            backoff: overrides.link_backoff,
            wake: settings.wake == WakeMode::Auto,
            beat: None,
            judge: overrides.judge,
        };
        Ok(Self { serial, assemble: overrides.assemble, stats })
    }
}

/// The addresses of the children, by their role in the shutdown.
#[derive(Default)]
struct ActorTree {
    outputs: Vec<(&'static str, Recipient<Flush>)>,
    outlets: Vec<ReportSink>,
    events: Option<Addr<EventActor>>,
    chains: Vec<BankChain>,
}

/// Starts all children, outputs first.
fn start_children(
    supervisor: &mut Supervisor,
    config: &AppConfig,
    banks: Vec<ChainConfig>,
    events: Option<EventConfig>,
    log: &Logger,
) -> io::Result<ActorTree> {
    let (mut tree, mut listeners, queue_log) = (ActorTree::default(), Listeners::default(), log);
    if config.settings.json_file.enabled {
        let (settings, deadline) = (config.settings.json_file.clone(), config.overrides.write_deadline);
        let log = log.clone();
        tree.live_output(supervisor, "json_file", move |slot, lifeline| {
            JsonFileActor::new(settings, deadline, slot, log, lifeline)
        })?;
    }
    if config.settings.mqtt.enabled {
        let (broker, health, log) = (broker_config(config), supervisor.health(), log.clone());
        let slot = LatestReports::default();
        let child = ChildSpec::new("mqtt").role(Role::Isolated).own_arbiter().capacity(EVENT_QUEUE);
        let own = slot.clone();
        let mqtt = supervisor
            .start_child(child, move |lifeline| MqttActor::new(broker, own, health, log, lifeline))?;
        listeners.events.push(Queue::named("mqtt events", mqtt.clone(), queue_log));
        tree.outlets.push(ReportSink::newest(slot, mqtt.clone().recipient()));
        tree.outputs.push(("mqtt", mqtt.recipient()));
    }
    if config.settings.database.enabled {
        let (history, log) = (database_config(config), log.clone());
        let child = ChildSpec::new("db").role(Role::Isolated).own_arbiter().capacity(HISTORY_QUEUE);
        let db = supervisor.start_child(child, move |_| DbActor::new(history, log))?;
        listeners.events.push(Queue::named("db events", db.clone(), queue_log));
        listeners.device_logs.push(Queue::named("db device log", db.clone(), queue_log));
        tree.outlets.push(ReportSink::every(Queue::named("db reports", db.clone(), queue_log)));
        tree.outputs.push(("db", db.recipient()));
    }
    if config.show_table {
        tree.live_output(supervisor, "terminal", |slot, _| TerminalActor::new(slot))?;
    }
    if systemd::is_active() {
        let slowest = config.settings.banks.iter().map(|bank| bank.interval).max().unwrap_or_default();
        tree.live_output(supervisor, "systemd", move |slot, _| {
            SystemdActor::new(slot, OFFLINE_AFTER * slowest, STATUS_INTERVAL)
        })?;
    }
    if let Some(events) = events {
        // After the outputs that it feeds.
        let log = log.clone();
        let child = ChildSpec::new(EVENTS).role(Role::Isolated).own_arbiter().capacity(EVENT_QUEUE);
        let actor = supervisor.start_child(child, move |_| EventActor::new(events, listeners, log))?;
        let queue = Queue::<ReportReady>::named("events reports", actor.clone(), queue_log);
        tree.outlets.push(ReportSink::every(queue));
        tree.events = Some(actor);
    }
    for bank in banks {
        tree.chains.push(BankChain::start(supervisor, bank, &tree.outlets, log)?);
    }
    Ok(tree)
}

fn database_config(config: &AppConfig) -> HistoryConfig {
    HistoryConfig {
        settings: config.settings.database.clone(),
        disk_deadline: config.overrides.write_deadline,
        batch_deadline: config.overrides.batch_deadline,
    }
}

fn broker_config(config: &AppConfig) -> MqttActorConfig {
    let view = |settings: &BankSettings| BankView {
        settings: settings.clone(),
        facts_every: poll_schedule(settings).facts_interval,
    };
    let settings = config.settings.mqtt.clone();
    MqttActorConfig {
        settings,
        banks: config.settings.banks.iter().map(view).collect(),
        timeouts: config.overrides.mqtt_timeouts,
    }
}

fn poll_schedule(settings: &BankSettings) -> PollSchedule {
    PollSchedule::new(settings.interval, settings.summary_interval, settings.cells != CellLevel::Off)
}

/// The actors of one bank, serial → parser → stats, each with its child name.
#[derive(Clone, Debug)]
pub struct BankChain {
    pub serial: (String, Addr<SerialActor>),
    pub(crate) parser: (String, Addr<ParserActor>),
    pub stats: (String, Addr<StatsActor>),
}

impl BankChain {
    /// Starts the chain of one bank on its own thread, the last actor first.
    ///
    /// # Errors
    /// Fails if another bank has the same name or the system can't start a thread.
    pub fn start(
        supervisor: &mut Supervisor,
        bank: ChainConfig,
        outlets: &[ReportSink],
        log: &Logger,
    ) -> io::Result<Self> {
        let ChainConfig { serial: settings, assemble, stats } = bank;
        let name = |part: &str| format!("{part} {}", settings.bank);
        let (serial_name, parser_name, stats_name) = (name("serial"), name("parser"), name("stats"));
        let link = |part: &str| {
            ChildSpec::new(part).role(Role::Critical).arbiter(name("bank")).capacity(CHAIN_QUEUE)
        };
        let (outlets, own) = (outlets.to_vec(), log.clone());
        let stats =
            supervisor.start_child(link(&stats_name), move |_| StatsActor::new(stats, own, outlets))?;
        let to_stats = Queue::named(&stats_name, stats.clone(), log);
        let parser =
            supervisor.start_child(link(&parser_name), move |_| ParserActor::new(assemble, to_stats))?;
        let (to_parser, own) = (Queue::named(&parser_name, parser.clone(), log), log.clone());
        let child = link(&serial_name);
        let serial = supervisor.start_child(child, move |_| SerialActor::new(settings, own, to_parser))?;
        Ok(Self { serial: (serial_name, serial), parser: (parser_name, parser), stats: (stats_name, stats) })
    }
}

impl ActorTree {
    /// Starts an output that only needs the latest full report of each bank.
    fn live_output<A>(
        &mut self,
        supervisor: &mut Supervisor,
        name: &'static str,
        make: impl FnOnce(LatestReports, StopHandle) -> A + Send + 'static,
    ) -> io::Result<()>
    where
        A: Actor<Context = Context<A>> + Supervised + Handler<Ping> + Handler<SlotUpdated> + Handler<Flush>,
    {
        let slot = LatestReports::default();
        let looked_into = slot.clone();
        let child = ChildSpec::new(name).role(Role::Isolated).own_arbiter().capacity(LIVE_QUEUE);
        let output = supervisor.start_child(child, move |lifeline| make(looked_into, lifeline))?;
        self.outlets.push(ReportSink::newest_full(slot, output.clone().recipient()));
        self.outputs.push((name, output.recipient()));
        Ok(())
    }

    /// Sources stop first, then their data is flushed down the flow, then the outputs stop.
    fn shutdown_phases(&self) -> Vec<ShutdownPhase> {
        let chains = self.chains.iter().cloned();
        let serials = chains.clone().map(|chain| chain.serial.0);
        let parsers = chains.clone().map(|BankChain { parser: (name, child), .. }| (name, child.recipient()));
        let stats = chains.map(|BankChain { stats: (name, child), .. }| (name, child.recipient()));
        vec![
            ShutdownPhase::end(serials),
            ShutdownPhase::flush(parsers),
            ShutdownPhase::flush(stats),
            ShutdownPhase::flush(self.events.iter().map(|events| (EVENTS, events.clone().recipient()))),
            ShutdownPhase::flush(self.outputs.iter().map(|(name, output)| (*name, output.clone()))),
            ShutdownPhase::end(
                self.outputs.iter().map(|(name, _)| *name).chain(self.events.iter().map(|_| EVENTS)),
            ),
        ]
    }
}
