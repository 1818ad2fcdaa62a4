//! Runs the real program: reads its log with a deadline and ends it with the test.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Deadline; a successful test needs a fraction of it.
const LONG: Duration = Duration::from_secs(30);

/// The program with an empty environment.
pub fn program(folder: &Path) -> Command {
    let mut program = Command::new(crate::paths::program());
    // Also without RUST_BACKTRACE, which would change what a panic prints.
    program.current_dir(folder).env_clear().stdin(Stdio::null());
    program
}

/// A running service.
pub struct Service {
    process: Child,
    receiver: Receiver<String>,
    /// The lines of its log that were read so far.
    pub log: Vec<String>,
}

impl Service {
    pub fn start(program: &mut Command) -> Self {
        let mut process = program.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let log = BufReader::new(process.stderr.take().unwrap());
        thread::spawn(move || log.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { process, receiver: lines, log: Vec::new() }
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits for the next line that contains `words`.
    pub fn wait_for_line(&mut self, words: &str) -> String {
        let deadline = Instant::now() + LONG;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.receiver.recv_timeout(left) {
                Ok(line) => {
                    self.log.push(line.clone());
                    if line.contains(words) {
                        return line;
                    }
                }
                Err(error) => panic!("no line with {words:?} ({error}); the log: {:#?}", self.log),
            }
        }
    }

    /// The lines read so far that contain `words`.
    pub fn lines_with(&self, words: &str) -> Vec<&String> {
        self.log.iter().filter(|line| line.contains(words)).collect()
    }

    /// Sends SIGTERM and reads its log to the end.
    pub fn stop(&mut self) -> ExitStatus {
        Command::new("kill").args(["-TERM", &self.id().to_string()]).status().unwrap();
        while let Ok(line) = self.receiver.recv_timeout(LONG) {
            self.log.push(line);
        }
        self.process.wait().unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits until a condition holds.
#[track_caller]
pub fn wait_until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {LONG:?}");
        thread::yield_now();
    }
}
