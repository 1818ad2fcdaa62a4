//! Invalid input of every kind: the error names the problem and the remedy, and the exit status is the documented one.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use bankwatch::internals::simulator::{Dialect, Simulation, SimulatorHandle};
use support::program::{Service, program};
use tempfile::tempdir;

/// Exit status, standard output and standard error.
fn run_to_end(program: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = program.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().expect("not killed by a signal"), text(stdout), text(stderr))
}

/// Asserts this exit status, these words in a short error, and nothing on standard output.
fn assert_fails(program: &mut Command, code: i32, words: &[&str]) -> String {
    let (status, out, error) = run_to_end(program);
    assert_eq!((status, out.len()), (code, 0), "{error}");
    for words in words {
        assert!(error.contains(words), "expected {words:?} in: {error}");
    }
    assert!(!error.contains("panicked") && error.len() < 4_000, "{error}");
    error
}

fn run(folder: &Path, link: &str) -> Command {
    let mut run = program(folder);
    run.args(["run", "--set", "bank.name=house", "--set", "bank.interval=200ms", "--set"]);
    run.arg(format!("bank.link={link}"));
    run
}

fn bank() -> Simulation {
    Simulation::new(Dialect::PytesV5).speed(0.0).unpaced()
}

/// Asserts that `read` reports a faulty port and fails, and that `run` logs it once, retries, and reads the bank once
/// the port is repaired.
fn assert_reported_and_retried(link: &Path, words: &str, repair: impl FnOnce() -> SimulatorHandle) {
    let folder = tempdir().unwrap();
    let link = link.display().to_string();
    assert_fails(program(folder.path()).args(["read", &link]), 1, &[&link, words]);
    let mut service = Service::start(&mut run(folder.path(), &link));
    let line = service.wait_for_line("link lost");
    assert!(line.contains(words) && line.contains("next_try="), "{line}");
    let _bank = repair();
    service.wait_for_line("link back bank=house");
    service.wait_for_line("sweep complete bank=house kind=full batteries=2");
    assert_eq!(service.stop().code(), Some(0));
    assert_eq!(service.lines_with("link lost").len(), 1, "{:#?}", service.log);
}

#[test]
fn missing_port_is_reported_and_retried() {
    let folder = tempdir().unwrap();
    let link = folder.path().join("ttyUSB0");
    assert_reported_and_retried(&link, "does not exist; plug in the adapter", || {
        bank().pty(&link).start().unwrap()
    });
}

#[test]
fn other_file_is_reported_and_retried() {
    let folder = tempdir().unwrap();
    let (link, notes, port) =
        (folder.path().join("ttyUSB0"), folder.path().join("notes"), folder.path().join("port"));
    fs::write(&notes, "not a port").unwrap();
    symlink(&notes, &link).unwrap();
    assert_reported_and_retried(&link, "is not a serial port", || {
        let bank = bank().pty(&port).start().unwrap();
        let new_link = folder.path().join("new-link");
        symlink(&port, &new_link).and_then(|()| fs::rename(&new_link, &link)).unwrap();
        bank
    });
}

#[test]
fn busy_port_is_reported_with_its_owner_and_retried() {
    let folder = tempdir().unwrap();
    let link = folder.path().join("ttyUSB0");
    let bank = bank().pty(&link).start().unwrap();
    let open_port = {
        // The library requires a runtime to open a port.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let _inside = runtime.enter();
        let port = tokio_serial::SerialStream::open(&tokio_serial::new(link.to_str().unwrap(), 115_200));
        (port.unwrap(), runtime)
    };
    let owner = format!("(process {}); stop it first", std::process::id());
    assert_reported_and_retried(&link, &owner, || {
        drop(open_port);
        bank
    });
}

