//! Questions to a simulated console without any I/O, answered through the framing.

use bankwatch::internals::console::framing::answer::Answer;
use bankwatch::internals::console::framing::{FrameStatus, Framer};
use bankwatch::internals::simulator::{Console, PrintedValues};

/// What was heard, the answer framed from it, and what it says in truth.
pub struct Asked {
    pub heard: Vec<u8>,
    pub answer: Answer,
    pub values: PrintedValues,
}

/// Puts a question and turns the pages of its answer.
pub fn ask(console: &mut Console, question: &str) -> Asked {
    let mut framer = Framer::new(question);
    let (mut news, mut said) = console.type_with_values(format!("{question}\r").as_bytes());
    let mut heard = Vec::new();
    loop {
        heard.extend_from_slice(&news);
        match framer.push(&news) {
            FrameStatus::Complete(answer) => {
                let (_, values) = said.pop().unwrap_or_else(|| panic!("{question}: nothing was answered"));
                return Asked { heard, answer, values };
            }
            FrameStatus::Pager => news = console.type_bytes(b"\r"),
            other => panic!("{question}: {other:?} after {:?}", String::from_utf8_lossy(&heard)),
        }
    }
}
