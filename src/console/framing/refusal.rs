//! What a console says when it will not answer (protocol, section 10).

use std::fmt;

use serde::Serialize;

/// Why the console refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The command does not exist in this mode or firmware.
    UnknownCommand,
    /// The argument is wrong for this firmware.
    InvalidCommand,
    /// No battery at that index.
    NotPresent,
    /// It tried and failed; says no more.
    Failed,
    /// This firmware does not have it.
    NotSupported,
}

/// How each refusal begins. The misspellings are the consoles' own.
const BEGINNINGS: &[(Refusal, &str, &str)] = &[
    (Refusal::UnknownCommand, "Unknown command", "the console does not know the command"),
    (Refusal::InvalidCommand, "Invalid command", "the console does not take this argument"),
    (Refusal::NotPresent, "Target device is not present", "the console says that no battery is there"),
    (Refusal::Failed, "Command completed unccessfully", "the console says that the command failed"),
    (Refusal::Failed, "Command completed unsuccessfully", "the console says that the command failed"),
    (Refusal::Failed, "Command failed", "the console says that the command failed"),
    (
        Refusal::NotSupported,
        "This version do not support this command",
        "this firmware does not have the command",
    ),
];

impl Refusal {
    /// The refusal that `line` is, if it is one.
    #[must_use]
    pub fn in_line(line: &str) -> Option<Self> {
        BEGINNINGS.iter().find(|(_, beginning, _)| line.starts_with(beginning)).map(|(refusal, ..)| *refusal)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words =
            BEGINNINGS.iter().find(|(refusal, ..)| refusal == self).map_or("refused", |(.., words)| words);
        f.write_str(words)
    }
}
