//! Proof that work goes on: who works beats, who must know waits for the beats.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// The heart of one worker. It beats when work is attempted, and never by a timer of its own.
#[derive(Clone, Debug)]
pub struct Beat {
    last: Arc<Mutex<Instant>>,
    /// Longer than this between two beats is too long.
    within: Duration,
    bell: Arc<Notify>,
}

/// All the hearts of a process.
#[derive(Debug, Default)]
pub struct Beats {
    all: Vec<Beat>,
    bell: Arc<Notify>,
}

impl Beat {
    /// Work was attempted.
    pub(crate) fn beat(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.bell.notify_one();
    }

    fn is_fresh(&self) -> bool {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).elapsed() <= self.within
    }
}

impl Beats {
    /// A new heart, which must beat `within` that time.
    pub fn heart(&mut self, within: Duration) -> Beat {
        let beat = Beat { last: Arc::new(Mutex::new(Instant::now())), within, bell: self.bell.clone() };
        self.all.push(beat.clone());
        beat
    }

    /// Waits for the next beat; answers whether every heart has beaten in time.
    pub async fn next(&self) -> bool {
        self.bell.notified().await;
        self.all.iter().all(Beat::is_fresh)
    }
}
