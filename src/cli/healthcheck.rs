//! `bankwatch healthcheck`: whether the running service reads its banks, for containers.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;

use crate::cli::exit::Exit;
use crate::cli::legacy_table;
use crate::cli::service::ServiceArguments;
use crate::outage::HumanDuration;
use crate::status::Status;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bankwatch healthcheck\n  bankwatch healthcheck --config /etc/bankwatch/bankwatch.toml"
)]
pub(crate) struct HealthcheckArguments {
    #[command(flatten)]
    service: ServiceArguments,
}

/// A bank is offline when nothing came for so many of its intervals.
const MOST_INTERVALS: u32 = 3;
/// A sweep of many batteries takes longer than a short interval.
const LEAST: Duration = Duration::from_secs(30);

/// Looks at the latest status file of each bank. Exit code 1 where one is missing or old.
///
/// # Errors
/// The output is closed.
pub(crate) fn healthcheck(arguments: &HealthcheckArguments) -> anyhow::Result<Exit> {
    let settings = match arguments.service.load() {
        Ok(loaded) => loaded.settings,
        Err(error) => {
            // A container knows well and ill alone.
            writeln!(io::stderr(), "{error}")?;
            return Ok(Exit::Failure);
        }
    };
    let mut out = io::stdout().lock();
    if !settings.json_file.enabled {
        writeln!(out, "the status file is switched off ([json_file] enabled = false): nothing to look at")?;
        return Ok(Exit::Failure);
    }
    let mut exit = Exit::Success;
    for bank in &settings.banks {
        let file = settings.json_file.of(&bank.name);
        let most = LEAST.max(MOST_INTERVALS * bank.interval);
        match ill(&file, Timestamp::now(), most) {
            None => writeln!(out, "{}: well", bank.name)?,
            Some(why) => {
                exit = Exit::Failure;
                writeln!(out, "{}: {why}", bank.name)?;
            }
        }
    }
    // It is named and no reason to restart: nobody but its owner can do something about it.
    if let Some(refusal) = legacy_table::refusal(&settings.database) {
        writeln!(out, "{refusal}")?;
    }
    Ok(exit)
}

/// What is wrong with a bank's file, if anything is.
fn ill(file: &Path, now: Timestamp, most: Duration) -> Option<String> {
    let text = match std::fs::read(file) {
        Ok(text) => text,
        Err(error) => return Some(format!("{} can't be read: {error}", file.display())),
    };
    let taken = serde_json::from_slice::<Status>(&text).ok().and_then(|status| status.taken_at.parse().ok());
    let Some(taken): Option<Timestamp> = taken else {
        return Some(format!("{} is no status file of this version", file.display()));
    };
    // A clock that was set back makes no reading old.
    let age = Duration::try_from(now.duration_since(taken)).unwrap_or_default();
    (age > most).then(|| format!("the latest reading is {} old", HumanDuration(age)))
}
