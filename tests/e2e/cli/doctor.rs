//! Diagnoses of a link: each fault has its own message, and a working link yields settings with which the service runs.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Output;
use std::thread;

use bankwatch::internals::simulator::{Console, Dialect, Simulation};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use support::program::{Service, program};
use tempfile::tempdir;

/// Returns the exit status and standard output.
fn doctor(link: &str) -> (i32, String) {
    let folder = tempdir().unwrap();
    let mut doctor = program(folder.path());
    let Output { status, stdout, stderr } =
        doctor.args(["doctor", link, "--listen", "300ms"]).output().unwrap();
    assert_eq!(String::from_utf8(stderr).unwrap(), "", "results go to standard output");
    let text = String::from_utf8(stdout).unwrap();
    assert!(text.starts_with(&format!("{:<23}{link}\n", "link")), "{text}");
    (status.code().unwrap(), text)
}

/// Asserts that the diagnosis fails and contains all these words.
fn assert_diagnosis(link: &str, words: &[&str]) -> String {
    let (code, text) = doctor(link);
    assert_eq!(code, 1, "{text}");
    words.iter().for_each(|words| assert!(text.contains(words), "expected {words:?} in:\n{text}"));
    text
}

/// A bridge that handles each client with `serve`; returns its link.
fn peer(serve: impl Fn(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let link = format!("tcp://{}", listener.local_addr().unwrap());
    thread::spawn(move || listener.incoming().flatten().for_each(serve));
    link
}

/// A bridge that sends `bytes` at once and then reads until the client disconnects.
fn sends(bytes: &'static [u8]) -> String {
    peer(move |mut client| {
        let _ = client.write_all(bytes);
        while client.read(&mut [0; 64]).is_ok_and(|count| count > 0) {}
    })
}

fn bank() -> Simulation {
    Simulation::new(Dialect::PytesV5).batteries(2).speed(0.0).unpaced()
}

/// Writes the printed settings to a file and runs the service with them.
fn run_with_printed_settings(text: &str) {
    let (_, lines) = text.split_once("Add this to bankwatch.toml:\n\n").expect(text);
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("bankwatch.toml"), lines).unwrap();
    let mut service = Service::start(program(folder.path()).arg("run"));
    service.wait_for_line("sweep complete");
    assert!(service.stop().success());
}

#[test]
fn missing_port_is_reported_with_its_remedy() {
    let text = assert_diagnosis("/dev/there-is-no-such-port", &["does not exist; plug in the adapter"]);
    assert!(!text.contains("No console found"), "nothing was sent: {text}");
}

#[test]
fn busy_port_is_reported_and_not_disturbed() {
    let folder = tempdir().unwrap();
    let bank = bank().pty(folder.path().join("console")).start().unwrap();
    let set = format!("bank.link={}", bank.link());
    let mut service = Service::start(program(folder.path()).args(["run", "--set", &set]));
    service.wait_for_line("sweep complete");
    // The server of a pseudo-terminal has it open as well.
    assert_diagnosis(&bank.link(), &["is in use by ", " (process "]);
    assert!(service.stop().success());
    assert!(service.lines_with("link lost").is_empty(), "the service was not disturbed");
}

#[test]
fn file_that_is_not_a_port_is_reported() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    assert_diagnosis(file.to_str().unwrap(), &["is not a serial port"]);
}

#[test]
fn refused_connection_is_reported() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let link = format!("tcp://{}", listener.local_addr().unwrap());
    drop(listener);
    assert_diagnosis(&link, &["refused", "check the bridge's address and port"]);
}

#[test]
fn bridge_that_disconnects_is_reported() {
    assert_diagnosis(&peer(drop), &["closed by the other side", "one client at a time"]);
}

#[test]
fn silence_is_reported_with_the_wires_to_check() {
    let text =
        assert_diagnosis(&sends(b""), &["silence", "battery is on", "pin 8 on Pylontech, pin 4 on PYTES"]);
    assert_eq!(text.matches("silence").count(), 3, "each line ending was tried: {text}");
}

#[test]
fn silent_serial_port_is_woken_and_every_baud_rate_is_tried() {
    let port = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&port).unwrap();
    unlockpt(&port).unwrap();
    let name = ptsname(&port, Vec::new()).unwrap().into_string().unwrap();
    let text = assert_diagnosis(&name, &["waking at 1200 baud", "9600 lf", "115200 lf dtr/rts off"]);
    assert!(text.contains("battery is on"), "{text}");
}

#[test]
fn noise_is_distinguished_from_silence() {
    let noise = b"\xfe\x80\x00\x7c\x9c\xff\x83\x9d\x10\xc0\xf8";
    assert_diagnosis(
        &sends(noise),
        &["noise: 11 bytes, of which 1 could be text", "serial side to 115200 baud"],
    );
}

