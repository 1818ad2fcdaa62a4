//! The tree: which children there are, in start order, and who feeds whom.
//!
//! ```text
//!                        ┌─► json_file ─► <bank>_status.json          each output on a thread of its own
//! serial ─► parser ─► stats                                           one chain a bank, on its own thread
//!                        └─► terminal (demo)
//! ```
//! Outputs start before their sources and end after them.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::Addr;
use slog::{Logger, crit, info, warn};

use crate::actors::json_file::JsonFileActor;
use crate::actors::parser::ParserActor;
use crate::actors::serial::{SerialActor, SerialSettings};
use crate::actors::stats::{StatsActor, StatsSettings};
use crate::actors::terminal::TerminalActor;
use crate::console::assemble::assemble;
use crate::console::review::Review;
use crate::link::{Line, Link, LinkError};
use crate::logging::Control;
use crate::messages::{Outlet, Queue, Slot};
use crate::settings::{BankSettings, Batteries, CellLevel, DatabaseUrl, Settings};
use crate::supervise::{Child, Fatal, Phase, Policy, Role, Signal, Supervisor, signals};
use crate::sweep::conversation::Patience;
use crate::sweep::plan::Rhythm;
use crate::trouble::Took;

/// How long a stop may take.
const SHUTDOWN: Duration = Duration::from_secs(5);
/// How long one round of writing files may take.
const WRITE_DEADLINE: Duration = Duration::from_secs(5);
/// The first pause before a lost link is opened again, and the longest.
const LINK_BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// Sweeps that may wait for a stage of the chain.
const CHAIN_QUEUE: usize = 8;
/// A live output looks into its slot; one nudge is enough.
const NUDGES: usize = 1;

/// What the tree is made from.
#[derive(Debug)]
pub struct Plan {
    /// The settings in force.
    pub settings: Settings,
    /// The file they came from, for the log.
    pub config: String,
    /// Whether the terminal shows a table.
    pub terminal: bool,
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
    #[error("{} can't go on in this process: {}", .0.actor, .0.reason)]
    Fatal(Fatal),
}

/// Runs the service until a signal ends it.
///
/// # Errors
/// It could not begin, or the port's chain can't go on.
pub fn run(plan: Plan, log: &Logger, control: &Control) -> Result<(), AppError> {
    let banks = plan.settings.banks.iter().map(bank).collect::<Result<Vec<_>, _>>()?;
    actix::System::new().block_on(serve(plan, banks, log, control))
}

async fn serve(plan: Plan, banks: Vec<Bank>, log: &Logger, control: &Control) -> Result<(), AppError> {
    let mut signals = signals()?;
    info!(log, "service started"; "version" => env!("CARGO_PKG_VERSION"), "banks" => banks.len(), "config" => &plan.config);
    for output in not_yet(&plan.settings) {
        warn!(log, "output not in this version"; "output" => output);
    }
    let mut supervisor = Supervisor::new(log.clone(), Policy::default());
    let fatal = supervisor.fatal();
    let tree = grow(&mut supervisor, &plan, banks, log)?;
    let outcome = tokio::select! {
        fatal = fatal => {
            crit!(log, "service stopping"; "reason" => &fatal.reason, "actor" => &fatal.actor, "exit" => Fatal::EXIT_CODE);
            Err(AppError::Fatal(fatal))
        }
        () = stopped(&mut signals, log, control) => Ok(()),
    };
    // The addresses live in the tree until everything has ended: a child without an address can't be restarted.
    let report = supervisor.shutdown(tree.phases(), SHUTDOWN).await;
    if !report.is_clean() {
        warn!(log, "service stopped late"; "late" => ?report.late, "blocked" => ?report.blocked, "took" => Took(report.took));
    }
    outcome
}

/// Outputs that the settings ask for and that do not exist yet: nobody should believe they publish.
fn not_yet(settings: &Settings) -> Vec<&'static str> {
    let asked = [
        (settings.mqtt.enabled, "mqtt"),
        (settings.database.enabled && matches!(settings.database.url, DatabaseUrl::Mysql { .. }), "database"),
    ];
    asked.into_iter().filter(|(asked, _)| *asked).map(|(_, output)| output).collect()
}

/// Waits for the signal that ends the service; a hang-up opens the log file anew.
async fn stopped(signals: &mut crate::supervise::Signals, log: &Logger, control: &Control) {
    loop {
        match signals.next().await {
            Signal::Hangup => {
                control.reopen();
                info!(log, "log reopened"; "signal" => "SIGHUP");
            }
            signal @ (Signal::Terminate | Signal::Interrupt) => {
                info!(log, "service stopping"; "signal" => %signal);
                return;
            }
        }
    }
}

/// One bank as its chain needs it.
struct Bank {
    serial: SerialSettings,
    stats: StatsSettings,
}

