//! A log that can't be written (here an unread pipe) blocks no caller and counts the lost lines.
#![cfg(unix)]

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use bankwatch::internals::logging::{self, LineFormat, LogConfig};
use rustix::fs::{CWD, FileType, Mode, OFlags};
use slog::{Level, info};

/// More than the queue (4096 lines) and the pipe (64 kB) can take together.
const LINES: usize = 12_000;

fn make_pipe(path: &Path) {
    rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
}

#[test]
fn a_full_queue_never_blocks_and_lost_lines_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("log");
    make_pipe(&pipe);
    // Opened without blocking, so that the logger can open the pipe.
    let reader =
        File::options().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(&pipe).unwrap();
    let target = LogConfig {
        level: Level::Info,
        format: LineFormat::Text,
        file: Some(pipe.clone()),
        max_size: 0,
        max_files: 0,
    };
    let (log, guard) = logging::start(&target).unwrap();
    for number in 0..LINES {
        info!(log, "tick"; "number" => number);
    }
    let dropped = guard.control().dropped();
    assert!(dropped > 0);

    // Reading the pipe yields the queued lines and the number of dropped ones.
    let all = thread::spawn(move || {
        let mut blocking = File::open(&pipe).unwrap();
        drop(reader);
        let mut text = String::new();
        blocking.read_to_string(&mut text).unwrap();
        text
    });
    drop(guard);
    drop(log);
    let text = all.join().unwrap();
    let reported: u64 = text
        .lines()
        .filter_map(|line| line.split_once("WARN  log lines dropped lines="))
        .map(|(_, n)| n.parse::<u64>().unwrap())
        .sum();
    assert_eq!(reported, dropped);
    assert_eq!(
        text.lines().filter(|line| line.contains(" INFO  tick ")).count() as u64 + dropped,
        LINES as u64
    );
}

#[test]
fn shutdown_waits_for_the_last_lines_but_not_for_an_unread_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("log");
    make_pipe(&pipe);
    let _reader =
        File::options().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(&pipe).unwrap();
    let target = LogConfig {
        level: Level::Info,
        format: LineFormat::Text,
        file: Some(pipe),
        max_size: 0,
        max_files: 0,
    };
    let (log, guard) = logging::start(&target).unwrap();
    for number in 0..LINES {
        info!(log, "tick"; "number" => number);
    }
    let (ended, end) = mpsc::channel();
    thread::spawn(move || {
        drop(guard);
        let _ = ended.send(());
    });
    end.recv_timeout(Duration::from_secs(20)).unwrap();
}
