//! Log lines from the call to the file. Their format is stable, since programs parse them.

use std::fs;
use std::path::{Path, PathBuf};

use bankwatch::internals::logging::{self, LineFormat, LogConfig};
use bankwatch::internals::outage::HumanDuration;
use slog::{Level, crit, debug, error, info, o, trace, warn};
use support::own_process;

fn target(file: &Path) -> LogConfig {
    LogConfig {
        level: Level::Info,
        format: LineFormat::Text,
        file: Some(file.to_owned()),
        max_size: 0,
        max_files: 1,
    }
}

/// The lines without their timestamps, which must be valid.
fn untimed(path: &Path) -> Vec<String> {
    let lines = fs::read_to_string(path).unwrap();
    lines
        .lines()
        .map(|line| {
            let (time, rest) = line.split_at(24);
            let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
            assert_eq!(shape, "0000-00-00T00:00:00.000Z", "{line}");
            rest.to_owned()
        })
        .collect()
}

fn scratch() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bankwatch.log");
    (folder, file)
}

#[test]
fn logger_keys_come_first_then_call_keys_in_order() {
    let (_folder, file) = scratch();
    let (root, guard) = logging::start(&target(&file)).unwrap();
    let bank = root.new(o!("bank" => "pytes", "link" => "/dev/ttyUSB0"));
    let battery = bank.new(o!("battery" => 3));
    info!(bank, "link up"; "prompt" => "PYTES>", "batteries" => 4, "took" => HumanDuration(std::time::Duration::from_millis(210)));
    warn!(battery, "answer missing"; "command" => "bat 3", "reason" => %"answer cut off", "attempts" => 3_u8);
    info!(bank, "link moved"; "took" => ?std::time::Duration::from_millis(1210), "link" => "/dev/ttyUSB1");
    drop(guard);
    assert_eq!(
        untimed(&file),
        [
            r#" INFO  link up bank=pytes link=/dev/ttyUSB0 prompt="PYTES>" batteries=4 took=0.21s"#,
            r#" WARN  answer missing bank=pytes link=/dev/ttyUSB0 battery=3 command="bat 3" reason="answer cut off" attempts=3"#,
            " INFO  link moved bank=pytes link=/dev/ttyUSB1 took=1.21s",
        ]
    );
}

