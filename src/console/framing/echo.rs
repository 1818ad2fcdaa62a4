//! Decides whether an answer with a damaged echo belongs to our command.
//!
//! Another client's answer differs only in its echo. So the damaged echo must be closer to our command than to any
//! other, and the answer must identify itself: by the battery's number in it or, where it carries none, by the number
//! in the echo.

use crate::console::command::{Command, CommandName};

/// Edit distance allowed between echo and command if the answer carries the battery's number.
const MAX_EDITS: usize = 2;

/// Whether `echo` may be a damaged copy of `command`. The echo of another command never is.
pub(crate) fn may_be_damaged_echo(command: &str, echo: &str) -> bool {
    let Ok(own) = command.parse::<Command>() else { return false };
    let max_edits = if carries_battery_number(own) { MAX_EDITS } else { 1 };
    let distance = |command: Command| strsim::levenshtein(echo, &command.to_string());
    let others = CommandName::all().filter(|name| *name != own.name);
    let mut others = others.flat_map(|name| [name.bare(), Command { name, ..own }]);
    let own_digits: String = digits(command);
    let found = digits(echo);
    echo.parse::<Command>().is_err()
        && distance(own) <= max_edits
        && others.all(|other| distance(other) > distance(own))
        && (found == own_digits || (found.is_empty() && carries_battery_number(own)))
}

/// Whether an answer with the damaged `echo` is certain to be the one to `command`; `stated` is the battery's number in
/// the answer.
pub(crate) fn identifies(command: Command, echo: &str, stated: Option<i64>) -> bool {
    match command.index {
        None => true,
        Some(index) if carries_battery_number(command) => stated == Some(i64::from(index)),
        // If the console received another number or none, its echo lacks the blank or this number.
        Some(index) => echo.ends_with(&format!(" {index}")),
    }
}

/// Whether the answer to this command carries the battery's number.
fn carries_battery_number(command: Command) -> bool {
    command.index.is_some() && !matches!(command.name, CommandName::Bat | CommandName::DataEvent)
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_echo_is_recognized_and_another_command_is_not() {
        let damaged = [
            ("pwr", "pr"),
            ("pwr 1", "pwr1"),
            ("pwr 1", "p\u{fffd}r 1"),
            ("pwr 12", "pwr\u{fffd}12"),
            ("bat 2", "at 2"),
            ("info 3", "inf 3"),
            ("info 3", "info\u{fffd}\u{fffd}"),
            ("stat 2", "sta 2"),
        ];
        for (command, echo) in damaged {
            assert!(may_be_damaged_echo(command, echo), "{command:?}: {echo:?}");
        }
        let others = [
            ("pwr 1", "pwr 2"),
            ("pwr 1", "pr 2"),
            ("pwr 1", "pwr"),
            ("pwr", "pwr 1"),
            ("pwr", "pwr1"),
            ("pwr", "pwrsys"),
            ("bat 2", "bat"),
            ("bat 2", "bat 3"),
            ("bat 12", "bt 2"),
            ("stat 2", "at 2"),
            ("stat 2", "sat 2"),
            ("log", "login"),
            ("info 1", ""),
            ("", "pwr"),
        ];
        for (command, echo) in others {
            assert!(!may_be_damaged_echo(command, echo), "{command:?}: {echo:?}");
        }
    }
}
