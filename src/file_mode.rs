//! The permissions of the files this service makes, whatever the umask of the process: a service started with a umask
//! of 000 leaves no file that everybody may write, and one with 077 still publishes a JSON file that others may read.
//! A file that exists keeps its own.

use std::fs::{OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// What other programs read: the JSON file, the logs.
pub(crate) const PUBLISHED: u32 = 0o644;
/// What only this service and its group read: database, journal, counters, active events.
pub(crate) const STATE: u32 = 0o640;

/// Creates an empty file with `mode` where there is none.
///
/// # Errors
/// Those of the system. A file or link that exists is not an error.
pub(crate) fn ensure(path: &Path, mode: u32) -> io::Result<()> {
    // Only the owner may open it before it has its mode.
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => file.set_permissions(Permissions::from_mode(mode)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}