#[test]
fn console_text_cannot_break_or_forge_a_line() {
    let (_folder, file) = scratch();
    let (log, guard) = logging::start(&target(&file)).unwrap();
    let hostile = "bat 3\r\n2026-11-22T06:00:00.000Z ERROR port gone bank=pytes";
    info!(log, "answer refused"; "text" => hostile, "shown" => ?hostile, "quoted" => "\" level=\"x");
    drop(guard);
    let escaped = r"bat 3\r\n2026-11-22T06:00:00.000Z ERROR port gone bank=pytes";
    assert_eq!(
        untimed(&file),
        [format!(r#" INFO  answer refused text="{escaped}" shown="{escaped}" quoted="\" level=\"x""#)]
    );
}

#[test]
fn the_level_changes_while_the_log_runs() {
    let (_folder, file) = scratch();
    let (log, guard) = logging::start(&target(&file)).unwrap();
    let control = guard.control();
    debug!(log, "left out");
    control.set_level(Level::Trace);
    trace!(log, "seen");
    debug!(log, "seen");
    control.set_level(Level::Error);
    warn!(log, "left out");
    error!(log, "seen");
    crit!(log, "seen");
    assert_eq!(control.level(), Level::Error);
    drop(guard);
    assert_eq!(untimed(&file), [" TRACE seen", " DEBUG seen", " ERROR seen", " CRIT  seen"]);
}

#[test]
fn json_is_one_object_per_line_with_typed_numbers() {
    let (_folder, file) = scratch();
    let (log, guard) = logging::start(&LogConfig { format: LineFormat::Json, ..target(&file) }).unwrap();
    let bank = log.new(o!("bank" => "pytes"));
    info!(bank, "sweep complete"; "batteries" => 4, "soc" => 0.1_f32, "noise" => f64::NAN, "model" => None::<u8>);
    drop(guard);
    let text = fs::read_to_string(&file).unwrap();
    let (time, rest) = text.split_at(r#"{"ts":"2026-11-22T06:05:09.377Z","#.len());
    assert!(time.starts_with("{\"ts\":\"") && time.ends_with("Z\","), "{text}");
    assert_eq!(
        rest,
        "\"level\":\"INFO\",\"msg\":\"sweep complete\",\"bank\":\"pytes\",\"batteries\":4,\"soc\":0.1,\
         \"noise\":\"NaN\",\"model\":null}\n"
    );
}

#[test]
fn every_line_logged_before_the_guard_is_dropped_is_in_the_file() {
    let (_folder, file) = scratch();
    let (log, guard) = logging::start(&target(&file)).unwrap();
    for number in 0..3000 {
        info!(log, "tick"; "number" => number);
    }
    assert_eq!(guard.control().dropped(), 0);
    drop(guard);
    assert_eq!(untimed(&file).len(), 3000);
    info!(log, "too late");
}

#[test]
fn an_oversized_file_is_rotated() {
    let (folder, file) = scratch();
    let (log, guard) = logging::start(&LogConfig { max_size: 1000, max_files: 2, ..target(&file) }).unwrap();
    for number in 0..100 {
        info!(log, "tick"; "number" => number);
    }
    drop(guard);
    let mut names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["bankwatch.log", "bankwatch.log.1", "bankwatch.log.2"]);
    assert!(untimed(&file).last().unwrap().ends_with("number=99"));
    for name in names {
        assert!(fs::metadata(folder.path().join(name)).unwrap().len() <= 1000);
    }
}

#[test]
fn a_moved_file_is_reopened_on_request() {
    let (folder, file) = scratch();
    let moved = folder.path().join("moved");
    let (log, guard) = logging::start(&target(&file)).unwrap();
    info!(log, "before");
    drop(guard);
    let (log, guard) = logging::start(&target(&file)).unwrap();
    fs::rename(&file, &moved).unwrap();
    guard.control().reopen();
    info!(log, "after");
    drop(guard);
    assert_eq!(untimed(&moved), [" INFO  before"]);
    assert_eq!(untimed(&file), [" INFO  after"]);
}

#[test]
fn an_unopenable_file_is_named_with_the_remedy() {
    let (folder, _) = scratch();
    let error = logging::start(&target(folder.path())).err().unwrap().to_string();
    assert!(
        error.starts_with(&format!("cannot write the log file {}: ", folder.path().display())),
        "{error}"
    );
    assert!(error.ends_with("name another in [log] file, or \"\" for standard error"), "{error}");
}

/// Set for the process that `lines_go_to_stderr_without_colour_unless_on_a_terminal` starts.
const CHILD: &str = "BANKWATCH_TEST_CHILD";

#[test]
fn lines_go_to_stderr_without_colour_unless_on_a_terminal() {
    const TEST: &str = concat!(module_path!(), "::lines_go_to_stderr_without_colour_unless_on_a_terminal");
    if std::env::var_os(CHILD).is_some() {
        let (log, _guard) = logging::start(&LogConfig {
            level: Level::Info,
            format: LineFormat::Text,
            file: None,
            max_size: 0,
            max_files: 0,
        })
        .unwrap();
        error!(log, "actor restarted"; "actor" => "db");
        return;
    }
    let child = own_process::rerun_command(TEST).env(CHILD, "1").output().unwrap();
    let stderr = String::from_utf8(child.stderr).unwrap();
    assert!(stderr.lines().any(|line| line.ends_with("Z ERROR actor restarted actor=db")), "{stderr}");
    assert!(!String::from_utf8(child.stdout).unwrap().contains("actor restarted"));
}

/// Linux has a device that is always full.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_sends_the_lines_to_standard_error() {
    const TEST: &str = concat!(module_path!(), "::a_full_disk_sends_the_lines_to_standard_error");
    if std::env::var_os(CHILD).is_some() {
        let (log, _guard) = logging::start(&target(Path::new("/dev/full"))).unwrap();
        info!(log, "first");
        info!(log, "second");
        return;
    }
    let child = own_process::rerun_command(TEST).env(CHILD, "1").output().unwrap();
    let stderr = String::from_utf8(child.stderr).unwrap();
    let lines: Vec<&str> =
        stderr.lines().filter_map(|line| line.split_once("Z ").map(|(_, rest)| rest)).collect();
    assert_eq!(lines.len(), 3, "{stderr}");
    assert!(
        lines[0].starts_with("ERROR log file unavailable file=/dev/full reason=\"No space left"),
        "{stderr}"
    );
    assert_eq!(lines[1..], ["INFO  first", "INFO  second"]);
}
