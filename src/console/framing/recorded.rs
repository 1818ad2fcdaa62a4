//! Finds the answers in a recording of a console.
//!
//! ```text
//!            a command                `$$` and a prompt
//!  Between ──────────────► Answer ───────────────────────► Between
//!                           │   ▲
//!                           └───┘ the next command: this answer was cut off, or copied without its end
//! ```
//! Files come from terminals, forums and editors: with line ends of any kind, in UTF-16, without `$$`, with several
//! answers, cut off anywhere. A command is any text after a prompt, a known command on a line of its own, or the line
//! before a start mark. Lines have the numbers that editors and `grep -n` show.

use std::borrow::Cow;
use std::ops::Range;

use crate::console::command::Command;
use crate::console::framing::answer::{Answer, AnswerStatus, latin1};
use crate::console::framing::prompt::Prompt;

/// Longer than any command.
const MAX_ECHO: usize = 80;

/// One answer in a file.
#[derive(Clone, Debug)]
pub(crate) struct RecordedAnswer {
    /// The line on which it starts, from 1.
    pub(crate) line: usize,
    /// From its command to its last line, without the prompt.
    pub(crate) bytes: Range<usize>,
    /// Its lines have the file's numbers; its echo is the command, if there is one.
    pub(crate) answer: Answer,
    prompt_seen: bool,
}

impl RecordedAnswer {
    fn new(line: usize, bytes: Range<usize>, command: Option<&str>) -> Self {
        Self { line, bytes, answer: Answer::new(command.map(str::to_owned)), prompt_seen: false }
    }

    /// Whether the answer ends with its end mark, a refusal or the success line.
    pub(crate) fn is_complete(&self) -> bool {
        self.answer.has_end_mark || self.answer.status != AnswerStatus::Unclear
    }

    fn push_line(&mut self, line: usize, bytes: Range<usize>, text: &str) {
        if self.is_complete()
            && let Some(prompt) = Prompt::at_end_of(text)
        {
            self.answer.prompt = Some(prompt);
            self.prompt_seen = true;
        } else if !self.answer.has_end_mark && !Prompt::is_alone_on(text) {
            self.answer.push_numbered_line(line, text);
            self.bytes.end = bytes.end;
        }
    }
}

/// Converts a file to the bytes that a console would send: without a byte order mark, and from UTF-16 to Latin-1.
pub(crate) fn decode_text(bytes: &[u8]) -> Cow<'_, [u8]> {
    let is_text = |letters: &[u8]| letters.iter().all(|byte| matches!(byte, b'\r' | b'\n' | b' '..=b'~'));
    match bytes {
        [0xef, 0xbb, 0xbf, text @ ..] => text.into(),
        [0xff, 0xfe, text @ ..] => utf16(u16::from_le_bytes, text),
        [0xfe, 0xff, text @ ..] => utf16(u16::from_be_bytes, text),
        // UTF-16 without a byte order mark: no console sends a zero next to each letter.
        [a, 0, b, 0, c, 0, d, 0, ..] if is_text(&[*a, *b, *c, *d]) => utf16(u16::from_le_bytes, bytes),
        [0, a, 0, b, 0, c, 0, d, ..] if is_text(&[*a, *b, *c, *d]) => utf16(u16::from_be_bytes, bytes),
        _ => bytes.into(),
    }
}

fn utf16(order: fn([u8; 2]) -> u16, bytes: &[u8]) -> Cow<'static, [u8]> {
    let units = bytes.chunks_exact(2).map(|pair| order([pair[0], pair[1]]));
    let letters = char::decode_utf16(units).map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER));
    letters.map(|letter| u8::try_from(letter).unwrap_or(b'?')).collect()
}

/// All answers in a text, in order. Text without a command counts as an answer only if it has an end mark, or if the
/// text contains no command at all.
pub(crate) fn find_answers(text: &[u8]) -> Vec<RecordedAnswer> {
    let mut all = Vec::new();
    for_each_answer(text, |recorded| all.push(recorded));
    if all.iter().any(|recorded| recorded.answer.echo.is_some()) {
        all.retain(|recorded| recorded.answer.echo.is_some() || recorded.answer.has_end_mark);
    }
    all
}

