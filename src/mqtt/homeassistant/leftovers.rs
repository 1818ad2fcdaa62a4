//! What pytes_serial and earlier runs left with the broker of one bank: what of it is taken over or removed, and what
//! stays.

use std::sync::Arc;

use crate::mqtt::homeassistant::announced_devices::Shape;
use crate::mqtt::homeassistant::cleanup::Cleanup;
use crate::mqtt::homeassistant::migration;
use crate::mqtt::message::Message;
use crate::mqtt::round::Round;
use crate::mqtt::topics::Topics;
use crate::settings::CellLevel;

/// The discovery of one bank as the broker retains it.
#[derive(Debug, Default)]
pub(crate) struct Leftovers {
    /// By pytes_serial.
    found: Vec<Message>,
    /// By earlier runs, as far as it may differ from what this run announces.
    earlier: Vec<Message>,
    /// Of how many entities what stays was, as reported last.
    reported: usize,
}

impl Leftovers {
    /// A new connection: all of it will be found again.
    pub(crate) fn restart(&mut self) {
        self.found.clear();
        self.earlier.clear();
    }

    /// Takes in a retained message if it is one of pytes_serial's or of ours.
    pub(crate) fn find(&mut self, topics: &Topics, bank: &str, kept: &Message) {
        if migration::predecessors_id(topics, bank, kept).is_some() {
            self.found.push(kept.clone());
        } else if migration::is_our_discovery(topics, bank, kept) {
            self.earlier.push(kept.clone());
        }
    }

    /// Whether entities of earlier runs may have to be removed once more is known of the bank.
    pub(crate) fn is_undecided(&self) -> bool {
        !self.earlier.is_empty()
    }

    /// What removes the entities of earlier runs that this one can't have, around the announcement of `ours`.
    pub(crate) fn clean_up(
        &mut self,
        topics: &Topics,
        shape: &Shape,
        level: CellLevel,
        ours: &[Message],
    ) -> Cleanup {
        let mut cleanup = Cleanup::new(topics, shape, level, &self.earlier, ours);
        self.earlier = std::mem::take(&mut cleanup.undecided);
        cleanup
    }

    /// The unique ids of the entities that it announced.
    pub(crate) fn unique_ids<'a>(
        &'a self,
        topics: &'a Topics,
        bank: &'a str,
    ) -> impl Iterator<Item = String> {
        self.found.iter().filter_map(|kept| migration::predecessors_id(topics, bank, kept))
    }

    /// Announces `ours` and takes over what was found of the same entities. The rest is reported when its count changes.
    pub(crate) fn take_over(
        &mut self,
        topics: &Topics,
        bank: &Arc<str>,
        ours: Vec<Message>,
        round: &mut Round,
    ) {
        let handshake = migration::over(topics, bank, &self.found, ours);
        let cleared = handshake.cleared();
        let (moved, left): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.found).into_iter().partition(|old| cleared.contains(&old.topic));
        if !moved.is_empty() {
            round.moved.push((bank.clone(), migration::entities(topics, bank, &moved)));
        }
        let count = migration::entities(topics, bank, &left);
        if std::mem::replace(&mut self.reported, count) != count && count > 0 {
            round.left.push((bank.clone(), count));
        }
        self.found = left;
        round.messages.extend(handshake.messages());
    }
}