fn bank(settings: &BankSettings) -> Result<Bank, AppError> {
    let line = Line { baud: settings.baud, dtr: settings.dtr, rts: settings.rts };
    let link = Link::parse(&settings.link, line);
    let link = link.map_err(|error| AppError::Link { bank: settings.name.clone(), error })?;
    let rhythm = Rhythm::new(settings.interval, settings.summary_interval, settings.cells != CellLevel::Off);
    let counted = match settings.batteries {
        Batteries::Count(count) => Some(count),
        Batteries::Auto => settings.expected.and_then(|expected| expected.batteries),
    };
    let stats = StatsSettings {
        started: Instant::now(),
        interval: settings.interval,
        facts_every: rhythm.facts_every,
        batteries: counted,
        cells: settings.expected.and_then(|expected| expected.cells),
    };
    let serial = SerialSettings {
        bank: Arc::from(settings.name.as_str()),
        link,
        line_end: settings.line_end.as_bytes(),
        rhythm,
        patience: Patience::default(),
        backoff: LINK_BACKOFF,
        judge: Review::judge,
    };
    Ok(Bank { serial, stats })
}

/// The addresses of the children, by their part in a stop.
#[derive(Default)]
struct Tree {
    serials: Vec<(String, Addr<SerialActor>)>,
    parsers: Vec<(String, Addr<ParserActor>)>,
    stats: Vec<(String, Addr<StatsActor>)>,
    json_file: Option<Addr<JsonFileActor>>,
    terminal: Option<Addr<TerminalActor>>,
}

fn grow(supervisor: &mut Supervisor, plan: &Plan, banks: Vec<Bank>, log: &Logger) -> io::Result<Tree> {
    let mut tree = Tree::default();
    let mut outlets = Vec::new();
    if plan.settings.json_file.enabled {
        let (slot, log) = (Slot::default(), log.clone());
        let (taken, directory) = (slot.clone(), plan.settings.json_file.directory.clone());
        let child = Child::new("json_file").role(Role::Output).own_arbiter().capacity(NUDGES);
        let json_file = supervisor.keep(child, move |lifeline| {
            JsonFileActor::new(directory, WRITE_DEADLINE, taken, log, lifeline)
        })?;
        outlets.push(Outlet::newest_full(slot, json_file.clone().recipient()));
        tree.json_file = Some(json_file);
    }
    if plan.terminal {
        let slot = Slot::default();
        let taken = slot.clone();
        let child = Child::new("terminal").role(Role::Output).own_arbiter().capacity(NUDGES);
        let terminal = supervisor.keep(child, move |_| TerminalActor::new(taken))?;
        outlets.push(Outlet::newest_full(slot, terminal.clone().recipient()));
        tree.terminal = Some(terminal);
    }
    for bank in banks {
        chain(supervisor, &mut tree, bank, &outlets, log)?;
    }
    Ok(tree)
}

/// Serial → Parser → Stats of one bank, on a thread of their own, the last first.
fn chain(
    supervisor: &mut Supervisor,
    tree: &mut Tree,
    bank: Bank,
    outlets: &[Outlet],
    log: &Logger,
) -> io::Result<()> {
    let Bank { serial: settings, stats } = bank;
    let name = |part: &str| format!("{part} {}", settings.bank);
    let (serial_name, parser_name, stats_name) = (name("serial"), name("parser"), name("stats"));
    let link = |part: &str| Child::new(part).role(Role::Chain).arbiter(name("bank")).capacity(CHAIN_QUEUE);
    let (outlets, own) = (outlets.to_vec(), log.clone());
    let stats = supervisor.keep(link(&stats_name), move |_| StatsActor::new(stats, own, outlets))?;
    let to_stats = Queue::to(stats.clone());
    let parser = supervisor.keep(link(&parser_name), move |_| ParserActor::new(assemble, to_stats))?;
    let (to_parser, own) = (Queue::to(parser.clone()), log.clone());
    let child = link(&serial_name);
    let serial = supervisor.keep(child, move |_| SerialActor::new(settings, own, to_parser))?;
    tree.serials.push((serial_name, serial));
    tree.parsers.push((parser_name, parser));
    tree.stats.push((stats_name, stats));
    Ok(())
}

impl Tree {
    /// Sources end first, then what they sent flows down, then the outputs end.
    fn phases(&self) -> Vec<Phase> {
        let names = |part: &[&String]| part.iter().map(|name| (*name).clone()).collect::<Vec<_>>();
        let serials: Vec<&String> = self.serials.iter().map(|(name, _)| name).collect();
        let parsers = self.parsers.iter().map(|(name, child)| (name.clone(), child.clone().recipient()));
        let stats = self.stats.iter().map(|(name, child)| (name.clone(), child.clone().recipient()));
        let json_file = self.json_file.iter().map(|child| ("json_file", child.clone().recipient()));
        let terminal = self.terminal.iter().map(|child| ("terminal", child.clone().recipient()));
        vec![
            Phase::end(names(&serials)),
            Phase::flush(parsers),
            Phase::flush(stats),
            Phase::flush(json_file.chain(terminal)),
            Phase::end(
                self.json_file.iter().map(|_| "json_file").chain(self.terminal.iter().map(|_| "terminal")),
            ),
        ]
    }
}
