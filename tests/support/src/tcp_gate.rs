//! A TCP proxy in front of a console: counts connections, detects simultaneous ones, and disturbs the line like cables
//! and bridges do.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// A closed connection is detected within this time, even on a busy machine.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The proxy; connections end at once after the console has gone.
#[derive(Clone)]
pub struct TcpGate(Arc<Inner>);

struct Inner {
    link: String,
    connections: AtomicUsize,
    overlaps: AtomicUsize,
    client: Mutex<Option<TcpStream>>,
    refuses: AtomicBool,
    /// Number of bytes to drop.
    bytes_to_drop: AtomicUsize,
    /// Delay of the next chunk in milliseconds.
    pause: AtomicU64,
}

impl TcpGate {
    pub fn start(address: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let inner = Inner {
            link: format!("tcp://{}", listener.local_addr().unwrap()),
            connections: AtomicUsize::new(0),
            overlaps: AtomicUsize::new(0),
            client: Mutex::new(None),
            refuses: AtomicBool::new(false),
            bytes_to_drop: AtomicUsize::new(0),
            pause: AtomicU64::new(0),
        };
        let (gate, address) = (Self(Arc::new(inner)), address.to_owned());
        let acceptor = gate.clone();
        thread::spawn(move || {
            listener.incoming().flatten().for_each(|client| acceptor.accept(client, &address))
        });
        gate
    }

    pub fn link(&self) -> &str {
        &self.0.link
    }

    /// Number of connections so far.
    pub fn connection_count(&self) -> usize {
        self.0.connections.load(Ordering::SeqCst)
    }

    /// Number of connections made while another one was still open.
    pub fn overlap_count(&self) -> usize {
        self.0.overlaps.load(Ordering::SeqCst)
    }

    /// Disconnects the client.
    pub fn cut(&self) {
        if let Some(client) = &*self.0.client.lock().unwrap() {
            let _ = client.shutdown(Shutdown::Write);
        }
    }

    /// Sets whether new connections are closed at once.
    pub fn refuse(&self, refuses: bool) {
        self.0.refuses.store(refuses, Ordering::SeqCst);
    }

    /// Drops the console's next bytes.
    pub fn drop_bytes(&self, bytes: usize) {
        self.0.bytes_to_drop.store(bytes, Ordering::SeqCst);
    }

    /// Delays the console's next bytes.
    pub fn stall(&self, pause: Duration) {
        self.0.pause.store(pause.as_millis() as u64, Ordering::SeqCst);
    }

    /// Sends bytes that don't come from the console.
    pub fn inject(&self, noise: &[u8]) {
        if let Some(client) = &mut *self.0.client.lock().unwrap() {
            let _ = client.write_all(noise);
        }
    }

    fn accept(&self, client: TcpStream, console: &str) {
        self.0.connections.fetch_add(1, Ordering::SeqCst);
        let deadline = Instant::now() + CLOSE_TIMEOUT;
        while self.0.client.lock().unwrap().is_some() {
            if Instant::now() > deadline {
                self.0.overlaps.fetch_add(1, Ordering::SeqCst);
                break;
            }
            thread::yield_now();
        }
        *self.0.client.lock().unwrap() = Some(client.try_clone().unwrap());
        // Disturbances apply only to the previous connection.
        self.drop_bytes(0);
        self.stall(Duration::ZERO);
        if self.0.refuses.load(Ordering::SeqCst) {
            self.cut();
        }
        let Ok(console) = TcpStream::connect(console) else { return self.cut() };
        [&client, &console].into_iter().for_each(|end| end.set_nodelay(true).unwrap());
        let (gate, ends) = (self.clone(), (client.try_clone().unwrap(), console.try_clone().unwrap()));
        thread::spawn(move || gate.forward_commands(ends.0, ends.1));
        let gate = self.clone();
        thread::spawn(move || gate.forward_answers(console, client));
    }

    /// Runs until the client has closed its end: only then is it disconnected.
    fn forward_commands(&self, mut client: TcpStream, mut console: TcpStream) {
        let mut chunk = [0; 1024];
        while let Ok(count @ 1..) = client.read(&mut chunk) {
            // A disconnected line accepts no commands, but its client must still be waited for.
            let _ = console.write_all(&chunk[..count]);
        }
        let _ = console.shutdown(Shutdown::Both);
        *self.0.client.lock().unwrap() = None;
    }

    fn forward_answers(&self, mut console: TcpStream, mut client: TcpStream) {
        let mut chunk = [0; 512];
        while let Ok(count @ 1..) = console.read(&mut chunk) {
            // Simulates a stalled line.
            let pause = Duration::from_millis(self.0.pause.swap(0, Ordering::SeqCst));
            thread::sleep(pause);
            let dropped = self.0.bytes_to_drop.load(Ordering::SeqCst).min(count);
            self.0.bytes_to_drop.fetch_sub(dropped, Ordering::SeqCst);
            if client.write_all(&chunk[dropped..count]).is_err() {
                break;
            }
        }
        let _ = client.shutdown(Shutdown::Write);
        let _ = console.shutdown(Shutdown::Both);
    }
}
