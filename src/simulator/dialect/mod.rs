//! The languages of the consoles: which command is answered how, to the byte.
//!
//! A dialect is a row of the table in [`spec`](Dialect::spec): names, capacities, and for each command a
//! layout, which again is a table (columns, fields, labels). Their shapes come from raw captures.

mod cell_table;
mod detail;
mod detail_fields;
mod euro;
mod events;
mod info;
mod list;
mod log;
mod measure;
mod power_table;
mod snapshot;
mod specs;
mod stack;
mod stat;
pub(super) mod text;

use super::bank::Bank;
use super::battery::Battery;
use super::said::Values;
use text::{FEED, HEAD, PLAIN, Text};

pub use events::EventStyle;
pub(crate) use specs::Spec;
use specs::Tables;
pub use specs::{Dialect, UnknownDialect};

/// What a console has to say to one command, but for echo and prompt.
pub(super) struct Answer {
    pub(crate) text: Text,
    pub(crate) values: Values,
    /// Whether it ends in the sentence of success.
    pub(crate) success: bool,
    /// That sentence ends in an exclamation mark.
    pub(crate) exclaims: bool,
}

impl Answer {
    fn done(text: Text, values: Values) -> Self {
        Self { text, values, success: true, exclaims: false }
    }

    fn refusal(text: Text, first_line: &str) -> Self {
        Self { text, values: Values::Refusal(first_line.to_owned()), success: false, exclaims: false }
    }
}

impl Spec {
    /// Begins a table or a list; some consoles leave a line empty first.
    fn open_padded(&self) -> Text {
        let mut text = Text::marked();
        if self.blank_after_mark {
            text.line(FEED, "");
        }
        text
    }

    /// Begins an answer of a stack, which loses its start mark now and then.
    fn open_stack(&self, command: &str) -> Text {
        match &self.tables {
            Tables::Stack(layout) if layout.unmarked.contains(&command) => Text::unmarked(),
            _ => Text::marked(),
        }
    }

    /// Whether the echo of this command's line end gets lost together with the start mark.
    pub(super) fn loses_echo_end(&self, command: &str) -> bool {
        matches!(&self.tables, Tables::Stack(layout) if layout.unmarked.contains(&command))
    }

    fn unknown(&self, command: &str) -> Answer {
        let line = format!("Unknown command '{command}' - try 'help'");
        let mut text = self.open_padded();
        text.line(FEED, text::latin1(&line));
        Answer::refusal(text, &line)
    }

    /// Wrong argument.
    fn invalid(&self, command: &str) -> Answer {
        let end = if self.blank_after_mark && command == "stat" { '!' } else { '.' };
        let line = format!("Invalid command or fail to excute{end}");
        let mut text = self.open_padded();
        text.line(HEAD, &line);
        text.line(HEAD, "Usage:");
        text.line(PLAIN, list::usage(command));
        Answer::refusal(text, &line)
    }

    fn not_present(&self) -> Answer {
        let line = "Target device is not present";
        let mut text = self.open_padded();
        text.line(HEAD, line);
        Answer::refusal(text, line)
    }

    fn accepted(&self) -> Answer {
        Answer::done(self.open_padded(), Values::Nothing)
    }
}

/// What a typed line does to the console's mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// The prompt without more.
    User,
    /// The prompt with `_debug`.
    Debug,
}

/// Answers a typed line that is not empty; `mode` changes with `login` and `logout`.
pub(super) fn answer(
    bank: &Bank,
    dialect: Dialect,
    style: EventStyle,
    mode: &mut Mode,
    line: &str,
) -> Answer {
    let spec = dialect.spec();
    let mut words = line.split_ascii_whitespace();
    let command = words.next().unwrap_or_default();
    let arguments: Vec<_> = words.collect();
    if !spec.commands.contains(&command) {
        return spec.unknown(command);
    }
    match (command, arguments.as_slice()) {
        ("help", _) => list::help(spec, spec.open_padded()),
        ("ver", []) => list::ver(spec),
        ("time", []) => list::time(bank, spec.open_stack("time"), spec),
        ("login", ["debug"]) if *mode == Mode::User => {
            *mode = Mode::Debug;
            spec.accepted()
        }
        ("login", _) if *mode == Mode::Debug => {
            let mut refused = spec.invalid("login");
            let mut text = spec.open_padded();
            text.line(HEAD, "Quit current mode");
            text.line(HEAD, "Invalid command or fail to excute.");
            text.line(HEAD, "Usage:");
            text.line(PLAIN, list::usage("login"));
            refused.text = text;
            refused
        }
        ("logout", _) => {
            *mode = Mode::User;
            spec.accepted()
        }
        _ => values(bank, dialect, style, command, &arguments),
    }
}

/// Answers the commands that say something of batteries.
fn values(bank: &Bank, dialect: Dialect, style: EventStyle, command: &str, arguments: &[&str]) -> Answer {
    let spec = dialect.spec();
    if command == "data" {
        let asked = snapshot::SnapshotRequest::of(arguments);
        let answer = asked.and_then(|asked| match &spec.tables {
            Tables::Pack(tables) => snapshot::of_pack(bank, spec, tables.detail, style, asked),
            Tables::Stack(layout) => snapshot::of_stack(bank, spec, layout, style, asked),
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
    // Without a number a console speaks of the battery it is plugged into, the first.
    let Some(battery) = bank.battery(place.unwrap_or(1)) else {
        return match (command, place, &spec.tables) {
            ("pwr", None, Tables::Pack(tables)) => power_table::answer(bank, dialect, tables.table),
            _ => spec.not_present(),
        };
    };
    let number = place.unwrap_or(1);
    match &spec.tables {
        Tables::Pack(tables) => match (command, place) {
            ("pwr", None) => power_table::answer(bank, dialect, tables.table),
            ("pwr", Some(place)) => detail::answer(place, battery, spec, tables.detail, style),
            ("bat", _) => cell_table::answer(number, battery, spec, tables.cells),
            ("info", Some(_)) if !spec.info_by_place => spec.invalid("info"),
            ("info", _) => info::answer(number, battery, bank, spec),
            ("stat", Some(_)) if !tables.stat.by_place => spec.invalid("stat"),
            ("stat", _) => stat::answer(number, battery, Text::marked(), spec, tables.stat),
            ("soh", _) => list::soh(number, &[battery], Text::marked(), spec, tables.soh),
            ("log", None) => log::log(bank, battery, Text::marked()),
            ("euro", None) => euro::answer(battery, spec),
            _ => spec.invalid(command),
        },
        Tables::Stack(layout) => match (command, place) {
            (_, Some(_)) => spec.invalid(command),
            ("pwr", None) => stack::power(bank, spec, layout),
            ("unit", None) => stack::units(bank, spec, layout),
            ("bat", None) => stack::cells(bank, spec, layout),
            ("info", None) => info::answer(number, battery, bank, spec),
            ("stat", None) => stat::answer(0, battery, spec.open_stack("stat"), spec, &stat::STACK),
            ("soh", None) => {
                let all: Vec<&Battery> = bank.batteries().map(|(_, battery)| battery).collect();
                list::soh(0, &all, spec.open_stack("soh"), spec, list::SohLayout::Counted)
            }
            ("log", None) => log::log(bank, battery, spec.open_stack("log")),
            _ => spec.invalid(command),
        },
    }
}
