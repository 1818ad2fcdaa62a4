//! `log`: what a battery remembers in words.

use super::super::bank::Bank;
use super::super::battery::{Battery, LogRecord};
use super::super::said::{LogEntry, Values};
use super::Answer;
use super::text::{BARE, HEAD, Text};

/// Records on a page, where the pager waits.
const PAGE: usize = 3;

/// Answers `log`: newest first, three a page; the last record of a page has line ends of its own.
pub(super) fn log(bank: &Bank, battery: &Battery, text: Text) -> Answer {
    let mut text = text;
    let mut said = Vec::new();
    for (number, record) in battery.log.iter().enumerate() {
        let last_of_page = number % PAGE == PAGE - 1;
        let before = if last_of_page { BARE } else { HEAD };
        let time = bank.at(record.seconds);
        text.line(before, format!(" Index   : {:<6}", record.index));
        text.line(before, format!(" Time    : {}", time.strftime("%y-%m-%d %H:%M:%S")));
        text.line(before, " ModID   : BMM");
        text.line(before, format!(" Code    : {:x}", record.code));
        text.line(before, format!(" Info    : {}", record.text));
        if last_of_page {
            text.pause();
        } else {
            text.line(HEAD, "");
        }
        let LogRecord { index, code, text, .. } = *record;
        said.push(LogEntry { index, time, code, text: text.to_owned() });
    }
    Answer::done(text, Values::Log(said))
}
