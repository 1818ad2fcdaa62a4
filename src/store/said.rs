//! What an operator reads of the history: one notice, one line.

use std::time::Duration;

use jiff::Timestamp;
use slog::{Logger, info, warn};

use super::clock_gate::ClockNews;
use super::journal::{Grave, Notice};
use crate::trouble::{Say, Took, Why};

/// The name of the database among the outputs.
pub const DATABASE: &str = "db";
/// The name of the journal among them.
pub const JOURNAL: &str = "journal";

/// Something takes nothing: told on change and ever more rarely.
pub fn away(log: &Logger, output: &str, say: &Say, reason: &str, target: &str) {
    match say.why {
        Why::Still => warn!(log, "output still away"; "output" => output, "since" => Took(say.since),
            "tries" => say.count, "reason" => reason, "target" => target),
        Why::Begun | Why::Changed => {
            warn!(log, "output away"; "output" => output, "reason" => reason, "target" => target);
        }
    }
}

/// It takes rows again.
pub fn back(log: &Logger, output: &str, outage: Duration) {
    info!(log, "output back"; "output" => output, "outage" => Took(outage));
}

/// What the clock did.
pub fn clock(log: &Logger, news: ClockNews) {
    let seconds = |ms: i64| format!("{:+.3}s", ms as f64 / 1000.0);
    match news {
        ClockNews::Unset => warn!(log, "clock not set"; "history" => "waits"),
        ClockNews::Set { by_ms } => info!(log, "clock set"; "by" => seconds(by_ms)),
        ClockNews::Jumped { by_ms } => warn!(log, "clock jumped"; "by" => seconds(by_ms)),
    }
}

/// A line for a notice of the journal or of the drain to `target`.
pub fn notice(log: &Logger, notice: &Notice, target: &str) {
    let time = |ms: i64| Timestamp::from_millisecond(ms).map(|at| at.to_string()).unwrap_or_default();
    match notice {
        Notice::DiskAway { say, reason } => away(log, JOURNAL, say, reason, "rows wait in memory"),
        Notice::DiskBack(recovered) => back(log, JOURNAL, recovered.outage),
        Notice::SetAside { to, reason } => {
            warn!(log, "journal set aside"; "to" => to.display().to_string(), "reason" => reason);
        }
        Notice::Lost { loss, say } => {
            warn!(log, "history lost"; "rows" => loss.rows, "from" => time(loss.from_ms),
            "to" => time(loss.to_ms), "reason" => loss.why.words(), "since" => Took(say.since))
        }
        Notice::SinkAway { say, reason } => away(log, DATABASE, say, reason, target),
        Notice::SinkBack(recovered) => back(log, DATABASE, recovered.outage),
        Notice::Buried(buried) => {
            let kept = match buried.grave {
                Grave::Database => "dead_letter of the database",
                Grave::Journal => "dead_letter of the journal",
                Grave::None => "nowhere",
            };
            warn!(log, "row refused"; "kind" => &buried.kind, "bank" => &buried.bank,
                "taken_at" => time(buried.taken_at_ms), "reason" => &buried.reason, "kept" => kept);
        }
    }
}
