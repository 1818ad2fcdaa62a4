//! Reads the small text files that people write: settings, secrets, a catalogue of events.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::settings::check::problem::ProblemKind;

/// Reads a text file. The size is limited because a device that is named by mistake may never end.
///
/// # Errors
/// Also fails if the file is larger than 1 MiB or not UTF-8.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    const MAX_BYTES: u64 = 1024 * 1024;
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    String::from_utf8(bytes)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "expected UTF-8 text, found other bytes"))
}

/// A warning if every user of this machine can read this secret file. Files that a container engine mounts below
/// `/run/secrets` are exempt: they have such a mode but are visible only in the container.
pub(crate) fn readable_by_all(path: &Path) -> Option<String> {
    if path.starts_with("/run/secrets") {
        return None;
    }
    let mode = fs::metadata(path).ok()?.mode() & 0o777;
    let name = path.display();
    (mode & 0o004 != 0).then(|| {
        format!("every user of this machine can read the secret file {name} (mode {mode:03o}); run: chmod o= {name}")
    })
}

pub(crate) fn unreadable(path: PathBuf, error: &std::io::Error) -> ProblemKind {
    ProblemKind::Unreadable { path, reason: error.to_string() }
}
