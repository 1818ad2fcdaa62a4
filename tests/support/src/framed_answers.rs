//! Sends commands to a simulated console without any I/O, and frames its answers.

use bankwatch::internals::console::framing::answer::Answer;
use bankwatch::internals::console::framing::{FrameStatus, Framer};
use bankwatch::internals::simulator::{Console, PrintedValues};

/// The received bytes, the framed answer, and the printed values.
pub struct FramedAnswer {
    pub received: Vec<u8>,
    pub answer: Answer,
    pub values: PrintedValues,
}

/// Sends a command and requests all pages of its answer.
pub fn ask(console: &mut Console, command: &str) -> FramedAnswer {
    let mut framer = Framer::new(command);
    let (mut chunk, mut printed) = console.type_with_values(format!("{command}\r").as_bytes());
    let mut received = Vec::new();
    loop {
        received.extend_from_slice(&chunk);
        match framer.push(&chunk) {
            FrameStatus::Complete(answer) => {
                let (_, values) = printed.pop().unwrap_or_else(|| panic!("{command}: no answer"));
                return FramedAnswer { received, answer, values };
            }
            FrameStatus::Pager => chunk = console.type_bytes(b"\r"),
            other => panic!("{command}: {other:?} after {:?}", String::from_utf8_lossy(&received)),
        }
    }
}
