//! Ends calls to a server from outside the thread that waits in them.
//!
//! The library has no read timeout that Diesel can set: where packets vanish, a thread would wait until TCP gives up,
//! which may be never. Shutting its socket down makes the call return at once, as if the server had closed the
//! connection.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, RawFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::net::{Shutdown, getpeername, shutdown};

/// The handle of each connection, by its socket's inode. Two that are made in the same moment belong to both handles: the
/// abort of either ends both.
static OWNERS: Mutex<BTreeMap<String, BTreeSet<usize>>> = Mutex::new(BTreeMap::new());

/// The servers that connections were made to with this handle or its clones.
#[derive(Clone, Debug, Default)]
pub struct AbortHandle {
    peers: Arc<Mutex<BTreeSet<SocketAddr>>>,
    aborts: Arc<AtomicUsize>,
}

impl AbortHandle {
    /// Takes note of where the next connection leads. Answers which sockets there are already.
    pub(super) fn add(&self, addresses: &[SocketAddr]) -> BTreeSet<String> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner).extend(addresses);
        sockets().into_iter().map(|(_, inode)| inode).collect()
    }

    /// Takes the connection that was just made for its own: no other handle ends its calls.
    pub(super) fn claim(&self, before: &BTreeSet<String>) {
        let peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut owners = OWNERS.lock().unwrap_or_else(PoisonError::into_inner);
        // Listed after the lock is taken: an older list would drop what another handle has claimed since.
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

    /// How often calls were ended.
    pub(super) fn aborts(&self) -> usize {
        self.aborts.load(Ordering::SeqCst)
    }

    /// Shuts down every connection to these servers that was made with this handle, also one that is still being made,
    /// and never blocks. Answers how many.
    pub fn abort(&self) -> usize {
        let peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if peers.is_empty() {
            return 0;
        }
        self.aborts.fetch_add(1, Ordering::SeqCst);
        let owners = OWNERS.lock().unwrap_or_else(PoisonError::into_inner);
        let is_own = |inode: &String| owners.get(inode).is_none_or(|owners| owners.contains(&self.id()));
        let own = sockets().into_iter().filter(|(_, inode)| is_own(inode));
        own.filter(|(number, _)| {
            leads_to(*number, &peers).is_some_and(|socket| shutdown(socket, Shutdown::Both).is_ok())
        })
        .count()
    }
}

/// The sockets of this process: number and inode.
fn sockets() -> Vec<(RawFd, String)> {
    let entries = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let socket = |entry: fs::DirEntry| {
        let target = fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned();
        let number = entry.file_name().to_str()?.parse().ok()?;
        target.starts_with("socket:").then_some((number, target))
    };
    entries.filter_map(socket).collect()
}

/// The socket, if it is connected to one of these.
#[allow(unsafe_code, reason = "the library keeps its socket to itself")]
fn leads_to(number: RawFd, peers: &BTreeSet<SocketAddr>) -> Option<BorrowedFd<'static>> {
    // SAFETY: the number is borrowed for two calls and neither closed nor kept. Were it closed meanwhile, they fail;
    // were it given to another socket between them, that one is shut down, which its owner sees as a connection that
    // was lost.
    let socket = unsafe { BorrowedFd::borrow_raw(number) };
    let peer = SocketAddr::try_from(getpeername(socket).ok()??).ok()?;
    let is_one = peers
        .iter()
        .any(|one| one.port() == peer.port() && one.ip().to_canonical() == peer.ip().to_canonical());
    is_one.then_some(socket)
}
