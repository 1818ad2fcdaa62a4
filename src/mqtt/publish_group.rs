//! Groups the payloads of a report by how often they are published.

use crate::mqtt::payload::Kind;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sort {
    /// Values of every reading, full or summary.
    State,
    /// Values of full readings only.
    Full,
}

impl Sort {
    pub(crate) const ALL: [Self; 2] = [Self::State, Self::Full];

    /// In the summaries of a bank in `series` the table has only the stack's own row, without the modules.
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
