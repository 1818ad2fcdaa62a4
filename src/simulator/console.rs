//! The console: typed bytes in, printed bytes out. No I/O and no clock, so that tests can use it directly.

use crate::simulator::dialect::text::{ERASE, latin1};
use crate::simulator::dialect::{self, AnswerBody, ConsoleMode, Dialect, EventStyle};
use crate::simulator::physics::bank::SimulatedBank;
use crate::simulator::printed::PrintedValues;

/// Longest line; further bytes are echoed and discarded.
const LINE_LENGTH: usize = 128;

/// The console's output for a typed byte.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ConsoleOutput {
    /// The echo of a byte, or the prompt after an empty line.
    Echo(Vec<u8>),
    /// The answer to a command, or its first page.
    Answer {
        /// As typed.
        command: String,
        bytes: Vec<u8>,
        values: PrintedValues,
    },
    /// The next page, or the end of the answer after leaving the pager.
    Page(Vec<u8>),
}

/// A console and the bank behind it.
#[derive(Clone, Debug)]
pub struct Console {
    dialect: Dialect,
    style: EventStyle,
    mode: ConsoleMode,
    line: Vec<u8>,
    /// The remaining pages while the pager waits, the next one last.
    pages: Vec<Vec<u8>>,
    /// The end of the answer that the pager interrupts.
    ending: Vec<u8>,
    bank: SimulatedBank,
}

impl Console {
    /// With `debug`, the console starts in debug mode.
    pub(crate) fn new(dialect: Dialect, bank: SimulatedBank, style: EventStyle, debug: bool) -> Self {
        let mode = if debug { ConsoleMode::Debug } else { ConsoleMode::User };
        Self { dialect, style, mode, line: Vec::new(), pages: Vec::new(), ending: Vec::new(), bank }
    }

    pub fn bank(&self) -> &SimulatedBank {
        &self.bank
    }

    pub fn bank_mut(&mut self) -> &mut SimulatedBank {
        &mut self.bank
    }

    /// Types bytes and returns the output.
    pub fn type_bytes(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.type_with_values(bytes).0
    }

    /// Types bytes and returns the output, and the command and printed values of each answer in it.
    pub fn type_with_values(&mut self, bytes: &[u8]) -> (Vec<u8>, Vec<(String, PrintedValues)>) {
        let (mut output, mut answers) = (Vec::new(), Vec::new());
        for &byte in bytes {
            match self.type_byte(byte) {
                Some(ConsoleOutput::Echo(bytes) | ConsoleOutput::Page(bytes)) => output.extend(bytes),
                Some(ConsoleOutput::Answer { command, bytes, values }) => {
                    output.extend(bytes);
                    answers.push((command, values));
                }
                None => {}
            }
        }
        (output, answers)
    }

    /// Whether the next byte starts a command (and is not for the pager or an empty line).
    pub(super) fn starts_command(&self, byte: u8) -> bool {
        self.line.is_empty() && self.pages.is_empty() && !ends_line(byte)
    }

    pub(super) fn type_byte(&mut self, byte: u8) -> Option<ConsoleOutput> {
        if !self.pages.is_empty() {
            return Some(ConsoleOutput::Page(self.turn_page(byte)));
        }
        if !ends_line(byte) {
            if self.line.len() < LINE_LENGTH {
                self.line.push(byte);
            }
            return Some(ConsoleOutput::Echo(vec![byte]));
        }
        let line = std::mem::take(&mut self.line);
        // Latin-1, so that noise in front of a command is echoed unchanged.
        let command: String = line.iter().map(|&byte| char::from(byte)).collect();
        if command.trim().is_empty() {
            return Some(ConsoleOutput::Echo([b"\n\r", self.prompt().as_slice()].concat()));
        }
        Some(self.answer(command))
    }

    fn answer(&mut self, command: String) -> ConsoleOutput {
        let spec = self.dialect.spec();
        let mut mode = self.mode;
        let answer = dialect::answer(&self.bank, self.dialect, self.style, &mut mode, &command);
        self.mode = mode;
        let AnswerBody { text, values, success, exclamation } = answer;
        let first_word = command.split_ascii_whitespace().next().unwrap_or_default();
        let mut bytes = if spec.is_unmarked(first_word) { Vec::new() } else { b"\n".to_vec() };
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
            ending.extend_from_slice(if exclamation { b"!" } else { b"" });
        }
        ending.extend_from_slice(b"\r\n\r$$\r\n\r");
        ending.extend(self.prompt());
        if pages.is_empty() {
            bytes.extend(ending);
        } else {
            pages.reverse();
            (self.pages, self.ending) = (pages, ending);
        }
        ConsoleOutput::Answer { command: command.trim().to_owned(), bytes, values }
    }

    /// Turns the page, or leaves the pager; the byte itself is not echoed.
    fn turn_page(&mut self, byte: u8) -> Vec<u8> {
        let mut output = if ends_line(byte) {
            self.pages.pop().unwrap_or_default()
        } else {
            self.pages.clear();
            [ERASE.as_bytes(), b"\r"].concat()
        };
        if self.pages.is_empty() {
            output.append(&mut self.ending);
        }
        output
    }

    fn prompt(&self) -> Vec<u8> {
        let mode = if self.mode == ConsoleMode::Debug { "_debug>" } else { ">" };
        format!("{}{mode}", self.dialect.spec().prompt).into_bytes()
    }
}

fn ends_line(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}
