//! The console's error messages (protocol, section 10).

use std::fmt;

use serde::Serialize;

/// Why the console refused a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandRefusal {
    /// The command does not exist in this mode or firmware.
    UnknownCommand,
    /// The argument is not accepted by this firmware.
    InvalidCommand,
    /// There is no battery at that index.
    NotPresent,
    /// Failed, without a reason.
    Failed,
    NotSupported,
}

/// The beginning of each message, and its description. The misspellings are the consoles' own.
const MESSAGES: &[(CommandRefusal, &str, &str)] = &[
    (CommandRefusal::UnknownCommand, "Unknown command", "the console does not know the command"),
    (CommandRefusal::InvalidCommand, "Invalid command", "the console does not accept this argument"),
    (
        CommandRefusal::NotPresent,
        "Target device is not present",
        "the console reports that no battery is present",
    ),
    (CommandRefusal::Failed, "Command completed unccessfully", "the console reports that the command failed"),
    (
        CommandRefusal::Failed,
        "Command completed unsuccessfully",
        "the console reports that the command failed",
    ),
    (CommandRefusal::Failed, "Command failed", "the console reports that the command failed"),
    (
        CommandRefusal::NotSupported,
        "This version do not support this command",
        "this firmware does not support the command",
    ),
];

impl CommandRefusal {
    /// The error message in `line`, if it is one.
    pub fn in_line(line: &str) -> Option<Self> {
        MESSAGES.iter().find(|(_, beginning, _)| line.starts_with(beginning)).map(|(refusal, ..)| *refusal)
    }
}

impl fmt::Display for CommandRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = MESSAGES.iter().find(|(refusal, ..)| refusal == self);
        f.write_str(message.map_or("refused", |(.., description)| description))
    }
}
