//! What distinguishes one dialect from the others.

use crate::simulator::dialect::layouts::{
    CellLayout, DetailLayout, EuroLayout, InfoLine, SohLayout, StackLayout, StatLayout, TableLayout,
};
use crate::simulator::dialect::text::{AnswerText, FEED};

/// A row of the table of dialects.
pub(crate) struct DialectSpec {
    /// The name on the command line.
    pub(crate) name: &'static str,
    /// Start of the prompt.
    pub(crate) prompt: &'static str,
    pub(crate) maker: &'static str,
    pub(crate) device: &'static str,
    pub(crate) firmware: &'static str,
    pub(crate) barcode_letter: char,
    /// Minimum number of rows in the battery table.
    pub(crate) slots: usize,
    /// Default number of cells per battery.
    pub(crate) cells: usize,
    /// Capacity of a battery in ampere-hours.
    pub(crate) amp_hours: f64,
    /// Current limit as a multiple of the capacity per hour (C rate).
    pub(crate) limit_per_hour: f64,
    pub(crate) max_voltage_mv: i32,
    /// Resolution of the temperature sensors, in thousandths of a degree.
    pub(crate) temperature_step: i32,
    pub(crate) commands: &'static [&'static str],
    pub(super) info: &'static [InfoLine],
    /// Whether `info N` is accepted.
    pub(crate) info_by_place: bool,
    /// Name of the clock chip, printed by `time` before the time.
    pub(crate) clock_chip: &'static str,
    /// Whether most answers have an empty line after the start mark.
    pub(crate) blank_after_mark: bool,
    /// Whether the command is printed again below its echo.
    pub(crate) echoes_twice: bool,
    pub(super) tables: DialectTables,
    /// Used only if `euro` is one of the commands.
    pub(super) euro: EuroLayout,
}

/// The layouts of the tables.
pub(super) enum DialectTables {
    /// 48 V batteries in parallel.
    Pack(PackTables),
    /// High-voltage batteries in series.
    Stack(StackLayout),
}

/// The layouts of a 48 V dialect.
pub(super) struct PackTables {
    pub(crate) table: &'static TableLayout,
    pub(crate) detail: &'static DetailLayout,
    pub(crate) cells: &'static CellLayout,
    pub(crate) stat: &'static StatLayout,
    pub(crate) soh: SohLayout,
}

impl DialectSpec {
    /// Starts a table or list; some consoles print an empty line first.
    pub(super) fn open_padded(&self) -> AnswerText {
        let mut text = AnswerText::marked();
        if self.blank_after_mark {
            text.line(FEED, "");
        }
        text
    }

    /// Starts an answer of a stack, which may lack the start mark.
    pub(super) fn open_stack(&self, command: &str) -> AnswerText {
        if self.is_unmarked(command) { AnswerText::unmarked() } else { AnswerText::marked() }
    }

    /// Whether the answer to this command lacks the start mark and the echo of the line end.
    pub(crate) fn is_unmarked(&self, command: &str) -> bool {
        matches!(&self.tables, DialectTables::Stack(layout) if layout.unmarked.contains(&command))
    }
}
