//! The console: bytes typed in, bytes said back. No I/O and no clock, so that tests can talk to it directly.

use super::bank::Bank;
use super::dialect::text::{ERASE, latin1};
use super::dialect::{self, Answer, Dialect, EventStyle, Mode};
use super::said::Values;

/// The longest line it keeps; what is typed beyond is echoed and forgotten.
const LINE_LENGTH: usize = 128;

/// What the console does with what was typed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Utterance {
    /// A character coming back, or the prompt after an empty line.
    Echo(Vec<u8>),
    /// The answer to a command (its first page, where it has several).
    Answer {
        /// As typed.
        command: String,
        bytes: Vec<u8>,
        values: Values,
    },
    /// Another page, or the end after the pager was left.
    Page(Vec<u8>),
}

/// A console and the bank behind it.
#[derive(Clone, Debug)]
pub struct Console {
    dialect: Dialect,
    style: EventStyle,
    mode: Mode,
    line: Vec<u8>,
    /// Pages still to come while the pager waits, the last one last.
    pages: Vec<Vec<u8>>,
    /// How the answer ends that the pager interrupts.
    ending: Vec<u8>,
    bank: Bank,
}

impl Console {
    /// A console of `dialect` in front of `bank`, its prompt in debug mode if `debug`.
    #[must_use]
    pub(crate) fn new(dialect: Dialect, bank: Bank, style: EventStyle, debug: bool) -> Self {
        let mode = if debug { Mode::Debug } else { Mode::User };
        Self { dialect, style, mode, line: Vec::new(), pages: Vec::new(), ending: Vec::new(), bank }
    }

    /// The bank behind it.
    #[must_use]
    pub fn bank(&self) -> &Bank {
        &self.bank
    }

    /// The bank behind it, to change it.
    pub fn bank_mut(&mut self) -> &mut Bank {
        &mut self.bank
    }

    /// Types bytes and returns what comes back, to the byte.
    pub fn type_bytes(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.type_and_hear(bytes).0
    }

    /// Types bytes and returns what comes back, and the values of each answer in it.
    pub fn type_and_hear(&mut self, bytes: &[u8]) -> (Vec<u8>, Vec<(String, Values)>) {
        let (mut heard, mut said) = (Vec::new(), Vec::new());
        for &byte in bytes {
            match self.type_byte(byte) {
                Some(Utterance::Echo(bytes) | Utterance::Page(bytes)) => heard.extend(bytes),
                Some(Utterance::Answer { command, bytes, values }) => {
                    heard.extend(bytes);
                    said.push((command, values));
                }
                None => {}
            }
        }
        (heard, said)
    }

    /// Whether the next byte begins a command (and not a page, nor an empty line).
    pub(super) fn begins_command(&self, byte: u8) -> bool {
        self.line.is_empty() && self.pages.is_empty() && !ends_line(byte)
    }

    pub(super) fn type_byte(&mut self, byte: u8) -> Option<Utterance> {
        if !self.pages.is_empty() {
            return Some(Utterance::Page(self.turn(byte)));
        }
        if !ends_line(byte) {
            if self.line.len() < LINE_LENGTH {
                self.line.push(byte);
            }
            return Some(Utterance::Echo(vec![byte]));
        }
        let line = std::mem::take(&mut self.line);
        // Latin-1, so that noise in front of a command comes back as it was.
        let command: String = line.iter().map(|&byte| char::from(byte)).collect();
        if command.trim().is_empty() {
            return Some(Utterance::Echo([b"\n\r", self.prompt().as_slice()].concat()));
        }
        Some(self.answer(command))
    }

    fn answer(&mut self, command: String) -> Utterance {
        let spec = self.dialect.spec();
        let mut mode = self.mode;
        let answer = dialect::answer(&self.bank, self.dialect, self.style, &mut mode, &command);
        self.mode = mode;
        let Answer { text, values, success, exclaims } = answer;
        let first_word = command.split_ascii_whitespace().next().unwrap_or_default();
        let mut bytes = if spec.loses_echo_end(first_word) { Vec::new() } else { b"\n".to_vec() };
        if spec.echoes_twice {
            bytes.push(b'\r');
            bytes.extend(latin1(&command));
            bytes.push(b'\n');
        }
        let mut pages = text.into_pages();
        bytes.extend(pages.remove(0));
        let mut ending = Vec::new();
        if success {
            ending.extend_from_slice(b"\r\n\rCommand completed successfully");
            ending.extend_from_slice(if exclaims { b"!" } else { b"" });
        }
        ending.extend_from_slice(b"\r\n\r$$\r\n\r");
        ending.extend(self.prompt());
        if pages.is_empty() {
            bytes.extend(ending);
        } else {
            pages.reverse();
            (self.pages, self.ending) = (pages, ending);
        }
        Utterance::Answer { command: command.trim().to_owned(), bytes, values }
    }

    /// Turns the page, or leaves the pager; the byte itself is swallowed either way.
    fn turn(&mut self, byte: u8) -> Vec<u8> {
        let mut said = if ends_line(byte) {
            self.pages.pop().unwrap_or_default()
        } else {
            self.pages.clear();
            [ERASE.as_bytes(), b"\r"].concat()
        };
        if self.pages.is_empty() {
            said.append(&mut self.ending);
        }
        said
    }

    fn prompt(&self) -> Vec<u8> {
        let mode = if self.mode == Mode::Debug { "_debug>" } else { ">" };
        format!("{}{mode}", self.dialect.spec().prompt).into_bytes()
    }
}

fn ends_line(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}
