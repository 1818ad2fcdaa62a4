//! Who listens at a broker and keeps what came, with when it came.
//!
//! It is Mosquitto's own client in a process of its own: what is tested does not hear itself with its own ears, and
//! several clients in one process share lists of the library, under locks that do not cover all of it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use bankwatch::internals::settings::MqttSettings;
use secrecy::ExposeSecret;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::broker::installed;

/// Past this not enough was heard; all goes well in a fraction of it.
const LONG: Duration = Duration::from_secs(30);

/// Messages that belong together come closer together.
const MOMENT: Duration = Duration::from_millis(100);

/// How the client writes what it hears: whether it was kept, the payload in hexadecimal digits, the topic.
const FORMAT: &str = "heard %r %x %t";

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

/// A client of its own at the same broker, ended by its own handle when dropped.
pub struct Listener {
    client: Child,
    ear: mpsc::UnboundedReceiver<Heard>,
    heard: Vec<Heard>,
}

impl Listener {
    /// Listens with a filter at the broker that `settings` lead to, from when this returns.
    pub async fn at(settings: &MqttSettings, filter: &str) -> Self {
        let (host, port) = (&settings.url.host, settings.url.port.to_string());
        let authority = settings.ca_file.as_ref().map(|file| ["--cafile".as_ref(), file.as_os_str()]);
        let password = settings.password.expose_secret();
        let named = !settings.username.is_empty();
        let user = named.then_some(["-u", &settings.username, "-P", password]);
        // Else its words would wait in a buffer until there are many.
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
        let (begun, mut begins) = mpsc::unbounded_channel();
        let (mouth, ear) = mpsc::unbounded_channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                // Who no longer wants to know has ended the client.
                match heard(&line) {
                    Some(heard) => drop(mouth.send(heard)),
                    None if line.contains("received SUBACK") => drop(begun.send(())),
                    None => {}
                }
            }
        });
        let mut listener = Self { client, ear, heard: Vec::new() };
        let listens = timeout(LONG, begins.recv()).await.expect("the broker takes the subscription");
        assert!(listens.is_some(), "no listener came in: {:?}", listener.client.wait());
        listener
    }

    /// All that came so far and until `enough` says so of it.
    pub async fn until(&mut self, mut enough: impl FnMut(&[Heard]) -> bool) -> &[Heard] {
        while !enough(&self.heard) {
            let next = timeout(LONG, self.ear.recv()).await;
            let next = next.unwrap_or_else(|_| panic!("not enough was heard: {:?}", self.heard));
            self.keep(next);
        }
        &self.heard
    }

    /// All that has come, once nothing more comes for a moment.
    pub async fn so_far(&mut self) -> &[Heard] {
        while let Ok(next) = timeout(MOMENT, self.ear.recv()).await {
            self.keep(next);
        }
        &self.heard
    }

    fn keep(&mut self, next: Option<Heard>) {
        let next = next.unwrap_or_else(|| panic!("the listener ended: {:?}", self.client.wait()));
        self.heard.push(next);
    }

    /// The next so many messages.
    pub async fn hears(&mut self, count: usize) -> Vec<Heard> {
        self.until(|heard| heard.len() >= count).await;
        self.heard.drain(..count).collect()
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
fn heard(line: &str) -> Option<Heard> {
    let (retained, rest) = line.strip_prefix("heard ")?.split_once(' ')?;
    let (digits, topic) = rest.split_once(' ')?;
    let octet = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    let payload = (0..digits.len()).step_by(2).map(octet).collect();
    Some(Heard { topic: topic.to_owned(), payload, retained: retained == "1", at: Instant::now() })
}
