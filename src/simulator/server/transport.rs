//! Transports that serve the console: a pseudo-terminal with a stable symbolic link, or a TCP port.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use crate::simulator::server::line_speed;

/// How long a write waits for a full line before the rest is lost, as on a real line.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// Serves the console to a client.
pub(crate) trait ServerTransport: Send {
    /// Waits at most `timeout` for bytes; returns an empty vector if there are none.
    fn read(&mut self, timeout: Duration) -> io::Result<Vec<u8>>;
    /// Sends bytes; without a client they are lost.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// The baud rate set by the client; `None` if the transport has none.
    fn baud(&mut self) -> Option<u32> {
        None
    }
    /// Disconnects; the client notices.
    fn unplug(&mut self);
    /// Reconnects.
    fn plug(&mut self) -> io::Result<()>;
    /// The link to connect to.
    fn link(&self) -> String;
}

/// A pseudo-terminal. Its own name changes each time it is plugged in, the symbolic link does not.
pub(crate) struct PtyServer {
    name: PathBuf,
    ends: Option<PtyEnds>,
}

/// Both ends. The far end is kept open, otherwise closing the last client would hang up the near end.
struct PtyEnds {
    near: OwnedFd,
    far: OwnedFd,
}

impl PtyServer {
    /// Opens a pseudo-terminal with the symbolic link `name`, which replaces an old link but no other file.
    pub(crate) fn open(name: &Path) -> io::Result<Self> {
        let mut pty = Self { name: name.to_owned(), ends: None };
        pty.plug()?;
        Ok(pty)
    }
}

impl ServerTransport for PtyServer {
    fn read(&mut self, timeout: Duration) -> io::Result<Vec<u8>> {
        let Some(ends) = &self.ends else { return Ok(Vec::new()) };
        if !ready(&ends.near, PollFlags::IN, timeout)? {
            return Ok(Vec::new());
        }
        let mut buffer = [0; 1024];
        match rustix::io::read(&ends.near, &mut buffer) {
            Ok(count) => Ok(buffer[..count].to_vec()),
            Err(error) if would_block(error.into()) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(ends) = &self.ends else { return Ok(()) };
        let mut rest = bytes;
        let deadline = Instant::now() + WRITE_TIMEOUT;
        while !rest.is_empty() && Instant::now() < deadline {
            match rustix::io::write(&ends.near, rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if would_block(error.into()) => {
                    ready(&ends.near, PollFlags::OUT, Duration::from_millis(20))?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn baud(&mut self) -> Option<u32> {
        let settings = tcgetattr(&self.ends.as_ref()?.far).ok()?;
        Some(settings.output_speed())
    }

    fn unplug(&mut self) {
        self.ends = None;
        // Always our own link, created by `plug`.
        if self.name.is_symlink() {
            let _already_removed = fs::remove_file(&self.name);
        }
    }

    fn plug(&mut self) -> io::Result<()> {
        let near = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&near)?;
        unlockpt(&near)?;
        let far_name = PathBuf::from(ptsname(&near, Vec::new())?.to_string_lossy().into_owned());
        let far = rustix::fs::open(&far_name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty())?;
        // Raw mode, otherwise the kernel echoes and converts line ends.
        let mut settings = tcgetattr(&far)?;
        settings.make_raw();
        // A client that sets no baud rate gets the console's instead of the kernel's default.
        settings.set_speed(line_speed::CONSOLE_BAUD)?;
        tcsetattr(&far, OptionalActions::Now, &settings)?;
        rustix::io::ioctl_fionbio(&near, true)?;
        if self.name.is_symlink() {
            fs::remove_file(&self.name)?;
        }
        symlink(&far_name, &self.name)?;
        self.ends = Some(PtyEnds { near, far });
        Ok(())
    }

    fn link(&self) -> String {
        self.name.display().to_string()
    }
}

impl Drop for PtyServer {
    fn drop(&mut self) {
        self.unplug();
    }
}

/// A TCP port with one client at a time; a newer client replaces the older one.
pub(crate) struct TcpServer {
    address: SocketAddr,
    listener: Option<TcpListener>,
    client: Option<TcpStream>,
    client_count: u64,
}

impl TcpServer {
    /// Listens on `address`; port 0 takes any free port and keeps it.
    pub(crate) fn listen(address: &str) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Self { address: listener.local_addr()?, listener: Some(listener), client: None, client_count: 0 })
    }

    /// Number of clients accepted so far.
    pub(crate) fn client_count(&self) -> u64 {
        self.client_count
    }

    fn accept(&mut self) -> io::Result<()> {
        let Some(listener) = &self.listener else { return Ok(()) };
        match listener.accept() {
            Ok((client, _)) => {
                client.set_nonblocking(true)?;
                client.set_nodelay(true)?;
                self.client = Some(client);
                self.client_count += 1;
                Ok(())
            }
            Err(error) if would_block(error.kind().into()) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl ServerTransport for TcpServer {
    fn read(&mut self, timeout: Duration) -> io::Result<Vec<u8>> {
        self.accept()?;
        let Some(client) = &mut self.client else {
            if let Some(listener) = &self.listener {
                ready(listener, PollFlags::IN, timeout)?;
            }
            return Ok(Vec::new());
        };
        if !ready(&*client, PollFlags::IN, timeout)? {
            return Ok(Vec::new());
        }
        let mut buffer = [0; 1024];
        match client.read(&mut buffer) {
            Ok(count) if count > 0 => return Ok(buffer[..count].to_vec()),
            Err(error) if would_block(error.kind().into()) => {}
            // The client has disconnected; wait for the next one.
            Ok(_) | Err(_) => self.client = None,
        }
        Ok(Vec::new())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        let deadline = Instant::now() + WRITE_TIMEOUT;
        while !rest.is_empty() && Instant::now() < deadline {
            let Some(client) = &mut self.client else { return Ok(()) };
            match client.write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if would_block(error.kind().into()) => {
                    ready(&*client, PollFlags::OUT, Duration::from_millis(20))?;
                }
                Err(_) => self.client = None,
            }
        }
        Ok(())
    }

    fn unplug(&mut self) {
        self.client = None;
        self.listener = None;
    }

    fn plug(&mut self) -> io::Result<()> {
        if self.listener.is_none() {
            let listener = TcpListener::bind(self.address)?;
            listener.set_nonblocking(true)?;
            self.listener = Some(listener);
        }
        Ok(())
    }

    fn link(&self) -> String {
        format!("tcp://{}", self.address)
    }
}

/// Waits until the end is ready.
fn ready(end: &impl AsFd, flags: PollFlags, timeout: Duration) -> io::Result<bool> {
    let timeout = Timespec::try_from(timeout).ok();
    let mut ends = [PollFd::new(end, flags)];
    match poll(&mut ends, timeout.as_ref()) {
        Ok(count) => Ok(count > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn would_block(error: io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
