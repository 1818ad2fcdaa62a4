//! A recording of a console reads as the console did, holds all that was said, and names no battery.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use bankwatch::simulator::{Dialect, Simulation, SimulatorHandle};
use bankwatch::status::Status;
use program::program;
use serde_json::Value;
use tempfile::tempdir;

#[path = "support/program.rs"]
mod program;

fn bank(dialect: Dialect) -> SimulatorHandle {
    Simulation::new(dialect).batteries(3).seed(7).speed(0.0).unpaced().start().unwrap()
}

/// Records it; answers the recording.
fn capture(folder: &Path, link: &str, more: &[&str]) -> Vec<u8> {
    let output = program(folder).args(["capture", link, "-o", "bank.txt"]).args(more).output().unwrap();
    let (out, error) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{out}{error}");
    assert!(out.contains(" answers recorded in bank.txt, barcodes blanked"), "{out}");
    fs::read(folder.join("bank.txt")).unwrap()
}

/// What `read` makes of a link, but for what is another at each reading and for the names that were blanked.
fn read(folder: &Path, link: &str) -> Value {
    let output = program(folder).args(["read", link, "--json"]).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{link}: {error}");
    let _whole: Status = serde_json::from_slice(&output.stdout).unwrap();
    let mut status = serde_json::from_slice(&output.stdout).unwrap();
    forget(&mut status);
    status
}

fn forget(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (key, value) in object.iter_mut() {
                let passes =
                    ["taken_at", "time", "took", "barcode", "identity", "serial_stat", "serial_number"];
                if passes.iter().any(|pass| key.contains(pass)) {
                    *value = Value::Null;
                }
                forget(value);
            }
        }
        Value::Array(array) => array.iter_mut().for_each(forget),
        _ => {}
    }
}

fn text(recording: &[u8]) -> String {
    recording.iter().map(|byte| char::from(*byte)).collect()
}

#[test]
fn a_recording_reads_as_the_console_did() {
    for dialect in [Dialect::PytesV5, Dialect::Us2000c, Dialect::Us5000, Dialect::ForceH2, Dialect::PytesC] {
        let (folder, bank) = (tempdir().unwrap(), bank(dialect));
        capture(folder.path(), &bank.link(), &[]);
        let live = read(folder.path(), &bank.link());
        assert_eq!(read(folder.path(), "replay:bank.txt"), live, "{dialect}");
    }
}

#[test]
fn no_battery_is_named_in_a_recording() {
    for dialect in Dialect::ALL.iter().copied() {
        let (folder, bank) = (tempdir().unwrap(), bank(dialect));
        let recording = text(&capture(folder.path(), &bank.link(), &[]));
        let names: Vec<String> =
            bank.bank().batteries().map(|(_, battery)| battery.barcode.clone()).collect();
        assert!(!names.is_empty());
        let said: Vec<_> = names.iter().filter(|name| recording.contains(name.as_str())).collect();
        assert!(said.is_empty(), "{dialect}: {said:?} in the recording");
    }
}

#[test]
fn what_has_pages_is_recorded_to_its_end_and_what_is_refused_as_well() {
    let (folder, bank) = (tempdir().unwrap(), bank(Dialect::PytesV5));
    let recording = text(&capture(folder.path(), &bank.link(), &[]));
    let log = recording.split("\n# ").find(|record| record.contains(" log, ")).unwrap();
    assert!(log.contains("Press [Enter]"), "it has pages: {log}");
    assert!(log.contains("$$"), "and an end: {log}");
    // This console knows no `unit`.
    let unit = recording.split("\n# ").find(|record| record.contains(" unit, ")).unwrap();
    assert!(unit.contains("Unknown command"), "{unit}");
    // Each question is there with its time, of the group and of each battery.
    for question in ["pwr", "bat", "info", "stat", "time", "log", "pwr 3", "bat 3", "info 3", "soh 3"] {
        let heads = recording.lines().filter(|line| line.starts_with("# 20"));
        assert!(heads.filter(|line| line.contains(&format!("Z {question}, "))).count() == 1, "{question}");
    }
}

#[test]
fn rounds_follow_one_another() {
    let (folder, bank) = (tempdir().unwrap(), bank(Dialect::PytesV5));
    let recording = text(&capture(folder.path(), &bank.link(), &["--rounds", "2"]));
    assert_eq!(recording.lines().filter(|line| line.contains("Z pwr 2, ")).count(), 2);
}

#[test]
fn a_link_that_goes_away_leaves_what_came_until_then() {
    let (folder, bank) = (tempdir().unwrap(), Simulation::new(Dialect::PytesV5).batteries(2).speed(0.0));
    let bank = bank.start().unwrap();
    let mut capture = program(folder.path());
    let link = bank.link();
    let capture = capture.args(["capture", &link, "-o", "bank.txt", "--rounds", "100"]);
    let process =
        capture.stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::null()).spawn().unwrap();
    program::eventually(|| bank.answers() >= 6);
    bank.unplug();
    let output = process.wait_with_output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("went away while it was being recorded"), "{error}");
    let recording = fs::read(folder.path().join("bank.txt")).unwrap();
    assert!(text(&recording).contains("Z pwr, "), "{}", text(&recording));
}

#[test]
fn nobody_there_is_told_and_no_file_is_made() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempdir().unwrap();
    let link = format!("tcp://{}", silent.local_addr().unwrap());
    let output = program(folder.path()).args(["capture", &link, "-o", "bank.txt"]).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("does not answer; `bankwatch doctor"), "{error}");
    assert!(!folder.path().join("bank.txt").exists());
}

#[test]
fn a_file_that_can_t_be_written_is_told_before_the_recording_begins() {
    let (folder, bank) = (tempdir().unwrap(), bank(Dialect::PytesV5));
    let output =
        program(folder.path()).args(["capture", &bank.link(), "-o", "missing/bank.txt"]).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("missing/bank.txt can't be written"), "{error}");
    assert_eq!(bank.answers(), 0, "nothing was asked for it");
}
