//! What each kind of state message is about.

use crate::model::place::Place;

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MessageKind {
    /// The bank's totals, each reading.
    Bank,
    /// Statistics over all cells of the bank, full readings.
    BankCells,
    /// The service, full readings.
    Service,
    /// Values of a battery from the table, each reading.
    Battery(Place),
    /// Details and facts of a battery, full readings.
    Detail(Place),
    /// A battery's cells, full readings.
    Cells(Place),
    /// The status document, full readings.
    Document,
}
