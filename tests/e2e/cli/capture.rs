//! A capture reads like the console, contains all answers, and contains no serial numbers.

use std::fs;
use std::path::Path;

use bankwatch::internals::simulator::{Dialect, Simulation, SimulatorHandle};
use bankwatch::internals::status::StatusDocument;
use serde_json::Value;
use support::program;
use support::program::program;
use tempfile::tempdir;

fn bank(dialect: Dialect) -> SimulatorHandle {
    Simulation::new(dialect).batteries(3).seed(7).speed(0.0).unpaced().start().unwrap()
}

/// Captures a bank and returns the file.
fn capture(folder: &Path, link: &str, more: &[&str]) -> Vec<u8> {
    let output = program(folder).args(["capture", link, "-o", "bank.txt"]).args(more).output().unwrap();
    let (out, error) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{out}{error}");
    assert!(out.contains(" answers recorded in bank.txt, barcodes redacted"), "{out}");
    fs::read(folder.join("bank.txt")).unwrap()
}

/// The result of `read`, except values that change with each reading and redacted serial numbers.
fn read(folder: &Path, link: &str) -> Value {
    let output = program(folder).args(["read", link, "--json"]).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{link}: {error}");
    let _valid: StatusDocument = serde_json::from_slice(&output.stdout).unwrap();
    let mut status = serde_json::from_slice(&output.stdout).unwrap();
    remove_variable_values(&mut status);
    status
}

fn remove_variable_values(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (key, value) in object.iter_mut() {
                let variable =
                    ["taken_at", "time", "took", "barcode", "identity", "serial_stat", "serial_number"];
                if variable.iter().any(|part| key.contains(part)) {
                    *value = Value::Null;
                }
                remove_variable_values(value);
            }
        }
        Value::Array(array) => array.iter_mut().for_each(remove_variable_values),
        _ => {}
    }
}

fn text(recording: &[u8]) -> String {
    recording.iter().map(|byte| char::from(*byte)).collect()
}

#[test]
fn capture_reads_like_the_console() {
    for dialect in [Dialect::PytesV5, Dialect::Us2000c, Dialect::Us5000, Dialect::ForceH2, Dialect::PytesC] {
        let (folder, bank) = (tempdir().unwrap(), bank(dialect));
        capture(folder.path(), &bank.link(), &[]);
        let live = read(folder.path(), &bank.link());
        assert_eq!(read(folder.path(), "replay:bank.txt"), live, "{dialect}");
    }
}

/// The result of `parse`: each command and its values, or the error.
fn parsed(folder: &Path, bytes: &[u8]) -> Vec<(String, Value)> {
    fs::write(folder.join("answers.txt"), bytes).unwrap();
    let output = program(folder).args(["parse", "answers.txt"]).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{error}");
    let mut all: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let one = |answer: &mut Value| {
        let values =
            if answer["values"].is_null() { answer["error"].take() } else { answer["values"].take() };
        (answer["command"].as_str().unwrap().to_owned(), values)
    };
    all.iter_mut().map(one).collect()
}

#[test]
fn capture_is_parsed_in_every_encoding_and_line_ending() {
    for dialect in [Dialect::PytesV5, Dialect::ForceH2] {
        let (folder, bank) = (tempdir().unwrap(), bank(dialect));
        let recording = capture(folder.path(), &bank.link(), &[]);
        let all = parsed(folder.path(), &recording);
        let text = text(&recording);
        let heads =
            text.lines().filter_map(|line| line.strip_prefix("# 20")?.split_once("Z ")?.1.split_once(", "));
        assert_eq!(
            all.iter().map(|(command, _)| command.as_str()).collect::<Vec<_>>(),
            heads.map(|head| head.0).collect::<Vec<_>>()
        );
        let live = read(folder.path(), &bank.link());
        let copied = text.replace('\r', "").replace("$$\n", "");
        let uncommented: Vec<&str> = copied.lines().filter(|line| !line.starts_with("# ")).collect();
        let wide = |order: fn(u16) -> [u8; 2], mark: [u8; 2]| {
            mark.into_iter().chain(text.encode_utf16().flat_map(order)).collect::<Vec<u8>>()
        };
        for (name, variant) in [
            ("UTF-16 LE", wide(u16::to_le_bytes, [0xff, 0xfe])),
            ("UTF-16 BE", wide(u16::to_be_bytes, [0xfe, 0xff])),
            ("UTF-8 with its mark", [b"\xef\xbb\xbf", &recording[..]].concat()),
            ("a copied screen", copied.clone().into_bytes()),
            ("a copied screen without comments", uncommented.join("\r\n").into_bytes()),
            ("carriage returns", copied.replace('\n', "\r").into_bytes()),
        ] {
            assert_eq!(parsed(folder.path(), &variant), all, "{dialect}: {name}");
            if name == "UTF-16 LE" || name == "a copied screen without comments" {
                assert_eq!(read(folder.path(), "replay:answers.txt"), live, "{dialect}: {name}");
            }
        }
    }
}

