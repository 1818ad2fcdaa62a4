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
    ExpectedCounts, LoadedSettings, SettingsError, Sources, is_pytes_serial_file, load,
    render::{self, RenderStyle},
};

const SUCCESS: u8 = 0;
/// Exit status for which systemd does not restart the service.
const INVALID_CONFIG: u8 = 78;

#[derive(Clone, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Report all configuration errors with file and line, and all differences from pytes_serial
    #[command(after_help = "Examples:\n  bankwatch config check --config /etc/bankwatch/bankwatch.toml\n  \
        bankwatch config check --config pytes_serial.cfg")]
    Check {
        /// Configuration file [default: ./bankwatch.toml, then /etc/bankwatch/bankwatch.toml]
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Print the effective configuration as TOML, with secrets hidden
    #[command(after_help = "Example:\n  bankwatch config show --origin")]
    Show {
        /// Configuration file [default: ./bankwatch.toml, then /etc/bankwatch/bankwatch.toml]
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Show where each value comes from
        #[arg(long)]
        origin: bool,
    },
    /// Convert a pytes_serial.cfg to TOML and print it, including passwords
    #[command(after_help = "Example:\n  bankwatch config import pytes_serial.cfg > bankwatch.toml")]
    Import {
        /// The pytes_serial.cfg to convert
        file: PathBuf,
    },
}

/// Runs the command. Writes the result to `out`, and warnings or errors of `show` and `import` to `err`. Returns the
/// exit status.
///
/// # Errors
/// Returns errors of writing.
pub fn run(
    verb: &ConfigCommand,
    sources: Sources,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<u8> {
    let named = |config: &Option<PathBuf>| {
        let config = config.clone().or(sources.config.clone());
        load(&Sources { config, ..sources.clone() })
    };
    match verb {
        ConfigCommand::Check { config } => check(named(config), out),
        ConfigCommand::Show { config, origin } => {
            let style = if *origin { RenderStyle::WithOrigins } else { RenderStyle::Effective };
            match named(config) {
                Ok(loaded) => {
                    warn(&loaded.warnings, err)?;
                    render::toml(&loaded.layers, style, out)?;
                    Ok(SUCCESS)
                }
                Err(error) => write_error(&error, err),
            }
        }
        ConfigCommand::Import { file } => import(file, &sources.current_dir, out, err),
    }
}

fn check(loaded: Result<LoadedSettings, SettingsError>, out: &mut impl Write) -> io::Result<u8> {
    match loaded.and_then(|loaded| loaded.require_bank().map(|()| loaded)) {
        Ok(loaded) => {
            let (_, found) = Catalogue::load(loaded.settings.events.catalogue.as_deref());
            warn(&loaded.warnings, out)?;
            warn(&found.warnings, out)?;
            // The service starts without it. A catalogue named in the configuration is meant to be used, so its errors
            // fail the check; an events_config.json next to a pytes_serial.cfg may be obsolete.
            if loaded.pytes_serial.is_some() {
                warn(&found.mistakes, out)?;
            } else if !found.mistakes.is_empty() {
                writeln!(out, "errors in the event catalogue:")?;
                found.mistakes.iter().try_for_each(|mistake| writeln!(out, "- {mistake}"))?;
                return Ok(INVALID_CONFIG);
            }
            warn(&legacy_table::warnings(&loaded.settings.database), out)?;
            let source =
                loaded.file.as_deref().map_or("the environment".into(), |file| file.display().to_string());
            let banks: Vec<_> = loaded.settings.banks.iter().map(|bank| bank.name.as_str()).collect();
            writeln!(out, "{source}: configuration OK (banks: {})", banks.join(", "))?;
            differences::write(&loaded, out)?;
            Ok(SUCCESS)
        }
        Err(error) => write_error(&error, out),
    }
}

fn import(file: &Path, current_dir: &Path, out: &mut impl Write, err: &mut impl Write) -> io::Result<u8> {
    if let Ok(text) = std::fs::read_to_string(current_dir.join(file))
        && !is_pytes_serial_file(file, &text)
    {
        writeln!(err, "{}: expected a pytes_serial.cfg, found another file", file.display())?;
        return Ok(INVALID_CONFIG);
    }
    match load(&Sources::only(file.to_owned(), current_dir.to_owned())) {
        Ok(loaded) => {
            warn(&loaded.warnings, err)?;
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            writeln!(
                out,
                "# Converted from {}. Keys that are missing have their defaults.",
                printable(&name)
            )?;
            if let Some(expected) = loaded.settings.banks.first().and_then(|bank| bank.expected) {
                writeln!(out, "# {}", expectation(expected))?;
            }
            render::toml(&loaded.layers, RenderStyle::Explicit, out)?;
            Ok(SUCCESS)
        }
        Err(error) => write_error(&error, err),
    }
}

fn expectation(expected: ExpectedCounts) -> String {
    let number = |number: Option<u8>| number.map_or("some".to_owned(), |number| number.to_string());
    let (batteries, cells) = (number(expected.batteries), number(expected.cells));
    format!(
        "It specified {batteries} batteries with {cells} cells; bankwatch reads these numbers from the console."
    )
}

/// Removes control characters, which could end a comment.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

fn warn(warnings: &[String], to: &mut impl Write) -> io::Result<()> {
    warnings.iter().try_for_each(|warning| writeln!(to, "warning: {warning}"))
}

fn write_error(error: &SettingsError, to: &mut impl Write) -> io::Result<u8> {
    writeln!(to, "{error}")?;
    Ok(INVALID_CONFIG)
}
