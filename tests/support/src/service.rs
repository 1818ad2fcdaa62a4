//! Runs the real program on a test's own settings in a folder of its own.

use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Deadline, sufficient even on a loaded machine.
pub const LONG: Duration = Duration::from_secs(40);

/// The time between two checks of a condition.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

const SETTINGS: &str = "bankwatch.toml";

const DEFAULT_UMASK: &str = "022";

/// A running `bankwatch run`, killed when dropped.
pub struct Service {
    child: Child,
    folder: TempDir,
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Service {
    /// Starts the service with one bank named `bank` on `link`, with further settings.
    pub fn start(link: &str, settings: &str) -> Self {
        Self::start_named("bank", link, settings)
    }

    /// Starts it with another bank name.
    pub fn start_named(bank: &str, link: &str, settings: &str) -> Self {
        Self::start_with(bank, link, settings, "enabled = false")
    }

    /// Starts it with a database: `database` has the lines of its section.
    pub fn start_with_database(link: &str, settings: &str, database: &str) -> Self {
        Self::start_with("bank", link, settings, database)
    }

    /// Starts it with this umask.
    pub fn start_with_umask(umask: &str, link: &str, settings: &str, database: &str) -> Self {
        Self::start_in("bank", link, settings, database, umask)
    }

    fn start_with(bank: &str, link: &str, settings: &str, database: &str) -> Self {
        Self::start_in(bank, link, settings, database, DEFAULT_UMASK)
    }

    fn start_in(bank: &str, link: &str, settings: &str, database: &str, umask: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the service");
        let text = format!(
            "data_dir = {:?}\n[[bank]]\nname = {bank:?}\nlink = {link:?}\n{settings}\n[json_file]\n\
             enabled = true\n[database]\n{database}\n[http]\nenabled = false\n[log]\nlevel = \"info\"\n",
            folder.path()
        );
        std::fs::write(folder.path().join(SETTINGS), text).expect("the settings can be written");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (child, reader) = spawn(folder.path(), &lines, umask);
        Self { child, folder, lines, reader: Some(reader) }
    }

    /// Kills the service, as a power failure would.
    pub fn kill(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be reaped");
    }

    /// Starts it again in its folder; its log continues.
    pub fn restart(&mut self) {
        let (child, reader) = spawn(self.folder.path(), &self.lines, DEFAULT_UMASK);
        (self.child, self.reader) = (child, Some(reader));
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("bank_status.json")
    }

    /// Its status file, which must be complete at any moment.
    pub fn status(&self) -> Option<Value> {
        match std::fs::read(self.file()) {
            Ok(text) => Some(serde_json::from_slice(&text).expect("the file is never incomplete")),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Waits until `wrong` returns `None` for the status file; the panic message has its last finding.
    #[track_caller]
    pub fn wait(&mut self, what: &str, mut mismatch: impl FnMut(&Value) -> Option<String>) -> Value {
        let start = Instant::now();
        let mut reason = "no file yet".to_owned();
        loop {
            if let Some(status) = self.status() {
                match mismatch(&status) {
                    None => return status,
                    Some(found) => reason = found,
                }
            }
            let ended = self.child.try_wait().expect("a child can be queried");
            let log = || self.log().join("\n");
            assert!(ended.is_none(), "{what}: the service ended with {ended:?}\n{}", log());
            assert!(start.elapsed() < LONG, "{what}: {reason}\n{}", log());
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// The log so far.
    pub fn log(&self) -> Vec<String> {
        self.lines.lock().expect("no reader panics").clone()
    }

    /// Its log, also future lines.
    pub fn lines(&self) -> Arc<Mutex<Vec<String>>> {
        Arc::clone(&self.lines)
    }

    /// Waits for a line of its log that contains all of `words`.
    #[track_caller]
    pub fn wait_for_log(&self, words: &[&str]) -> String {
        let start = Instant::now();
        loop {
            let found = self.log().into_iter().find(|line| words.iter().all(|word| line.contains(word)));
            if let Some(line) = found {
                return line;
            }
            assert!(start.elapsed() < LONG, "no line with {words:?} in\n{}", self.log().join("\n"));
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// Sends a signal and waits for the end: exit status, time taken, the whole log.
    pub fn stop_with(mut self, signal: &str) -> (ExitStatus, Duration, Vec<String>) {
        let sent = Command::new("kill").args([&format!("-{signal}"), &self.child.id().to_string()]).status();
        assert!(sent.expect("kill can be run").success());
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child can be queried") {
                break status;
            }
            assert!(start.elapsed() < LONG, "it did not end on {signal}\n{}", self.log().join("\n"));
            thread::sleep(POLL_INTERVAL);
        };
        let took = start.elapsed();
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the log can be read to its end");
        }
        (status, took, self.log())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may already have ended.
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn spawn(folder: &Path, lines: &Arc<Mutex<Vec<String>>>, umask: &str) -> (Child, JoinHandle<()>) {
    let mut command = Command::new("sh");
    command.args(["-c", r#"umask "$0"; exec "$@""#, umask]).arg(crate::paths::program());
    command.arg("run").arg("--config").arg(folder.join(SETTINGS)).current_dir(folder);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("BANKWATCH") || text.ends_with("_DIRECTORY") {
            command.env_remove(name);
        }
    }
    let spawned = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.expect("the program can be started");
    let (errors, log) = (child.stderr.take().expect("its log is piped"), Arc::clone(lines));
    let reader = thread::spawn(move || {
        for line in BufReader::new(errors).lines().map_while(Result::ok) {
            log.lock().expect("no reader panics").push(line);
        }
    });
    (child, reader)
}