#[test]
fn running_pytes_serial_is_detected_without_a_lock() {
    let folder = tempdir().unwrap();
    let (link, script) = (folder.path().join("ttyUSB0"), folder.path().join("pytes_serial.py"));
    let bank = bank().pty(&link).start().unwrap();
    fs::write(&script, "echo ready; read line\n").unwrap();
    let port = File::options().read(true).write(true).open(&link).unwrap();
    let mut pytes_serial = Command::new("/bin/sh");
    pytes_serial.arg(&script).stdin(port).stdout(Stdio::piped());
    let mut pytes_serial = pytes_serial.spawn().unwrap();
    let mut ready = String::new();
    BufReader::new(pytes_serial.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    let owner = format!("in use by pytes_serial (process {}), which bankwatch replaces", pytes_serial.id());
    assert_reported_and_retried(&link, &owner, || {
        pytes_serial.kill().and_then(|()| pytes_serial.wait()).unwrap();
        bank
    });
}

#[test]
fn permission_error_names_the_group_to_join() {
    let folder = tempdir().unwrap();
    let port = folder.path().join("ttyUSB0");
    fs::write(&port, "").unwrap();
    fs::set_permissions(&port, fs::Permissions::from_mode(0o000)).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    let mut read = program(folder.path());
    if File::open(&port).is_ok() {
        // Root may open everything. If the user `nobody` may not run the program, this can't be tested.
        let nobody = 65_534;
        read.uid(nobody).gid(nobody);
        if let Err(error) = read.arg("--version").stdout(Stdio::null()).status() {
            let _ =
                writeln!(io::stderr(), "SKIPPED: the user `nobody` may not run the program here ({error})");
            return;
        }
        read = program(folder.path());
        read.uid(nobody).gid(nobody);
    }
    let words = ["permission denied", "usermod -aG dialout"];
    assert_fails(read.arg("read").arg(&port), 1, &words);
}

#[test]
fn unreachable_bridge_is_reported() {
    let folder = tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_fails(
        program(folder.path()).args(["read", &format!("tcp://{free}")]),
        1,
        &["cannot connect to", "refused", "check the bridge's address and port"],
    );
    for text in ["tcp://house", "http://house:80", ""] {
        assert_fails(
            program(folder.path()).args(["read", text]),
            1,
            &["expected a link such as /dev/ttyUSB0"],
        );
    }
}

#[test]
fn each_configuration_error_has_its_own_line_and_position() {
    let folder = tempdir().unwrap();
    let text =
        "[[bank]]\nlink = \"/dev/ttyUSB0\"\nbaud = 5\nintervall = \"10s\"\n\n[log]\nlevel = \"loud\"\n";
    fs::write(folder.path().join("bankwatch.toml"), text).unwrap();
    let words = [
        "3 configuration errors:",
        "bankwatch.toml:3: ",
        "bankwatch.toml:4: ",
        "did you mean bank.interval?",
        "bankwatch.toml:7: ",
    ];
    for arguments in [&["run"][..], &["config", "check"]] {
        let (code, out, error) = run_to_end(program(folder.path()).args(arguments));
        // The errors are the result of `check`, but an error of `run`.
        let error = [out, error].concat();
        assert_eq!(code, 78, "{arguments:?}: {error}");
        words.iter().for_each(|words| assert!(error.contains(words), "{words:?} in {arguments:?}: {error}"));
        assert_eq!(error.lines().count(), 4, "{error}");
    }
}

#[test]
fn without_settings_the_error_explains_how_to_start() {
    let folder = tempdir().unwrap();
    assert_fails(
        program(folder.path()).arg("run"),
        78,
        &["[[bank]]", "link = \"/dev/ttyUSB0\"", "bankwatch demo"],
    );
}

#[test]
fn invalid_link_is_a_configuration_error() {
    let folder = tempdir().unwrap();
    assert_fails(&mut run(folder.path(), "http://house:80"), 78, &["bank", "link", "http://house:80"]);
    assert_fails(&mut run(folder.path(), "rfc2217://house"), 78, &["rfc2217://host:port"]);
}

#[test]
fn usage_error_exits_with_2_and_mentions_help() {
    let folder = tempdir().unwrap();
    for arguments in [&[][..], &["raed"], &["read", "--speed"], &["parse", "--command", "format"]] {
        assert_fails(program(folder.path()).args(arguments), 2, &["--help"]);
    }
}

/// Bytes like a photo's: a known header, then random bytes.
fn photo(size: usize) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(7);
    let mut bytes = b"\xff\xd8\xff\xe0\0\x10JFIF\0".to_vec();
    bytes.extend((0..size).map(|_| rng.u8(..)));
    bytes
}

#[test]
fn photo_is_rejected_as_transcript() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("photo.jpg");
    fs::write(&path, photo(300_000)).unwrap();
    for arguments in [&["parse"][..], &["parse", "--command", "pwr 1"]] {
        let line = assert_fails(
            program(folder.path()).args(arguments).arg(&path),
            1,
            &["expected a console transcript"],
        );
        assert_eq!(line.lines().count(), 1, "{line}");
    }
    // Text that is not a transcript.
    fs::write(&path, "Dear Sir or Madam,\nthe battery\n").unwrap();
    let words = ["expected a transcript", "--command \"pwr 1\""];
    assert_fails(program(folder.path()).arg("parse").arg(&path), 1, &words);
}

/// Peak memory of a running process in bytes.
fn peak_memory(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
}

const MEMORY_LIMIT: u64 = 64 << 20;

