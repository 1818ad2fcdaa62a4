//! The captures of real consoles: they lie beside the project and are not part of it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Says something whether or not the test passes; the harness hides what `eprintln` says.
pub fn tell(what: &str) {
    // Nobody may be there to read it.
    let _ = writeln!(io::stderr(), "{what}");
}

/// One file of them.
pub struct Capture {
    /// The file's name without its ending.
    pub name: String,
    /// The wire's bytes, or text whose line ends its source had normalised.
    pub bytes: Vec<u8>,
    /// The command that the file's name gives, for files without an echo.
    pub command: String,
    /// Whether these are the wire's own bytes.
    pub raw: bool,
}

/// Where they lie: beside the project, or where `BANKWATCH_CAPTURES` says.
fn folder() -> PathBuf {
    std::env::var_os("BANKWATCH_CAPTURES")
        .map_or_else(|| crate::paths::root().join("../shared/captures"), PathBuf::from)
}

/// All captures in order of their names; none, said visibly, where the folder is absent.
pub fn discover() -> impl Iterator<Item = Capture> {
    let folder = folder();
    let mut files: Vec<PathBuf> = match std::fs::read_dir(&folder) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        Err(error) => {
            tell(&format!(
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
        // Of `help` there are several samples, and no number to ask with.
        Some(number) if parts[at] != "help" => format!("{} {number}", parts[at]),
        _ => parts[at].to_owned(),
    })
}

/// Where the committed values of a capture lie.
pub fn snapshot(name: &str) -> PathBuf {
    crate::paths::root().join("tests/snapshots/captures").join(format!("{name}.json"))
}

/// Whether the committed values are to be written anew: `UPDATE_SNAPSHOTS=1 cargo test`.
pub fn updating() -> bool {
    std::env::var_os("UPDATE_SNAPSHOTS").is_some()
}

/// Holds `text` against the committed file.
pub fn hold(file: &Path, text: &str) {
    if updating() {
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("the snapshots' folder can be made");
        std::fs::write(file, format!("{text}\n")).expect("a snapshot can be written");
        return;
    }
    let committed = std::fs::read_to_string(file).expect("a snapshot can be read");
    assert_eq!(committed.trim_end(), text, "{} differs; UPDATE_SNAPSHOTS=1 writes it anew", file.display());
}

/// Says how many were looked at, so that a run without captures is seen.
pub fn note(count: usize, what: &str) {
    tell(&format!("{count} {what}"));
}
