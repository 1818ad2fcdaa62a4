//! Drains a journal backlog of a long outage into a server.

use std::path::Path;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use bankwatch::internals::store::journal::{
    Bounds, Drain, DrainConfig, JournalBuffer, JournalEntry, JournalSink, NextStep, SinkError, StoredEntry,
};
use bankwatch::internals::store::{MariaDb, MinuteAggregator, Record, Store};

use crate::store::{INTERVAL, sweep};

/// Eleven and a half days with a sweep every ten seconds.
const SWEEPS: i64 = 100_000;
const BOUNDS: Bounds = Bounds { disk_bytes: 4_000_000_000, memory_bytes: 0, age: Duration::MAX };

struct Server(MariaDb);

impl JournalSink for Server {
    fn store(&mut self, batch: &[StoredEntry]) -> Result<(), SinkError> {
        let record =
            |kept: &StoredEntry| Record::from_bytes(&kept.entry.payload).expect("a journaled record");
        let records: Vec<Record> = batch.iter().map(record).collect();
        self.0.insert(&records).map_err(|error| SinkError::Unavailable(error.to_string()))
    }

    fn dead_letter(&mut self, _: &StoredEntry, reason: &str) -> Result<(), SinkError> {
        panic!("the server rejects a valid record: {reason}")
    }
}

/// Fills a journal at `path` and drains it into `store`.
pub fn measure(path: &Path, store: MariaDb) {
    let mut buffer = JournalBuffer::new(path, BOUNDS);
    let mut minutes = MinuteAggregator::default();
    let start = Instant::now();
    for first in (0..SWEEPS).step_by(100) {
        let records = (first..first + 100).flat_map(|n| sweep(n, &mut minutes));
        let entry = |record: Record| JournalEntry {
            kind: "reading".into(),
            bank: "pytes".into(),
            taken_at_ms: record.at_ms(),
            payload: record.to_bytes().expect("a record"),
        };
        buffer.append(Instant::now(), None, records.map(entry).collect());
    }
    let (rows, megabytes, filled) =
        (buffer.len(), buffer.bytes(Instant::now()) as f64 / 1e6, start.elapsed());
    let (buffer, mut drain, mut server) =
        (Mutex::new(buffer), Drain::new(DrainConfig::default()), Server(store));
    let start = Instant::now();
    while drain.step(&buffer, &mut server, Instant::now, 0.5).next != NextStep::Idle {}
    let took = start.elapsed().as_secs_f64();
    assert!(buffer.lock().is_empty(), "the journal is drained");
    println!(
        "\n| a backlog of {SWEEPS} sweeps of 4 × 16 ({:.1} days) | |",
        (SWEEPS * INTERVAL) as f64 / 86_400_000.0
    );
    println!("|---|---|");
    println!("| in the journal | {rows} rows, {megabytes:.0} MB, filled in {:.0} s |", filled.as_secs_f64());
    println!("| drained into MariaDB | {took:.0} s: {:.0} sweeps/s |", SWEEPS as f64 / took);
}
