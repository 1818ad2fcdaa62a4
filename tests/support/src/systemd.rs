//! Plays systemd: the notification socket of a service.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Deadline; a successful test needs a fraction of it.
const LONG: Duration = Duration::from_secs(30);

/// The watchdog timeout given to the service: longer than any test, since only the keep-alives are checked.
const WATCHDOG: Duration = Duration::from_secs(300);

/// The socket, and all messages received so far.
pub struct Systemd {
    socket: UnixDatagram,
    name: String,
    pub received: Vec<String>,
}

impl Systemd {
    /// On a path, as for user services.
    pub fn at(path: &Path) -> Self {
        Self::over(UnixDatagram::bind(path).unwrap(), path.to_str().unwrap().to_owned())
    }

    /// On an abstract address, as in containers.
    pub fn abstract_address(name: &str) -> Self {
        let name = format!("{name}-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        Self::over(UnixDatagram::bind_addr(&address).unwrap(), format!("@{name}"))
    }

    fn over(socket: UnixDatagram, name: String) -> Self {
        Self { socket, name, received: Vec::new() }
    }

    /// The same program with this socket and watchdog. A shell sets the watchdog's process id, which is known only
    /// then.
    pub fn supervise(&self, program: &Command) -> Command {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "WATCHDOG_PID=$$ exec \"$@\"", "sh"]).arg(program.get_program());
        shell.args(program.get_args()).env_clear();
        shell.current_dir(program.get_current_dir().unwrap());
        shell.env("NOTIFY_SOCKET", &self.name).env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
        shell
    }

    /// Waits for the next message that starts with `beginning`.
    pub fn wait_for(&mut self, beginning: &str) -> String {
        let deadline = Instant::now() + LONG;
        let mut buffer = [0; 4096];
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.socket.set_read_timeout(Some(left)).unwrap();
            let Ok(length) = self.socket.recv(&mut buffer) else {
                panic!("no message {beginning:?}; received {:#?}", self.received)
            };
            let text = String::from_utf8(buffer[..length].to_vec()).unwrap();
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            self.received.extend(lines.iter().cloned());
            if let Some(line) = lines.into_iter().find(|line| line.starts_with(beginning)) {
                return line;
            }
        }
    }

    /// Discards all messages received and waiting.
    pub fn clear(&mut self) {
        self.socket.set_nonblocking(true).unwrap();
        while self.socket.recv(&mut [0; 4096]).is_ok() {}
        self.socket.set_nonblocking(false).unwrap();
        self.received.clear();
    }
}
