//! What an operator reads of the history: one notice, one line.

use jiff::Timestamp;
use slog::{Logger, info, warn};

use super::clock_gate::ClockNews;
use super::journal::{Grave, Notice};
use super::{LeftOut, LegacyRefusal};
use crate::outage::{HumanDuration, NoticeKind, OutageNotice, Recovery};

/// The name of the database among the outputs.
pub(crate) const DATABASE: &str = "db";
/// The name of the journal among them.
pub(crate) const JOURNAL: &str = "journal";

/// What the clock did.
pub(crate) fn clock(log: &Logger, news: ClockNews) {
    let seconds = |ms: i64| format!("{:+.3}s", ms as f64 / 1000.0);
    match news {
        ClockNews::Unset => warn!(log, "clock not set"; "history" => "waits"),
        ClockNews::Set { by_ms } => info!(log, "clock set"; "by" => seconds(by_ms)),
        ClockNews::Jumped { by_ms } => warn!(log, "clock jumped"; "by" => seconds(by_ms)),
    }
}

/// A line for a notice of the journal or of the drain to `target`.
pub(crate) fn notice(log: &Logger, notice: &Notice, target: &str) {
    let time = |ms: i64| Timestamp::from_millisecond(ms).map(|at| at.to_string()).unwrap_or_default();
    match notice {
        Notice::DiskAway { say, reason } => say.log_down(log, JOURNAL, reason, "rows wait in memory"),
        Notice::DiskBack(recovered) => recovered.log_recovered(log, JOURNAL),
        Notice::SetAside { to, reason } => {
            warn!(log, "journal set aside"; "to" => to.display().to_string(), "reason" => reason);
        }
        Notice::HistoryBegun { reason } => {
            warn!(log, "history file replaced"; "reason" => reason, "target" => target);
        }
        Notice::Lost { loss, say } => {
            warn!(log, "history lost"; "rows" => loss.rows, "from" => time(loss.from_ms),
            "to" => time(loss.to_ms), "reason" => loss.why.words(), "since" => HumanDuration(say.lasted))
        }
        Notice::SinkAway { say, reason } => say.log_down(log, DATABASE, reason, target),
        Notice::SinkBack(recovered) => recovered.log_recovered(log, DATABASE),
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

/// `pwr_data` takes no rows; so many sweeps were given up with their own readings.
pub(crate) fn legacy_refused(log: &Logger, say: &OutageNotice, refusal: &LegacyRefusal, forgotten: usize) {
    match say.kind {
        NoticeKind::Reminder => {
            warn!(log, "legacy table still refused"; "table" => "pwr_data", "since" => HumanDuration(say.lasted),
            "tries" => say.failures, "forgotten" => forgotten, "reason" => &refusal.reason, "remedy" => &refusal.remedy)
        }
        NoticeKind::Started | NoticeKind::NewReason => {
            warn!(log, "legacy table refused"; "table" => "pwr_data",
            "reason" => &refusal.reason, "remedy" => &refusal.remedy)
        }
    }
}

/// It takes rows again.
pub(crate) fn legacy_accepted(log: &Logger, recovered: &Recovery, forgotten: usize) {
    info!(log, "legacy table accepted again"; "table" => "pwr_data", "outage" => HumanDuration(recovered.lasted),
        "forgotten" => forgotten);
}

/// Sweeps that it does not take although it takes others.
pub(crate) fn legacy_left_out(log: &Logger, sweep: &LeftOut, count: u64) {
    let at = Timestamp::from_millisecond(sweep.taken_at_ms).map(|at| at.to_string()).unwrap_or_default();
    warn!(log, "legacy sweep left out"; "bank" => &sweep.bank, "taken_at" => at, "count" => count,
        "reason" => &sweep.refusal.reason, "remedy" => &sweep.refusal.remedy);
}

/// Rows that lack a value which the table demands.
pub(crate) fn legacy_unreported(log: &Logger, column: &str, sql_type: &str) {
    warn!(log, "legacy rows left out"; "table" => "pwr_data",
        "reason" => format!("column {column:?} is NOT NULL, and a battery did not report a value for it"),
        "remedy" => format!("ALTER TABLE pwr_data MODIFY `{column}` {sql_type} NULL"));
}
