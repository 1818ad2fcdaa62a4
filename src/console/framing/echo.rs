//! An echo that was damaged on its way, while the answer behind it is whole: when the answer is ours all the same.
//!
//! Another client's answer looks the same but for its echo, so what is left of the echo must be nearer to our question
//! than to any other, and the answer must identify itself: by the battery's number in it, or where an answer carries
//! none by the number in the echo.

use crate::console::command::{Command, Verb};

/// Edits that may lie between an echo and the question where the answer names the battery itself.
const MOST: usize = 2;

/// Whether `echo` is what damage may have left of `question`. The echo of another question never is.
pub(crate) fn is_left_of(question: &str, echo: &str) -> bool {
    let Ok(own) = question.parse::<Command>() else { return false };
    let most = if names_itself(own) { MOST } else { 1 };
    let distance = |command: Command| strsim::levenshtein(echo, &command.to_string());
    let others = Verb::all().filter(|verb| *verb != own.verb);
    let mut others = others.flat_map(|verb| [verb.alone(), Command { verb, ..own }]);
    let own_digits: String = digits(question);
    let found = digits(echo);
    echo.parse::<Command>().is_err()
        && distance(own) <= most
        && others.all(|other| distance(other) > distance(own))
        && (found == own_digits || (found.is_empty() && names_itself(own)))
}

/// Whether an answer to `command` behind such an echo identifies itself as that, and as no other answer.
pub(crate) fn is_named(command: Command, echo: &str, stated: Option<i64>) -> bool {
    match command.index {
        None => true,
        Some(index) if names_itself(command) => stated == Some(i64::from(index)),
        // What the console took for another number, or for none, is echoed without the blank or the number.
        Some(index) => echo.ends_with(&format!(" {index}")),
    }
}

/// Whether the answer to this question carries the battery's number.
fn names_itself(command: Command) -> bool {
    command.index.is_some() && !matches!(command.verb, Verb::Bat | Verb::DataEvent)
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_an_echo_is_known_as_ours_and_no_other_question_ever_is() {
        let left = [
            ("pwr", "pr"),
            ("pwr 1", "pwr1"),
            ("pwr 1", "p\u{fffd}r 1"),
            ("pwr 12", "pwr\u{fffd}12"),
            ("bat 2", "at 2"),
            ("info 3", "inf 3"),
            ("info 3", "info\u{fffd}\u{fffd}"),
            ("stat 2", "sta 2"),
        ];
        for (question, echo) in left {
            assert!(is_left_of(question, echo), "{question:?}: {echo:?}");
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
        for (question, echo) in others {
            assert!(!is_left_of(question, echo), "{question:?}: {echo:?}");
        }
    }
}
