//! Journal performance: rows per second with a sync after each, reading and confirming a backlog, bytes written per
//! row, and opening a full journal.
//!
//! ```text
//! cargo bench --bench journal             on the disk of the temporary folder
//! TMPDIR=/mnt/card cargo bench --bench journal
//! ```
#![allow(clippy::expect_used, reason = "a benchmark that can't be set up has nothing to print")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use bankwatch::internals::store::journal::{Bounds, Journal, JournalEntry};

/// A full reading of four batteries of sixteen cells, packed.
const BYTES: usize = 8_000;

/// A backlog of an hour at ten readings per second, or of four days at one every ten seconds.
const BACKLOG: u64 = 36_000;

const BOUNDS: Bounds = Bounds { disk_bytes: 512_000_000, memory_bytes: 0, age: Duration::MAX };

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal.db");
    let mut journal = open(&path);
    println!("\n| what | figure |\n|---|---|");
    steady(&mut journal);
    backlog(&mut journal);
    drop(journal);
    let start = Instant::now();
    let mut journal = open(&path);
    println!("| opening it, {} rows checked | {:.2} s |", journal.len(), start.elapsed().as_secs_f64());
    drain(&mut journal, &path);
}

fn open(path: &Path) -> Journal {
    Journal::open(path, BOUNDS).expect("a journal").journal
}

fn rows(count: u64) -> Vec<JournalEntry> {
    let row = |number: u64| JournalEntry {
        kind: "reading".into(),
        bank: "house".into(),
        taken_at_ms: i64::try_from(number).expect("a small number"),
        payload: vec![number.to_le_bytes()[0]; BYTES],
    };
    (0..count).map(row).collect()
}

/// Normal operation: each reading is journaled, stored at once and confirmed.
fn steady(journal: &mut Journal) {
    const ROWS: u64 = 2_000;
    let row = rows(1);
    let (start, before) = (Instant::now(), written());
    for _ in 0..ROWS {
        journal.append(&row).expect("room");
        let head = journal.head(1, usize::MAX).expect("a row");
        journal.confirm(head[0].seq).expect("room");
    }
    let rate = ROWS as f64 / start.elapsed().as_secs_f64();
    let each = (written() - before) as f64 / ROWS as f64;
    println!("| kept, read and confirmed one by one, each on the disk | {rate:.0} rows/s |");
    println!("| written for a row of {BYTES} bytes | {each:.0} bytes |");
    println!("| written a day at a row each 10 s | {:.0} MB |", each * 8640.0 / 1e6);
}

/// During an outage of the database.
fn backlog(journal: &mut Journal) {
    for batch in [1, 16, 256] {
        let (new, start) = (rows(batch), Instant::now());
        let rounds = (BACKLOG / 3).div_ceil(batch).min(4_000);
        for _ in 0..rounds {
            journal.append(&new).expect("room");
        }
        let rate = (rounds * batch) as f64 / start.elapsed().as_secs_f64();
        println!("| kept in transactions of {batch} | {rate:.0} rows/s |");
    }
}

/// After the outage, with an infinitely fast database.
fn drain(journal: &mut Journal, path: &Path) {
    let (start, count) = (Instant::now(), journal.len());
    let before = fs::metadata(path).expect("the file").len();
    while let Some(last) = journal.head(512, 1_000_000).expect("rows").last() {
        journal.confirm(last.seq).expect("room");
    }
    let took = start.elapsed().as_secs_f64();
    println!("| drained, {:.0} MB | {:.0} rows/s |", before as f64 / 1e6, count as f64 / took);
    let after = fs::metadata(path).expect("the file").len();
    println!("| the file after that | {:.1} MB |", after as f64 / 1e6);
}

/// Bytes that this process has passed to the system for writing.
fn written() -> u64 {
    let io = fs::read_to_string("/proc/self/io").unwrap_or_default();
    io.lines().find_map(|line| line.strip_prefix("wchar: ")?.parse().ok()).unwrap_or(0)
}
