//! The program itself: started by a test, its log read with a deadline, ended with the test.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Long past anything that is expected.
const LONG: Duration = Duration::from_secs(30);

/// The program with nothing of the machine's around it.
pub fn program(folder: &Path) -> Command {
    let mut program = Command::new(crate::paths::program());
    // A broken pipe or a panic is told without the tests' own wishes for more.
    program.current_dir(folder).env_clear().stdin(Stdio::null());
    program
}

/// A service under way.
pub struct Service {
    process: Child,
    lines: Receiver<String>,
    /// What its log said so far.
    pub heard: Vec<String>,
}

impl Service {
    pub fn start(program: &mut Command) -> Self {
        let mut process = program.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let log = BufReader::new(process.stderr.take().unwrap());
        thread::spawn(move || log.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { process, lines, heard: Vec::new() }
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits for the next line with these words.
    pub fn says(&mut self, words: &str) -> String {
        let deadline = Instant::now() + LONG;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.heard.push(line.clone());
                    if line.contains(words) {
                        return line;
                    }
                }
                Err(error) => panic!("waited in vain for {words:?} ({error}); heard {:#?}", self.heard),
            }
        }
    }

    /// The lines so far with these words.
    pub fn said(&self, words: &str) -> Vec<&String> {
        self.heard.iter().filter(|line| line.contains(words)).collect()
    }

    /// Tells it to end, and hears it out.
    pub fn stop(&mut self) -> ExitStatus {
        Command::new("kill").args(["-TERM", &self.id().to_string()]).status().unwrap();
        while let Ok(line) = self.lines.recv_timeout(LONG) {
            self.heard.push(line);
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

/// Waits until something is so.
#[track_caller]
pub fn eventually(mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {LONG:?}");
        thread::yield_now();
    }
}
