//! The ways to the console: a pseudo-terminal behind a stable name, or a TCP port. (A bridge that can be set is in a
//! file of its own.)

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

use super::speed;

/// How long a full line is given to drain before the rest of what is said is lost, as on a real one.
const PATIENCE: Duration = Duration::from_secs(2);

/// A way to the console.
pub(super) trait Line: Send {
    /// Waits at most `patience` for typed bytes; nothing typed is an empty vector.
    fn hear(&mut self, patience: Duration) -> io::Result<Vec<u8>>;
    /// Says bytes; without anybody there they are lost.
    fn say(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// The speed that the client has set, bits a second; `None` where the line has none.
    fn speed(&mut self) -> Option<u32> {
        None
    }
    /// Goes away: whoever has it open notices.
    fn unplug(&mut self);
    /// Comes back.
    fn plug(&mut self) -> io::Result<()>;
    /// Its name as users write it.
    fn link(&self) -> String;
}

/// A pseudo-terminal. Its own name changes with each plugging, the symbolic link to it does not.
pub(super) struct Pty {
    name: PathBuf,
    ends: Option<Ends>,
}

/// Both ends. The far one is kept open, else its last client's leaving would hang up the near one.
struct Ends {
    near: OwnedFd,
    far: OwnedFd,
}

impl Pty {
    /// Opens one behind the symbolic link `name`; an old link there is replaced, another file is not.
    pub(crate) fn open(name: &Path) -> io::Result<Self> {
        let mut pty = Self { name: name.to_owned(), ends: None };
        pty.plug()?;
        Ok(pty)
    }
}

impl Line for Pty {
    fn hear(&mut self, patience: Duration) -> io::Result<Vec<u8>> {
        let Some(ends) = &self.ends else { return Ok(Vec::new()) };
        if !ready(&ends.near, PollFlags::IN, patience)? {
            return Ok(Vec::new());
        }
        let mut buffer = [0; 1024];
        match rustix::io::read(&ends.near, &mut buffer) {
            Ok(count) => Ok(buffer[..count].to_vec()),
            Err(error) if would_block(error.into()) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(ends) = &self.ends else { return Ok(()) };
        let mut rest = bytes;
        let deadline = Instant::now() + PATIENCE;
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

    fn speed(&mut self) -> Option<u32> {
        let settings = tcgetattr(&self.ends.as_ref()?.far).ok()?;
        Some(settings.output_speed())
    }

    fn unplug(&mut self) {
        self.ends = None;
        // Only ever our own link: `plug` made it.
        if self.name.is_symlink() {
            let _gone_already = fs::remove_file(&self.name);
        }
    }

    fn plug(&mut self) -> io::Result<()> {
        let near = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&near)?;
        unlockpt(&near)?;
        let far_name = PathBuf::from(ptsname(&near, Vec::new())?.to_string_lossy().into_owned());
        let far = rustix::fs::open(&far_name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty())?;
        // Raw, or the kernel would echo and turn line ends itself.
        let mut settings = tcgetattr(&far)?;
        settings.make_raw();
        // Who sets no speed finds the usual one, and not the kernel's.
        settings.set_speed(speed::CONSOLE)?;
        tcsetattr(&far, OptionalActions::Now, &settings)?;
        rustix::io::ioctl_fionbio(&near, true)?;
        if self.name.is_symlink() {
            fs::remove_file(&self.name)?;
        }
        symlink(&far_name, &self.name)?;
        self.ends = Some(Ends { near, far });
        Ok(())
    }

    fn link(&self) -> String {
        self.name.display().to_string()
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        self.unplug();
    }
}

/// A TCP port with one client at a time; a newer client takes the console over.
pub(super) struct Tcp {
    address: SocketAddr,
    listener: Option<TcpListener>,
    client: Option<TcpStream>,
    clients: u64,
}

impl Tcp {
    /// Listens on `address`; port 0 takes any free one and keeps it.
    pub(crate) fn listen(address: &str) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Self { address: listener.local_addr()?, listener: Some(listener), client: None, clients: 0 })
    }

    /// How many clients there were so far.
    pub(crate) fn clients(&self) -> u64 {
        self.clients
    }

    fn accept(&mut self) -> io::Result<()> {
        let Some(listener) = &self.listener else { return Ok(()) };
        match listener.accept() {
            Ok((client, _)) => {
                client.set_nonblocking(true)?;
                client.set_nodelay(true)?;
                self.client = Some(client);
                self.clients += 1;
                Ok(())
            }
            Err(error) if would_block(error.kind().into()) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Line for Tcp {
    fn hear(&mut self, patience: Duration) -> io::Result<Vec<u8>> {
        self.accept()?;
        let Some(client) = &mut self.client else {
            if let Some(listener) = &self.listener {
                ready(listener, PollFlags::IN, patience)?;
            }
            return Ok(Vec::new());
        };
        if !ready(&*client, PollFlags::IN, patience)? {
            return Ok(Vec::new());
        }
        let mut buffer = [0; 1024];
        match client.read(&mut buffer) {
            Ok(count) if count > 0 => return Ok(buffer[..count].to_vec()),
            Err(error) if would_block(error.kind().into()) => {}
            // Gone, politely or not: the next one may come.
            Ok(_) | Err(_) => self.client = None,
        }
        Ok(Vec::new())
    }

    fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        let deadline = Instant::now() + PATIENCE;
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

/// Waits until something can be read or written.
fn ready(end: &impl AsFd, flags: PollFlags, patience: Duration) -> io::Result<bool> {
    let timeout = Timespec::try_from(patience).ok();
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
