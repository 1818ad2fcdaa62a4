//! Answers to `soh`, `time`, `ver` and `help`.

use crate::simulator::dialect::answer::AnswerBody;
use crate::simulator::dialect::layouts::SohLayout;
use crate::simulator::dialect::measurement::Measurement;
use crate::simulator::dialect::spec::DialectSpec;
use crate::simulator::dialect::text::{AnswerText, BARE, FEED, HEAD};
use crate::simulator::physics::bank::SimulatedBank;
use crate::simulator::physics::battery::SimulatedBattery;
use crate::simulator::printed::PrintedValues;

/// Answers `soh` and `soh N` of one battery; place 0 is a stack, which prints no number.
pub(super) fn soh(
    place: usize,
    batteries: &[&SimulatedBattery],
    text: AnswerText,
    spec: &DialectSpec,
    layout: SohLayout,
) -> AnswerBody {
    let mut text = text;
    if place > 0 {
        text.line(FEED, format!("Power   {place}"));
    }
    match layout {
        SohLayout::Counted => {
            text.line(
                FEED,
                format!("{:<11}{:<11}{:<11}{:<10}", "Battery", "Voltage", "SOHCount", "SOHStatus"),
            );
        }
        SohLayout::Bits => {
            let mut head = format!("{:<11}{:<11}{:<11}", "Battery", "Voltage", "SOHStatus").into_bytes();
            head.extend_from_slice(b"\xC8$        ");
            text.line(FEED, head);
        }
    }
    let mut voltages = Vec::new();
    for battery in batteries {
        for cell in Measurement::of(battery, spec.temperature_step).cells {
            let (index, voltage) = (voltages.len(), cell.voltage_mv);
            let rest = match layout {
                SohLayout::Counted => format!("{:<11}{:<10}", 0, "Normal"),
                SohLayout::Bits => "00000000".to_owned(),
            };
            text.line(FEED, format!("{index:<11}{voltage:<11}{rest}"));
            voltages.push(voltage);
        }
    }
    AnswerBody::done(text, PrintedValues::Soh(voltages))
}

/// Answers `time`.
pub(super) fn time(bank: &SimulatedBank, text: AnswerText, spec: &DialectSpec) -> AnswerBody {
    let mut text = text;
    let now = bank.now();
    text.line(HEAD, format!("{}{}", spec.clock_chip, now.strftime("%Y-%m-%d %H:%M:%S")));
    if spec.clock_chip == "RTC " {
        text.line(HEAD, "Test result:pass");
    }
    AnswerBody::done(text, PrintedValues::Time(now))
}

/// Answers `ver`.
pub(super) fn ver(spec: &DialectSpec) -> AnswerBody {
    let mut text = AnswerText::marked();
    text.line(FEED, " Main Version:");
    text.line(FEED, format!(" Version : {}", spec.firmware));
    text.line("\n \r\n", " Size    : 0");
    text.line(FEED, " Date    : 2023-10-01 09:00:00");
    text.line(FEED, "");
    text.line(FEED, " Backup Version:");
    text.line(FEED, " Version : ");
    text.line(FEED, " Size    : 0");
    text.line(FEED, " Date    : 2000-00-00 00:00:00");
    text.line(FEED, "");
    text.line(FEED, " Active version : Main");
    AnswerBody::done(text, PrintedValues::Nothing)
}

/// The usage line of each command, in our own words.
const HELP: &[(&str, &str)] = &[
    ("bat", "cells of a battery - bat [pwr]"),
    ("data", "recorded data - data [event/history][item]"),
    ("euro", "figures of this battery's life - euro"),
    ("help", "this list - help"),
    ("info", "identity of a battery - info [pwr]"),
    ("log", "records of this battery - log"),
    ("login", "enter a mode - login [password]"),
    ("logout", "leave it - logout"),
    ("pwr", "batteries, or one of them - pwr [pwr]"),
    ("soh", "health of the cells - soh [pwr]"),
    ("stat", "counters - stat"),
    ("time", "clock - time"),
    ("unit", "units of the stack - unit"),
    ("ver", "firmware - ver"),
];

/// The usage line of a command, for errors.
pub(super) fn usage(command: &str) -> &'static str {
    HELP.iter().find(|(name, _)| *name == command).map_or("", |(_, usage)| usage)
}

/// Answers `help`: one page of local and one of remote commands.
pub(super) fn help(spec: &DialectSpec, text: AnswerText) -> AnswerBody {
    let mut text = text;
    let entry = |name: &str| format!("{name:<9}{}", usage(name));
    text.line(FEED, "Local command:");
    let mut before = BARE;
    for (name, _) in HELP.iter().filter(|(name, _)| spec.commands.contains(name)) {
        text.line(before, entry(name));
        before = HEAD;
    }
    text.line(FEED, "**********************************************************");
    text.line(FEED, "Remote command:");
    text.pause();
    text.line("", entry("info"));
    text.line(HEAD, entry("login"));
    text.line(HEAD, entry("logout"));
    AnswerBody::done(text, PrintedValues::Nothing)
}
