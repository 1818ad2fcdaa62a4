//! `bankwatch healthcheck`: checks that the running service reads its banks, for container engines.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;

use crate::cli::exit::Exit;
use crate::cli::legacy_table;
use crate::cli::service::ServiceArguments;
use crate::outage::HumanDuration;
use crate::status::StatusDocument;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bankwatch healthcheck\n  bankwatch healthcheck --config /etc/bankwatch/bankwatch.toml"
)]
pub(crate) struct HealthcheckArguments {
    #[command(flatten)]
    service: ServiceArguments,
}

/// A reading that is older than this many intervals is out of date.
const STALE_INTERVALS: u32 = 3;
/// The shortest age that counts as out of date, because a sweep of many batteries may take longer than its interval.
const MIN_STALE_AGE: Duration = Duration::from_secs(30);

/// Checks the age of the status file of each bank. Returns [`Exit::Failure`] if one is missing or out of date.
///
/// # Errors
/// Returns an error if the output is closed.
pub(crate) fn healthcheck(arguments: &HealthcheckArguments) -> anyhow::Result<Exit> {
    let settings = match arguments.service.load() {
        Ok(loaded) => loaded.settings,
        Err(error) => {
            // A container engine knows only 0 and 1.
            writeln!(io::stderr(), "{error}")?;
            return Ok(Exit::Failure);
        }
    };
    let mut out = io::stdout().lock();
    if !settings.json_file.enabled {
        writeln!(
            out,
            "the status file is disabled ([json_file] enabled = false), so health can't be checked"
        )?;
        return Ok(Exit::Failure);
    }
    let mut exit = Exit::Success;
    for bank in &settings.banks {
        let file = settings.json_file.path_for(&bank.name);
        let most = MIN_STALE_AGE.max(STALE_INTERVALS * bank.interval);
        match problem(&file, Timestamp::now(), most) {
            None => writeln!(out, "{}: OK", bank.name)?,
            Some(why) => {
                exit = Exit::Failure;
                writeln!(out, "{}: {why}", bank.name)?;
            }
        }
    }
    // It is reported but does not affect the status: a restart would not help.
    if let Some(refusal) = legacy_table::refusal(&settings.database) {
        writeln!(out, "{refusal}")?;
    }
    Ok(exit)
}

/// Why the status file of a bank is not OK, if it is not.
fn problem(file: &Path, now: Timestamp, most: Duration) -> Option<String> {
    let text = match std::fs::read(file) {
        Ok(text) => text,
        Err(error) => return Some(format!("{} can't be read: {error}", file.display())),
    };
    let taken =
        serde_json::from_slice::<StatusDocument>(&text).ok().and_then(|status| status.taken_at.parse().ok());
    let Some(taken): Option<Timestamp> = taken else {
        return Some(format!("{} is not a status file of this version", file.display()));
    };
    // If the clock was set back, the age is negative and counts as 0.
    let age = Duration::try_from(now.duration_since(taken)).unwrap_or_default();
    (age > most).then(|| format!("the latest reading is {} old", HumanDuration(age)))
}
