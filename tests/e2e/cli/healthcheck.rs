//! `bankwatch healthcheck`: succeeds only while every bank has a recent reading.

use std::fs;
use std::path::Path;

use bankwatch::internals::simulator::{Dialect, Simulation};
use serde_json::Value;
use support::program::{Service, program, wait_until};
use tempfile::tempdir;

/// Its exit code and what it output.
fn healthcheck(folder: &Path) -> (Option<i32>, String) {
    let output = program(folder).arg("healthcheck").output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[test]
fn it_fails_once_the_reading_is_out_of_date() {
    let (folder, bank) = (tempdir().unwrap(), Simulation::new(Dialect::PytesV5).speed(0.0).unpaced());
    let bank = bank.start().unwrap();
    let settings = format!("[[bank]]\nname = \"house\"\nlink = \"{}\"\ninterval = \"200ms\"\n", bank.link());
    fs::write(folder.path().join("bankwatch.toml"), settings).unwrap();
    let (code, output) = healthcheck(folder.path());
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains("house: ") && output.contains("can't be read"), "{output}");

    let mut service = Service::start(program(folder.path()).arg("run"));
    let file = folder.path().join("house_status.json");
    wait_until(|| file.exists());
    assert_eq!(healthcheck(folder.path()), (Some(0), "house: OK\n".into()));
    assert!(service.stop().success());

    let mut status: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let taken: jiff::Timestamp = status["taken_at"].as_str().unwrap().parse().unwrap();
    status["taken_at"] = (taken - jiff::SignedDuration::from_secs(90)).to_string().into();
    fs::write(&file, status.to_string()).unwrap();
    let (code, output) = healthcheck(folder.path());
    assert_eq!(code, Some(1), "{output}");
    assert!(output.starts_with("house: the latest reading is 1m3"), "{output}");

    fs::write(&file, "{}").unwrap();
    let (code, output) = healthcheck(folder.path());
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains("not a status file of this version"), "{output}");
}

#[test]
fn it_fails_if_one_bank_has_no_reading() {
    let folder = tempdir().unwrap();
    let bank = |name: &str| format!("[[bank]]\nname = \"{name}\"\nlink = \"/dev/{name}\"\n");
    fs::write(folder.path().join("bankwatch.toml"), bank("house") + &bank("shed")).unwrap();
    let (code, output) = healthcheck(folder.path());
    assert_eq!((code, output.lines().count()), (Some(1), 2), "{output}");
}

#[test]
fn it_fails_without_configuration_or_status_file() {
    let folder = tempdir().unwrap();
    let (code, output) = healthcheck(folder.path());
    assert_eq!(code, Some(1), "{output}");
    let text = "[[bank]]\nname = \"house\"\nlink = \"/dev/house\"\n[json_file]\nenabled = false\n";
    fs::write(folder.path().join("bankwatch.toml"), text).unwrap();
    let (code, output) = healthcheck(folder.path());
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains("disabled"), "{output}");
}
