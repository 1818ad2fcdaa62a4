//! Which parts of a report go out together.

use crate::mqtt::payload::Kind;

/// What goes out together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sort {
    /// Values of every reading.
    State,
    /// Values of full readings only.
    Full,
}

impl Sort {
    pub(crate) const ALL: [Self; 2] = [Self::State, Self::Full];

    /// The table of a bank in `series` is the stack's own row, without its modules.
    pub(crate) fn of(kind: Kind, series: bool) -> Self {
        match kind {
            Kind::Bank => Self::State,
            Kind::Battery(_) if !series => Self::State,
            Kind::Battery(_)
            | Kind::Service
            | Kind::BankCells
            | Kind::Detail(_)
            | Kind::Cells(_)
            | Kind::Document => Self::Full,
        }
    }
}