impl Answer {
    /// Reads the first answer of a transcript: line ends of any kind, comments before the echo; echo, end mark and
    /// prompt are optional, and the echo may be repeated. Lines are counted as on the wire.
    pub fn from_transcript(bytes: &[u8]) -> Self {
        let mut all = find_answers(bytes).into_iter().map(|recorded| recorded.answer);
        let first = all.next().unwrap_or_else(|| Self::new(None));
        // An unknown command may precede it.
        let mut answer =
            all.find(|other| first.command().is_none() && other.command().is_some()).unwrap_or(first);
        answer.renumber();
        answer
    }
}

/// Calls `on_answer` for one answer after the other, each as soon as it is complete.
pub(crate) fn for_each_answer(text: &[u8], mut on_answer: impl FnMut(RecordedAnswer)) {
    let mut open: Option<RecordedAnswer> = None;
    let mut lines = lines(text).peekable();
    while let Some((number, bytes)) = lines.next() {
        let line = latin1(&text[bytes.clone()]);
        let starts_body = lines.peek().is_some_and(|(_, next)| text[next.clone()].trim_ascii() == b"@");
        let running = open.as_mut().filter(|open| !open.prompt_seen);
        let started = match (command_in(&line, starts_body), running) {
            (Some(command), Some(open)) if open.is_repeated_echo(command) => continue,
            (Some(command), running) => {
                if let Some(open) = running.filter(|open| open.is_complete()) {
                    open.answer.prompt = open.answer.prompt.or_else(|| Prompt::first_in(&line));
                }
                let start = bytes.start + position(&text[bytes.clone()], command);
                Some(RecordedAnswer::new(number, start..bytes.end, Some(command)))
            }
            (None, Some(_)) if is_capture_header(&line) => {
                open.take().into_iter().for_each(&mut on_answer);
                None
            }
            (None, Some(open)) if open.is_other_answer(&line) => {
                Some(RecordedAnswer::new(number, bytes, None))
            }
            (None, Some(open)) => {
                open.push_line(number, bytes, &line);
                None
            }
            (None, None) if line.trim() == "$$" => {
                // A prompt came before the end mark.
                open.iter_mut().for_each(|open| open.answer.has_end_mark = true);
                None
            }
            (None, None) if line.starts_with('#') || Prompt::is_alone_on(&line) => None,
            (None, None) => {
                let mut started = RecordedAnswer::new(number, bytes.clone(), None);
                started.push_line(number, bytes, &line);
                Some(started)
            }
        };
        if let Some(started) = started {
            open.replace(started).into_iter().for_each(&mut on_answer);
        }
    }
    open.into_iter().for_each(on_answer);
}

impl RecordedAnswer {
    /// Some consoles print the command again below its echo.
    fn is_repeated_echo(&self, command: &str) -> bool {
        self.answer.is_empty() && !self.is_complete() && self.answer.echo.as_deref() == Some(command)
    }

    /// A start mark in the middle of an answer: another answer starts, and its command is missing.
    fn is_other_answer(&self, line: &str) -> bool {
        line.trim() == "@" && (!self.answer.is_empty() || self.is_complete())
    }
}

/// The command in a line, if it is one; `starts_body`: a start mark follows.
fn command_in(line: &str, starts_body: bool) -> Option<&str> {
    let text = Prompt::strip(line).trim_matches(|c: char| !c.is_ascii_graphic());
    let resembles_one = text.len() <= MAX_ECHO && text.starts_with(|c: char| c.is_ascii_alphabetic());
    let is_one = resembles_one && (starts_body || Prompt::first_in(line).is_some());
    (is_one || text.parse::<Command>().is_ok()).then_some(text)
}

/// The line that `bankwatch capture` writes before each answer.
fn is_capture_header(line: &str) -> bool {
    line.starts_with("# 20") && line.ends_with(" bytes")
}

