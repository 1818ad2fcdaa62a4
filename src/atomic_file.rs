//! Replaces a file as a whole: whoever reads it sees the old content or the new, never half of one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// Flags of open(2): fits, since the flag is one low bit.
const NO_FOLLOW: i32 = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();

/// Puts `content` at `path`. The content is on the disk before it gets the name, so a power cut leaves the old
/// file or the new one. A file that was there keeps its mode and, where we may, its owner; a link stays a link.
///
/// # Errors
/// Those of the system; nothing is left behind beside `path`.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let beside = beside(&path)?;
    let written = write(&beside, &path, content).and_then(|()| fs::rename(&beside, &path));
    if written.is_err() {
        // What is in the way may be no file of ours; then the error that counts is told already.
        let _ = fs::remove_file(&beside);
    }
    written
}

/// The same name each time, so that nothing piles up after a power cut.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let name =
        path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no file's name"))?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(".new");
    Ok(path.with_file_name(hidden))
}

fn write(beside: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    // Never through a link somebody else may have laid there.
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).custom_flags(NO_FOLLOW);
    let mut file: File = options.open(beside)?;
    if let Ok(before) = fs::metadata(path) {
        file.set_permissions(fs::Permissions::from_mode(before.mode() & 0o7777))?;
        // Only root may give files away; for everybody else they are ours already.
        let _ = fchown(&file, Some(before.uid()), Some(before.gid()));
    }
    file.write_all(content)?;
    file.sync_data()
}