#[test]
fn parse_errors_name_the_line_of_the_file() {
    let folder = tempdir().unwrap();
    let parse = |text: &str| {
        fs::write(folder.path().join("answers.txt"), text).unwrap();
        let output = program(folder.path()).args(["parse", "answers.txt"]).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let damaged =
        "# mine\n\npylon>pwr 1\n@\n Power  1\n Voltage         : 5x127       mV\n Current : 0 mA\n$$\n";
    let (code, out, _) = parse(damaged);
    let one: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, &one["line"], &one["values"]["current_ma"]),
        (Some(1), &Value::from(3), &Value::from(0))
    );
    assert!(one["problems"][0].as_str().unwrap().starts_with("line 6, \"Voltage\": expected"), "{out}");
    let (code, out, error) = parse("pylon>getpwr\n@\n52000#\n$$\npylon>");
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(error.contains("expected one of pwr, bat, ") && error.contains("found \"getpwr\""), "{error}");
    let (code, out, _) =
        parse(&format!("{damaged}pylon>getpwr\n52000#\n$$\npylon>unit\nUnknown command 'unit'\n$$\n"));
    let all: Vec<Value> = serde_json::from_str(&out).unwrap();
    assert_eq!((code, all.len()), (Some(1), 3));
    assert_eq!((&all[1]["line"], &all[1]["command"]), (&Value::from(9), &Value::from("getpwr")));
    assert!(all[1]["error"].as_str().unwrap().contains("found \"getpwr\""), "{out}");
    assert!(all[2]["error"].as_str().unwrap().contains("does not know the command"), "{out}");
}

#[test]
fn capture_contains_no_barcode() {
    for dialect in Dialect::ALL.iter().copied() {
        let (folder, bank) = (tempdir().unwrap(), bank(dialect));
        let recording = text(&capture(folder.path(), &bank.link(), &[]));
        let names: Vec<String> =
            bank.bank().batteries().map(|(_, battery)| battery.barcode.clone()).collect();
        assert!(!names.is_empty());
        let found: Vec<_> = names.iter().filter(|name| recording.contains(name.as_str())).collect();
        assert!(found.is_empty(), "{dialect}: {found:?} in the recording");
    }
}

#[test]
fn all_pages_and_errors_are_captured() {
    let (folder, bank) = (tempdir().unwrap(), bank(Dialect::PytesV5));
    let recording = text(&capture(folder.path(), &bank.link(), &[]));
    let log = recording.split("\n# ").find(|record| record.contains(" log, ")).unwrap();
    assert!(log.contains("Press [Enter]"), "no pages: {log}");
    assert!(log.contains("$$"), "no end mark: {log}");
    // This console does not have `unit`.
    let unit = recording.split("\n# ").find(|record| record.contains(" unit, ")).unwrap();
    assert!(unit.contains("Unknown command"), "{unit}");
    // Every command is there with its time, for the bank and for each battery.
    for command in ["pwr", "bat", "info", "stat", "time", "log", "pwr 3", "bat 3", "info 3", "soh 3"] {
        let heads = recording.lines().filter(|line| line.starts_with("# 20"));
        assert!(heads.filter(|line| line.contains(&format!("Z {command}, "))).count() == 1, "{command}");
    }
}

#[test]
fn rounds_are_captured_in_sequence() {
    let (folder, bank) = (tempdir().unwrap(), bank(Dialect::PytesV5));
    let recording = text(&capture(folder.path(), &bank.link(), &["--rounds", "2"]));
    assert_eq!(recording.lines().filter(|line| line.contains("Z pwr 2, ")).count(), 2);
}

#[test]
fn lost_link_leaves_the_answers_until_then() {
    let (folder, bank) = (tempdir().unwrap(), Simulation::new(Dialect::PytesV5).batteries(2).speed(0.0));
    let bank = bank.start().unwrap();
    let mut capture = program(folder.path());
    let link = bank.link();
    let capture = capture.args(["capture", &link, "-o", "bank.txt", "--rounds", "100"]);
    let process =
        capture.stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::null()).spawn().unwrap();
    program::wait_until(|| bank.answer_count() >= 6);
    bank.unplug();
    let output = process.wait_with_output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("while recording"), "{error}");
    let recording = fs::read(folder.path().join("bank.txt")).unwrap();
    assert!(text(&recording).contains("Z pwr, "), "{}", text(&recording));
}

#[test]
fn silent_console_creates_no_file() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempdir().unwrap();
    let link = format!("tcp://{}", silent.local_addr().unwrap());
    let output = program(folder.path()).args(["capture", &link, "-o", "bank.txt"]).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("does not answer; run `bankwatch doctor"), "{error}");
    assert!(!folder.path().join("bank.txt").exists());
}

#[test]
fn unwritable_file_is_reported_before_capturing() {
    let (folder, bank) = (tempdir().unwrap(), bank(Dialect::PytesV5));
    let output =
        program(folder.path()).args(["capture", &bank.link(), "-o", "missing/bank.txt"]).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("cannot write missing/bank.txt"), "{error}");
    assert_eq!(bank.answer_count(), 0, "no command was sent");
}
