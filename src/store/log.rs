//! The log lines of the store: one line per notice.

use jiff::Timestamp;
use slog::{Logger, info, warn};

use crate::outage::{HumanDuration, NoticeKind, OutageNotice, Recovery};
use crate::store::clock_gate::ClockChange;
use crate::store::journal::notice::{DeadLetterTable, StoreNotice};
use crate::store::mariadb::{LegacyRefusal, SkippedSweep};

/// The name of the database among the outputs.
pub(crate) const DATABASE: &str = "db";
/// The name of the journal among the outputs.
pub(crate) const JOURNAL: &str = "journal";

pub(crate) fn clock(log: &Logger, change: ClockChange) {
    let seconds = |ms: i64| format!("{:+.3}s", ms as f64 / 1000.0);
    match change {
        ClockChange::Unset => warn!(log, "clock not set"; "history" => "waits"),
        ClockChange::Set { by_ms } => info!(log, "clock set"; "by" => seconds(by_ms)),
        ClockChange::Jumped { by_ms } => warn!(log, "clock jumped"; "by" => seconds(by_ms)),
    }
}

/// Logs a notice of the journal, or of the drain to `target`.
pub(crate) fn notice(log: &Logger, notice: &StoreNotice, target: &str) {
    match notice {
        StoreNotice::DiskDown { outage, reason } => {
            outage.log_down(log, JOURNAL, reason, "rows wait in memory");
        }
        StoreNotice::DiskRecovered(recovery) => recovery.log_recovered(log, JOURNAL),
        StoreNotice::JournalMoved { to, reason } => {
            warn!(log, "journal corrupt, moved aside"; "to" => to.display().to_string(), "reason" => reason);
        }
        StoreNotice::HistoryReplaced { reason } => {
            warn!(log, "history file replaced"; "reason" => reason, "target" => target);
        }
        StoreNotice::RowsLost { loss, outage } => {
            warn!(log, "history lost"; "rows" => loss.rows, "from" => time(loss.from_ms),
            "to" => time(loss.to_ms), "reason" => loss.reason.as_str(), "since" => HumanDuration(outage.lasted))
        }
        StoreNotice::DatabaseDown { outage, reason } => outage.log_down(log, DATABASE, reason, target),
        StoreNotice::DatabaseRecovered(recovery) => recovery.log_recovered(log, DATABASE),
        StoreNotice::DeadLettered(letter) => {
            let dead_letter = match letter.table {
                DeadLetterTable::Database => "database",
                DeadLetterTable::Journal => "journal",
                DeadLetterTable::None => "none",
            };
            warn!(log, "record rejected"; "kind" => &letter.kind, "bank" => &letter.bank,
                "taken_at" => time(letter.taken_at_ms), "reason" => &letter.reason, "dead_letter" => dead_letter);
        }
    }
}

/// `pwr_data` accepts no rows; `expired` sweeps were dropped with their own readings.
pub(crate) fn legacy_refused(log: &Logger, notice: &OutageNotice, refusal: &LegacyRefusal, expired: usize) {
    match notice.kind {
        NoticeKind::Reminder => {
            warn!(log, "legacy table still refused"; "table" => "pwr_data", "since" => HumanDuration(notice.lasted),
            "tries" => notice.failures, "forgotten" => expired, "reason" => &refusal.reason,
            "remedy" => &refusal.remedy)
        }
        NoticeKind::Started | NoticeKind::NewReason => {
            warn!(log, "legacy table refused"; "table" => "pwr_data",
            "reason" => &refusal.reason, "remedy" => &refusal.remedy)
        }
    }
}

pub(crate) fn legacy_accepted(log: &Logger, recovery: &Recovery, expired: usize) {
    info!(log, "legacy table accepted again"; "table" => "pwr_data", "outage" => HumanDuration(recovery.lasted),
        "forgotten" => expired);
}

/// A sweep that `pwr_data` rejects although it accepts others.
pub(crate) fn legacy_left_out(log: &Logger, sweep: &SkippedSweep, count: u64) {
    warn!(log, "legacy sweep left out"; "bank" => &sweep.bank, "taken_at" => time(sweep.taken_at_ms), "count" => count,
        "reason" => &sweep.refusal.reason, "remedy" => &sweep.refusal.remedy);
}

/// Rows without a value for a column that is `NOT NULL`.
pub(crate) fn legacy_unreported(log: &Logger, column: &str, sql_type: &str) {
    warn!(log, "legacy rows left out"; "table" => "pwr_data",
        "reason" => format!("column {column:?} is NOT NULL, and a battery did not report a value for it"),
        "remedy" => format!("ALTER TABLE pwr_data MODIFY `{column}` {sql_type} NULL"));
}

fn time(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map(|at| at.to_string()).unwrap_or_default()
}
