//! Compares the journal with a simple model: whatever happens to journal, disk, database and process, in any order,
//! each row arrives once, in order, or is reported as lost.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bankwatch::internals::store::journal::{Bounds, Drain, DrainConfig, JournalBuffer, NextStep};
use parking_lot::Mutex;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError};
use support::journal::{Database, entry, numbers};
use tempfile::{TempDir, tempdir, tempdir_in};

/// Small, so that both limits are reached often.
const BOUNDS: Bounds = Bounds {
    disk_bytes: 100_000,
    memory_bytes: 30_000,
    // Rows are numbered by time, a millisecond each.
    age: Duration::from_millis(60),
};

/// The largest row.
const MOST_BYTES: usize = 9_000;

/// Rows with a multiple of this number are poison.
const POISON: i64 = 13;

#[derive(Clone, Debug)]
enum Event {
    /// The number of rows, and their size in bytes.
    Append(i64, usize),
    /// One row, with a trusted clock.
    AppendByTrustedClock,
    /// The number of steps.
    Drain(u8),
    /// The process is killed; only what is on the disk remains.
    Crash,
    /// The process exits cleanly.
    Restart,
    /// The process exits, and the disk is missing at the next start.
    DiskGone,
    DiskRecovers,
    DatabaseDown,
    DatabaseRecovers,
    /// It stores rows, and the confirmation is lost.
    DatabaseLosesConfirmation,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (1..20_i64, 1..MOST_BYTES).prop_map(|(rows, bytes)| Event::Append(rows, bytes)),
        1 => Just(Event::AppendByTrustedClock),
        6 => (1..10_u8).prop_map(Event::Drain),
        2 => Just(Event::Crash),
        1 => Just(Event::Restart),
        1 => Just(Event::DiskGone),
        2 => Just(Event::DiskRecovers),
        1 => Just(Event::DatabaseDown),
        1 => Just(Event::DatabaseLosesConfirmation),
        3 => Just(Event::DatabaseRecovers),
    ]
}

/// The expected state.
#[derive(Debug, Default)]
struct Model {
    /// Unconfirmed rows on the disk and in memory, in order.
    disk: VecDeque<i64>,
    memory: VecDeque<i64>,
    disk_is_there: bool,
    /// Rows from memory were stored while older ones were on a missing disk.
    out_of_order: bool,
    /// Rows that may be missing in the end.
    lost: Vec<i64>,
    next: i64,
}

impl Model {
    fn waiting(&self) -> Vec<i64> {
        let disk = self.disk.iter().filter(|_| self.disk_is_there);
        disk.chain(&self.memory).copied().collect()
    }

    /// The oldest that the buffer knows of.
    fn pop(&mut self) -> i64 {
        let disk = if self.disk_is_there { self.disk.pop_front() } else { None };
        disk.or_else(|| self.memory.pop_front()).unwrap()
    }
}

struct ModelTest {
    /// Each process has its own copy of the disk of the previous one.
    folder: TempDir,
    processes: u32,
    buffer: Mutex<JournalBuffer>,
    drain: Drain,
    database: Database,
    now: Instant,
    model: Model,
    told_lost: u64,
}

type TestResult = Result<(), TestCaseError>;

impl ModelTest {
    fn new() -> Self {
        // A crash is simulated by a copy, so the files can be in memory, which is faster.
        let folder = tempdir_in("/dev/shm").or_else(|_| tempdir()).unwrap();
        let database = Database::default();
        database.set(|database| database.poison = (0..10_000).step_by(POISON as usize).collect());
        let mut model_test = Self {
            buffer: Mutex::new(JournalBuffer::new(folder.path().join("0/journal.db"), BOUNDS)),
            folder,
            processes: 0,
            drain: Drain::new(DrainConfig { first_rows: 2, max_rows: 16, ..DrainConfig::default() }),
            database,
            now: Instant::now(),
            model: Model { disk_is_there: true, ..Model::default() },
            told_lost: 0,
        };
        model_test.process_folder(0, true);
        model_test
    }

