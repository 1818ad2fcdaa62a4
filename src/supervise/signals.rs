//! Receives SIGTERM, SIGINT and SIGHUP.

use std::fmt;
use std::io;

use tokio::select;
use tokio::signal::unix;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Stop: sent by systemd and container engines.
    Terminate,
    /// Stop: Ctrl-C.
    Interrupt,
    /// Reload the settings.
    Hangup,
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
            Self::Hangup => "SIGHUP",
        })
    }
}

/// The stream of signals. While it exists, they no longer end the process by default.
#[derive(Debug)]
pub struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hangup: unix::Signal,
}

/// Installs the signal handlers. Must be called on the system's thread, within its runtime.
///
/// # Errors
/// Fails if the operating system refuses a handler.
pub fn signals() -> io::Result<Signals> {
    use unix::SignalKind;

    Ok(Signals {
        terminate: unix::signal(SignalKind::terminate())?,
        interrupt: unix::signal(SignalKind::interrupt())?,
        hangup: unix::signal(SignalKind::hangup())?,
    })
}

impl Signals {
    /// Waits for the next signal. A stop takes precedence over a reload.
    pub async fn next(&mut self) -> Signal {
        select! {
            biased;
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.hangup.recv() => Signal::Hangup,
        }
    }
}
