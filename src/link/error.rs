//! Why a link can't be opened: which it is, and how to mend it.

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::link::Holder;

/// Why a link can't be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The text is no link.
    #[error(
        "expected a link like /dev/ttyUSB0, tcp://host:port, rfc2217://host:port or replay:FILE, found {found:?}"
    )]
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
    #[error("{what} is in use by {}", by_whom(.holder.as_ref(), what))]
    Busy {
        /// The port.
        what: String,
        /// Who has it, where that can be seen.
        holder: Option<Holder>,
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
    /// The network or the bridge says no.
    #[error(
        "no connection to {what}: {reason}; check the bridge's address and port, and whether another program has it"
    )]
    Unreachable {
        /// The address.
        what: String,
        /// What the system said.
        reason: String,
    },
    /// There is no recording to replay.
    #[error("{what} can't be replayed: {reason}; name a file of recorded answers, each with its echo")]
    NoRecording {
        /// The recording.
        what: String,
        /// What is wrong with it.
        reason: String,
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
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::Absent { what },
            io::ErrorKind::PermissionDenied => Self::Forbidden { what },
            io::ErrorKind::ResourceBusy | io::ErrorKind::WouldBlock => Self::busy(what),
            io::ErrorKind::IsADirectory => Self::NoPort { what },
            _ => Self::Other { what, reason: error.to_string() },
        }
    }

    /// Somebody else has the port at the path `what`.
    pub(super) fn busy(what: String) -> Self {
        let holder = Holder::of(Path::new(&what));
        Self::Busy { what, holder }
    }

    /// Whether trying again later can't help: the text itself is wrong.
    #[must_use]
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::Text { .. })
    }
}

fn by_whom(holder: Option<&Holder>, what: &str) -> String {
    match holder {
        Some(holder) => holder.to_string(),
        None => format!("another program; stop that one first (sudo fuser -v {what} names it)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(kind: io::ErrorKind) -> String {
        LinkError::of("/dev/ttyUSB9", &kind.into()).to_string()
    }

    #[test]
    fn each_trouble_is_told_with_its_remedy() {
        for (kind, what, remedy) in [
            (io::ErrorKind::NotFound, "does not exist", "/dev/serial/by-id"),
            (io::ErrorKind::NotADirectory, "does not exist", "plug the adapter in"),
            (io::ErrorKind::PermissionDenied, "may not be opened by this user", "usermod -aG dialout"),
            (io::ErrorKind::ResourceBusy, "in use by another program", "fuser -v /dev/ttyUSB9"),
            (io::ErrorKind::IsADirectory, "no serial port", ""),
            (io::ErrorKind::TimedOut, "can't be opened", "timed out"),
        ] {
            let sentence = told(kind);
            assert!(sentence.starts_with("/dev/ttyUSB9 "), "{sentence}");
            assert!(sentence.contains(what) && sentence.contains(remedy), "{sentence}");
        }
    }
}
