//! `bankwatch healthcheck`: well as long as each bank's reading is fresh, and nothing else is.

use std::fs;
use std::path::Path;

use bankwatch::internals::simulator::{Dialect, Simulation};
use serde_json::Value;
use support::program::{Service, program, wait_until};
use tempfile::tempdir;

/// Its exit code and what it said.
fn healthcheck(folder: &Path) -> (Option<i32>, String) {
    let output = program(folder).arg("healthcheck").output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[test]
fn a_bank_is_well_while_it_is_read_and_no_longer() {
    let (folder, bank) = (tempdir().unwrap(), Simulation::new(Dialect::PytesV5).speed(0.0).unpaced());
    let bank = bank.start().unwrap();
    let settings = format!("[[bank]]\nname = \"house\"\nlink = \"{}\"\ninterval = \"200ms\"\n", bank.link());
    fs::write(folder.path().join("bankwatch.toml"), settings).unwrap();
    let (code, said) = healthcheck(folder.path());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("house: ") && said.contains("can't be read"), "{said}");

    let mut service = Service::start(program(folder.path()).arg("run"));
    let file = folder.path().join("house_status.json");
    wait_until(|| file.exists());
    assert_eq!(healthcheck(folder.path()), (Some(0), "house: well\n".into()));
    assert!(service.stop().success());

    let mut status: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let taken: jiff::Timestamp = status["taken_at"].as_str().unwrap().parse().unwrap();
    status["taken_at"] = (taken - jiff::SignedDuration::from_secs(90)).to_string().into();
    fs::write(&file, status.to_string()).unwrap();
    let (code, said) = healthcheck(folder.path());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.starts_with("house: the latest reading is 1m3"), "{said}");

    fs::write(&file, "{}").unwrap();
    let (code, said) = healthcheck(folder.path());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("no status file of this version"), "{said}");
}

#[test]
fn each_bank_must_be_well() {
    let folder = tempdir().unwrap();
    let bank = |name: &str| format!("[[bank]]\nname = \"{name}\"\nlink = \"/dev/{name}\"\n");
    fs::write(folder.path().join("bankwatch.toml"), bank("house") + &bank("shed")).unwrap();
    let (code, said) = healthcheck(folder.path());
    assert_eq!((code, said.lines().count()), (Some(1), 2), "{said}");
}

#[test]
fn without_status_files_or_settings_nobody_is_well() {
    let folder = tempdir().unwrap();
    let (code, said) = healthcheck(folder.path());
    assert_eq!(code, Some(1), "{said}");
    let text = "[[bank]]\nname = \"house\"\nlink = \"/dev/house\"\n[json_file]\nenabled = false\n";
    fs::write(folder.path().join("bankwatch.toml"), text).unwrap();
    let (code, said) = healthcheck(folder.path());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("switched off"), "{said}");
}
