//! The demo's table on a terminal narrower and lower than it: drawn over again in place, never wrapped.
#![cfg(unix)]

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use support::terminal::terminal;

const ROWS: usize = 10;
const COLUMNS: usize = 60;
/// Where a table is drawn over the last one.
const OVER: &str = "\u{1b}[";

#[test]
fn table_larger_than_the_terminal_is_clipped_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let (mut near, far) = terminal(ROWS as u16, COLUMNS as u16);
    let mut demo = Command::new(env!("CARGO_BIN_EXE_bankwatch"));
    demo.args(["demo", "--folder"]).arg(folder.path()).stdin(Stdio::null()).stderr(Stdio::null());
    let mut demo = demo.stdout(Stdio::from(far)).spawn().unwrap();
    let (sender, pieces) = channel();
    thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(taken @ 1..) = near.read(&mut piece) {
            if sender.send(piece[..taken].to_vec()).is_err() {
                break;
            }
        }
    });
    let (mut seen, deadline) = (Vec::new(), Instant::now() + Duration::from_secs(60));
    // Each time over: up, and clear.
    let drawn = |seen: &[u8]| String::from_utf8_lossy(seen).matches(OVER).count() / 2;
    while drawn(&seen) < 2 {
        let left = deadline.saturating_duration_since(Instant::now());
        let Ok(piece) = pieces.recv_timeout(left) else { break };
        seen.extend(piece);
    }
    demo.kill().and_then(|()| demo.wait()).unwrap();

    let seen = String::from_utf8_lossy(&seen).into_owned();
    let (_, tables) = seen.split_once("Press Ctrl-C to stop.").unwrap();
    let up = format!("{OVER}{}A{OVER}J", ROWS - 1);
    assert!(tables.contains(&up), "{seen}");
    for line in tables.replace(&up, "").lines() {
        assert!(line.chars().count() <= COLUMNS && !line.contains(OVER), "{line:?} in\n{seen}");
    }
}
