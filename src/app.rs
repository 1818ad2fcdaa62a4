//! The tree: which children there are, in start order, and who feeds whom.
//!
//! ```text
//!                        ┌─► json_file ─► <bank>_status.json          each output on a thread of its own
//! serial ─► parser ─► stats ─► mqtt ─► broker, Home Assistant         one chain a bank, on its own thread
//!                        ├─► event ─► battery_events.log
//!                        ├─► db ─► SQLite, or journal ─► MariaDB
//!                        └─► terminal (demo)
//! ```
//! Outputs start before their sources and end after them; the events are a source to other outputs.
//!
//! Length: the tree is one list, and what each child is handed stands beside it.

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
use crate::settings::{BankSettings, Batteries, CellLevel, Settings, Wake};
use crate::supervise::{
    ChildSpec, FatalFailure, Flush, HeartbeatSet, Ping, Role, ShutdownPhase, Signal, Signals, StopHandle,
    SupervisionPolicy, Supervisor, signals,
};
use crate::sweep::client::ConsoleTimeouts;
use crate::sweep::poll_plan::PollSchedule;
use crate::sweep::sweeper::ValidateFn;
use crate::systemd;

/// How long a stop may take: of the five seconds that are promised, the log's last lines may need one.
const SHUTDOWN: Duration = Duration::from_secs(4);
/// A bank's owner that attempts nothing for so long is stuck: three patient askings take some 50 s.
const LIVELY: Duration = Duration::from_secs(120);
/// How often the line for systemd is looked at when no reading comes.
const STATUS_EVERY: Duration = Duration::from_secs(30);
/// From one writing of a bank's counters to the next: with its deadline, a power cut costs less than a minute.
const KEEP_EVERY: Duration = Duration::from_secs(45);
/// Sweeps that may wait for a stage of the chain.
const CHAIN_QUEUE: usize = 8;
/// Sweeps that may wait for the history.
const HISTORY_QUEUE: usize = 64;
/// Sweeps that may wait for the events.
const EVENT_QUEUE: usize = 64;
/// A live output looks into its slot; one nudge is enough.
const NUDGES: usize = 1;

/// The name of the events among the children.
const EVENTS: &str = "events";

/// What the tree is made from.
#[derive(Debug)]
pub struct Plan {
    /// The settings in force.
    pub(crate) settings: Settings,
    /// The file they came from, for the log.
    pub(crate) config: String,
    /// Whether the terminal shows a table.
    pub(crate) terminal: bool,
    /// How the work is done.
    pub(crate) workings: Workings,
}

/// How the work is done: the usual way, but in tests that need a bug or short times.
#[derive(Clone, Debug)]
pub struct Workings {
    /// When an actor is restarted, and when no more.
    pub(crate) policy: SupervisionPolicy,
    /// How long a console may take.
    pub(crate) patience: ConsoleTimeouts,
    /// The first pause before a lost link is opened again, and the longest.
    pub(crate) link_backoff: (Duration, Duration),
    /// How long one round of writing files may take.
    pub(crate) write_deadline: Duration,
    /// How long a database may take for one batch.
    pub(crate) batch_deadline: Duration,
    /// How long the broker may take.
    pub(crate) broker: MqttTimeouts,
    /// How an answer is judged.
    pub(crate) judge: ValidateFn,
    /// How a sweep's answers become a reading.
    pub(crate) assemble: Assemble,
}

impl Default for Workings {
    fn default() -> Self {
        Self {
            policy: SupervisionPolicy::default(),
            patience: ConsoleTimeouts::default(),
            link_backoff: (Duration::from_secs(1), Duration::from_secs(30)),
            write_deadline: Duration::from_secs(5),
            batch_deadline: Duration::from_secs(30),
            broker: MqttTimeouts::default(),
            judge: AnswerValidator::validate,
            assemble,
        }
    }
}

/// Why the service could not begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A link's text is none.
    #[error("bank {bank:?}: {error}")]
    Link {
        /// The bank.
        bank: String,
        /// Why.
        error: LinkError,
    },
    /// The system gives no thread or no signals.
    #[error("the service can't be started: {0}")]
    System(#[from] io::Error),
    /// The port's chain can't go on in this process.
    #[error(transparent)]
    Fatal(FatalFailure),
}

/// Runs the service until a signal ends it; `hangup` is what SIGHUP asks for.
///
/// # Errors
/// It could not begin, or the port's chain can't go on.
pub fn run(plan: Plan, log: &Logger, hangup: &dyn Fn(&Logger)) -> Result<(), AppError> {
    let (catalogue, findings) = Catalogue::load(plan.settings.events.catalogue.as_deref());
    for finding in findings.brief() {
        warn!(log, "settings warning"; "warning" => finding);
    }
    let catalogue = Arc::new(catalogue);
    let events = EventConfig::of(&plan.settings, &catalogue, plan.workings.write_deadline);
    let bank = |settings| Bank::of(settings, &plan.settings.data_dir, &plan.workings, &catalogue);
    let banks = plan.settings.banks.iter().map(bank).collect::<Result<Vec<_>, _>>()?;
    actix::System::new().block_on(serve(plan, banks, events, log, hangup))
}

