//! A way to a broker that can be watched, cut and held.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// In front of a broker on this machine.
#[derive(Clone)]
pub struct Proxy(Arc<Inner>);

struct Inner {
    address: SocketAddr,
    broker: u16,
    opened: AtomicUsize,
    sent: AtomicUsize,
    /// Cuts the connection once so many more bytes were sent to the broker.
    left: Mutex<Option<usize>>,
    /// How often that has happened.
    cuts: AtomicUsize,
    is_held: (Mutex<bool>, Condvar),
    inside: Mutex<Vec<TcpStream>>,
    is_shut: AtomicBool,
}

impl Proxy {
    pub fn before(broker: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self(Arc::new(Inner {
            address: listener.local_addr().unwrap(),
            broker,
            opened: AtomicUsize::new(0),
            sent: AtomicUsize::new(0),
            left: Mutex::new(None),
            cuts: AtomicUsize::new(0),
            is_held: (Mutex::new(false), Condvar::new()),
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

    /// How many connections there have been.
    pub fn opened(&self) -> usize {
        self.0.opened.load(Ordering::SeqCst)
    }

    /// How many bytes were sent to the broker.
    pub fn sent(&self) -> usize {
        self.0.sent.load(Ordering::SeqCst)
    }

    /// Cuts all connections now.
    pub fn cut(&self) {
        for stream in self.0.inside.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Cuts the connection on which the first byte beyond so many more is sent, and that one alone.
    pub fn cut_after(&self, bytes: usize) {
        *self.0.left.lock().unwrap() = Some(bytes);
    }

    /// How often a connection was cut after so many bytes.
    pub fn cuts(&self) -> usize {
        self.0.cuts.load(Ordering::SeqCst)
    }

    /// Takes no more bytes from the client, or goes on with them.
    pub fn hold(&self, is_held: bool) {
        *self.0.is_held.0.lock().unwrap() = is_held;
        self.0.is_held.1.notify_all();
    }

    /// Whoever comes now is turned away at once.
    pub fn shut(&self, is_shut: bool) {
        self.0.is_shut.store(is_shut, Ordering::SeqCst);
    }

    fn let_in(&self, client: TcpStream) {
        self.0.opened.fetch_add(1, Ordering::SeqCst);
        if self.0.is_shut.load(Ordering::SeqCst) {
            return;
        }
        let Ok(broker) = TcpStream::connect(("127.0.0.1", self.0.broker)) else { return };
        let both = |stream: &TcpStream| stream.try_clone().unwrap();
        self.0.inside.lock().unwrap().extend([both(&client), both(&broker)]);
        let (proxy, there) = (self.clone(), (both(&client), both(&broker)));
        thread::spawn(move || proxy.carry_out(there.0, there.1));
        thread::spawn(move || carry_back(broker, client));
    }

    fn carry_out(&self, mut client: TcpStream, mut broker: TcpStream) {
        let mut chunk = [0; 1024];
        while let Ok(taken @ 1..) = client.read(&mut chunk) {
            let mut held = self.0.is_held.0.lock().unwrap();
            while *held {
                held = self.0.is_held.1.wait(held).unwrap();
            }
            drop(held);
            let pass = self.passes(taken);
            self.0.sent.fetch_add(pass, Ordering::SeqCst);
            if broker.write_all(&chunk[..pass]).is_err() || pass < taken {
                break;
            }
        }
        let _ = client.shutdown(Shutdown::Both);
        let _ = broker.shutdown(Shutdown::Both);
    }

    /// How many of the bytes that were taken go on; the first connection to have a byte too many is cut.
    fn passes(&self, taken: usize) -> usize {
        let mut left = self.0.left.lock().unwrap();
        let pass = left.map_or(taken, |left| taken.min(left));
        *left = left.map(|left| left - pass);
        if pass < taken {
            *left = None;
            self.0.cuts.fetch_add(1, Ordering::SeqCst);
        }
        pass
    }
}

fn carry_back(mut broker: TcpStream, mut client: TcpStream) {
    let _ = std::io::copy(&mut broker, &mut client);
    let _ = client.shutdown(Shutdown::Both);
    let _ = broker.shutdown(Shutdown::Both);
}
