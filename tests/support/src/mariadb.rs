//! A real MariaDB on a free loopback port in a folder of its own; killed with the test, even while suspended.

use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use bankwatch::internals::store::DatabaseServer;
use diesel::connection::SimpleConnection;
use diesel::mysql::MysqlConnection;
use diesel::prelude::*;
use tempfile::TempDir;

/// Long enough for a loaded machine.
const LONG: Duration = Duration::from_secs(60);

/// The user with all rights.
pub const USER: &str = "keeper";
/// Its password, with every character that needs escaping in a URL.
pub const PASSWORD: &str = "p@ss:w/o;rd =%20#?";

/// Options for a small server that starts quickly.
const SMALL_SERVER_OPTIONS: [&str; 7] = [
    "--innodb-log-file-size=8M",
    "--innodb-buffer-pool-size=16M",
    "--innodb-use-native-aio=0",
    "--performance-schema=off",
    "--aria-pagecache-buffer-size=8M",
    "--key-buffer-size=1M",
    "--skip-name-resolve",
];

/// A running server.
pub struct MariaDbServer {
    process: Mutex<Child>,
    folder: TempDir,
    port: u16,
    options: Vec<String>,
}

/// The server that the tests of one process share; it ends with the last of them. `None`, with a notice, if MariaDB is
/// not installed.
pub fn shared() -> Option<Arc<MariaDbServer>> {
    static SHARED: Mutex<Weak<MariaDbServer>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(server) = shared.upgrade() {
        return Some(server);
    }
    let server = Arc::new(MariaDbServer::start(&[])?);
    *shared = Arc::downgrade(&server);
    Some(server)
}

impl MariaDbServer {
    /// A server of the test's own, with further options.
    pub fn start(options: &[&str]) -> Option<Self> {
        let Some(program) = mariadbd() else {
            eprintln!("SKIPPED: mariadbd is not installed");
            return None;
        };
        let folder = TempDir::new().unwrap();
        let template = template(&program);
        let copied =
            Command::new("cp").arg("-r").arg(&template).arg(folder.path().join("data")).status().unwrap();
        assert!(copied.success());
        let rights = format!(
            "CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{PASSWORD}';\nGRANT ALL ON *.* TO '{USER}'@'%' WITH GRANT OPTION;\n"
        );
        fs::write(folder.path().join("rights.sql"), rights).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let process = Mutex::new(spawn(&program, folder.path(), port, &options));
        let server = Self { process, folder, port, options };
        server.wait_until_ready();
        Some(server)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The store's settings for a database on it.
    pub fn server(&self, database: &str) -> DatabaseServer {
        DatabaseServer {
            host: "127.0.0.1".into(),
            port: self.port,
            user: USER.into(),
            password: PASSWORD.into(),
            database: database.into(),
            verify: false,
            authorities: None,
            legacy_table: false,
            abort: bankwatch::internals::store::AbortHandle::default(),
        }
    }

    /// A connection of the test's own.
    pub fn connection(&self) -> MysqlConnection {
        self.try_connection().unwrap()
    }

    /// A connection; `None` while the server is down.
    pub fn try_connection(&self) -> Option<MysqlConnection> {
        let password: String = PASSWORD.bytes().map(|byte| format!("%{byte:02X}")).collect();
        MysqlConnection::establish(&format!("mysql://{USER}:{password}@127.0.0.1:{}/", self.port)).ok()
    }

    /// Runs statements as the user with all rights.
    pub fn run(&self, statements: &str) {
        self.connection().batch_execute(statements).unwrap();
    }

    /// Kills it, as a power cut would.
    pub fn kill(&self) {
        let mut process = self.process();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Starts it again on its port and files.
    pub fn restart(&self) {
        let program = mariadbd().unwrap();
        *self.process() = spawn(&program, self.folder.path(), self.port, &self.options);
        self.wait_until_ready();
    }

    /// Suspends it (SIGSTOP): connections are accepted, and nothing is answered.
    pub fn suspend(&self) {
        self.signal("-STOP");
    }

    /// Resumes it.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.process().id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    fn process(&self) -> std::sync::MutexGuard<'_, Child> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the server's handshake.
    fn wait_until_ready(&self) {
        let start = Instant::now();
        loop {
            let handshake = TcpStream::connect(("127.0.0.1", self.port)).and_then(|mut stream| {
                stream.set_read_timeout(Some(LONG))?;
                stream.read_exact(&mut [0; 5])
            });
            if handshake.is_ok() {
                return;
            }
            let ended = self.process().try_wait().unwrap();
            assert!(ended.is_none() && start.elapsed() < LONG, "{ended:?}: {}", self.log());
            thread::yield_now();
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for MariaDbServer {
    fn drop(&mut self) {
        let mut process = self.process();
        let _ = process.kill();
        let _ = process.wait();
    }
}

fn spawn(program: &Path, folder: &Path, port: u16, options: &[String]) -> Child {
    let log = fs::File::options().create(true).append(true).open(folder.join("log")).unwrap();
    Command::new(program)
        .arg("--no-defaults")
        .args(as_root())
        .args(SMALL_SERVER_OPTIONS)
        .arg(format!("--datadir={}", folder.join("data").display()))
        // On start a server deletes the temporary tables in its folder, also those of other servers.
        .arg(format!("--tmpdir={}", folder.display()))
        .arg(format!("--socket={}", folder.join("socket").display()))
        .arg(format!("--pid-file={}", folder.join("pid").display()))
        .arg(format!("--init-file={}", folder.join("rights.sql").display()))
        .args(["--bind-address=127.0.0.1", "--innodb-lock-wait-timeout=20"])
        .arg(format!("--port={port}"))
        .args(options)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// The files of a new server, created once per build folder and version, since that takes seconds.
fn template(program: &Path) -> PathBuf {
    static MAKING: Mutex<()> = Mutex::new(());
    let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let version = Command::new(program).arg("--version").output().unwrap().stdout;
    let version: String =
        String::from_utf8_lossy(&version).chars().filter(char::is_ascii_alphanumeric).collect();
    let template = crate::paths::scratch().join(format!("mariadb-{version}"));
    if template.exists() {
        return template;
    }
    let own = tempfile::tempdir_in(crate::paths::scratch()).unwrap();
    let made = own.path().join("data");
    let output = Command::new("mariadb-install-db")
        .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
        .args(as_root())
        .args(SMALL_SERVER_OPTIONS)
        .arg(format!("--datadir={}", made.display()))
        .arg(format!("--tmpdir={}", own.path().display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    // Another test process may have created it meanwhile.
    if fs::rename(&made, &template).is_err() {
        assert!(template.exists());
    }
    template
}

fn mariadbd() -> Option<PathBuf> {
    // /usr/sbin is not in the PATH of every user.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join("mariadbd")).find(|program| program.is_file())
}

/// As root it runs only if an option allows it.
fn as_root() -> &'static [&'static str] {
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    if root { &["--user=root"] } else { &[] }
}
