//! What is wrong with a link, in words: each way of being wrong has its own, and what is right yields the lines for
//! the settings, with which the service runs.

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

/// Runs it; answers its exit code and what it printed.
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

/// It fails, and says so with all these words.
fn is_told(link: &str, words: &[&str]) -> String {
    let (code, text) = doctor(link);
    assert_eq!(code, 1, "{text}");
    words.iter().for_each(|words| assert!(text.contains(words), "expected {words:?} in:\n{text}"));
    text
}

/// Someone at the other end of a bridge, who does this with each client; answers the link.
fn peer(serve: impl Fn(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let link = format!("tcp://{}", listener.local_addr().unwrap());
    thread::spawn(move || listener.incoming().flatten().for_each(serve));
    link
}

/// Says this at once, and then listens until the client is gone.
fn says(bytes: &'static [u8]) -> String {
    peer(move |mut client| {
        let _ = client.write_all(bytes);
        while client.read(&mut [0; 64]).is_ok_and(|taken| taken > 0) {}
    })
}

fn bank() -> Simulation {
    Simulation::new(Dialect::PytesV5).batteries(2).speed(0.0).unpaced()
}

/// The last lines are put into a file, and the service runs with them.
fn run_with_the_lines_of(text: &str) {
    let (_, lines) = text.split_once("Put this into bankwatch.toml:\n\n").expect(text);
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("bankwatch.toml"), lines).unwrap();
    let mut service = Service::start(program(folder.path()).arg("run"));
    service.wait_for_line("sweep complete");
    assert!(service.stop().success());
}

#[test]
fn missing_port_is_reported_with_its_remedy() {
    let text = is_told("/dev/there-is-no-such-port", &["does not exist; plug the adapter in"]);
    assert!(!text.contains("No console answers"), "nobody was asked: {text}");
}

#[test]
fn busy_port_is_reported_and_not_disturbed() {
    let folder = tempdir().unwrap();
    let bank = bank().pty(folder.path().join("console")).start().unwrap();
    let set = format!("bank.link={}", bank.link());
    let mut service = Service::start(program(folder.path()).args(["run", "--set", &set]));
    service.wait_for_line("sweep complete");
    // On a pseudo-terminal whoever serves it has it open as well.
    is_told(&bank.link(), &["is in use by ", " (process "]);
    assert!(service.stop().success());
    assert!(service.lines_with("link lost").is_empty(), "looking did no harm");
}

#[test]
fn file_that_is_not_a_port_is_reported() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    is_told(file.to_str().unwrap(), &["is no serial port"]);
}

#[test]
fn refused_connection_is_reported() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let link = format!("tcp://{}", listener.local_addr().unwrap());
    drop(listener);
    is_told(&link, &["refused", "check the bridge's address and port"]);
}

#[test]
fn bridge_that_disconnects_is_reported() {
    is_told(&peer(drop), &["closed by the other side", "one client at a time"]);
}

#[test]
fn silence_is_reported_with_the_wires_to_check() {
    let text = is_told(&says(b""), &["silence", "Is the battery on", "pin 8 on Pylontech, pin 4 on PYTES"]);
    assert_eq!(text.matches("silence").count(), 3, "each line end was tried: {text}");
}

#[test]
fn silent_serial_port_is_woken_and_every_baud_rate_is_tried() {
    let port = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&port).unwrap();
    unlockpt(&port).unwrap();
    let name = ptsname(&port, Vec::new()).unwrap().into_string().unwrap();
    let text = is_told(&name, &["waking at 1200 baud", "9600 lf", "115200 lf dtr/rts off"]);
    assert!(text.contains("Is the battery on"), "{text}");
}

#[test]
fn noise_is_distinguished_from_silence() {
    let noise = b"\xfe\x80\x00\x7c\x9c\xff\x83\x9d\x10\xc0\xf8";
    is_told(&says(noise), &["noise: 11 bytes, of which 1 could be text", "serial side to 115200 baud"]);
}

#[test]
fn bridge_in_telnet_mode_is_reported() {
    let text = is_told(&says(b"\xff\xfb\x01\xff\xfb\x03"), &["telnet negotiation", "raw TCP"]);
    assert!(!text.contains("pin 8"), "the wires are not what is wrong: {text}");
}

#[test]
fn inverter_socket_is_recognized() {
    is_told(
        &says(b"~20024642E00202FD33\r~20024642E00202FD33\r"),
        &["inverter's RS485 socket", "Move the cable"],
    );
}

#[test]
fn unknown_prompt_is_shown() {
    is_told(&says(b"\r\nBusyBox v1.36\r\nrouter login: "), &["\"router login:\"", "the right port?"]);
}

#[test]
fn console_waiting_at_its_pager_is_recognized() {
    let bank = bank().start().unwrap();
    let mut other = TcpStream::connect(bank.link().trim_start_matches("tcp://")).unwrap();
    other.write_all(b"log\n").unwrap();
    let (mut heard, mut chunk) = (Vec::new(), [0; 1024]);
    while !String::from_utf8_lossy(&heard).contains("Press [Enter]") {
        let taken = other.read(&mut chunk).unwrap();
        assert!(taken > 0);
        heard.extend_from_slice(&chunk[..taken]);
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
        has("sweep", "questions asked again");
        has("link = ", &bank.link());
        assert!(!text.contains('?') && !text.contains("line_end"), "{text}");
        run_with_the_lines_of(&text);
    }
}

/// A console that takes questions ended with CR alone.
fn takes_cr_alone(mut console: Console) -> String {
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
    let link = takes_cr_alone(bank().console().unwrap());
    let (code, text) = doctor(&link);
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("line end lf            silence\nline end cr            the prompt PYTES>\n"),
        "{text}"
    );
    assert!(text.ends_with("line_end = \"cr\"\n"), "{text}");
    run_with_the_lines_of(&text);
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
    let text = is_told(&link, &["the prompt pylon>"]);
    assert!(text.contains("does not answer questions") && !text.contains("bankwatch.toml"), "{text}");
}

#[test]
fn invalid_link_is_reported() {
    let folder = tempdir().unwrap();
    let output = program(Path::new(folder.path())).args(["doctor", "http://192.0.2.7"]).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("expected a link like /dev/ttyUSB0"), "{text}");
}
