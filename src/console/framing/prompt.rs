//! The four prompts (protocol, section 3). All are accepted; the console's mode is never changed.

use std::fmt;

use serde::Serialize;

/// The console's maker and mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Prompt {
    #[serde(rename = "pylon>")]
    Pylon,
    #[serde(rename = "pylon_debug>")]
    PylonDebug,
    #[serde(rename = "PYTES>")]
    Pytes,
    #[serde(rename = "PYTES_debug>")]
    PytesDebug,
}

const PROMPTS: &[(Prompt, &str)] = &[
    (Prompt::Pylon, "pylon>"),
    (Prompt::PylonDebug, "pylon_debug>"),
    (Prompt::Pytes, "PYTES>"),
    (Prompt::PytesDebug, "PYTES_debug>"),
];

impl Prompt {
    /// The prompt as printed.
    pub(crate) fn text(self) -> &'static str {
        PROMPTS[self as usize].1
    }

    /// The prompt at the end of `line`, whatever precedes it.
    pub(crate) fn at_end_of(line: &str) -> Option<Self> {
        let line = line.trim_end();
        if !line.ends_with('>') {
            return None;
        }
        PROMPTS.iter().find(|(_, text)| line.ends_with(text)).map(|(prompt, _)| *prompt)
    }

    /// The first prompt in `line`, at any position.
    pub(crate) fn first_in(line: &str) -> Option<Self> {
        let ends = PROMPTS.iter().filter_map(|(prompt, text)| Some((line.find(text)? + text.len(), *prompt)));
        ends.min_by_key(|(end, _)| *end).map(|(_, prompt)| prompt)
    }

    /// Whether `line` is a prompt and has no other printable text.
    pub(crate) fn is_alone_on(line: &str) -> bool {
        let readable = line.trim_matches(|c: char| !c.is_ascii_graphic());
        PROMPTS.iter().any(|(_, text)| *text == readable)
    }

    /// The text after the last prompt in `line`: after a client's restart, the echo follows an old prompt.
    pub fn strip(line: &str) -> &str {
        let end = PROMPTS.iter().filter_map(|(_, text)| Some(line.rfind(text)? + text.len())).max();
        line[end.unwrap_or(0)..].trim()
    }
}

impl fmt::Display for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_prompt_is_recognized_after_noise() {
        for &(prompt, text) in PROMPTS {
            assert_eq!(prompt.text(), text);
            assert_eq!(Prompt::at_end_of(text), Some(prompt));
            assert_eq!(Prompt::at_end_of(&format!("\0\u{fe}{text} ")), Some(prompt));
        }
        assert_eq!(Prompt::first_in("pylon_debug>pylon>"), Some(Prompt::PylonDebug));
        assert!(Prompt::is_alone_on("\0 PYTES> ") && !Prompt::is_alone_on("24100 PYTES>"));
        assert_eq!(Prompt::at_end_of("pylon"), None);
        assert_eq!(Prompt::at_end_of("python>"), None);
    }

    #[test]
    fn an_echo_is_found_after_old_prompts() {
        assert_eq!(Prompt::strip("pylon>pylon_debug>pwr 1"), "pwr 1");
        assert_eq!(Prompt::strip(">pylon_debug>getpwr"), "getpwr");
        assert_eq!(Prompt::strip("pwr 1 "), "pwr 1");
    }
}
