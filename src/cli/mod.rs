//! The verbs: what is typed after `bankwatch`, a file a verb.

pub(crate) mod capture;
pub mod config;
pub(crate) mod db;
pub(crate) mod demo;
mod differences;
pub(crate) mod doctor;
pub mod exit;
pub(crate) mod ha;
pub(crate) mod healthcheck;
mod instance_lock;
mod legacy_table;
pub(crate) mod parse;
mod process;
mod progress;
pub(crate) mod read;
mod reload;
pub mod run;
pub(crate) mod service;
pub(crate) mod simulate;
mod sweep;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Parser, Subcommand};

use crate::cli::exit::Exit;
pub use crate::cli::process::run;
use crate::settings::Sources;
use crate::supervise::{Signal, signals};

/// Reads the console of PYTES and PYLONTECH battery banks and tells the rest of the house.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    disable_help_subcommand = true,
    after_help = "Exit codes: 0 well; 1 failed; 2 wrong usage; 70 the port's chain can't go on; 78 wrong settings.\n\
                  Results go to standard output, the log to standard error.\n\n\
                  Begin with:\n  bankwatch demo\n  bankwatch read /dev/ttyUSB0"
)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What bankwatch does.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run the service
    Run(run::RunArguments),
    /// Run the service on a simulated bank: nothing to install, nothing left outside its folder
    Demo(demo::DemoArguments),
    /// Ask a bank once and show what it says
    Read(read::ReadArguments),
    /// Say what is wrong with a link and how to mend it
    Doctor(doctor::DoctorArguments),
    /// Record a console's answers for replay and bug reports
    Capture(capture::CaptureArguments),
    /// Turn a console's transcript into JSON
    Parse(parse::ParseArguments),
    /// Serve a simulated bank on a pseudo-terminal or a TCP port
    Simulate(simulate::SimulateArgs),
    /// Check that the running service reads its banks, for containers
    Healthcheck(healthcheck::HealthcheckArguments),
    /// Migrate or remove Home Assistant's discovery topics
    #[command(subcommand)]
    Ha(ha::HaVerb),
    /// Update the database schema, copy the rows of pytes_serial, delete old rows, export
    #[command(subcommand)]
    Db(db::DbVerb),
    /// Check, show or import settings
    #[command(subcommand)]
    Config(config::ConfigVerb),
}

impl Verb {
    /// Does it.
    ///
    /// # Errors
    /// A sentence for people; the exit code goes with it.
    pub(crate) fn act(self) -> Result<Exit, anyhow::Error> {
        match self {
            Self::Run(arguments) => run::run(&arguments),
            Self::Demo(arguments) => demo::demo(&arguments),
            Self::Read(arguments) => read::read(&arguments),
            Self::Doctor(arguments) => doctor::doctor(&arguments),
            Self::Capture(arguments) => capture::capture(&arguments),
            Self::Healthcheck(arguments) => healthcheck::healthcheck(&arguments),
            Self::Ha(verb) => ha::ha(&verb),
            Self::Db(verb) => db::db(&verb),
            Self::Parse(arguments) => parse::parse(&arguments),
            Self::Simulate(arguments) => {
                let stopped = told_to_stop()?;
                simulate::simulate(&arguments, &mut io::stdout(), move || stopped.load(Ordering::Relaxed))?;
                Ok(Exit::Well)
            }
            Self::Config(verb) => {
                let sources = Sources::from_process(None, Vec::new());
                let code = config::run(&verb, sources, &mut io::stdout().lock(), &mut io::stderr().lock())?;
                Ok(Exit::from(code))
            }
        }
    }
}

/// A flag that SIGTERM and SIGINT raise, for verbs that do not run the tree.
fn told_to_stop() -> io::Result<Arc<AtomicBool>> {
    let stopped = Arc::new(AtomicBool::new(false));
    let raise = stopped.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut told = runtime.block_on(async { signals() })?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        while runtime.block_on(told.next()) == Signal::Hangup {}
        raise.store(true, Ordering::Relaxed);
    })?;
    Ok(stopped)
}
