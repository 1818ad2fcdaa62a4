//! The commands that can be sent to a console: a closed list, and all of them only read.
//!
//! Commands that change a battery (`shut`, `trst`, `time` with arguments, `config`, `login` …) cannot be represented by
//! [`Command`], so no code can send them.

use std::fmt;
use std::str::FromStr;

use crate::model::place::Place;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Command {
    pub name: CommandName,
    /// A place (or, for `data event` and `data history`, an item); `None` for the group or the connected battery.
    pub index: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CommandName {
    /// The table of the group, or with an index the details of one battery.
    Pwr,
    /// The cells of a battery.
    Bat,
    /// Model, firmware, barcode.
    Info,
    /// Lifetime counters.
    Stat,
    /// Cells once flagged abnormal.
    Soh,
    /// The battery's clock.
    Time,
    /// The battery's own log.
    Log,
    /// The newest or a numbered snapshot of the event memory.
    DataEvent,
    /// The newest or a numbered snapshot of the history, which the battery records at intervals.
    DataHistory,
    /// Modules of a high-voltage stack.
    Unit,
    /// The commands that the console knows.
    Help,
    /// Lifetime values of the connected battery; sent only if `help` lists it.
    Euro,
}

/// Every name as it goes over the wire, and whether it may carry an index.
const COMMANDS: &[(CommandName, &str, bool)] = &[
    (CommandName::Pwr, "pwr", true),
    (CommandName::Bat, "bat", true),
    (CommandName::Info, "info", true),
    (CommandName::Stat, "stat", true),
    (CommandName::Soh, "soh", true),
    (CommandName::Time, "time", false), // `time` with arguments sets the clock
    (CommandName::Log, "log", false),
    (CommandName::DataEvent, "data event", true),
    (CommandName::DataHistory, "data history", true),
    (CommandName::Unit, "unit", false),
    (CommandName::Help, "help", false),
    (CommandName::Euro, "euro", false), // `eurostub` writes
];

impl CommandName {
    fn entry(self) -> &'static (CommandName, &'static str, bool) {
        &COMMANDS[self as usize]
    }

    /// The text on the wire.
    pub(crate) fn text(self) -> &'static str {
        self.entry().1
    }

    pub(crate) fn all() -> impl Iterator<Item = Self> {
        COMMANDS.iter().map(|(name, ..)| *name)
    }

    /// The command without an index.
    #[must_use]
    pub const fn bare(self) -> Command {
        Command { name: self, index: None }
    }

    /// The command for the battery at `place`.
    #[must_use]
    pub fn for_place(self, place: Place) -> Command {
        Command { name: self, index: self.entry().2.then(|| u16::from(place.number())) }
    }
}

impl Command {
    /// The battery that the command names, if any.
    #[must_use]
    pub fn place(self) -> Option<Place> {
        if matches!(self.name, CommandName::DataEvent | CommandName::DataHistory) {
            return None; // its index is an item of the memory
        }
        self.index.and_then(|index| u8::try_from(index).ok()).and_then(Place::new)
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, text, indexed) = self.name.entry();
        f.write_str(text)?;
        // Enforced here as well as in `FromStr`: `time` with a number would set the clock.
        self.index.filter(|_| *indexed).map_or(Ok(()), |index| write!(f, " {index}"))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected one of {}, each with its number where it takes one, found {found:?}", known_names())]
pub struct UnknownCommand {
    pub(crate) found: String,
}

fn known_names() -> String {
    let names: Vec<&str> = COMMANDS.iter().map(|(_, text, _)| *text).collect();
    names.join(", ")
}

impl FromStr for Command {
    type Err = UnknownCommand;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let unknown = || UnknownCommand { found: text.chars().take(40).collect() };
        for &(name, wire_text, indexed) in COMMANDS {
            let Some(rest) = text.strip_prefix(wire_text) else { continue };
            if rest.is_empty() {
                return Ok(name.bare());
            }
            if let (true, Some(number)) = (indexed, rest.strip_prefix(' ')) {
                let digits = Some(number.trim()).filter(|number| number.bytes().all(|b| b.is_ascii_digit()));
                let index = digits.and_then(|digits| digits.parse().ok()).ok_or_else(unknown)?;
                return Ok(Command { name, index: Some(index) });
            }
        }
        Err(unknown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_names_is_in_the_order_of_the_enum() {
        for (position, (name, ..)) in COMMANDS.iter().enumerate() {
            assert_eq!(*name as usize, position);
        }
    }

    #[test]
    fn each_command_parses_back_from_its_text() {
        for &(name, _, indexed) in COMMANDS {
            let mut commands = vec![name.bare()];
            if indexed {
                commands.push(Command { name, index: Some(16) });
            }
            for command in commands {
                assert_eq!(command.to_string().parse(), Ok(command));
            }
        }
    }

    #[test]
    fn commands_that_change_a_battery_are_rejected() {
        for text in [
            "shut",
            "trst",
            "time 26 11 22 6 0 0",
            "login debug",
            "config",
            "pwr 1; shut",
            "bat -1",
            "bat +1",
            "pwr 65536",
            "updata",
            "data",
            "data clear",
            "datac event",
            "data event x",
            "eurostub",
            "euro 1",
            "euros",
            "disp",
            "help shut",
            "",
        ] {
            assert!(text.parse::<Command>().is_err(), "{text}");
        }
    }

    #[test]
    fn time_never_carries_an_index() {
        assert_eq!(Command { name: CommandName::Time, index: Some(26) }.to_string(), "time");
    }
}
