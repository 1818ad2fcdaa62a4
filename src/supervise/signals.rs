//! What the operating system asks of the service.

use std::fmt;
use std::io;

use tokio::select;
use tokio::signal::unix;

/// A request by signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// End in order (systemd, a container's stop).
    Terminate,
    /// End in order (Ctrl-C).
    Interrupt,
    /// Reload what can be reloaded.
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

/// The signals as they come. From its making on they no longer end the process by themselves.
#[derive(Debug)]
pub struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hangup: unix::Signal,
}

/// Begins to listen. Call it on the system's thread, within its runtime.
///
/// # Errors
/// When the operating system refuses a handler.
pub fn signals() -> io::Result<Signals> {
    use unix::SignalKind;

    Ok(Signals {
        terminate: unix::signal(SignalKind::terminate())?,
        interrupt: unix::signal(SignalKind::interrupt())?,
        hangup: unix::signal(SignalKind::hangup())?,
    })
}

impl Signals {
    /// The next signal. Requests to end go before a reload.
    pub async fn next(&mut self) -> Signal {
        select! {
            biased;
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.hangup.recv() => Signal::Hangup,
        }
    }
}
