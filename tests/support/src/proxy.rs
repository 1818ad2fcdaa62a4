//! A TCP proxy in front of a server that counts, cuts, delays and holds connections.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// A proxy in front of a server on this machine.
#[derive(Clone)]
pub struct Proxy(Arc<Inner>);

struct Inner {
    address: SocketAddr,
    server: u16,
    opened: AtomicUsize,
    sent: AtomicUsize,
    /// Bytes that may still pass in each direction before the connection is cut.
    left: [Mutex<Option<usize>>; 2],
    /// Cuts the connection after these bytes were sent to the server.
    pattern: Mutex<Option<&'static [u8]>>,
    /// How often a connection was cut.
    cuts: AtomicUsize,
    /// How often `drop_silently` was called.
    drops: AtomicUsize,
    /// The direction that is held.
    held: (Mutex<Option<Direction>>, Condvar),
    /// Bytes per second to the server; 0: unlimited.
    rate: AtomicUsize,
    streams: Mutex<Vec<TcpStream>>,
    refuses: AtomicBool,
}

/// The direction of bytes: to the server, or from it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    ToServer,
    FromServer,
}

impl Proxy {
    pub fn in_front_of(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self(Arc::new(Inner {
            address: listener.local_addr().unwrap(),
            server,
            opened: AtomicUsize::new(0),
            sent: AtomicUsize::new(0),
            left: [Mutex::new(None), Mutex::new(None)],
            pattern: Mutex::new(None),
            cuts: AtomicUsize::new(0),
            drops: AtomicUsize::new(0),
            held: (Mutex::new(None), Condvar::new()),
            rate: AtomicUsize::new(0),
            streams: Mutex::new(Vec::new()),
            refuses: AtomicBool::new(false),
        }));
        let acceptor = proxy.clone();
        thread::spawn(move || listener.incoming().flatten().for_each(|client| acceptor.accept(client)));
        proxy
    }

    pub fn url(&self) -> String {
        format!("mqtt://{}", self.0.address)
    }

    pub fn port(&self) -> u16 {
        self.0.address.port()
    }

    /// How many connections there have been.
    pub fn opened(&self) -> usize {
        self.0.opened.load(Ordering::SeqCst)
    }

    /// How many bytes were sent to the server.
    pub fn sent(&self) -> usize {
        self.0.sent.load(Ordering::SeqCst)
    }

    /// Cuts all connections now.
    pub fn cut(&self) {
        for stream in self.0.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// From now on silently drops all bytes of the current connections; new connections work.
    pub fn drop_silently(&self) {
        self.0.drops.fetch_add(1, Ordering::SeqCst);
    }

    /// Cuts the connection that sends the first byte after this many more, and no other.
    pub fn cut_after(&self, bytes: usize) {
        self.cut_on(Direction::ToServer, bytes);
    }

    /// The same in either direction; from the server: it has done what was asked, and its answer is lost.
    pub fn cut_on(&self, direction: Direction, bytes: usize) {
        *self.0.left[direction as usize].lock().unwrap() = Some(bytes);
    }

    /// Cuts the next connection on which these bytes are sent, as soon as the server has them.
    pub fn cut_after_pattern(&self, words: &'static [u8]) {
        *self.0.pattern.lock().unwrap() = Some(words);
    }

    /// How often a connection was cut by count or by pattern.
    pub fn cuts(&self) -> usize {
        self.0.cuts.load(Ordering::SeqCst)
    }

    /// Holds all bytes in one direction, or releases them.
    pub fn hold(&self, direction: impl Into<Option<Direction>>) {
        *self.0.held.0.lock().unwrap() = direction.into();
        self.0.held.1.notify_all();
    }

    /// Limits the rate to the server.
    pub fn slow_down(&self, bytes_per_second: usize) {
        self.0.rate.store(bytes_per_second, Ordering::SeqCst);
    }

    /// Closes new connections at once.
    pub fn refuse(&self, refuse: bool) {
        self.0.refuses.store(refuse, Ordering::SeqCst);
    }

    fn accept(&self, client: TcpStream) {
        self.0.opened.fetch_add(1, Ordering::SeqCst);
        if self.0.refuses.load(Ordering::SeqCst) {
            return;
        }
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.0.server)) else { return };
        // Bytes are passed on as they were sent.
        for stream in [&client, &server] {
            stream.set_nodelay(true).unwrap();
        }
        let both = |stream: &TcpStream| stream.try_clone().unwrap();
        self.0.streams.lock().unwrap().extend([both(&client), both(&server)]);
        let (proxy, there) = (self.clone(), (both(&client), both(&server)));
        thread::spawn(move || proxy.carry(Direction::ToServer, there.0, there.1));
        let proxy = self.clone();
        thread::spawn(move || proxy.carry(Direction::FromServer, server, client));
    }

    fn carry(&self, direction: Direction, mut from: TcpStream, mut to: TcpStream) {
        let (mut chunk, lost) = ([0; 1024], self.0.drops.load(Ordering::SeqCst));
        while let Ok(taken @ 1..) = from.read(&mut chunk) {
            if self.0.drops.load(Ordering::SeqCst) != lost {
                continue;
            }
            let mut held = self.0.held.0.lock().unwrap();
            while *held == Some(direction) {
                held = self.0.held.1.wait(held).unwrap();
            }
            let rate = self.0.rate.load(Ordering::SeqCst);
            if direction == Direction::ToServer && rate > 0 {
                let takes = Duration::from_secs_f64(taken as f64 / rate as f64);
                held = self.0.held.1.wait_timeout(held, takes).unwrap().0;
            }
            drop(held);
            let pass = self.passes(direction, taken);
            if direction == Direction::ToServer {
                self.0.sent.fetch_add(pass, Ordering::SeqCst);
            }
            if to.write_all(&chunk[..pass]).is_err() || pass < taken {
                break;
            }
            if direction == Direction::ToServer && self.contain_pattern(&chunk[..pass]) {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }

    /// Whether these bytes contain the pattern after which the connection is cut.
    fn contain_pattern(&self, sent: &[u8]) -> bool {
        let mut pattern = self.0.pattern.lock().unwrap();
        let found = pattern.is_some_and(|bytes| sent.windows(bytes.len()).any(|window| window == bytes));
        if found {
            *pattern = None;
            self.0.cuts.fetch_add(1, Ordering::SeqCst);
        }
        found
    }

    /// How many of the received bytes pass; the first connection with a byte too many is cut.
    fn passes(&self, direction: Direction, taken: usize) -> usize {
        let mut left = self.0.left[direction as usize].lock().unwrap();
        let pass = left.map_or(taken, |left| taken.min(left));
        *left = left.map(|left| left - pass);
        if pass < taken {
            *left = None;
            self.0.cuts.fetch_add(1, Ordering::SeqCst);
        }
        pass
    }
}
