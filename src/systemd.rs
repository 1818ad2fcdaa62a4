//! What systemd is told (`Type=notify`): that the service is up, that it goes on, and one line on how it is.
//! Without systemd nothing is sent.

use std::convert::Infallible;
use std::future::pending;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use crate::supervise::Beats;

/// No more than this often.
const FEED_EVERY: Duration = Duration::from_secs(1);

/// Whether systemd, or somebody who plays it, listens.
#[must_use]
pub fn is_there() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// The service is up: its settings are read and its tree stands. It does not wait for a battery, which may be
/// away for days.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The service is about to end.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// One line for `systemctl status`.
pub fn status(line: &str) {
    tell(&[NotifyState::Status(line)]);
}

/// Feeds the watchdog for ever: at a beat of the banks' owners, when all of them have beaten in time, and by
/// nothing else. An output in trouble starves nobody.
pub async fn feed_watchdog(beats: &Beats) -> Infallible {
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
    let _ = sd_notify::notify(state);
}
