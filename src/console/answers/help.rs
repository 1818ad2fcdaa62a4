//! `help`: the commands that the console knows. Only names are parsed, and a name never causes anything to be sent: the
//! commands that can be sent are a closed list ([`Command`](crate::console::command::Command)).

use serde::Serialize;

use crate::console::error::ParseError;
use crate::console::framing::answer::Answer;

const MAX_COMMANDS: usize = 256;
const MAX_NAME_LEN: usize = 24;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Help {
    pub(crate) commands: Vec<String>,
}

impl Help {
    pub fn lists(&self, name: &str) -> bool {
        self.commands.iter().any(|listed| listed == name)
    }
}

/// Parses the names: the first word of each line that looks like a name followed by a description.
///
/// # Errors
/// Returns an error if no line looks like a command.
pub(crate) fn parse(answer: &Answer) -> Result<Help, ParseError> {
    let name = |line: &str| {
        let (name, description) = line.trim().split_once(' ')?;
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let valid = name.len() <= MAX_NAME_LEN && name.bytes().all(is_name) && !description.is_empty();
        valid.then(|| name.to_owned())
    };
    let commands: Vec<String> =
        answer.lines().filter_map(|(_, line)| name(line)).take(MAX_COMMANDS).collect();
    if commands.is_empty() {
        return Err(ParseError::Nothing { expected: "lines like \"info  …\"", lines: answer.len() });
    }
    Ok(Help { commands })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_are_parsed_and_matched_exactly() {
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
