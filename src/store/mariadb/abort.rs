//! Ends calls to a server from outside the thread that waits in them.
//!
//! The library has no read timeout that Diesel can set: where packets vanish, a thread would wait until TCP gives up,
//! which may be never. Shutting its socket down makes the call return at once, as if the server had closed the
//! connection.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, RawFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::net::{Shutdown, getpeername, shutdown};

/// The servers that connections were made to with this handle or its clones.
#[derive(Clone, Debug, Default)]
pub struct AbortHandle {
    peers: Arc<Mutex<BTreeSet<SocketAddr>>>,
    aborts: Arc<AtomicUsize>,
}

impl AbortHandle {
    /// Takes note of where the next connection leads.
    pub(super) fn add(&self, addresses: &[SocketAddr]) {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner).extend(addresses);
    }

    /// How often calls were ended.
    pub(super) fn aborts(&self) -> usize {
        self.aborts.load(Ordering::SeqCst)
    }

    /// Shuts down every connection of this process to these servers, also one that is still being made, and never
    /// blocks. Answers how many.
    pub fn abort(&self) -> usize {
        let peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if peers.is_empty() {
            return 0;
        }
        self.aborts.fetch_add(1, Ordering::SeqCst);
        let sockets = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten().filter(|entry| {
            fs::read_link(entry.path()).is_ok_and(|target| target.to_string_lossy().starts_with("socket:"))
        });
        let numbers = sockets.filter_map(|entry| entry.file_name().to_str()?.parse::<RawFd>().ok());
        numbers.filter(|number| shut_down(*number, &peers)).count()
    }
}

/// Shuts a socket down if it is connected to one of these.
#[allow(unsafe_code, reason = "the library keeps its socket to itself")]
fn shut_down(number: RawFd, peers: &BTreeSet<SocketAddr>) -> bool {
    // SAFETY: the number is borrowed for two calls and neither closed nor kept. Were it closed meanwhile, they fail;
    // were it given to another socket between them, that one is shut down, which its owner sees as a connection that
    // was lost.
    let socket = unsafe { BorrowedFd::borrow_raw(number) };
    let Ok(Some(peer)) = getpeername(socket) else { return false };
    let Ok(peer) = SocketAddr::try_from(peer) else { return false };
    let is_one = peers
        .iter()
        .any(|one| one.port() == peer.port() && one.ip().to_canonical() == peer.ip().to_canonical());
    is_one && shutdown(socket, Shutdown::Both).is_ok()
}
