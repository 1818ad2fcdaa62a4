//! Whoever plays systemd: the socket that a service tells how it is.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Long past anything that is expected.
const LONG: Duration = Duration::from_secs(30);

/// What a service was told of its watchdog: longer than any test, since only the feeding is looked at.
const WATCHDOG: Duration = Duration::from_secs(300);

/// The socket, and all that was told so far.
pub struct Systemd {
    socket: UnixDatagram,
    name: String,
    pub told: Vec<String>,
}

impl Systemd {
    /// On a path, as systemd does it for a service of a user.
    pub fn at(path: &Path) -> Self {
        Self::over(UnixDatagram::bind(path).unwrap(), path.to_str().unwrap().to_owned())
    }

    /// Without a path, as containers have it.
    pub fn without_a_path(name: &str) -> Self {
        let name = format!("{name}-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        Self::over(UnixDatagram::bind_addr(&address).unwrap(), format!("@{name}"))
    }

    fn over(socket: UnixDatagram, name: String) -> Self {
        Self { socket, name, told: Vec::new() }
    }

    /// The same program with this systemd around it. Whose watchdog it is, only the process itself knows.
    pub fn around(&self, program: &Command) -> Command {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "WATCHDOG_PID=$$ exec \"$@\"", "sh"]).arg(program.get_program());
        shell.args(program.get_args()).env_clear();
        shell.current_dir(program.get_current_dir().unwrap());
        shell.env("NOTIFY_SOCKET", &self.name).env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
        shell
    }

    /// Waits for the next line that begins so.
    pub fn is_told(&mut self, beginning: &str) -> String {
        let deadline = Instant::now() + LONG;
        let mut buffer = [0; 4096];
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.socket.set_read_timeout(Some(left)).unwrap();
            let Ok(taken) = self.socket.recv(&mut buffer) else {
                panic!("waited in vain for {beginning:?}; was told {:#?}", self.told)
            };
            let text = String::from_utf8(buffer[..taken].to_vec()).unwrap();
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            self.told.extend(lines.iter().cloned());
            if let Some(line) = lines.into_iter().find(|line| line.starts_with(beginning)) {
                return line;
            }
        }
    }

    /// Hears what has been told already, then forgets everything.
    pub fn forget(&mut self) {
        self.socket.set_nonblocking(true).unwrap();
        while self.socket.recv(&mut [0; 4096]).is_ok() {}
        self.socket.set_nonblocking(false).unwrap();
        self.told.clear();
    }
}
