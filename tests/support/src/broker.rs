//! A real broker: Mosquitto on a free port of this machine, in a folder of its own.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use bankwatch::internals::settings::{MqttSettings, Sources, load};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Time for the broker to start listening, even on a busy machine.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// The number of ports tried, in case another process takes one first.
const PORTS_TRIED: usize = 5;

/// The settings of a broker. Anonymous access is allowed unless users are given.
#[derive(Default)]
pub struct Setup {
    users: Vec<(&'static str, &'static str)>,
    lines: String,
    files: Vec<(&'static str, Vec<u8>)>,
    address: Option<&'static str>,
}

impl Setup {
    /// Allows only users with a password.
    pub fn user(mut self, name: &'static str, password: &'static str) -> Self {
        self.users.push((name, password));
        self
    }

    /// Adds lines of Mosquitto settings; `{folder}` is replaced by the folder of its files.
    pub fn settings(mut self, lines: &str) -> Self {
        writeln!(self.lines, "{lines}").unwrap();
        self
    }

    /// Adds a file to its folder.
    pub fn file(mut self, name: &'static str, content: impl Into<Vec<u8>>) -> Self {
        self.files.push((name, content.into()));
        self
    }

    /// Listens on this address instead of 127.0.0.1.
    pub fn at(mut self, address: &'static str) -> Self {
        self.address = Some(address);
        self
    }

    /// Starts the broker; `None`, with a message, if Mosquitto is not installed.
    pub fn start(self) -> Option<Broker> {
        let program = installed("mosquitto").filter(|_| installed("mosquitto_sub").is_some())?;
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in &self.files {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        let address = self.address.unwrap_or("127.0.0.1");
        for _ in 0..PORTS_TRIED {
            let config = folder.path().join("mosquitto.conf");
            let port = free_port(address);
            std::fs::write(&config, self.config(address, port, folder.path())).unwrap();
            if let Some(child) = spawn(&program, &config, port) {
                return Some(Broker { child, program, config, folder, address, port });
            }
        }
        panic!("mosquitto found no free port or rejects its settings");
    }

    fn config(&self, address: &str, port: u16, folder: &Path) -> String {
        let mut config = format!("listener {port} {address}\npersistence false\nlog_type error\n");
        // Started as root, it would drop to a user who can't read the folder.
        writeln!(config, "user root\nallow_anonymous {}", self.users.is_empty()).unwrap();
        if !self.users.is_empty() {
            let passwords = folder.join("passwords");
            std::fs::write(&passwords, "").unwrap();
            for (user, password) in &self.users {
                let mut add = Command::new(installed("mosquitto_passwd").unwrap());
                let added = add.arg("-b").arg(&passwords).args([user, password]).output().unwrap();
                assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
            }
            writeln!(config, "password_file {}", passwords.display()).unwrap();
        }
        config + &self.lines.replace("{folder}", &folder.display().to_string())
    }
}

/// A running broker, killed when dropped, even if it hangs.
pub struct Broker {
    child: Child,
    program: PathBuf,
    config: PathBuf,
    folder: TempDir,
    address: &'static str,
    port: u16,
}

impl Broker {
    /// Starts a broker with anonymous access.
    pub fn start() -> Option<Self> {
        Setup::default().start()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn url(&self) -> String {
        let brackets = if self.address.contains(':') { ("[", "]") } else { ("", "") };
        format!("mqtt://{}{}{}:{}", brackets.0, self.address, brackets.1, self.port)
    }

    /// Client settings for this broker, with further lines of `[mqtt]`.
    pub fn settings(&self, lines: &str) -> MqttSettings {
        settings(&self.url(), lines)
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).unwrap();
    }

    /// Starts it again on the same port after a kill, without any retained messages.
    pub fn start_again(&mut self) {
        self.child = spawn(&self.program, &self.config, self.port).expect("the broker restarts");
    }

    /// Stops the process: the system still accepts connections, but nothing answers.
    pub fn hang(&self) {
        self.signal(Signal::STOP);
    }

    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// MQTT settings of a file with only `[mqtt]`.
pub fn settings(url: &str, lines: &str) -> MqttSettings {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bankwatch.toml");
    std::fs::write(&file, format!("[mqtt]\nenabled = true\nurl = \"{url}\"\n{lines}\n")).unwrap();
    let sources = Sources { config: Some(file), current_dir: folder.path().to_owned(), ..Sources::default() };
    load(&sources).unwrap().settings.mqtt
}

/// A port that was free a moment ago.
pub fn free_port(address: &str) -> u16 {
    TcpListener::bind((address, 0)).unwrap().local_addr().unwrap().port()
}

/// Starts the process and waits until it listens; `None` if it exited instead.
fn spawn(program: &Path, config: &Path, port: u16) -> Option<Child> {
    let mut command = Command::new(program);
    command.arg("-c").arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let started = Instant::now();
    while !listens(&child, port) {
        if child.try_wait().unwrap().is_some() {
            return None;
        }
        assert!(started.elapsed() < START_TIMEOUT, "mosquitto does not listen");
        thread::yield_now();
    }
    Some(child)
}

/// Whether the broker itself listens on the port. Read from /proc, since a test connection would be counted by the
/// tests, and another process may have taken the port.
fn listens(broker: &Child, port: u16) -> bool {
    const LISTENING: &str = "0A";
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| std::fs::read_to_string(table).unwrap());
    let listener = tables.iter().flat_map(|table| table.lines()).find_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let is_it =
            columns.len() > 9 && columns[3] == LISTENING && columns[1].ends_with(&format!(":{port:04X}"));
        is_it.then(|| PathBuf::from(format!("socket:[{}]", columns[9])))
    });
    let files = std::fs::read_dir(format!("/proc/{}/fd", broker.id())).into_iter().flatten().flatten();
    listener.is_some_and(|listener| {
        files.into_iter().any(|file| std::fs::read_link(file.path()).is_ok_and(|to| to == listener))
    })
}

/// The path of a Mosquitto program. In CI it must be installed; elsewhere a test without it prints a message and
/// passes.
pub fn installed(program: &str) -> Option<PathBuf> {
    // Daemons are not in the PATH of every user.
    let folders = ["/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin"];
    let found = folders.map(|folder| Path::new(folder).join(program)).into_iter().find(|path| path.exists());
    if found.is_none() {
        let message = format!(
            "NOT tested against a real broker: {program} is not installed (scripts/setup --tests does it)"
        );
        assert!(std::env::var_os("CI").is_none(), "{message}");
        #[expect(clippy::explicit_write, reason = "the harness keeps what the macros print to itself")]
        writeln!(std::io::stderr(), "{message}").unwrap();
    }
    found
}
