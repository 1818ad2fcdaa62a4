//! The permissions of files that the service creates, independent of the umask: with a umask of 000 no file is
//! world-writable, and with 077 other users can still read the JSON file. An existing file keeps its mode.

use std::fs::{OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// For files that other programs read: the JSON file, the logs.
pub(crate) const PUBLISHED: u32 = 0o644;
/// For files that only this service and its group read: database, journal, counters, active events.
pub(crate) const STATE: u32 = 0o640;

/// Creates an empty file with `mode` unless there is one; an existing file or link is not an error.
pub(crate) fn ensure(path: &Path, mode: u32) -> io::Result<()> {
    // Until its mode is set, only the owner can open the file.
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => file.set_permissions(Permissions::from_mode(mode)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}
