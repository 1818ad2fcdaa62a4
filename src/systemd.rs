//! Notifies systemd (`Type=notify`) that the service is ready, alive or stopping, and sets its status line. Without
//! systemd nothing is sent.

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

/// The shortest time between two watchdog notifications.
const WATCHDOG_INTERVAL: Duration = Duration::from_secs(1);

const SEND_TIMEOUT: Duration = Duration::from_secs(1);

const SOCKET: &str = "NOTIFY_SOCKET";

/// Whether a notification socket is set.
#[must_use]
pub(crate) fn is_active() -> bool {
    std::env::var_os(SOCKET).is_some()
}

/// Reports that the settings are loaded and all actors are started. It does not wait for a battery, which may be
/// offline for days.
pub(crate) fn ready() {
    notify(&[NotifyState::Ready]);
}

pub(crate) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Sets the line that `systemctl status` shows.
pub(crate) fn status(line: &str) {
    notify(&[NotifyState::Status(line)]);
}

/// Notifies the watchdog at each heartbeat of a serial actor, provided that the heartbeats of all are fresh. Outputs
/// have no influence on it.
pub(crate) async fn feed_watchdog(beats: &HeartbeatSet) -> Infallible {
    if sd_notify::watchdog_enabled().is_none() {
        return pending().await;
    }
    let mut notified_at: Option<Instant> = None;
    loop {
        let alive = beats.next().await;
        if alive && notified_at.is_none_or(|at| at.elapsed() >= WATCHDOG_INTERVAL) {
            notify(&[NotifyState::Watchdog]);
            notified_at = Some(Instant::now());
        }
    }
}

/// Errors are ignored: the next notification follows soon.
fn notify(state: &[NotifyState<'_>]) {
    if let Some(socket) = std::env::var_os(SOCKET) {
        let text: String = state.iter().map(|state| format!("{state}\n")).collect();
        let _ = send(&socket, text.as_bytes());
    }
}

/// Sends to a path or, if it begins with `@`, to an abstract socket, which `sd_notify` does not support.
fn send(socket: &OsStr, text: &[u8]) -> io::Result<()> {
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    let datagram = UnixDatagram::unbound()?;
    // systemd may be slow while the machine boots, but a hanging one must not block the service.
    datagram.set_write_timeout(Some(SEND_TIMEOUT))?;
    datagram.send_to_addr(text, &address)?;
    Ok(())
}
