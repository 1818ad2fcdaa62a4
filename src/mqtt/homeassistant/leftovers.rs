//! Retained discovery messages of one bank by pytes_serial and by earlier runs: which are taken over or removed, and
//! which stay.

use std::sync::Arc;

use crate::mqtt::homeassistant::announced_devices::AnnouncedDevices;
use crate::mqtt::homeassistant::cleanup::Cleanup;
use crate::mqtt::homeassistant::migration;
use crate::mqtt::message::Message;
use crate::mqtt::publish_round::PublishRound;
use crate::mqtt::topics::Topics;
use crate::settings::CellLevel;

#[derive(Debug, Default)]
pub(crate) struct Leftovers {
    legacy: Vec<Message>,
    /// Of earlier runs, if they may differ from what this run announces.
    earlier: Vec<Message>,
    /// Entities left behind, as logged last.
    reported: usize,
}

impl Leftovers {
    /// For a new connection, on which the retained messages are read again.
    pub(crate) fn reset(&mut self) {
        self.legacy.clear();
        self.earlier.clear();
    }

    /// Ignores messages that are neither of pytes_serial nor of bankwatch.
    pub(crate) fn add(&mut self, topics: &Topics, bank: &str, retained: &Message) {
        if migration::legacy_unique_id(topics, bank, retained).is_some() {
            self.legacy.push(retained.clone());
        } else if migration::is_our_discovery(topics, bank, retained) {
            self.earlier.push(retained.clone());
        }
    }

    /// Whether entities of earlier runs may have to be removed once more is known about the bank.
    pub(crate) fn is_undecided(&self) -> bool {
        !self.earlier.is_empty()
    }

    /// The messages that remove entities of earlier runs which this run can't have.
    pub(crate) fn clean_up(
        &mut self,
        topics: &Topics,
        devices: &AnnouncedDevices,
        level: CellLevel,
        ours: &[Message],
    ) -> Cleanup {
        let mut cleanup = Cleanup::new(topics, devices, level, &self.earlier, ours);
        self.earlier = std::mem::take(&mut cleanup.undecided);
        cleanup
    }

    /// Unique ids of the entities of pytes_serial.
    pub(crate) fn legacy_unique_ids<'a>(
        &'a self,
        topics: &'a Topics,
        bank: &'a str,
    ) -> impl Iterator<Item = String> {
        self.legacy.iter().filter_map(|message| migration::legacy_unique_id(topics, bank, message))
    }

    /// Announces `ours` and takes over the same entities of pytes_serial. The number of the others is reported on
    /// change.
    pub(crate) fn take_over(
        &mut self,
        topics: &Topics,
        bank: &Arc<str>,
        ours: Vec<Message>,
        round: &mut PublishRound,
    ) {
        let migration = migration::take_over(topics, bank, &self.legacy, ours);
        let cleared = migration.cleared_topics();
        let (moved, left): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.legacy).into_iter().partition(|old| cleared.contains(&old.topic));
        if !moved.is_empty() {
            round.moved.push((bank.clone(), migration::count_entities(topics, bank, &moved)));
        }
        let count = migration::count_entities(topics, bank, &left);
        if std::mem::replace(&mut self.reported, count) != count && count > 0 {
            round.left.push((bank.clone(), count));
        }
        self.legacy = left;
        round.messages.extend(migration.messages());
    }
}
