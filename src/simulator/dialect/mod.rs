//! The simulated console models: how each command is answered, byte for byte.
//!
//! A dialect is a row of the table in [`models`]: names, capacities, and a layout for each command, which is itself a
//! table of columns, fields and labels. The layouts follow raw captures.

mod answer;
mod cell_table;
mod detail;
mod detail_fields;
mod euro;
mod events;
mod info;
mod layouts;
mod log;
mod measurement;
mod models;
mod power_table;
mod short_answers;
mod snapshot;
mod spec;
mod stack;
mod stat;
pub(super) mod text;

use crate::simulator::dialect::layouts::SohLayout;
use crate::simulator::dialect::short_answers::usage;
use crate::simulator::dialect::spec::{DialectSpec, DialectTables};
use crate::simulator::dialect::text::{AnswerText, FEED, HEAD, PLAIN};
use crate::simulator::physics::bank::SimulatedBank;
use crate::simulator::physics::battery::SimulatedBattery;
use crate::simulator::printed::PrintedValues;

pub(super) use answer::AnswerBody;
pub use events::EventStyle;
pub use models::{Dialect, UnknownDialect};

impl DialectSpec {
    fn unknown(&self, command: &str) -> AnswerBody {
        let line = format!("Unknown command '{command}' - try 'help'");
        let mut text = self.open_padded();
        text.line(FEED, text::latin1(&line));
        AnswerBody::refusal(text, &line)
    }

    /// The answer to an invalid argument.
    fn invalid(&self, command: &str) -> AnswerBody {
        let end = if self.blank_after_mark && command == "stat" { '!' } else { '.' };
        let line = format!("Invalid command or fail to excute{end}");
        let mut text = self.open_padded();
        text.line(HEAD, &line);
        text.line(HEAD, "Usage:");
        text.line(PLAIN, usage(command));
        AnswerBody::refusal(text, &line)
    }

    fn not_present(&self) -> AnswerBody {
        let line = "Target device is not present";
        let mut text = self.open_padded();
        text.line(HEAD, line);
        AnswerBody::refusal(text, line)
    }

    /// The answer to a command that prints nothing.
    fn accepted(&self) -> AnswerBody {
        AnswerBody::done(self.open_padded(), PrintedValues::Nothing)
    }
}

/// The console's mode, shown in its prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConsoleMode {
    User,
    /// Its prompt contains `_debug`.
    Debug,
}

/// Answers a line that is not empty; `login` and `logout` change `mode`.
pub(super) fn answer(
    bank: &SimulatedBank,
    dialect: Dialect,
    style: EventStyle,
    mode: &mut ConsoleMode,
    line: &str,
) -> AnswerBody {
    let spec = dialect.spec();
    let mut words = line.split_ascii_whitespace();
    let command = words.next().unwrap_or_default();
    let arguments: Vec<_> = words.collect();
    if !spec.commands.contains(&command) {
        return spec.unknown(command);
    }
    match (command, arguments.as_slice()) {
        ("help", _) => short_answers::help(spec, spec.open_padded()),
        ("ver", []) => short_answers::ver(spec),
        ("time", []) => short_answers::time(bank, spec.open_stack("time"), spec),
        ("login", ["debug"]) if *mode == ConsoleMode::User => {
            *mode = ConsoleMode::Debug;
            spec.accepted()
        }
        ("login", _) if *mode == ConsoleMode::Debug => {
            let mut answer = spec.invalid("login");
            let mut text = spec.open_padded();
            text.line(HEAD, "Quit current mode");
            text.line(HEAD, "Invalid command or fail to excute.");
            text.line(HEAD, "Usage:");
            text.line(PLAIN, usage("login"));
            answer.text = text;
            answer
        }
        ("logout", _) => {
            *mode = ConsoleMode::User;
            spec.accepted()
        }
        _ => answer_values(bank, spec, style, command, &arguments),
    }
}

/// Answers the commands that print values of batteries.
fn answer_values(
    bank: &SimulatedBank,
    spec: &DialectSpec,
    style: EventStyle,
    command: &str,
    arguments: &[&str],
) -> AnswerBody {
    if command == "data" {
        let request = snapshot::SnapshotRequest::parse(arguments);
        let answer = request.and_then(|request| match &spec.tables {
            DialectTables::Pack(tables) => snapshot::answer_pack(bank, spec, tables.detail, style, request),
            DialectTables::Stack(layout) => snapshot::answer_stack(bank, spec, layout, style, request),
        });
        return answer.unwrap_or_else(|| spec.invalid("data"));
    }
    let place = match arguments {
        [] => None,
        [word] => match word.parse::<usize>() {
            Ok(place) if (1..=bank.places().max(spec.slots).max(16)).contains(&place) => Some(place),
            _ => return spec.invalid(command),
        },
        _ => return spec.invalid(command),
    };
    // Without a number a console answers for the battery it is connected to, the first.
    let Some(battery) = bank.battery(place.unwrap_or(1)) else {
        return match (command, place, &spec.tables) {
            ("pwr", None, DialectTables::Pack(tables)) => power_table::answer(bank, spec, tables.table),
            _ => spec.not_present(),
        };
    };
    let number = place.unwrap_or(1);
    match &spec.tables {
        DialectTables::Pack(tables) => match (command, place) {
            ("pwr", None) => power_table::answer(bank, spec, tables.table),
            ("pwr", Some(place)) => detail::answer(place, battery, spec, tables.detail, style),
            ("bat", _) => cell_table::answer(number, battery, spec, tables.cells),
            ("info", Some(_)) if !spec.info_by_place => spec.invalid("info"),
            ("info", _) => info::answer(number, battery, bank, spec),
            ("stat", Some(_)) if !tables.stat.by_place => spec.invalid("stat"),
            ("stat", _) => stat::answer(number, battery, AnswerText::marked(), spec, tables.stat),
            ("soh", _) => short_answers::soh(number, &[battery], AnswerText::marked(), spec, tables.soh),
            ("log", None) => log::answer(bank, battery, AnswerText::marked()),
            ("euro", None) => euro::answer(battery, spec),
            _ => spec.invalid(command),
        },
        DialectTables::Stack(layout) => match (command, place) {
            (_, Some(_)) => spec.invalid(command),
            ("pwr", None) => stack::power(bank, spec, layout),
            ("unit", None) => stack::units(bank, spec, layout),
            ("bat", None) => stack::cells(bank, spec, layout),
            ("info", None) => info::answer(number, battery, bank, spec),
            ("stat", None) => stat::answer(0, battery, spec.open_stack("stat"), spec, &stat::STACK),
            ("soh", None) => {
                let all: Vec<&SimulatedBattery> = bank.batteries().map(|(_, battery)| battery).collect();
                short_answers::soh(0, &all, spec.open_stack("soh"), spec, SohLayout::Counted)
            }
            ("log", None) => log::answer(bank, battery, spec.open_stack("log")),
            _ => spec.invalid(command),
        },
    }
}