#[test]
fn bridge_in_telnet_mode_is_reported() {
    let text = assert_diagnosis(&sends(b"\xff\xfb\x01\xff\xfb\x03"), &["telnet negotiation", "raw TCP"]);
    assert!(!text.contains("pin 8"), "the wires are not the cause: {text}");
}

#[test]
fn inverter_socket_is_recognized() {
    assert_diagnosis(
        &sends(b"~20024642E00202FD33\r~20024642E00202FD33\r"),
        &["inverter's RS485 socket", "Move the cable"],
    );
}

#[test]
fn unknown_prompt_is_shown() {
    assert_diagnosis(
        &sends(b"\r\nBusyBox v1.36\r\nrouter login: "),
        &["\"router login:\"", "the right port"],
    );
}

#[test]
fn console_waiting_at_its_pager_is_recognized() {
    let bank = bank().start().unwrap();
    let mut other = TcpStream::connect(bank.link().trim_start_matches("tcp://")).unwrap();
    other.write_all(b"log\n").unwrap();
    let (mut received, mut chunk) = (Vec::new(), [0; 1024]);
    while !String::from_utf8_lossy(&received).contains("Press [Enter]") {
        let count = other.read(&mut chunk).unwrap();
        assert!(count > 0);
        received.extend_from_slice(&chunk[..count]);
    }
    drop(other);
    let (code, text) = doctor(&bank.link());
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("the prompt PYTES>"), "{text}");
}

#[test]
fn limitation_of_mqtt_3_1_1_is_mentioned() {
    let (bank, folder) = (bank().start().unwrap(), tempdir().unwrap());
    for (version, mentioned) in [("3.1.1", true), ("5", false)] {
        let text = format!("[[bank]]\n[mqtt]\nenabled = true\nversion = \"{version}\"\n");
        fs::write(folder.path().join("bankwatch.toml"), text).unwrap();
        let output = program(folder.path()).args(["doctor", &bank.link()]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{text}");
        assert_eq!(text.contains("topics that its access list forbids"), mentioned, "{version}: {text}");
    }
}

#[test]
fn service_runs_with_the_printed_settings() {
    let folder = tempdir().unwrap();
    for link in ["pty", "tcp"] {
        let bank = match link {
            "pty" => bank().pty(folder.path().join("console")).start().unwrap(),
            _ => bank().start().unwrap(),
        };
        let (code, text) = doctor(&bank.link());
        assert_eq!(code, 0, "{text}");
        let has = |label: &str, value: &str| {
            let line = text.lines().find(|line| line.starts_with(label)).expect(&text);
            assert!(line.contains(value), "expected {value:?} in {line:?}");
        };
        has("batteries  ", "2");
        has("battery 2", "16 cells");
        has("battery 1", "PYTES E-BOX-48100V");
        has("battery 1", ", firmware ");
        ["pwr", "pwr N", "bat N"].iter().for_each(|command| has(&format!("round trip of {command} "), " ms"));
        has("sweep", "commands repeated");
        has("link = ", &bank.link());
        assert!(!text.contains("unknown") && !text.contains("line_end"), "{text}");
        run_with_printed_settings(&text);
    }
}

/// A console that accepts only CR as line ending.
fn accepts_only_cr(mut console: Console) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let link = format!("tcp://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut chunk = [0; 256];
            while let Ok(taken @ 1..) = client.read(&mut chunk) {
                let typed: Vec<u8> = chunk[..taken].iter().copied().filter(|byte| *byte != b'\n').collect();
                if client.write_all(&console.type_bytes(&typed)).is_err() {
                    break;
                }
            }
        }
    });
    link
}

#[test]
fn service_runs_with_a_detected_line_ending() {
    let link = accepts_only_cr(bank().console().unwrap());
    let (code, text) = doctor(&link);
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("line end lf            silence\nline end cr            the prompt PYTES>\n"),
        "{text}"
    );
    assert!(text.ends_with("line_end = \"cr\"\n"), "{text}");
    run_with_printed_settings(&text);
}

#[test]
fn prompt_without_answers_is_reported() {
    let link = peer(|mut client| {
        let mut chunk = [0; 256];
        while let Ok(taken @ 1..) = client.read(&mut chunk) {
            if chunk[..taken] == *b"\n" && client.write_all(b"\n\rpylon>").is_err() {
                break;
            }
        }
    });
    let text = assert_diagnosis(&link, &["the prompt pylon>"]);
    assert!(text.contains("does not answer commands") && !text.contains("bankwatch.toml"), "{text}");
}

#[test]
fn invalid_link_is_reported() {
    let folder = tempdir().unwrap();
    let output = program(Path::new(folder.path())).args(["doctor", "http://192.0.2.7"]).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("expected a link such as /dev/ttyUSB0"), "{text}");
}
