//! The byte stream to a console: serial port, network bridge or recording, opened from one string.

mod error;
mod port_owner;
mod replay;
mod rfc2217;
mod serial;
mod tcp;
pub(crate) mod tee;
mod telnet;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

pub use error::LinkError;
pub(crate) use port_owner::PortOwner;

/// An open link.
pub trait Transport: AsyncRead + AsyncWrite + Unpin + Send {
    /// Sets the baud rate. Returns `false` if this link has none.
    ///
    /// # Errors
    /// Returns the port's I/O error.
    fn set_speed(&mut self, baud: u32) -> io::Result<bool> {
        let _ = baud;
        Ok(false)
    }
}

/// How a console is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkTarget {
    /// A serial port by its path.
    Serial(PathBuf),
    /// `host:port` of a transparent bridge.
    Tcp(String),
    /// `host:port` of a bridge whose serial port can be configured.
    Rfc2217(String),
    /// A recording instead of a console.
    Replay(PathBuf),
}

impl LinkTarget {
    /// Whether the baud rate can be changed, which waking a console requires.
    pub(crate) fn can_set_speed(&self) -> bool {
        matches!(self, Self::Serial(_) | Self::Rfc2217(_))
    }
}

/// Parameters of a serial line; ignored by raw TCP and recordings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SerialParams {
    pub(crate) baud: u32,
    /// Whether DTR is raised; some adapters need it low.
    pub(crate) dtr: bool,
    pub(crate) rts: bool,
}

impl Default for SerialParams {
    fn default() -> Self {
        Self { baud: 115_200, dtr: true, rts: true }
    }
}

/// Where a console is, and how to open the connection to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub target: LinkTarget,
    pub line: SerialParams,
    /// How long opening may take.
    pub deadline: Duration,
}

const DEADLINE: Duration = Duration::from_secs(5);

impl Link {
    /// Parses `/dev/ttyUSB0`, `tcp://host:port`, `rfc2217://host:port` or `replay:FILE`.
    ///
    /// # Errors
    /// Returns [`LinkError::InvalidLink`] for any other text.
    pub fn parse(text: &str, line: SerialParams) -> Result<Self, LinkError> {
        let invalid = || LinkError::InvalidLink { found: text.to_owned() };
        let address = |address: &str| {
            let port = address.rsplit_once(':').and_then(|(host, port)| (!host.is_empty()).then_some(port));
            let valid = port.and_then(|port| port.parse::<u16>().ok()).is_some();
            valid.then(|| address.to_owned()).ok_or_else(invalid)
        };
        let target = match text.split_once(':') {
            Some(("tcp", rest)) => LinkTarget::Tcp(address(rest.strip_prefix("//").ok_or_else(invalid)?)?),
            Some(("rfc2217", rest)) => {
                LinkTarget::Rfc2217(address(rest.strip_prefix("//").ok_or_else(invalid)?)?)
            }
            Some(("replay", file)) => LinkTarget::Replay(file.into()),
            _ if text.is_empty() || text.contains("://") => return Err(invalid()),
            _ => LinkTarget::Serial(text.into()),
        };
        Ok(Self { target, line, deadline: DEADLINE })
    }

    /// Opens the link within its deadline.
    ///
    /// # Errors
    /// Returns why it could not be opened: missing, forbidden, busy, unreachable, or not a link of that kind.
    pub async fn open(&self) -> Result<Box<dyn Transport>, LinkError> {
        match &self.target {
            LinkTarget::Serial(path) => Ok(Box::new(serial::open(path, self.line)?)),
            LinkTarget::Tcp(address) => Ok(Box::new(tcp::open(address, self.deadline).await?)),
            LinkTarget::Rfc2217(address) => {
                Ok(Box::new(rfc2217::open(address, self.line, self.deadline).await?))
            }
            LinkTarget::Replay(file) => Ok(Box::new(replay::open(file)?)),
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            LinkTarget::Serial(path) => path.display().fmt(f),
            LinkTarget::Tcp(address) => write!(f, "tcp://{address}"),
            LinkTarget::Rfc2217(address) => write!(f, "rfc2217://{address}"),
            LinkTarget::Replay(file) => write!(f, "replay:{}", file.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_parsed_and_displayed_unchanged() {
        for text in [
            "/dev/ttyUSB0",
            "tcp://192.0.2.7:4196",
            "tcp://[::1]:23",
            "rfc2217://host:2217",
            "replay:bank.txt",
        ] {
            assert_eq!(
                Link::parse(text, SerialParams::default()).map(|link| link.to_string()).as_deref(),
                Ok(text)
            );
        }
        for text in ["", "tcp://host", "tcp://:23", "tcp://host:port", "http://host:80", "rfc2217://host"] {
            assert!(Link::parse(text, SerialParams::default()).is_err(), "{text}");
        }
    }
}