async fn serve(
    plan: Plan,
    mut banks: Vec<Bank>,
    events: Option<EventConfig>,
    log: &Logger,
    hangup: &dyn Fn(&Logger),
) -> Result<(), AppError> {
    let mut signals = signals()?;
    let mut beats = HeartbeatSet::default();
    banks.iter_mut().for_each(|bank| bank.serial.beat = Some(beats.register(LIVELY)));
    info!(log, "service started"; "version" => env!("CARGO_PKG_VERSION"), "banks" => banks.len(), "config" => &plan.config);
    let mut supervisor = Supervisor::new(log.clone(), plan.workings.policy.clone());
    let fatal = supervisor.fatal();
    let tree = grow(&mut supervisor, &plan, banks, events, log)?;
    systemd::ready();
    let outcome = tokio::select! {
        fatal = fatal => {
            crit!(log, "service stopping"; "reason" => &fatal.reason, "actor" => &fatal.actor, "exit" => FatalFailure::EXIT_CODE);
            Err(AppError::Fatal(fatal))
        }
        never = systemd::feed_watchdog(&beats) => match never {},
        () = stopped(&mut signals, log, hangup) => Ok(()),
    };
    systemd::stopping();
    // The addresses live in the tree until everything has ended: a child without an address can't be restarted.
    let report = supervisor.shutdown(tree.phases(), SHUTDOWN).await;
    if !report.is_clean() {
        warn!(log, "service stopped late"; "late" => ?report.late, "blocked" => ?report.blocked, "took" => HumanDuration(report.took));
    }
    outcome
}

/// Waits for the signal that ends the service; a hang-up is handled on the way.
async fn stopped(signals: &mut Signals, log: &Logger, hangup: &dyn Fn(&Logger)) {
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

/// One bank as its chain needs it.
#[derive(Clone, Debug)]
pub struct Bank {
    /// For the port's owner.
    pub serial: SerialSettings,
    /// For the parser.
    pub assemble: Assemble,
    /// For the statistics.
    pub stats: StatsSettings,
}

impl Bank {
    /// What the settings say of a bank, whose counters are kept in `data_dir` and whose words mean what the catalogue
    /// says.
    ///
    /// # Errors
    /// The link's text is none.
    pub(crate) fn of(
        settings: &BankSettings,
        data_dir: &Path,
        workings: &Workings,
        catalogue: &Arc<Catalogue>,
    ) -> Result<Self, AppError> {
        let line = SerialParams { baud: settings.baud, dtr: settings.dtr, rts: settings.rts };
        let link = Link::parse(&settings.link, line);
        let link = link.map_err(|error| AppError::Link { bank: settings.name.clone(), error })?;
        let rhythm = rhythm(settings);
        let counted = match settings.batteries {
            Batteries::Count(count) => Some(count),
            Batteries::Auto => settings.expected.and_then(|expected| expected.batteries),
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
                every: KEEP_EVERY,
                deadline: workings.write_deadline,
            }),
            machine: machine_time(),
        };
        let serial = SerialSettings {
            bank: Arc::from(settings.name.as_str()),
            link,
            line_end: settings.line_end.as_bytes(),
            rhythm,
            patience: workings.patience,
            backoff: workings.link_backoff,
            wake: settings.wake == Wake::Auto,
            beat: None,
            judge: workings.judge,
        };
        Ok(Self { serial, assemble: workings.assemble, stats })
    }
}

