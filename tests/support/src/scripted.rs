//! A console with scripted answers that records every line it receives.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// A console on any free port. Dropping it stops it.
pub struct Scripted {
    address: SocketAddr,
    lines: Arc<Mutex<Vec<String>>>,
    over: Arc<AtomicBool>,
}

impl Scripted {
    /// Answers each line with what `answer` returns for it, including echo and prompt.
    pub fn start(answer: impl FnMut(&str) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let (lines, over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (kept, stop) = (Arc::clone(&lines), Arc::clone(&over));
        thread::spawn(move || {
            let mut answer = answer;
            for client in listener.incoming().map_while(Result::ok) {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                serve(client, &kept, &mut answer);
            }
        });
        Self { address, lines, over }
    }

    pub fn link(&self) -> String {
        format!("tcp://{}", self.address)
    }

    /// Takes the lines received since the last call.
    pub fn take_lines(&self) -> Vec<String> {
        std::mem::take(&mut *self.lines.lock().expect("the lock is not poisoned"))
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the thread if it waits for a client.
        let _woken = TcpStream::connect(self.address);
    }
}

fn serve(mut client: TcpStream, lines: &Mutex<Vec<String>>, answer: &mut impl FnMut(&str) -> Vec<u8>) {
    let _at_once = client.set_nodelay(true);
    let (mut typed, mut chunk) = (Vec::new(), [0; 256]);
    while let Ok(count) = client.read(&mut chunk) {
        if count == 0 {
            return;
        }
        for byte in &chunk[..count] {
            if !matches!(byte, b'\r' | b'\n') {
                typed.push(*byte);
                continue;
            }
            let line: String = typed.drain(..).map(char::from).collect();
            lines.lock().expect("the lock is not poisoned").push(line.clone());
            if client.write_all(&answer(&line)).is_err() {
                return;
            }
        }
    }
}
