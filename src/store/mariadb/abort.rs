//! Aborts calls to a server from another thread.
//!
//! Diesel can't set a read timeout: if packets are dropped, a call would wait until TCP gives up, which may be never.
//! Shutting down its socket makes the call return at once, as if the server had closed the connection.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use rustix::net::{Shutdown, getpeername, shutdown};

/// The handles that own each connection, by the inode of its socket. Two connections made at the same moment belong to
/// both handles: aborting either ends both.
static OWNERS: Mutex<BTreeMap<String, BTreeSet<usize>>> = Mutex::new(BTreeMap::new());

/// Aborts the connections that were made with this handle or its clones.
#[derive(Clone, Debug, Default)]
pub struct AbortHandle {
    peers: Arc<Mutex<BTreeSet<SocketAddr>>>,
    aborts: Arc<AtomicUsize>,
}

impl AbortHandle {
    /// Registers the addresses of the next connection. Returns the existing sockets.
    pub(crate) fn add(&self, addresses: &[SocketAddr]) -> BTreeSet<String> {
        self.peers.lock().extend(addresses);
        sockets().into_iter().map(|(_, inode)| inode).collect()
    }

    /// Claims the connection that was just made: no other handle aborts its calls.
    pub(crate) fn claim(&self, before: &BTreeSet<String>) {
        let peers = self.peers.lock();
        let mut owners = OWNERS.lock();
        // Listed under the lock: an older list would drop claims that another handle has made since.
        let sockets = sockets();
        owners.retain(|inode, _| sockets.iter().any(|(_, open)| open == inode));
        for (number, inode) in sockets {
            if !before.contains(&inode) && leads_to(number, &peers).is_some() {
                owners.entry(inode).or_default().insert(self.id());
            }
        }
    }

    /// The same for all clones.
    fn id(&self) -> usize {
        Arc::as_ptr(&self.aborts).addr()
    }

    /// The number of aborts so far.
    pub(crate) fn aborts(&self) -> usize {
        self.aborts.load(Ordering::SeqCst)
    }

    /// Shuts down every connection that was made with this handle, including one that is still being opened. Never
    /// blocks. Returns their number.
    pub fn abort(&self) -> usize {
        let peers = self.peers.lock();
        if peers.is_empty() {
            return 0;
        }
        self.aborts.fetch_add(1, Ordering::SeqCst);
        let owners = OWNERS.lock();
        let is_own = |inode: &String| owners.get(inode).is_none_or(|owners| owners.contains(&self.id()));
        let own = sockets().into_iter().filter(|(_, inode)| is_own(inode));
        own.filter(|(number, _)| {
            leads_to(*number, &peers).is_some_and(|socket| shutdown(socket, Shutdown::Both).is_ok())
        })
        .count()
    }
}

/// The sockets of this process: descriptor and inode.
fn sockets() -> Vec<(RawFd, String)> {
    let entries = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let socket = |entry: fs::DirEntry| {
        let target = fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned();
        let number = entry.file_name().to_str()?.parse().ok()?;
        target.starts_with("socket:").then_some((number, target))
    };
    entries.filter_map(socket).collect()
}

/// The socket, if it is connected to one of these addresses.
#[allow(unsafe_code, reason = "the library does not expose its socket")]
fn leads_to(number: RawFd, peers: &BTreeSet<SocketAddr>) -> Option<BorrowedFd<'static>> {
    // SAFETY: the descriptor is borrowed for two calls, and neither closed nor stored. If it is closed meanwhile, they
    // fail; if it is reused by another socket between them, that one is shut down, which its owner sees as a lost
    // connection.
    let socket = unsafe { BorrowedFd::borrow_raw(number) };
    let peer = SocketAddr::try_from(getpeername(socket).ok()??).ok()?;
    let is_one = peers
        .iter()
        .any(|one| one.port() == peer.port() && one.ip().to_canonical() == peer.ip().to_canonical());
    is_one.then_some(socket)
}