#[test]
fn endless_line_is_rejected_in_little_memory() {
    let folder = tempdir().unwrap();
    let mut parse = program(folder.path());
    parse.arg("parse").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut parse = parse.spawn().unwrap();
    let mut input = parse.stdin.take().unwrap();
    let noise = vec![b'#'; 1 << 20];
    let mut peak = 0;
    for _ in 0..100 {
        peak = peak.max(peak_memory(parse.id()).unwrap_or(0));
        // The program stops reading early.
        if input.write_all(&noise).is_err() {
            break;
        }
    }
    drop(input);
    let Output { status, stdout, stderr } = parse.wait_with_output().unwrap();
    let error = String::from_utf8(stderr).unwrap();
    assert_eq!((status.code(), stdout), (Some(1), Vec::new()), "{error}");
    assert!(error.contains("expected a console transcript, found more than 16 MiB"), "{error}");
    assert!((1..MEMORY_LIMIT).contains(&peak), "{peak} bytes of memory");

    // The same from a file; a file below the limit is read to the end.
    let path = folder.path().join("noise");
    let mut file = File::create(&path).unwrap();
    (0..100).for_each(|_| file.write_all(&noise).unwrap());
    assert_fails(program(folder.path()).arg("parse").arg(&path), 1, &["more than 16 MiB"]);
    fs::write(&path, [&noise[..], &noise[..], &noise[..]].concat()).unwrap();
    assert_fails(program(folder.path()).arg("parse").arg(&path), 1, &["expected a transcript"]);
}

/// A console that sends endless noise to every client.
fn noisy_console() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let link = format!("tcp://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            thread::spawn(move || send_noise(client));
        }
    });
    link
}

fn send_noise(mut client: TcpStream) {
    let noise = photo(1 << 16);
    while client.write_all(&noise).is_ok() {}
}

#[test]
fn endless_noise_is_reported_in_little_memory() {
    let (folder, link) = (tempdir().unwrap(), noisy_console());
    let start = Instant::now();
    assert_fails(
        program(folder.path()).args(["read", &link]),
        1,
        &[&link, "gives no valid answer: answer too long"],
    );
    assert!(start.elapsed() < Duration::from_secs(60));

    let mut service = Service::start(&mut run(folder.path(), &link));
    let line = service.wait_for_line("link lost");
    assert!(line.contains("reason=\"console not understood: answer too long\""), "{line}");
    let peak = peak_memory(service.id()).unwrap();
    assert!(peak < MEMORY_LIMIT, "{peak} bytes of memory");
    assert_eq!(service.stop().code(), Some(0));
}

#[test]
fn closed_output_pipe_is_not_an_error() {
    let folder = tempdir().unwrap();
    let bank = bank().batteries(16).start().unwrap();
    let mut read = program(folder.path());
    read.args(["read", &bank.link(), "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut read = read.spawn().unwrap();
    // As `| head` does, but before the first byte.
    drop(read.stdout.take());
    let mut error = String::new();
    read.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    assert_eq!((read.wait().unwrap().code(), error.as_str()), (Some(0), ""));
}

#[test]
fn read_without_a_link_shows_the_latest_reading() {
    let folder = tempdir().unwrap();
    let bank = bank().start().unwrap();
    let text = format!("[[bank]]\nname = \"house\"\nlink = \"{}\"\ninterval = \"200ms\"\n", bank.link());
    fs::write(folder.path().join("bankwatch.toml"), text).unwrap();
    assert_fails(
        program(folder.path()).arg("read"),
        1,
        &["house_status.json can't be read", "is the service running?"],
    );

    let mut service = Service::start(program(folder.path()).arg("run"));
    service.wait_for_line("sweep complete");
    let path = folder.path().join("house_status.json");
    let deadline = Instant::now() + Duration::from_secs(30);
    while !path.exists() {
        assert!(Instant::now() < deadline, "no status file");
        thread::yield_now();
    }
    let answers = bank.answer_count();
    let (code, table, error) = run_to_end(program(folder.path()).arg("read"));
    assert_eq!((code, error.as_str()), (0, ""));
    // Counters and health follow below the batteries, if there are any yet.
    let first_words: Vec<&str> =
        table.lines().take(4).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(first_words, ["house", "battery", "1", "2"], "{table}");
    let (code, json, _) = run_to_end(program(folder.path()).args(["read", "--json"]));
    let status: bankwatch::internals::status::StatusDocument = serde_json::from_str(&json).unwrap();
    assert_eq!((code, status.powers), (0, 2));
    assert!(answers > 0);
    assert_eq!(service.stop().code(), Some(0));

    fs::write(&path, "{\"half\": ").unwrap();
    assert_fails(
        program(folder.path()).arg("read"),
        1,
        &["house_status.json is not a status file of this version"],
    );
}

#[test]
fn simulation_prints_its_link_and_ends_on_sigterm() {
    let folder = tempdir().unwrap();
    let mut simulate = program(folder.path());
    simulate.args(["simulate", "--tcp", "127.0.0.1:0"]).stdout(Stdio::piped());
    let mut simulate = simulate.spawn().unwrap();
    let mut link = String::new();
    BufReader::new(simulate.stdout.take().unwrap()).read_line(&mut link).unwrap();
    let (code, table, error) = run_to_end(program(folder.path()).args(["read", link.trim()]));
    Command::new("kill").args(["-TERM", &simulate.id().to_string()]).status().unwrap();
    assert_eq!(simulate.wait().unwrap().code(), Some(0));
    assert_eq!((code, error.as_str()), (0, ""));
    assert_eq!(table.lines().count(), 4, "{table}");
}
