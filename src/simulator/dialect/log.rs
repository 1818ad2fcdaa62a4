//! `log`: the event records stored in a battery.

use crate::simulator::dialect::answer::AnswerBody;
use crate::simulator::dialect::text::{AnswerText, BARE, HEAD};
use crate::simulator::physics::bank::SimulatedBank;
use crate::simulator::physics::battery::{BatteryLogRecord, SimulatedBattery};
use crate::simulator::printed::{PrintedLogRecord, PrintedValues};

/// Records per page.
const PAGE: usize = 3;

/// Answers `log`: newest first, three per page; the last record of a page has different line ends.
pub(super) fn answer(bank: &SimulatedBank, battery: &SimulatedBattery, text: AnswerText) -> AnswerBody {
    let mut text = text;
    let mut records = Vec::new();
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
        let BatteryLogRecord { index, code, text, .. } = *record;
        records.push(PrintedLogRecord { index, time, code, text: text.to_owned() });
    }
    AnswerBody::done(text, PrintedValues::Log(records))
}
