//! A scripted TCP server: it sends the same bytes to every client, which no real broker does on request.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Sends its answer after the first bytes of a client, then closes the connection or keeps it open.
pub struct Scripted {
    port: u16,
    /// Connections kept open.
    kept: Arc<Mutex<Vec<TcpStream>>>,
}

/// A CONNACK, MQTT 5.
pub const WELCOME: &[u8] = b"\x20\x03\x00\x00\x00";

impl Scripted {
    /// Sends these bytes and closes.
    pub fn send_and_close(words: &'static [u8]) -> Self {
        Self::start(move |_| Some(words), true)
    }

    /// Sends these bytes and keeps the connection open.
    pub fn send_and_keep_open(words: &'static [u8]) -> Self {
        Self::start(move |_| Some(words), false)
    }

    /// Sends the answer to the received bytes, or just closes.
    pub fn answer_and_close(answer: fn(&[u8]) -> Option<&'static [u8]>) -> Self {
        Self::start(answer, true)
    }

    fn start(answer: impl Fn(&[u8]) -> Option<&'static [u8]> + Send + 'static, closes: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let kept = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&kept);
        thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                let mut received = [0; 1024];
                let Ok(count @ 1..) = client.read(&mut received) else { continue };
                if let Some(words) = answer(&received[..count]) {
                    let _ = client.write_all(words);
                }
                if !closes {
                    keep.lock().unwrap().push(client);
                }
            }
        });
        Self { port, kept }
    }

    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// The number of connections kept open.
    pub fn kept(&self) -> usize {
        self.kept.lock().unwrap().len()
    }
}
