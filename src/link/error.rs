//! Why a link can't be opened, with what to do about it.

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::link::PortOwner;

/// Why a link can't be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    #[error(
        "expected a link such as /dev/ttyUSB0, tcp://host:port, rfc2217://host:port or replay:FILE, found {found:?}"
    )]
    InvalidLink { found: String },
    #[error("{what} does not exist; plug in the adapter, or look for its name in /dev/serial/by-id")]
    NotFound { what: String },
    #[error(
        "{what}: permission denied; add the user to the `dialout` group (sudo usermod -aG dialout $USER) \
         and log in again"
    )]
    PermissionDenied { what: String },
    #[error("{what} is in use by {}", describe_owner(.owner.as_ref(), what))]
    Busy {
        what: String,
        /// Known only where `/proc` shows the other program's files.
        owner: Option<PortOwner>,
    },
    #[error("{what} is not a serial port")]
    NotSerialPort { what: String },
    #[error(
        "cannot connect to {what} within {after:?}; check the bridge's address and that it is switched on"
    )]
    TimedOut { what: String, after: Duration },
    #[error(
        "cannot connect to {what}: {reason}; check the bridge's address and port, and whether another program uses it"
    )]
    Unreachable { what: String, reason: String },
    #[error("cannot replay {what}: {reason}; choose a file of recorded answers, each with its echo")]
    InvalidRecording { what: String, reason: String },
    #[error("cannot open {what}: {reason}")]
    Other { what: String, reason: String },
}

impl LinkError {
    /// Distinguishes the failures that have a remedy of their own.
    pub(super) fn from_io(what: &str, error: &io::Error) -> Self {
        let what = what.to_owned();
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::NotFound { what },
            io::ErrorKind::PermissionDenied => Self::PermissionDenied { what },
            io::ErrorKind::ResourceBusy | io::ErrorKind::WouldBlock => Self::busy(what),
            io::ErrorKind::IsADirectory => Self::NotSerialPort { what },
            _ => Self::Other { what, reason: error.to_string() },
        }
    }

    /// Another program has opened the port at the path `what`.
    pub(super) fn busy(what: String) -> Self {
        let owner = PortOwner::find(Path::new(&what));
        Self::Busy { what, owner }
    }
}

fn describe_owner(owner: Option<&PortOwner>, what: &str) -> String {
    match owner {
        Some(owner) => owner.to_string(),
        None => format!("another program; stop it first (sudo fuser -v {what} shows its name)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_names_its_remedy() {
        for (kind, what, remedy) in [
            (io::ErrorKind::NotFound, "does not exist", "/dev/serial/by-id"),
            (io::ErrorKind::NotADirectory, "does not exist", "plug in the adapter"),
            (io::ErrorKind::PermissionDenied, "permission denied", "usermod -aG dialout"),
            (io::ErrorKind::ResourceBusy, "in use by another program", "fuser -v /dev/ttyUSB9"),
            (io::ErrorKind::IsADirectory, "is not a serial port", ""),
            (io::ErrorKind::TimedOut, "cannot open", "timed out"),
        ] {
            let message = LinkError::from_io("/dev/ttyUSB9", &kind.into()).to_string();
            assert!(message.contains("/dev/ttyUSB9"), "{message}");
            assert!(message.contains(what) && message.contains(remedy), "{message}");
        }
    }
}
