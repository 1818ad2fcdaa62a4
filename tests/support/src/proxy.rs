//! A way to a server that can be watched, cut and held.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// In front of a server on this machine.
#[derive(Clone)]
pub struct Proxy(Arc<Inner>);

struct Inner {
    address: SocketAddr,
    server: u16,
    opened: AtomicUsize,
    sent: AtomicUsize,
    /// Cuts the connection once so many more bytes were sent to the server, or came from it.
    left: [Mutex<Option<usize>>; 2],
    /// Cuts the connection once these bytes were sent to the server.
    behind: Mutex<Option<&'static [u8]>>,
    /// How often that has happened.
    cuts: AtomicUsize,
    /// How often all connections of the time were lost.
    lost: AtomicUsize,
    /// The way that is held.
    held: (Mutex<Option<Direction>>, Condvar),
    /// Bytes a second that pass to the server; 0: all at once.
    rate: AtomicUsize,
    inside: Mutex<Vec<TcpStream>>,
    is_shut: AtomicBool,
}

/// Which way bytes go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Out,
    Back,
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
            behind: Mutex::new(None),
            cuts: AtomicUsize::new(0),
            lost: AtomicUsize::new(0),
            held: (Mutex::new(None), Condvar::new()),
            rate: AtomicUsize::new(0),
            inside: Mutex::new(Vec::new()),
            is_shut: AtomicBool::new(false),
        }));
        let kept = proxy.clone();
        thread::spawn(move || listener.incoming().flatten().for_each(|client| kept.let_in(client)));
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
        for stream in self.0.inside.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// From now on whatever is sent on the connections there are vanishes, and neither side learns of it; new ones are carried.
    pub fn drop_silently(&self) {
        self.0.lost.fetch_add(1, Ordering::SeqCst);
    }

    /// Cuts the connection on which the first byte beyond so many more is sent, and that one alone.
    pub fn cut_after(&self, bytes: usize) {
        self.cut_on(Direction::Out, bytes);
    }

    /// The same on either way: on the way back the server has done what was asked, and nobody hears of it.
    pub fn cut_on(&self, way: Direction, bytes: usize) {
        *self.0.left[way as usize].lock().unwrap() = Some(bytes);
    }

    /// Cuts the next connection on which these bytes are sent, as soon as the server has them.
    pub fn cut_after_pattern(&self, words: &'static [u8]) {
        *self.0.behind.lock().unwrap() = Some(words);
    }

    /// How often a connection was cut after so many bytes, or behind some.
    pub fn cuts(&self) -> usize {
        self.0.cuts.load(Ordering::SeqCst)
    }

    /// Lets no more bytes pass that way, or goes on with them.
    pub fn hold(&self, way: impl Into<Option<Direction>>) {
        *self.0.held.0.lock().unwrap() = way.into();
        self.0.held.1.notify_all();
    }

    /// Lets no more than so many bytes a second pass to the server.
    pub fn slow_down(&self, bytes_a_second: usize) {
        self.0.rate.store(bytes_a_second, Ordering::SeqCst);
    }

    /// Whoever comes now is turned away at once.
    pub fn refuse(&self, is_shut: bool) {
        self.0.is_shut.store(is_shut, Ordering::SeqCst);
    }

    fn let_in(&self, client: TcpStream) {
        self.0.opened.fetch_add(1, Ordering::SeqCst);
        if self.0.is_shut.load(Ordering::SeqCst) {
            return;
        }
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.0.server)) else { return };
        // What was not held back by who said it is not held back here.
        for stream in [&client, &server] {
            stream.set_nodelay(true).unwrap();
        }
        let both = |stream: &TcpStream| stream.try_clone().unwrap();
        self.0.inside.lock().unwrap().extend([both(&client), both(&server)]);
        let (proxy, there) = (self.clone(), (both(&client), both(&server)));
        thread::spawn(move || proxy.carry(Direction::Out, there.0, there.1));
        let proxy = self.clone();
        thread::spawn(move || proxy.carry(Direction::Back, server, client));
    }

    fn carry(&self, way: Direction, mut from: TcpStream, mut to: TcpStream) {
        let (mut chunk, lost) = ([0; 1024], self.0.lost.load(Ordering::SeqCst));
        while let Ok(taken @ 1..) = from.read(&mut chunk) {
            if self.0.lost.load(Ordering::SeqCst) != lost {
                continue;
            }
            let mut held = self.0.held.0.lock().unwrap();
            while *held == Some(way) {
                held = self.0.held.1.wait(held).unwrap();
            }
            let rate = self.0.rate.load(Ordering::SeqCst);
            if way == Direction::Out && rate > 0 {
                let takes = Duration::from_secs_f64(taken as f64 / rate as f64);
                held = self.0.held.1.wait_timeout(held, takes).unwrap().0;
            }
            drop(held);
            let pass = self.passes(way, taken);
            if way == Direction::Out {
                self.0.sent.fetch_add(pass, Ordering::SeqCst);
            }
            if to.write_all(&chunk[..pass]).is_err() || pass < taken {
                break;
            }
            if way == Direction::Out && self.were_words(&chunk[..pass]) {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }

    /// Whether these are the bytes behind which the connection is cut.
    fn were_words(&self, sent: &[u8]) -> bool {
        let mut behind = self.0.behind.lock().unwrap();
        let were = behind.is_some_and(|words| sent.windows(words.len()).any(|window| window == words));
        if were {
            *behind = None;
            self.0.cuts.fetch_add(1, Ordering::SeqCst);
        }
        were
    }

    /// How many of the bytes that were taken go on; the first connection to have a byte too many is cut.
    fn passes(&self, way: Direction, taken: usize) -> usize {
        let mut left = self.0.left[way as usize].lock().unwrap();
        let pass = left.map_or(taken, |left| taken.min(left));
        *left = left.map(|left| left - pass);
        if pass < taken {
            *left = None;
            self.0.cuts.fetch_add(1, Ordering::SeqCst);
        }
        pass
    }
}