/// The offset of `command` in the bytes of its line.
fn position(line: &[u8], command: &str) -> usize {
    line.windows(command.len()).rposition(|part| part == command.as_bytes()).unwrap_or(0)
}

/// The lines that are not blank, with their numbers: counted by line feeds, or by carriage returns in a file without
/// line feeds. Carriage returns always end a line, even where they do not count.
fn lines(text: &[u8]) -> impl Iterator<Item = (usize, Range<usize>)> + '_ {
    let counted = if text.contains(&b'\n') { b'\n' } else { b'\r' };
    let (mut start, mut number) = (0, 1);
    let pieces = text.split_inclusive(|byte| matches!(byte, b'\r' | b'\n')).map(move |piece| {
        let end = start + piece.len();
        let ends = piece.last().copied().filter(|byte| matches!(byte, b'\r' | b'\n'));
        let line = (number, start..end - usize::from(ends.is_some()));
        start = end;
        number += usize::from(ends == Some(counted));
        line
    });
    pieces.filter(|(_, line)| !text[line.clone()].trim_ascii().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each answer's line, command, lines with their numbers, and whether it has an end mark.
    type FoundAnswer = (usize, Option<String>, Vec<(usize, String)>, bool);

    fn found(text: &str) -> Vec<FoundAnswer> {
        let plain = |recorded: RecordedAnswer| {
            let lines =
                recorded.answer.lines().map(|(number, line)| (number, line.trim().to_owned())).collect();
            (recorded.line, recorded.answer.echo, lines, recorded.answer.has_end_mark)
        };
        find_answers(text.as_bytes()).into_iter().map(plain).collect()
    }

    fn one(line: usize, command: &str, lines: &[(usize, &str)], ended: bool) -> FoundAnswer {
        let lines = lines.iter().map(|(number, line)| (*number, (*line).to_owned())).collect();
        (line, Some(command.to_owned()), lines, ended)
    }

    #[test]
    fn answers_are_found_with_and_without_end_marks() {
        let whole = "pylon>time\n@\n26-11-22 06:00:00\nCommand completed successfully\n$$\npylon>pwr 2\n@\n Power  2\n\
                     Command completed successfully\n$$\npylon>\n";
        let expected =
            [one(1, "time", &[(3, "26-11-22 06:00:00")], true), one(6, "pwr 2", &[(8, "Power  2")], true)];
        assert_eq!(found(whole), expected);
        let copied = whole.replace("$$\n", "");
        let copied = found(&copied);
        assert_eq!(copied[0], one(1, "time", &[(3, "26-11-22 06:00:00")], false));
        assert_eq!(copied[1], one(5, "pwr 2", &[(7, "Power  2")], false));
        let prompts: Vec<_> =
            find_answers(whole.as_bytes()).into_iter().map(|one| one.answer.prompt).collect();
        assert_eq!(prompts, [Some(Prompt::Pylon); 2]);
    }

    #[test]
    fn a_truncated_answer_ends_at_the_next_command() {
        for next in [
            "pylon>info 2\n",
            "PYTES>info 2\n@\n",
            "info 2\n",
            "# 2026-11-22T06:00:00Z info 2, 0.1 s, 9 bytes\ninfo 2\n",
        ] {
            let all = found(&format!("pylon>pwr 1\n@\n Power  1\n Volt\n{next}Device name : X\n$$\n"));
            assert_eq!(all.len(), 2, "{next}: {all:?}");
            assert_eq!(all[0], one(1, "pwr 1", &[(3, "Power  1"), (4, "Volt")], false), "{next}");
            assert_eq!((all[1].1.as_deref(), all[1].2.len(), all[1].3), (Some("info 2"), 1, true), "{next}");
        }
    }

    #[test]
    fn an_unknown_command_has_its_own_answer() {
        for command in ["pylon_debug>getpwr\n", "getpwr\n@\n", "PYTES>getpwr\n@\n"] {
            let all = found(&format!("{command}52000#\n$$\npylon>time\n26-11-22 06:00:00\n$$\n"));
            assert_eq!((all.len(), all[0].1.as_deref(), all[0].2.len()), (2, Some("getpwr"), 1), "{command}");
            assert_eq!(all[1].1.as_deref(), Some("time"));
        }
    }

    #[test]
    fn a_command_echoed_twice_is_one_command() {
        let twice = found("pylon>pwr 1\r\npwr 1\r\n@\r\n\r\n Power  1\r\n$$\r\npylon>");
        assert_eq!(twice, [one(1, "pwr 1", &[(5, "Power  1")], true)]);
        // Asked again after the first answer was cut off.
        let again = found("pwr 1\n@\n Power\npylon>pwr 1\n@\n Power  1\n$$\n");
        assert_eq!(again.len(), 2);
    }

    #[test]
    fn surrounding_text_is_not_an_answer_unless_it_is_complete() {
        let typed =
            found("Hello,\nthis is what mine says:\n\npylon>time\n26-11-22 06:00:00\n$$\npylon>\nThanks\n");
        assert_eq!(typed, [one(4, "time", &[(5, "26-11-22 06:00:00")], true)]);
        let without_commands = found("@\n Power  1\n$$\n@\n Power  2\n$$\npylon>");
        assert_eq!(
            without_commands.iter().map(|one| (one.0, &one.1, one.3)).collect::<Vec<_>>(),
            [(1, &None, true), (4, &None, true)]
        );
        assert_eq!(found("Volt\n"), [(1, None, vec![(1, "Volt".to_owned())], false)]);
        assert_eq!(found("\n# nothing\npylon>\n"), []);
        let late = found("time\n26-11-22 06:00:00\nCommand completed successfully\npylon>\n$$\npylon>\n");
        assert_eq!(late, [one(1, "time", &[(2, "26-11-22 06:00:00")], true)]);
    }

    #[test]
    fn lines_keep_the_numbers_of_the_file() {
        let lines = ["# a comment", "", "pylon>pwr 1", "@", " Power  1", "", " Voltage : 5x"];
        for end in ["\n", "\r\n", "\r", "\r\r\n", "\n\r"] {
            let [only] = found(&lines.join(end)).try_into().expect("one answer");
            assert_eq!(
                (only.0, &only.2[..]),
                (3, &[(5, "Power  1".to_owned()), (7, "Voltage : 5x".to_owned())][..]),
                "{end:?}"
            );
        }
        // As the wire has it: the carriage return belongs to the next line, or is alone.
        let [mixed] =
            found("time\n\r@\r\n\r26-11-22 06:00:00\r\n\r$$\r\n\rpylon>").try_into().expect("one answer");
        assert_eq!(mixed, one(1, "time", &[(3, "26-11-22 06:00:00")], true));
    }

    #[test]
    fn byte_order_marks_and_utf_16_are_decoded() {
        let text = "time\r\n26-11-22 06:00:00 \u{c8}\r\n$$\r\n";
        let wide = |order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect::<Vec<u8>>();
        let (little, big) = (wide(u16::to_le_bytes), wide(u16::to_be_bytes));
        let plain: Vec<u8> = text.chars().map(|letter| letter as u8).collect();
        for (mark, bytes) in
            [(&[0xff, 0xfe][..], &little), (&[], &little), (&[0xfe, 0xff], &big), (&[], &big)]
        {
            assert_eq!(decode_text(&[mark, bytes].concat()), plain, "{mark:?}");
        }
        assert_eq!(decode_text(&[&[0xef, 0xbb, 0xbf], &plain[..]].concat()), plain);
        assert_eq!(decode_text(&plain), plain);
        let noisy = b"\0p\0wr 1\r\n";
        assert_eq!(decode_text(noisy), &noisy[..], "zeros on the wire are noise");
        let odd = [&[0xff, 0xfe][..], &little, b"x"].concat();
        assert_eq!(decode_text(&odd), plain, "half a letter at the end");
    }
}