    fn process_folder(&mut self, process: u32, there: bool) -> PathBuf {
        let folder = self.folder.path().join(process.to_string());
        if there {
            fs::create_dir_all(&folder).unwrap();
        }
        folder
    }

    /// Starts the next process, with only what is on the disk.
    fn start_process(&mut self) {
        let path = self.folder.path().join(self.processes.to_string()).join("journal.db");
        self.buffer = Mutex::new(JournalBuffer::new(path, BOUNDS));
        self.drain = Drain::new(DrainConfig { first_rows: 2, max_rows: 16, ..DrainConfig::default() });
        self.told_lost = 0;
        let dead = std::mem::take(&mut self.model.memory);
        self.model.lost.extend(dead);
    }

    fn append(&mut self, rows: i64, bytes: usize, trusted: bool) -> TestResult {
        let first = self.model.next;
        self.model.next += rows;
        let new: Vec<_> = (first..self.model.next).map(|number| entry(number, bytes)).collect();
        let wall = trusted.then_some(first);
        let buffer = self.buffer.get_mut();
        buffer.append(self.now, wall, new);
        let lost = buffer.lost() - self.told_lost;
        self.told_lost = buffer.lost();
        let full = buffer.bytes(self.now) + 3 * MOST_BYTES as u64 + 4096 > BOUNDS.disk_bytes;
        let in_memory = buffer.in_memory();
        self.model.memory.extend(first..self.model.next);
        for _ in 0..lost {
            let row = self.model.pop();
            let old = trusted && row < first - 60;
            prop_assert!(
                full || !self.model.disk_is_there || old,
                "row {row} was dropped although there was space"
            );
            self.model.lost.push(row);
        }
        if self.model.disk_is_there {
            prop_assert_eq!(in_memory, 0);
            self.model.disk.append(&mut self.model.memory);
        }
        Ok(())
    }

    fn drain(&mut self, steps: u8) -> TestResult {
        for _ in 0..steps {
            let before = self.buffer.get_mut().len();
            let now = self.now;
            let step = self.drain.step(&self.buffer, &mut self.database, || now, 0.5);
            let confirmed = before.saturating_sub(self.buffer.get_mut().len());
            // A row is removed only once the database has it.
            let (stored, dead_letters) = (self.database.stored(), self.database.dead_letters());
            for _ in 0..confirmed {
                let row = self.model.pop();
                prop_assert!(
                    stored.contains(&row) || dead_letters.contains(&row),
                    "row {row} left and is nowhere"
                );
            }
            match step.next {
                NextStep::Now => {}
                NextStep::At(at) => self.now = at,
                NextStep::Idle => break,
            }
        }
        Ok(())
    }

    /// Simulates a kill between two writes: the next process gets a copy of the files.
    fn crash(&mut self) -> TestResult {
        let from = self.process_folder(self.processes, false);
        self.processes += 1;
        let to = self.process_folder(self.processes, self.model.disk_is_there);
        if self.model.disk_is_there {
            copy(&from, &to);
        } else {
            // A missing disk keeps its rows.
            fs::rename(away(&from), away(&to)).unwrap();
        }
        self.start_process();
        if !self.model.disk_is_there {
            return Ok(());
        }
        // Confirmed rows may come again, before unconfirmed ones.
        let found = numbers(&self.buffer.get_mut().head(self.now, usize::MAX, usize::MAX));
        let again = found.len().saturating_sub(self.model.disk.len());
        prop_assert_eq!(&found[again..], self.model.disk.make_contiguous());
        let (stored, dead_letters) = (self.database.stored(), self.database.dead_letters());
        for row in &found[..again] {
            prop_assert!(stored.contains(row) || dead_letters.contains(row), "row {row} is unaccounted for");
        }
        self.model.disk = found.into();
        Ok(())
    }

    fn restart(&mut self) {
        let now = self.now;
        let buffer = self.buffer.get_mut();
        buffer.flush(now);
        let lost = buffer.lost() - self.told_lost;
        for _ in 0..lost {
            let row = self.model.pop();
            self.model.lost.push(row);
        }
        if self.model.disk_is_there {
            self.model.disk.append(&mut self.model.memory);
        }
        self.start_process();
    }

