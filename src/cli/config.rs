//! `bankwatch config`: check, show and import settings.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::Subcommand;

use crate::cli::differences;
use crate::cli::legacy_table;
use crate::events::catalogue::Catalogue;
use crate::settings::{
    Expected, Loaded, SettingsError, Sources, is_its_file, load,
    render::{self, Style},
};

/// All is well.
const FINE: u8 = 0;
/// The settings are wrong; systemd does not restart on it.
const WRONG_SETTINGS: u8 = 78;

/// What to do with the settings.
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigVerb {
    /// Report all mistakes at once, each with its file and line, and what will be different from pytes_serial
    #[command(after_help = "Examples:\n  bankwatch config check --config /etc/bankwatch/bankwatch.toml\n  \
        bankwatch config check --config pytes_serial.cfg")]
    Check {
        /// The file; else ./bankwatch.toml, then /etc/bankwatch/bankwatch.toml
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Print the settings in force as TOML, secrets hidden
    #[command(after_help = "Example:\n  bankwatch config show --origin")]
    Show {
        /// The file; else ./bankwatch.toml, then /etc/bankwatch/bankwatch.toml
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Say of each setting where it came from
        #[arg(long)]
        origin: bool,
    },
    /// Print a pytes_serial.cfg as a bankwatch.toml, passwords included
    #[command(after_help = "Example:\n  bankwatch config import pytes_serial.cfg > bankwatch.toml")]
    Import {
        /// The pytes_serial.cfg
        file: PathBuf,
    },
}

/// Does it: the result goes to `out`, warnings and mistakes in the way of a result to `err`. Gives the exit code.
///
/// # Errors
/// Those of writing.
pub fn run(
    verb: &ConfigVerb,
    sources: Sources,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<u8> {
    let named = |config: &Option<PathBuf>| {
        let config = config.clone().or(sources.config.clone());
        load(&Sources { config, ..sources.clone() })
    };
    match verb {
        ConfigVerb::Check { config } => check(named(config), out),
        ConfigVerb::Show { config, origin } => {
            let style = if *origin { Style::Origins } else { Style::InForce };
            match named(config) {
                Ok(loaded) => {
                    warn(&loaded.warnings, err)?;
                    render::toml(&loaded.layers, style, out)?;
                    Ok(FINE)
                }
                Err(error) => refuse(&error, err),
            }
        }
        ConfigVerb::Import { file } => import(file, &sources.current_dir, out, err),
    }
}

fn check(loaded: Result<Loaded, SettingsError>, out: &mut impl Write) -> io::Result<u8> {
    match loaded.and_then(|loaded| loaded.require_bank().map(|()| loaded)) {
        Ok(loaded) => {
            let (_, found) = Catalogue::load(loaded.settings.events.catalogue.as_deref());
            warn(&loaded.warnings, out)?;
            warn(&found.warnings, out)?;
            // The service starts without it. Whoever wrote a catalogue for us wants to know; an events_config.json that
            // merely lies there may be one that nobody reads any more.
            if loaded.pytes_serial.is_some() {
                warn(&found.mistakes, out)?;
            } else if !found.mistakes.is_empty() {
                writeln!(out, "mistakes in the catalogue of events:")?;
                found.mistakes.iter().try_for_each(|mistake| writeln!(out, "- {mistake}"))?;
                return Ok(WRONG_SETTINGS);
            }
            warn(&legacy_table::warnings(&loaded.settings.database), out)?;
            let source =
                loaded.file.as_deref().map_or("the environment".into(), |file| file.display().to_string());
            let banks: Vec<_> = loaded.settings.banks.iter().map(|bank| bank.name.as_str()).collect();
            writeln!(out, "{source}: configuration OK (banks: {})", banks.join(", "))?;
            differences::write(&loaded, out)?;
            Ok(FINE)
        }
        Err(error) => refuse(&error, out),
    }
}

fn import(file: &Path, current_dir: &Path, out: &mut impl Write, err: &mut impl Write) -> io::Result<u8> {
    if let Ok(text) = std::fs::read_to_string(current_dir.join(file))
        && !is_its_file(file, &text)
    {
        writeln!(err, "{}: expected a pytes_serial.cfg, found another file", file.display())?;
        return Ok(WRONG_SETTINGS);
    }
    match load(&Sources::only(file.to_owned(), current_dir.to_owned())) {
        Ok(loaded) => {
            warn(&loaded.warnings, err)?;
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            writeln!(out, "# From {}. What is not here keeps its default.", printable(&name))?;
            if let Some(said) = loaded.settings.banks.first().and_then(|bank| bank.expected) {
                writeln!(out, "# {}", expectation(said))?;
            }
            render::toml(&loaded.layers, Style::Given, out)?;
            Ok(FINE)
        }
        Err(error) => refuse(&error, err),
    }
}

fn expectation(said: Expected) -> String {
    let number = |number: Option<u8>| number.map_or("some".to_owned(), |number| number.to_string());
    let (batteries, cells) = (number(said.batteries), number(said.cells));
    format!("It spoke of {batteries} batteries of {cells} cells; here the console itself is asked.")
}

/// A comment ends where its line does.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

fn warn(warnings: &[String], to: &mut impl Write) -> io::Result<()> {
    warnings.iter().try_for_each(|warning| writeln!(to, "warning: {warning}"))
}

fn refuse(error: &SettingsError, to: &mut impl Write) -> io::Result<u8> {
    writeln!(to, "{error}")?;
    Ok(WRONG_SETTINGS)
}
