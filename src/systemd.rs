//! What systemd is told (`Type=notify`): that the service is up, that it goes on, and one line on how it is.
//! Without systemd nothing is sent.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::future::pending;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use crate::supervise::HeartbeatSet;

/// No more than this often.
const FEED_EVERY: Duration = Duration::from_secs(1);

/// How long it may take to take a line.
const TAKEN_WITHIN: Duration = Duration::from_secs(1);

/// Where it listens.
const SOCKET: &str = "NOTIFY_SOCKET";

/// Whether systemd, or somebody who plays it, listens.
#[must_use]
pub(crate) fn is_there() -> bool {
    std::env::var_os(SOCKET).is_some()
}

/// The service is up: its settings are read and its tree stands. It does not wait for a battery, which may be
/// away for days.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The service is about to end.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// One line for `systemctl status`.
pub(crate) fn status(line: &str) {
    tell(&[NotifyState::Status(line)]);
}

/// Feeds the watchdog for ever: at a beat of the banks' owners, when all of them have beaten in time, and by
/// nothing else. An output in trouble starves nobody.
pub(crate) async fn feed_watchdog(beats: &HeartbeatSet) -> Infallible {
    if sd_notify::watchdog_enabled().is_none() {
        return pending().await;
    }
    let mut fed: Option<Instant> = None;
    loop {
        let alive = beats.next().await;
        if alive && fed.is_none_or(|at| at.elapsed() >= FEED_EVERY) {
            tell(&[NotifyState::Watchdog]);
            fed = Some(Instant::now());
        }
    }
}

/// A supervisor that does not listen costs nothing and is told again soon.
fn tell(state: &[NotifyState<'_>]) {
    if let Some(socket) = std::env::var_os(SOCKET) {
        let text: String = state.iter().map(|state| format!("{state}\n")).collect();
        let _ = send(&socket, text.as_bytes());
    }
}

/// The library knows paths alone; with `@` in front it is a name that no folder holds.
fn send(socket: &OsStr, text: &[u8]) -> io::Result<()> {
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    let datagram = UnixDatagram::unbound()?;
    // A machine that boots takes its time, but nobody waits for ever for a listener who takes nothing.
    datagram.set_write_timeout(Some(TAKEN_WITHIN))?;
    datagram.send_to_addr(text, &address)?;
    Ok(())
}
