//! What an operator reads of the history: one notice, one line.

use jiff::Timestamp;
use slog::{Logger, info, warn};

use super::clock_gate::ClockNews;
use super::journal::{Grave, Notice};
use crate::trouble::Took;

/// The name of the database among the outputs.
pub const DATABASE: &str = "db";
/// The name of the journal among them.
pub const JOURNAL: &str = "journal";

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
        Notice::DiskAway { say, reason } => say.tell_away(log, JOURNAL, reason, "rows wait in memory"),
        Notice::DiskBack(recovered) => recovered.tell_back(log, JOURNAL),
        Notice::SetAside { to, reason } => {
            warn!(log, "journal set aside"; "to" => to.display().to_string(), "reason" => reason);
        }
        Notice::HistoryBegun { reason } => {
            warn!(log, "history file replaced"; "reason" => reason, "target" => target);
        }
        Notice::Lost { loss, say } => {
            warn!(log, "history lost"; "rows" => loss.rows, "from" => time(loss.from_ms),
            "to" => time(loss.to_ms), "reason" => loss.why.words(), "since" => Took(say.since))
        }
        Notice::SinkAway { say, reason } => say.tell_away(log, DATABASE, reason, target),
        Notice::SinkBack(recovered) => recovered.tell_back(log, DATABASE),
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