/// The children by their part in a start and a stop. It holds their addresses: a child without one can't be
/// restarted.
#[derive(Default)]
struct Tree {
    outputs: Vec<(&'static str, Recipient<Flush>)>,
    outlets: Vec<ReportSink>,
    events: Option<Addr<EventActor>>,
    chains: Vec<Chain>,
}

/// The list of children, outputs first.
fn grow(
    supervisor: &mut Supervisor,
    plan: &Plan,
    banks: Vec<Bank>,
    events: Option<EventConfig>,
    log: &Logger,
) -> io::Result<Tree> {
    let (mut tree, mut listeners, queue_log) = (Tree::default(), Listeners::default(), log);
    if plan.settings.json_file.enabled {
        let (settings, deadline) = (plan.settings.json_file.clone(), plan.workings.write_deadline);
        let log = log.clone();
        tree.live_output(supervisor, "json_file", move |slot, lifeline| {
            JsonFileActor::new(settings, deadline, slot, log, lifeline)
        })?;
    }
    if plan.settings.mqtt.enabled {
        let (broker, health, log) = (broker(plan), supervisor.health(), log.clone());
        let slot = LatestReports::default();
        let child = ChildSpec::new("mqtt").role(Role::Isolated).own_arbiter().capacity(EVENT_QUEUE);
        let own = slot.clone();
        let mqtt = supervisor
            .start_child(child, move |lifeline| MqttActor::new(broker, own, health, log, lifeline))?;
        listeners.events.push(Queue::named("mqtt events", mqtt.clone(), queue_log));
        tree.outlets.push(ReportSink::newest(slot, mqtt.clone().recipient()));
        tree.outputs.push(("mqtt", mqtt.recipient()));
    }
    if plan.settings.database.enabled {
        let (history, log) = (history(plan), log.clone());
        let child = ChildSpec::new("db").role(Role::Isolated).own_arbiter().capacity(HISTORY_QUEUE);
        let db = supervisor.start_child(child, move |_| DbActor::new(history, log))?;
        listeners.events.push(Queue::named("db events", db.clone(), queue_log));
        listeners.memories.push(Queue::named("db device log", db.clone(), queue_log));
        tree.outlets.push(ReportSink::every(Queue::named("db reports", db.clone(), queue_log)));
        tree.outputs.push(("db", db.recipient()));
    }
    if plan.terminal {
        tree.live_output(supervisor, "terminal", |slot, _| TerminalActor::new(slot))?;
    }
    if systemd::is_there() {
        let slowest = plan.settings.banks.iter().map(|bank| bank.interval).max().unwrap_or_default();
        tree.live_output(supervisor, "systemd", move |slot, _| {
            SystemdActor::new(slot, OFFLINE_AFTER * slowest, STATUS_EVERY)
        })?;
    }
    if let Some(events) = events {
        // Behind the outputs that listen to it.
        let log = log.clone();
        let child = ChildSpec::new(EVENTS).role(Role::Isolated).own_arbiter().capacity(EVENT_QUEUE);
        let actor = supervisor.start_child(child, move |_| EventActor::new(events, listeners, log))?;
        let queue = Queue::<ReportReady>::named("events reports", actor.clone(), queue_log);
        tree.outlets.push(ReportSink::every(queue));
        tree.events = Some(actor);
    }
    for bank in banks {
        tree.chains.push(Chain::grow(supervisor, bank, &tree.outlets, log)?);
    }
    Ok(tree)
}

/// What the keeper of the history needs to know.
fn history(plan: &Plan) -> HistoryConfig {
    HistoryConfig {
        settings: plan.settings.database.clone(),
        disk_deadline: plan.workings.write_deadline,
        batch_deadline: plan.workings.batch_deadline,
    }
}

/// What the correspondent of the broker needs to know.
fn broker(plan: &Plan) -> MqttActorConfig {
    let view = |settings: &BankSettings| BankView {
        settings: settings.clone(),
        facts_every: rhythm(settings).facts_interval,
    };
    let settings = plan.settings.mqtt.clone();
    MqttActorConfig {
        settings,
        banks: plan.settings.banks.iter().map(view).collect(),
        timeouts: plan.workings.broker,
    }
}

/// How often a bank is asked what.
fn rhythm(settings: &BankSettings) -> PollSchedule {
    PollSchedule::new(settings.interval, settings.summary_interval, settings.cells != CellLevel::Off)
}

/// Serial → Parser → Stats of one bank, each with its name among the children.
#[derive(Clone, Debug)]
pub struct Chain {
    /// The port's owner.
    pub serial: (String, Addr<SerialActor>),
    /// The parser.
    pub(crate) parser: (String, Addr<ParserActor>),
    /// The statistics.
    pub stats: (String, Addr<StatsActor>),
}

impl Chain {
    /// Starts the chain of one bank on a thread of its own, the last first; `outlets` are fed.
    ///
    /// # Errors
    /// Another bank has the name, or the system gives no thread.
    pub fn grow(
        supervisor: &mut Supervisor,
        bank: Bank,
        outlets: &[ReportSink],
        log: &Logger,
    ) -> io::Result<Self> {
        let Bank { serial: settings, assemble, stats } = bank;
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

impl Tree {
    /// Starts an output that wants the newest full reading of each bank and nothing else.
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
        let child = ChildSpec::new(name).role(Role::Isolated).own_arbiter().capacity(NUDGES);
        let output = supervisor.start_child(child, move |lifeline| make(looked_into, lifeline))?;
        self.outlets.push(ReportSink::newest_full(slot, output.clone().recipient()));
        self.outputs.push((name, output.recipient()));
        Ok(())
    }

    /// Sources end first, then what they sent flows down, then the outputs end.
    fn phases(&self) -> Vec<ShutdownPhase> {
        let chains = self.chains.iter().cloned();
        let serials = chains.clone().map(|chain| chain.serial.0);
        let parsers = chains.clone().map(|Chain { parser: (name, child), .. }| (name, child.recipient()));
        let stats = chains.map(|Chain { stats: (name, child), .. }| (name, child.recipient()));
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
