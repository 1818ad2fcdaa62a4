//! What no real broker does when asked to: whoever listens here says the same to each who comes.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Says it once it has heard something, and then closes or stays.
pub struct Scripted {
    port: u16,
    /// Those who stay connected.
    kept: Arc<Mutex<Vec<TcpStream>>>,
}

/// A broker's welcome, MQTT 5.
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

    /// Answers what was heard, or closes without a word.
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
                let mut heard = [0; 1024];
                let Ok(count @ 1..) = client.read(&mut heard) else { continue };
                if let Some(words) = answer(&heard[..count]) {
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
