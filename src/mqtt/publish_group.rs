//! Groups the payloads of a report by how often they are published.

use crate::mqtt::message_kind::MessageKind;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PublishGroup {
    /// Values of every reading, full or summary.
    State,
    /// Values of full readings only.
    Full,
}

impl PublishGroup {
    pub(crate) const ALL: [Self; 2] = [Self::State, Self::Full];

    /// In the summaries of a bank in `series` the table has only the stack's own row, without the modules.
    pub(crate) fn of(kind: MessageKind, series: bool) -> Self {
        match kind {
            MessageKind::Bank => Self::State,
            MessageKind::Battery(_) if !series => Self::State,
            MessageKind::Battery(_)
            | MessageKind::Service
            | MessageKind::BankCells
            | MessageKind::Detail(_)
            | MessageKind::Cells(_)
            | MessageKind::Document => Self::Full,
        }
    }
}
