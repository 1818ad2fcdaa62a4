//! Heartbeats: proof that work goes on, for the systemd watchdog.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// The heartbeat of one task. The task beats when it attempts work, never from a timer of its own.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    last: Arc<Mutex<Instant>>,
    /// The longest allowed time between two beats.
    timeout: Duration,
    on_beat: Arc<Notify>,
}

/// All heartbeats of a process.
#[derive(Debug, Default)]
pub struct HeartbeatSet {
    heartbeats: Vec<Heartbeat>,
    on_beat: Arc<Notify>,
}

impl Heartbeat {
    pub(crate) fn beat(&self) {
        *self.last.lock() = Instant::now();
        self.on_beat.notify_one();
    }

    fn is_fresh(&self) -> bool {
        self.last.lock().elapsed() <= self.timeout
    }
}

impl HeartbeatSet {
    /// Adds a heartbeat that counts as stale after `timeout` without a beat.
    pub fn register(&mut self, timeout: Duration) -> Heartbeat {
        let heartbeat =
            Heartbeat { last: Arc::new(Mutex::new(Instant::now())), timeout, on_beat: self.on_beat.clone() };
        self.heartbeats.push(heartbeat.clone());
        heartbeat
    }

    /// Waits for the next beat of any task; returns whether all heartbeats are fresh.
    pub async fn next(&self) -> bool {
        self.on_beat.notified().await;
        self.heartbeats.iter().all(Heartbeat::is_fresh)
    }
}
