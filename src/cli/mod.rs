//! The command line: one file per subcommand.

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
use crate::supervise::{self, Signal};

/// Polls PYTES and Pylontech battery banks over their RS232 console and publishes the readings to a JSON file,
/// MQTT / Home Assistant and SQL.
#[derive(Debug, Parser)]
#[command(
    version,
    disable_help_subcommand = true,
    after_help = "Exit status: 0 success; 1 failure; 2 usage error; 70 unrecoverable failure, restart the service; \
                  78 invalid configuration.\n\
                  Results are written to standard output, the log to standard error.\n\n\
                  To get started:\n  bankwatch demo\n  bankwatch read /dev/ttyUSB0"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: CliCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CliCommand {
    /// Run the service
    Run(run::RunArguments),
    /// Run the service on a simulated bank; everything it writes is in one directory
    Demo(demo::DemoArguments),
    /// Poll a bank once and print its values
    Read(read::ReadArguments),
    /// Diagnose a serial port or network bridge
    Doctor(doctor::DoctorArguments),
    /// Record the answers of a console, for replay and bug reports
    Capture(capture::CaptureArguments),
    /// Parse a captured console transcript and print it as JSON
    Parse(parse::ParseArguments),
    /// Simulate a battery bank on a pseudo-terminal or TCP port
    Simulate(simulate::SimulateArgs),
    /// Check that the service is running (container health check)
    Healthcheck(healthcheck::HealthcheckArguments),
    /// Migrate or remove Home Assistant discovery topics
    #[command(subcommand)]
    Ha(ha::HaCommand),
    /// Manage the database: update the schema, import from pytes_serial, prune, export
    #[command(subcommand)]
    Db(db::DbCommand),
    /// Check or show the configuration, or import one from pytes_serial
    #[command(subcommand)]
    Config(config::ConfigCommand),
}

impl CliCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// Returns an error to print; [`Exit::from_error`] gives its exit status.
    pub(crate) fn execute(self) -> Result<Exit, anyhow::Error> {
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
                let stopped = stop_flag()?;
                simulate::simulate(&arguments, &mut io::stdout(), move || stopped.load(Ordering::Relaxed))?;
                Ok(Exit::Success)
            }
            Self::Config(verb) => {
                let sources = Sources::from_process(None, Vec::new());
                let code = config::run(&verb, sources, &mut io::stdout().lock(), &mut io::stderr().lock())?;
                Ok(Exit::from(code))
            }
        }
    }
}

/// A flag that SIGTERM and SIGINT set, for commands that do not start the supervision tree.
fn stop_flag() -> io::Result<Arc<AtomicBool>> {
    let stopped = Arc::new(AtomicBool::new(false));
    let flag = stopped.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut received = runtime.block_on(async { supervise::signals() })?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        while runtime.block_on(received.next()) == Signal::Hangup {}
        flag.store(true, Ordering::Relaxed);
    })?;
    Ok(stopped)
}