    fn disk(&mut self, there: bool) {
        if there == self.model.disk_is_there {
            return;
        }
        let folder = self.process_folder(self.processes, false);
        if there {
            fs::rename(away(&folder), folder).unwrap();
        } else {
            self.restart();
            // Both files are closed by now.
            fs::rename(&folder, away(&folder)).unwrap();
        }
        self.model.disk_is_there = there;
        self.model.out_of_order = true;
    }

    fn take(&mut self, event: Event) -> TestResult {
        self.now += Duration::from_secs(60);
        match event {
            Event::Append(rows, bytes) => self.append(rows, bytes, false)?,
            Event::AppendByTrustedClock => self.append(1, 100, true)?,
            Event::Drain(steps) => self.drain(steps)?,
            Event::Crash => self.crash()?,
            Event::Restart => self.restart(),
            Event::DiskGone => self.disk(false),
            Event::DiskRecovers => self.disk(true),
            Event::DatabaseDown => self.database.set(|database| database.away = Some("away".into())),
            Event::DatabaseLosesConfirmation => {
                self.database.set(|database| database.loses_confirmation = true)
            }
            Event::DatabaseRecovers => self.database.set(|database| {
                (database.away, database.loses_confirmation) = (None, false);
            }),
        }
        self.now += Duration::from_secs(60);
        let buffer = self.buffer.get_mut();
        // Opens the journal if possible.
        let head = numbers(&buffer.head(self.now, usize::MAX, usize::MAX));
        let expected = self.model.waiting();
        prop_assert_eq!(buffer.len(), expected.len() as u64);
        prop_assert_eq!(buffer.oldest(self.now), expected.first().copied());
        prop_assert!(expected.starts_with(&head), "{:?} at the head of {:?}", head, expected);
        prop_assert!(buffer.bytes(self.now) <= BOUNDS.disk_bytes + 4096);
        Ok(())
    }

    /// Everything recovers, and each row is accounted for.
    fn end(mut self) -> TestResult {
        self.take(Event::DatabaseRecovers)?;
        self.take(Event::DiskRecovers)?;
        while !self.buffer.get_mut().is_empty() {
            self.take(Event::Drain(20))?;
        }
        let stored = self.database.stored();
        prop_assert!(stored.is_sorted() || self.model.out_of_order, "out of order: {:?}", stored);
        let inner = self.database.inner.lock().unwrap();
        let mut arrived = [stored.clone(), inner.dead_letters.clone()].concat();
        arrived.sort_unstable();
        prop_assert!(arrived.windows(2).all(|pair| pair[0] < pair[1]), "twice: {:?}", arrived);
        prop_assert!(inner.dead_letters.iter().all(|row| row % POISON == 0));
        let missing: Vec<i64> =
            (0..self.model.next).filter(|row| arrived.binary_search(row).is_err()).collect();
        let unreported: Vec<_> = missing.iter().filter(|row| !self.model.lost.contains(row)).collect();
        prop_assert!(unreported.is_empty(), "missing and never reported as lost: {:?}", unreported);
        prop_assert!(stored.iter().all(|row| inner.stored.contains(&entry(*row, size(&inner.stored, *row)))));
        Ok(())
    }
}

/// The size of a stored row; its content follows from number and size.
fn size(stored: &[bankwatch::internals::store::journal::JournalEntry], row: i64) -> usize {
    stored.iter().find(|entry| entry.taken_at_ms == row).map_or(0, |entry| entry.payload.len())
}

/// The path of a missing disk.
fn away(folder: &Path) -> PathBuf {
    folder.with_extension("away")
}

fn copy(from: &Path, to: &Path) {
    for name in ["journal.db", "journal.db-wal"] {
        if from.join(name).exists() {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(Config { cases: 200, ..Config::default() })]

    #[test]
    fn every_row_arrives_once_in_order_or_is_reported_lost(
        events in prop::collection::vec(event(), 1..60),
    ) {
        let mut model_test = ModelTest::new();
        for event in events {
            model_test.take(event)?;
        }
        model_test.end()?;
    }
}
