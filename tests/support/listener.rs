//! Who listens at a broker and keeps what came, with when it came.

use std::time::{Duration, Instant};

use bankwatch::mqtt::session::{Incoming, Patience, Session};
use bankwatch::settings::MqttSettings;
use tokio::time::timeout;

/// Past this not enough was heard; all goes well in a fraction of it.
const LONG: Duration = Duration::from_secs(30);

/// Messages that belong together come closer together.
const MOMENT: Duration = Duration::from_millis(100);

/// One message that came.
#[derive(Clone, Debug)]
pub struct Heard {
    pub topic: String,
    pub payload: Vec<u8>,
    pub retained: bool,
    pub at: Instant,
}

impl Heard {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.payload).into_owned()
    }

    /// Topic, payload as text, and whether the broker had kept it.
    pub fn told(&self) -> (&str, String, bool) {
        (&self.topic, self.text(), self.retained)
    }
}

/// A client of its own at the same broker.
pub struct Listener {
    session: Session,
    heard: Vec<Heard>,
}

impl Listener {
    /// Listens with a filter. `settings` lead to the broker; the client id becomes another.
    pub async fn at(settings: &MqttSettings, filter: &str) -> Self {
        static NUMBER: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let id = bankwatch::settings::AutoOr::Given(format!("listener-{number}"));
        let settings = MqttSettings { client_id: id, ..settings.clone() };
        let mut session = Session::new(&settings, None, Patience::default()).unwrap();
        session.connect().await.unwrap();
        session.subscribe(&[filter.to_owned()]).await.unwrap();
        Self { session, heard: Vec::new() }
    }

    /// All that came so far and until `enough` says so of it.
    pub async fn until(&mut self, mut enough: impl FnMut(&[Heard]) -> bool) -> &[Heard] {
        while !enough(&self.heard) {
            let next = timeout(LONG, self.session.next()).await;
            let next = next.unwrap_or_else(|_| panic!("not enough was heard: {:?}", self.heard));
            self.keep(next);
        }
        &self.heard
    }

    /// All that has come, once nothing more comes for a moment.
    pub async fn so_far(&mut self) -> &[Heard] {
        while let Ok(next) = timeout(MOMENT, self.session.next()).await {
            self.keep(next);
        }
        &self.heard
    }

    fn keep(&mut self, next: Incoming) {
        let Incoming::Message { topic, payload, retained } = next else { panic!("{next:?}") };
        self.heard.push(Heard { topic, payload, retained, at: Instant::now() });
    }

    /// The next so many messages.
    pub async fn hears(&mut self, count: usize) -> Vec<Heard> {
        self.until(|heard| heard.len() >= count).await;
        self.heard.drain(..count).collect()
    }
}
