//! A door on the network in front of a console: counts who comes in, sees whether two are in at once, and does to
//! the line what cables and bridges do.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Who closes his end is seen to have done so within this, also on a busy machine.
const SEEN_WITHIN: Duration = Duration::from_secs(5);

/// The door; it leads nowhere once the console is gone.
#[derive(Clone)]
pub struct TcpGate(Arc<Inner>);

struct Inner {
    link: String,
    opened: AtomicUsize,
    twice: AtomicUsize,
    inside: Mutex<Option<TcpStream>>,
    is_shut: AtomicBool,
    /// So many of the next bytes get lost.
    swallow: AtomicUsize,
    /// Between two chunks, in milliseconds.
    pause: AtomicU64,
}

impl TcpGate {
    /// In front of the console at `address`.
    pub fn start(address: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let inner = Inner {
            link: format!("tcp://{}", listener.local_addr().unwrap()),
            opened: AtomicUsize::new(0),
            twice: AtomicUsize::new(0),
            inside: Mutex::new(None),
            is_shut: AtomicBool::new(false),
            swallow: AtomicUsize::new(0),
            pause: AtomicU64::new(0),
        };
        let (door, address) = (Self(Arc::new(inner)), address.to_owned());
        let kept = door.clone();
        thread::spawn(move || listener.incoming().flatten().for_each(|client| kept.let_in(client, &address)));
        door
    }

    pub fn link(&self) -> &str {
        &self.0.link
    }

    /// How often somebody came in.
    pub fn connection_count(&self) -> usize {
        self.0.opened.load(Ordering::SeqCst)
    }

    /// How often somebody came in while another was still there.
    pub fn overlap_count(&self) -> usize {
        self.0.twice.load(Ordering::SeqCst)
    }

    /// Cuts the line to whoever is inside.
    pub fn cut(&self) {
        if let Some(client) = &*self.0.inside.lock().unwrap() {
            let _ = client.shutdown(Shutdown::Write);
        }
    }

    /// Whoever comes now is turned away at once.
    pub fn refuse(&self, is_shut: bool) {
        self.0.is_shut.store(is_shut, Ordering::SeqCst);
    }

    /// The console's next bytes get lost.
    pub fn drop_bytes(&self, bytes: usize) {
        self.0.swallow.store(bytes, Ordering::SeqCst);
    }

    /// The console's next bytes come late.
    pub fn stall(&self, pause: Duration) {
        self.0.pause.store(pause.as_millis() as u64, Ordering::SeqCst);
    }

    /// Bytes that no console sent.
    pub fn inject(&self, noise: &[u8]) {
        if let Some(client) = &mut *self.0.inside.lock().unwrap() {
            let _ = client.write_all(noise);
        }
    }

    fn let_in(&self, client: TcpStream, console: &str) {
        self.0.opened.fetch_add(1, Ordering::SeqCst);
        let deadline = Instant::now() + SEEN_WITHIN;
        while self.0.inside.lock().unwrap().is_some() {
            if Instant::now() > deadline {
                self.0.twice.fetch_add(1, Ordering::SeqCst);
                break;
            }
            thread::yield_now();
        }
        *self.0.inside.lock().unwrap() = Some(client.try_clone().unwrap());
        // What was to be done to the line was done to the last one.
        self.drop_bytes(0);
        self.stall(Duration::ZERO);
        if self.0.is_shut.load(Ordering::SeqCst) {
            self.cut();
        }
        let Ok(console) = TcpStream::connect(console) else { return self.cut() };
        [&client, &console].into_iter().for_each(|end| end.set_nodelay(true).unwrap());
        let (door, there) = (self.clone(), (client.try_clone().unwrap(), console.try_clone().unwrap()));
        thread::spawn(move || door.carry_questions(there.0, there.1));
        let door = self.clone();
        thread::spawn(move || door.carry_answers(console, client));
    }

    /// Until the client has closed his end: only then he is out.
    fn carry_questions(&self, mut client: TcpStream, mut console: TcpStream) {
        let mut chunk = [0; 1024];
        while let Ok(taken @ 1..) = client.read(&mut chunk) {
            // A line that was cut takes no questions, and its client is waited for all the same.
            let _ = console.write_all(&chunk[..taken]);
        }
        let _ = console.shutdown(Shutdown::Both);
        *self.0.inside.lock().unwrap() = None;
    }

    fn carry_answers(&self, mut console: TcpStream, mut client: TcpStream) {
        let mut chunk = [0; 512];
        while let Ok(taken @ 1..) = console.read(&mut chunk) {
            // A line that halts, not a test that waits.
            let halt = Duration::from_millis(self.0.pause.swap(0, Ordering::SeqCst));
            thread::sleep(halt);
            let lost = self.0.swallow.load(Ordering::SeqCst).min(taken);
            self.0.swallow.fetch_sub(lost, Ordering::SeqCst);
            if client.write_all(&chunk[lost..taken]).is_err() {
                break;
            }
        }
        let _ = client.shutdown(Shutdown::Write);
        let _ = console.shutdown(Shutdown::Both);
    }
}
