//! The way to a console: bytes in, bytes out. Opened from one text.

mod error;
mod holder;
mod replay;
mod rfc2217;
mod serial;
pub(crate) mod tap;
mod tcp;
mod telnet;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

pub use error::LinkError;
pub(crate) use holder::Holder;

/// An open link.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {
    /// Changes the line's speed to `baud` bits a second; answers whether this link can.
    ///
    /// # Errors
    /// Those of the port.
    fn set_speed(&mut self, baud: u32) -> io::Result<bool> {
        let _ = baud;
        Ok(false)
    }
}

/// Where a console is to be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A serial port by its path.
    Serial(PathBuf),
    /// `host:port` of a transparent bridge.
    Tcp(String),
    /// `host:port` of a bridge whose port can be set.
    Rfc2217(String),
    /// A recording: no console at all.
    Replay(PathBuf),
}

impl Target {
    /// Whether the line's speed can be changed from here, which waking a console takes.
    #[must_use]
    pub(crate) fn can_set_speed(&self) -> bool {
        matches!(self, Self::Serial(_) | Self::Rfc2217(_))
    }
}

/// Settings of a serial line; other links ignore them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Bits a second.
    pub(crate) baud: u32,
    /// Whether DTR is raised, for adapters that care.
    pub(crate) dtr: bool,
    /// Whether RTS is raised.
    pub(crate) rts: bool,
}

impl Default for Line {
    fn default() -> Self {
        Self { baud: 115_200, dtr: true, rts: true }
    }
}

/// A console's place and how to speak to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Where it is.
    pub target: Target,
    /// How the line is set.
    pub line: Line,
    /// How long opening may take.
    pub deadline: Duration,
}

/// How long opening may take.
const DEADLINE: Duration = Duration::from_secs(5);

impl Link {
    /// Reads `/dev/ttyUSB0`, `tcp://host:port`, `rfc2217://host:port` or `replay:FILE`.
    ///
    /// # Errors
    /// The text is none of these.
    pub fn parse(text: &str, line: Line) -> Result<Self, LinkError> {
        let wrong = || LinkError::Text { found: text.to_owned() };
        let address = |address: &str| {
            let port = address.rsplit_once(':').and_then(|(host, port)| (!host.is_empty()).then_some(port));
            let sound = port.and_then(|port| port.parse::<u16>().ok()).is_some();
            sound.then(|| address.to_owned()).ok_or_else(wrong)
        };
        let target = match text.split_once(':') {
            Some(("tcp", rest)) => Target::Tcp(address(rest.strip_prefix("//").ok_or_else(wrong)?)?),
            Some(("rfc2217", rest)) => Target::Rfc2217(address(rest.strip_prefix("//").ok_or_else(wrong)?)?),
            Some(("replay", file)) => Target::Replay(file.into()),
            _ if text.is_empty() || text.contains("://") => return Err(wrong()),
            _ => Target::Serial(text.into()),
        };
        Ok(Self { target, line, deadline: DEADLINE })
    }

    /// Opens it, within its deadline.
    ///
    /// # Errors
    /// It is absent, forbidden, busy, unreachable or no such thing: each with its remedy.
    pub async fn open(&self) -> Result<Box<dyn Io>, LinkError> {
        match &self.target {
            Target::Serial(path) => Ok(Box::new(serial::open(path, self.line)?)),
            Target::Tcp(address) => Ok(Box::new(tcp::open(address, self.deadline).await?)),
            Target::Rfc2217(address) => Ok(Box::new(rfc2217::open(address, self.line, self.deadline).await?)),
            Target::Replay(file) => Ok(Box::new(replay::open(file)?)),
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Serial(path) => path.display().fmt(f),
            Target::Tcp(address) => write!(f, "tcp://{address}"),
            Target::Rfc2217(address) => write!(f, "rfc2217://{address}"),
            Target::Replay(file) => write!(f, "replay:{}", file.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_link_is_one_text() {
        for text in [
            "/dev/ttyUSB0",
            "tcp://192.0.2.7:4196",
            "tcp://[::1]:23",
            "rfc2217://host:2217",
            "replay:bank.txt",
        ] {
            assert_eq!(Link::parse(text, Line::default()).map(|link| link.to_string()).as_deref(), Ok(text));
        }
        for text in ["", "tcp://host", "tcp://:23", "tcp://host:port", "http://host:80", "rfc2217://host"] {
            assert!(Link::parse(text, Line::default()).is_err(), "{text}");
        }
    }
}
