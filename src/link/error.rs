//! Why a link can't be opened: which it is, and how to mend it.

use std::io;
use std::time::Duration;

/// Why a link can't be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The text is no link.
    #[error("expected a link like /dev/ttyUSB0, tcp://host:port, rfc2217://host:port or replay:FILE, found {found:?}")]
    Text {
        /// What was given.
        found: String,
    },
    /// No such port or file.
    #[error("{what} does not exist; plug the adapter in, or look for its name in /dev/serial/by-id")]
    Absent {
        /// The port or file.
        what: String,
    },
    /// It may not be opened.
    #[error(
        "{what} may not be opened by this user; add the user to the port's group (sudo usermod -aG dialout $USER), then log in again"
    )]
    Forbidden {
        /// The port or file.
        what: String,
    },
    /// Somebody else has it.
    #[error("{what} is in use by another program; stop that one first (fuser -v {what} names it)")]
    Busy {
        /// The port.
        what: String,
    },
    /// It exists and is no serial port.
    #[error("{what} is no serial port")]
    NoPort {
        /// What was opened.
        what: String,
    },
    /// No answer from the network.
    #[error(
        "no connection to {what} within {after:?}; check the bridge's address and that it is switched on"
    )]
    TimedOut {
        /// The address.
        what: String,
        /// How long it was tried.
        after: Duration,
    },
    /// The machine is there, and nobody listens at that port.
    #[error("{what} refused the connection; check the port, and whether the bridge serves one client at a time")]
    Refused {
        /// The address.
        what: String,
    },
    /// The system's own words.
    #[error("{what} can't be opened: {reason}")]
    Other {
        /// The port, address or file.
        what: String,
        /// What the system said.
        reason: String,
    },
}

impl LinkError {
    /// Tells the failures apart that have a remedy of their own.
    pub(super) fn of(what: &str, error: &io::Error) -> Self {
        let what = what.to_owned();
        match error.kind() {
            io::ErrorKind::NotFound => Self::Absent { what },
            io::ErrorKind::PermissionDenied => Self::Forbidden { what },
            io::ErrorKind::ResourceBusy | io::ErrorKind::WouldBlock => Self::Busy { what },
            _ => Self::Other { what, reason: error.to_string() },
        }
    }

    /// A connection that was refused or that leads nowhere.
    pub(super) fn network(what: String, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused { what },
            _ => Self::Other { what, reason: error.to_string() },
        }
    }

    /// Whether trying again later can't help: the text itself is wrong.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Text { .. })
    }
}
