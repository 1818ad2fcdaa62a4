//! Subscribes at a broker and records the received messages with their time.
//!
//! It runs Mosquitto's client in a separate process: the code under test is not verified with its own client, and
//! several clients in one process share lists of Paho, under locks that do not cover all of them.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use bankwatch::internals::settings::MqttSettings;
use secrecy::ExposeSecret;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::broker::installed;

/// Deadline; a successful test needs a fraction of it.
const LONG: Duration = Duration::from_secs(30);

/// Messages that belong together arrive within this time.
const MOMENT: Duration = Duration::from_millis(100);

/// Output format of the client: retained flag, payload in hexadecimal digits, topic.
const FORMAT: &str = "message %r %x %t";

#[derive(Clone, Debug)]
pub struct Received {
    pub topic: String,
    pub payload: Vec<u8>,
    pub retained: bool,
    pub at: Instant,
}

impl Received {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.payload).into_owned()
    }

    /// Topic, payload as text, and whether it was retained.
    pub fn parts(&self) -> (&str, String, bool) {
        (&self.topic, self.text(), self.retained)
    }
}

/// Kills its client when dropped.
pub struct Listener {
    client: Child,
    incoming: mpsc::UnboundedReceiver<Received>,
    received: Vec<Received>,
}

impl Listener {
    /// Subscribes to `filter` at the broker of `settings`. The subscription is active when this returns.
    pub async fn at(settings: &MqttSettings, filter: &str) -> Self {
        let (host, port) = (&settings.url.host, settings.url.port.to_string());
        let authority = settings.ca_file.as_ref().map(|file| ["--cafile".as_ref(), file.as_os_str()]);
        let password = settings.password.expose_secret();
        let named = !settings.username.is_empty();
        let user = named.then_some(["-u", &settings.username, "-P", password]);
        // Otherwise the client would buffer its output.
        let mut client = Command::new("stdbuf")
            .arg("-oL")
            .arg(installed("mosquitto_sub").unwrap())
            .args(["-d", "-F", FORMAT, "-h", host, "-p", &port, "-t", filter])
            .args(authority.into_iter().flatten())
            .args(user.into_iter().flatten())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let lines = BufReader::new(client.stdout.take().unwrap()).lines();
        let (subscribed, mut subscriptions) = mpsc::unbounded_channel();
        let (sender, incoming) = mpsc::unbounded_channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                // The receiver is gone only if the client was killed.
                match parse_line(&line) {
                    Some(received) => drop(sender.send(received)),
                    None if line.contains("received SUBACK") => drop(subscribed.send(())),
                    None => {}
                }
            }
        });
        let mut listener = Self { client, incoming, received: Vec::new() };
        let is_subscribed = timeout(LONG, subscriptions.recv()).await.expect("a subscription");
        assert!(is_subscribed.is_some(), "the client did not subscribe: {:?}", listener.client.wait());
        listener
    }

    /// Receives until `enough` is true for all messages so far.
    pub async fn until(&mut self, mut enough: impl FnMut(&[Received]) -> bool) -> &[Received] {
        while !enough(&self.received) {
            let next = timeout(LONG, self.incoming.recv()).await;
            let next = next.unwrap_or_else(|_| panic!("timed out with {:?}", self.received));
            self.keep(next);
        }
        &self.received
    }

    /// All messages so far, once none arrives for a moment.
    pub async fn so_far(&mut self) -> &[Received] {
        while let Ok(next) = timeout(MOMENT, self.incoming.recv()).await {
            self.keep(next);
        }
        &self.received
    }

    fn keep(&mut self, next: Option<Received>) {
        let next = next.unwrap_or_else(|| panic!("the client ended: {:?}", self.client.wait()));
        self.received.push(next);
    }

    /// The next `count` messages.
    pub async fn receive(&mut self, count: usize) -> Vec<Received> {
        self.until(|received| received.len() >= count).await;
        self.received.drain(..count).collect()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // It may have ended with the broker.
        let _ = self.client.kill();
        let _ = self.client.wait();
    }
}

/// Reads a line of [`FORMAT`].
fn parse_line(line: &str) -> Option<Received> {
    let (retained, rest) = line.strip_prefix("message ")?.split_once(' ')?;
    let (digits, topic) = rest.split_once(' ')?;
    let octet = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    let payload = (0..digits.len()).step_by(2).map(octet).collect();
    Some(Received { topic: topic.to_owned(), payload, retained: retained == "1", at: Instant::now() })
}
