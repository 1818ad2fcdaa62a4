//! Captures of real consoles. They are stored outside the repository.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Prints a notice whether or not the test passes; the test harness would hide `eprintln`.
pub fn print_notice(what: &str) {
    // Standard error may be closed.
    let _ = writeln!(io::stderr(), "{what}");
}

/// One captured file.
pub struct Capture {
    /// The file name without its extension.
    pub name: String,
    /// The bytes as received, or text with normalised line ends.
    pub bytes: Vec<u8>,
    /// The command according to the file name, for files without an echo.
    pub command: String,
    /// Whether these are the bytes as received.
    pub raw: bool,
}

/// The folder of the captures: next to the repository, or `BANKWATCH_CAPTURES`.
fn folder() -> PathBuf {
    std::env::var_os("BANKWATCH_CAPTURES")
        .map_or_else(|| crate::paths::root().join("../shared/captures"), PathBuf::from)
}

/// All captures, ordered by name; none, with a notice, if the folder is missing.
pub fn discover() -> impl Iterator<Item = Capture> {
    let folder = folder();
    let mut files: Vec<PathBuf> = match std::fs::read_dir(&folder) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        Err(error) => {
            print_notice(&format!(
                "NO CAPTURES: {} ({error}); the tests that read real consoles check nothing",
                folder.display()
            ));
            Vec::new()
        }
    };
    files.retain(|path| path.extension().is_some_and(|ending| ending == "txt"));
    files.sort();
    files.into_iter().map(|path| {
        let bytes = std::fs::read(&path).expect("a capture can be read");
        let name = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
        let raw =
            bytes.windows(3).any(|ends| ends == b"\r\r\n") || bytes.windows(2).any(|ends| ends == b"\n\r");
        Capture { command: command_in(&name), name, bytes, raw }
    })
}

/// `…_bat_1_partial` is `bat 1`, `…_pwr_0` is `pwr`.
fn command_in(name: &str) -> String {
    let parts: Vec<&str> = name.split('_').collect();
    let verb = parts.iter().rposition(|part| {
        ["pwr", "bat", "info", "stat", "soh", "time", "log", "unit", "help", "euro"].contains(part)
    });
    let is_number = |part: &&&str| **part != "0" && part.parse::<u8>().is_ok();
    verb.map_or_else(String::new, |at| match parts.get(at + 1).filter(is_number) {
        // The number after `help` counts samples and is not an argument.
        Some(number) if parts[at] != "help" => format!("{} {number}", parts[at]),
        _ => parts[at].to_owned(),
    })
}

/// The path of the committed values of a capture.
pub fn snapshot(name: &str) -> PathBuf {
    crate::paths::root().join("tests/snapshots/captures").join(format!("{name}.json"))
}

/// Whether to rewrite the committed values: `UPDATE_SNAPSHOTS=1 cargo test`.
pub fn updating() -> bool {
    std::env::var_os("UPDATE_SNAPSHOTS").is_some()
}

/// Compares `text` with the committed file.
pub fn assert_snapshot(file: &Path, text: &str) {
    if updating() {
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("the snapshots' folder can be made");
        std::fs::write(file, format!("{text}\n")).expect("a snapshot can be written");
        return;
    }
    let committed = std::fs::read_to_string(file).expect("a snapshot can be read");
    assert_eq!(committed.trim_end(), text, "{} differs; UPDATE_SNAPSHOTS=1 rewrites it", file.display());
}

/// Prints the number of checked captures, so that a run without captures is noticed.
pub fn print_count(count: usize, what: &str) {
    print_notice(&format!("{count} {what}"));
}
