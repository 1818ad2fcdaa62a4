//! Why the table accepts no rows, and what its owner can do about it.

use std::fmt;

use crate::store::error::StoreError;
use crate::store::mariadb::legacy::columns::COLUMNS;
use crate::store::mariadb::legacy::layout::{FoundColumn, LegacyLayout};
use crate::store::mariadb::server::DatabaseServer;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacyRefusal {
    pub reason: String,
    pub remedy: String,
    /// Whether another sweep may still be accepted.
    pub(crate) is_about_row: bool,
    /// Whether the connection is at fault: the server is down, or admits only one.
    pub is_connection: bool,
}

impl fmt::Display for LegacyRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.reason, self.remedy)
    }
}

/// What the refusal depends on in addition to the error.
pub(crate) struct RefusalContext<'a> {
    pub(crate) server: &'a DatabaseServer,
    /// The account as on the server: `pytes@%`.
    pub(crate) account: &'a str,
    pub(crate) layout: Option<&'a LegacyLayout>,
}

/// A message of the server, and what to do about it: `{column}`, `{name}` and `{type}` come from the error, `{account}`
/// and `{database}` from the connection.
struct ServerErrorPattern {
    /// Part of the server's message.
    words: &'static str,
    reason: &'static str,
    remedy: &'static str,
}

const fn known(words: &'static str, reason: &'static str, remedy: &'static str) -> ServerErrorPattern {
    ServerErrorPattern { words, reason, remedy }
}

const MODIFY: &str = "ALTER TABLE pwr_data MODIFY `{column}` {type}";

/// Also used if the column itself is out of range, or the last number occurs a second time.
const USED_UP: ServerErrorPattern = known(
    "Failed to read auto-increment",
    "the numbers of column \"{counter}\" are used up",
    "ALTER TABLE pwr_data MODIFY `{counter}` BIGINT NOT NULL AUTO_INCREMENT",
);

/// Tried in this order.
#[rustfmt::skip]
const KNOWN: &[ServerErrorPattern] = &[
    USED_UP,
    known("doesn't have a default value", "column \"{column}\" is NOT NULL and has no default", "{default}"),
    known("cannot be null", "{message}", MODIFY),
    known("Out of range value for column", "{message}", MODIFY),
    known("Data too long for column", "{message}", MODIFY),
    known("Data truncated for column", "{message}", MODIFY),
    known("Incorrect ", "{message}", MODIFY),
    known("Duplicate entry", "{message}", "ALTER TABLE pwr_data DROP INDEX `{name}`"),
    known("CONSTRAINT", "{message}", "ALTER TABLE pwr_data DROP CONSTRAINT `{name}`"),
    known("not insertable-into", "pwr_data is a view that accepts no rows", VIEW),
    known("not updatable", "pwr_data is a view that accepts no rows", VIEW),
    known("CREATE command denied", "pwr_data does not exist, or the account may not see it", "GRANT CREATE, INSERT ON `{database}`.`pwr_data` TO {account}"),
    known("denied", "{message}", "GRANT INSERT ON `{database}`.`pwr_data` TO {account}"),
    known("max_statement_time", "a row takes longer than 5s: a trigger, or a lock held by another session", "SHOW TRIGGERS LIKE 'pwr_data'; SHOW PROCESSLIST names other sessions"),
    known("read only", "{message}", "make the table writable"),
    known("marked as crashed", "{message}", "REPAIR TABLE pwr_data"),
    known("doesn't exist", "{message}", "the table is created again at the next attempt"),
];

const VIEW: &str = "RENAME TABLE pwr_data TO pwr_data_view; the service then creates the table";

/// Any other message: that of a trigger is its author's.
const UNKNOWN: ServerErrorPattern = known(
    "",
    "{message}",
    "a trigger or a constraint of the table may reject rows: SHOW CREATE TABLE pwr_data, SHOW TRIGGERS LIKE 'pwr_data'",
);

impl LegacyRefusal {
    /// About the table as a whole.
    pub(crate) fn of_table(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { reason: reason.into(), remedy: remedy.into(), is_about_row: false, is_connection: false }
    }

    /// The server did not respond in time.
    #[must_use]
    pub(crate) fn timed_out(reason: String) -> Self {
        Self { is_connection: true, ..Self::of_table(reason, "check the server") }
    }

    pub(crate) fn of(error: &StoreError, known: &RefusalContext<'_>) -> Self {
        match error {
            StoreError::Locked { .. } => Self::of_table(
                "another session holds a lock on pwr_data",
                "SHOW PROCESSLIST names it; rows wait until it is released",
            ),
            StoreError::Full { .. } => {
                Self::of_table("there is no space left for pwr_data", "make room on the server")
            }
            StoreError::Data { reason, .. }
            | StoreError::Failed { reason, .. }
            | StoreError::NoRight { reason, .. } => Self { is_about_row: true, ..explain(reason, known) },
            StoreError::ReadOnly { .. } => {
                Self::of_table("pwr_data or the server is read-only", "make the table writable")
            }
            _ => Self {
                is_connection: true,
                ..Self::of_table(
                    error.to_string(),
                    format!(
                        "pwr_data is written by a second connection: {} must admit two",
                        known.server.name()
                    ),
                )
            },
        }
    }

