//! `help`: which commands the console knows. Only their names are read, and a name alone never makes us send
//! anything: what may be asked is a closed list ([`Command`](crate::console::command::Command)).

use serde::Serialize;

use crate::console::error::ParseError;
use crate::console::framing::answer::Answer;

/// More than any console lists.
const MOST: usize = 256;
/// Longer than any name.
const LONGEST: usize = 24;

/// The names of commands, in the console's order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Help {
    /// Each as it is typed.
    pub(crate) commands: Vec<String>,
}

impl Help {
    /// Whether exactly this name is listed.
    #[must_use]
    pub fn lists(&self, name: &str) -> bool {
        self.commands.iter().any(|listed| listed == name)
    }
}

/// Reads the names: the first word of each line where that looks like one and a description follows.
///
/// # Errors
/// There is none.
pub(crate) fn parse(answer: &Answer) -> Result<Help, ParseError> {
    let name = |line: &str| {
        let (name, description) = line.trim().split_once(' ')?;
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let sound = name.len() <= LONGEST && name.bytes().all(is_name) && !description.is_empty();
        sound.then(|| name.to_owned())
    };
    let commands: Vec<String> = answer.lines().filter_map(|(_, line)| name(line)).take(MOST).collect();
    if commands.is_empty() {
        return Err(ParseError::Nothing { expected: "lines like \"info  …\"", lines: answer.len() });
    }
    Ok(Help { commands })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_are_read_and_a_longer_name_is_another() {
        let text = b"help\n@\nLocal command:\nbat      cells - bat [index]\neurostub write - eurostub\n\
                     ****************\nRemote command:\ninfo     identity - info\nlonely\n\
                     Command completed successfully\n$$\npylon>";
        let help = parse(&Answer::from_transcript(text)).expect("names");
        assert_eq!(help.commands, ["bat", "eurostub", "info"]);
        assert!(help.lists("info") && !help.lists("euro"));
        let nothing = Answer::from_transcript(b"help\n@\nLOCAL:\nCommand completed successfully\n$$\npylon>");
        assert!(parse(&nothing).is_err());
    }
}
