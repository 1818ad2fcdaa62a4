//! A scripted TCP server: it sends the same bytes to every client, which no real broker does on request.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Sends its answer once it has received something, and then closes the connection or keeps it.
pub struct Scripted {
    port: u16,
    /// Those who stay connected.
    kept: Arc<Mutex<Vec<TcpStream>>>,
}

/// A CONNACK, MQTT 5.
pub const WELCOME: &[u8] = b"\x20\x03\x00\x00\x00";

impl Scripted {
    /// Says it and closes.
    pub fn saying(words: &'static [u8]) -> Self {
        Self::start(move |_| Some(words), true)
    }

    /// Says it and stays.
    pub fn saying_and_staying(words: &'static [u8]) -> Self {
        Self::start(move |_| Some(words), false)
    }

    /// Answers what was received, or closes without a word.
    pub fn answering(answer: fn(&[u8]) -> Option<&'static [u8]>) -> Self {
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

    /// How many stay.
    pub fn kept(&self) -> usize {
        self.kept.lock().unwrap().len()
    }
}