    /// A column that we do not write, but that is `NOT NULL`.
    pub(crate) fn demanded(column: &FoundColumn) -> Self {
        let reason = format!("column \"{}\" is NOT NULL and has no default", column.name);
        Self::of_table(reason, default_for(column))
    }
}

/// Finds the reason and the remedy for the server's message.
fn explain(message: &str, known: &RefusalContext<'_>) -> LegacyRefusal {
    let column = named_column(message);
    let counter = known.layout.and_then(|layout| layout.found.iter().find(|found| found.is_number_of_row()));
    let is_counter = |name: &str| counter.is_some_and(|counter| counter.is(name));
    let is_used_up = (message.contains("Out of range") && column.is_some_and(is_counter))
        || (message.contains("Duplicate entry") && is_primary(message) && counter.is_some());
    let found = KNOWN.iter().find(|known| message.contains(known.words)).unwrap_or(&UNKNOWN);
    let ServerErrorPattern { reason, remedy, .. } = if is_used_up { &USED_UP } else { found };
    let there = column.and_then(|name| known.layout?.column(name));
    let ours = column.and_then(|name| COLUMNS.iter().find(|ours| ours.name.eq_ignore_ascii_case(name)));
    let sql_type = ours.map(|ours| ours.sql_type).or(there.map(|there| &*there.sql_type)).unwrap_or("…");
    let filled = |text: &str| {
        text.replace("{message}", message)
            .replace("{column}", column.unwrap_or("…"))
            .replace("{counter}", counter.map_or("id", |counter| &counter.name))
            .replace("{default}", &there.map_or_else(|| "give the column a default".to_owned(), default_for))
            .replace("{name}", named_key(message).unwrap_or("…"))
            .replace("{type}", sql_type)
            .replace("{account}", &quoted(known.account))
            .replace("{database}", &known.server.database)
    };
    LegacyRefusal::of_table(filled(reason), filled(remedy))
}

/// The statement that gives a column a default, or makes it nullable.
fn default_for(column: &FoundColumn) -> String {
    let sql_type = column.sql_type.to_ascii_lowercase();
    let begins_with = |kinds: &[&str]| kinds.iter().any(|kind| sql_type.starts_with(kind));
    let default = if begins_with(&["char", "varchar"]) {
        "''"
    } else if begins_with(&[
        "tinyint",
        "smallint",
        "mediumint",
        "int",
        "bigint",
        "decimal",
        "float",
        "double",
    ]) {
        "0"
    } else {
        return format!("ALTER TABLE pwr_data MODIFY `{}` {} NULL", column.name, column.sql_type);
    };
    format!("ALTER TABLE pwr_data ALTER `{}` SET DEFAULT {default}", column.name)
}

/// `pytes@%` as in a statement.
fn quoted(account: &str) -> String {
    let (user, host) = account.rsplit_once('@').unwrap_or((account, "%"));
    format!("'{user}'@'{host}'")
}

/// The column that a message is about: `Field 'x' …`, `… column 'x' …`, `Column 'x' …`, `… column `d`.`t`.`x` …`.
fn named_column(message: &str) -> Option<&str> {
    let (_, after) = ["Field ", "olumn "].iter().find_map(|word| message.split_once(word))?;
    let name = after.split([' ', ';']).next()?;
    name.rsplit('.').next().map(|name| name.trim_matches(['\'', '`']))
}

/// The key or the constraint that a message is about.
fn named_key(message: &str) -> Option<&str> {
    let (_, after) = ["for key ", "CONSTRAINT "].iter().find_map(|word| message.split_once(word))?;
    let name = after.split(' ').next()?;
    name.rsplit('.').next().map(|name| name.trim_matches(['\'', '`']))
}

fn is_primary(message: &str) -> bool {
    named_key(message) == Some("PRIMARY")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_and_keys_are_found_in_messages_of_both_servers() {
        for (message, column) in [
            ("Field 'note' doesn't have a default value", Some("note")),
            ("Out of range value for column 'soc' at row 1", Some("soc")),
            ("Column 'power' cannot be null", Some("power")),
            ("Incorrect integer value: 'x' for column `d`.`pwr_data`.`soc` at row 1", Some("soc")),
            ("no thanks", None),
        ] {
            assert_eq!(named_column(message), column, "{message}");
        }
        assert_eq!(named_key("Duplicate entry '1' for key 'pwr_data.rt'"), Some("rt"));
        assert_eq!(named_key("CONSTRAINT `low` failed for `d`.`pwr_data`"), Some("low"));
        assert!(is_primary("Duplicate entry '127' for key 'PRIMARY'"));
        assert_eq!(quoted("pytes@%"), "'pytes'@'%'");
    }
}
