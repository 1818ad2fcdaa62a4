//! The demo's table on a terminal smaller than the table: redrawn in place and never wrapped.
#![cfg(unix)]

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use support::terminal::terminal;

const ROWS: usize = 10;
const COLUMNS: usize = 60;
/// The start of an ANSI control sequence.
const CSI: &str = "\u{1b}[";

#[test]
fn table_larger_than_the_terminal_is_clipped_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let (mut near, far) = terminal(ROWS as u16, COLUMNS as u16);
    let mut demo = Command::new(env!("CARGO_BIN_EXE_bankwatch"));
    demo.args(["demo", "--folder"]).arg(folder.path()).stdin(Stdio::null()).stderr(Stdio::null());
    let mut demo = demo.stdout(Stdio::from(far)).spawn().unwrap();
    let (sender, chunks) = channel();
    thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(count @ 1..) = near.read(&mut chunk) {
            if sender.send(chunk[..count].to_vec()).is_err() {
                break;
            }
        }
    });
    let (mut output, deadline) = (Vec::new(), Instant::now() + Duration::from_secs(60));
    // Each redraw has two: cursor up, and clear.
    let redraws = |output: &[u8]| String::from_utf8_lossy(output).matches(CSI).count() / 2;
    while redraws(&output) < 2 {
        let left = deadline.saturating_duration_since(Instant::now());
        let Ok(chunk) = chunks.recv_timeout(left) else { break };
        output.extend(chunk);
    }
    demo.kill().and_then(|()| demo.wait()).unwrap();

    let output = String::from_utf8_lossy(&output).into_owned();
    let (_, tables) = output.split_once("Press Ctrl-C to stop.").unwrap();
    let up = format!("{CSI}{}A{CSI}J", ROWS - 1);
    assert!(tables.contains(&up), "{output}");
    for line in tables.replace(&up, "").lines() {
        assert!(line.chars().count() <= COLUMNS && !line.contains(CSI), "{line:?} in\n{output}");
    }
}
