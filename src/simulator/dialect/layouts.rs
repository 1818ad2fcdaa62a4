//! How the answers of a dialect are laid out: columns, labels and widths. The tables themselves are next to the code
//! that prints them.

use crate::simulator::dialect::events::{BitNames, StatusWord};
use crate::simulator::dialect::text::TextColumn;
use crate::simulator::printed::{
    PrintedCellRow, PrintedDetail, PrintedStackRow, PrintedTableRow, PrintedUnitRow,
};

pub(super) type CellColumns = &'static [TextColumn<PrintedCellRow>];
pub(super) type PowerColumns = &'static [TextColumn<PrintedTableRow>];

/// The cell table, `bat` and `bat N`.
pub(super) struct CellLayout {
    pub(crate) columns: &'static [CellColumns],
}

/// The battery table, `pwr`.
pub(super) struct TableLayout {
    /// The columns of a battery that is present.
    pub(crate) present: &'static [PowerColumns],
    /// The columns of an absent battery; `None` omits the row.
    pub(crate) absent: Option<&'static [PowerColumns]>,
    /// The line end between the row of a present battery and the next row.
    pub(crate) after_present: &'static str,
}

/// One line of `pwr N`.
pub(super) struct DetailField {
    /// The label, or the whole line of [`DetailValue::Bare`].
    pub(crate) label: &'static str,
    pub(crate) value: DetailValue,
}

/// How the value after the colon is printed.
pub(super) enum DetailValue {
    /// A number padded to the unit's column, then the unit; `None` omits the line.
    Number(fn(&PrintedDetail) -> Option<i64>, &'static str),
    /// A number without unit.
    Count(fn(&PrintedDetail) -> i64),
    /// Seconds, in a column of a different width; `None` omits the line.
    Seconds(fn(&PrintedDetail) -> Option<i64>),
    /// A state, padded to eight characters.
    State(fn(&PrintedDetail) -> &str),
    /// A constant word, padded to eight characters.
    Fixed(&'static str),
    /// Text, and the width it is padded to.
    Text(fn(&PrintedDetail) -> String, usize),
    /// The enabled protections; this line follows a line end of the other kind.
    List(&'static str),
    Events(fn(&PrintedDetail) -> u32, BitNames),
    Status(StatusWord),
    /// No value: the label is the whole line.
    Bare,
}

/// The block of `pwr N`.
pub(super) struct DetailLayout {
    /// Lines above the first rule.
    pub(crate) above: &'static [DetailField],
    /// Lines below the first rule.
    pub(crate) fields: &'static [DetailField],
    /// Width of a number before its unit.
    pub(crate) number_width: usize,
    /// Width of a number without unit.
    pub(crate) count_width: usize,
    /// Width of an event word before the names of its bits.
    pub(crate) event_width: usize,
}

/// The counter printed by a line of `stat`.
#[derive(Clone, Copy)]
pub(super) enum StatCounter {
    /// Always 0: not simulated.
    Never,
    /// Log records stored.
    Items,
    Charges,
    Discharges,
    Idles,
    CellHigh,
    CellLow,
    Resets,
    Cycles,
    Soh,
    Soc,
    /// Remaining charge in mA·s.
    RemainingCharge,
    /// Lifetime discharge in mAh.
    DischargedMah,
    ChargedSeconds,
    DischargedSeconds,
}

/// Label (padded where it is wider than sixteen characters) and counter.
pub(super) type StatLine = (&'static str, StatCounter);

/// The answer to `stat` and `stat N`.
pub(super) struct StatLayout {
    /// The lines, in groups that dialects share.
    pub(crate) groups: &'static [&'static [StatLine]],
    /// Width of the numbers.
    pub(crate) width: usize,
    /// Lines per page, if the pager is used.
    pub(crate) page: Option<usize>,
    /// Whether `stat N` is accepted.
    pub(crate) by_place: bool,
    /// Whether the success line ends in an exclamation mark.
    pub(crate) exclamation: bool,
}

/// The answer to `soh`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum SohLayout {
    /// Voltage, count, state.
    Counted,
    /// No count, a bit field, and a header cell of uninitialized bytes.
    Bits,
}

/// The answer to `euro`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum EuroLayout {
    /// Separate values for charging and discharging, percentages with unit.
    Separate,
    /// Headings, unset dates, charging and discharging combined, percentages without unit.
    Combined,
}

/// One line of `info`.
pub(super) struct InfoLine {
    /// An empty label is an empty line.
    pub(crate) label: &'static str,
    pub(crate) value: InfoValue,
    /// The line end before it.
    pub(crate) before: &'static str,
}

/// The value after the colon of a line of `info`.
pub(super) enum InfoValue {
    Fixed(&'static str),
    Place,
    Maker,
    Device,
    Firmware,
    Barcode,
    Rating,
    CellCount,
    DischargeLimit,
    ChargeLimit,
}

/// The tables of a high-voltage stack.
pub(super) struct StackLayout {
    pub(crate) stack: &'static [&'static [TextColumn<PrintedStackRow>]],
    pub(crate) units: &'static [&'static [TextColumn<PrintedUnitRow>]],
    pub(crate) cells: &'static [&'static [TextColumn<PrintedCellRow>]],
    /// Labels above the table of `pwr`: mean temperature, voltage outside and inside the contactor.
    pub(crate) preamble: [&'static str; 3],
    /// Whether the time is printed above the preamble.
    pub(crate) timed: bool,
    pub(crate) energy: EnergyUnit,
    /// Commands for which the start mark is lost.
    pub(crate) unmarked: &'static [&'static str],
}

/// How energy is printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum EnergyUnit {
    MilliwattHours,
    WattHours,
    None,
}
