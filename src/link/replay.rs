//! A recording in place of a console: each question is answered with the next recorded answer to it, in a
//! circle, so that a short recording runs for ever.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::console::prompt::Prompt;
use crate::console::recorded;
use crate::link::{Io, LinkError};

/// Recordings larger than this are no recordings.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// Opens the recording in `file`.
pub(super) fn open(file: &Path) -> Result<Replay, LinkError> {
    let recording = read(file).map_err(|error| LinkError::NoRecording {
        what: format!("replay:{}", file.display()),
        reason: error.to_string(),
    })?;
    Ok(Replay::of(recorded::text_of(&recording).into_owned()))
}

/// A device or a pipe may have no end, or no beginning; so it must be a file, and its size is counted as it comes.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
    }
    let mut recording = Vec::new();
    File::open(path)?.take(MOST_BYTES + 1).read_to_end(&mut recording)?;
    if recording.len() as u64 > MOST_BYTES {
        let mebibytes = MOST_BYTES / 1024 / 1024;
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it is larger than {mebibytes} MiB"),
        ));
    }
    Ok(recording)
}

/// An open recording.
pub(super) struct Replay {
    recording: Vec<u8>,
    /// The answers to each question, in order.
    answers: HashMap<Vec<u8>, Vec<ReplayedAnswer>>,
    /// How many answers to each question were given.
    given: HashMap<Vec<u8>, usize>,
    typed: Vec<u8>,
    said: VecDeque<u8>,
    reader: Option<Waker>,
}

/// One recorded answer.
struct ReplayedAnswer {
    /// Where it is in the recording, from its echo on.
    bytes: Range<usize>,
    /// What a console sends after it: the end mark, if the recording lost it from a whole answer, and the prompt.
    end: Vec<u8>,
}

impl Replay {
    fn of(recording: Vec<u8>) -> Self {
        let mut answers: HashMap<Vec<u8>, Vec<ReplayedAnswer>> = HashMap::new();
        recorded::each(&recording, |recorded| {
            let Some(question) = &recorded.answer.echo else { return };
            let lost = recorded.whole() && !recorded.answer.ended;
            let prompt = recorded.answer.prompt.unwrap_or(Prompt::Pylon);
            let end = ["\r\n\r", if lost { "$$\r\n\r" } else { "" }, prompt.text()].concat().into_bytes();
            let answer = ReplayedAnswer { bytes: recorded.bytes.clone(), end };
            answers.entry(question.clone().into_bytes()).or_default().push(answer);
        });
        let (given, typed, said) = (HashMap::new(), Vec::new(), VecDeque::new());
        Self { recording, answers, given, typed, said, reader: None }
    }

    fn answer(&mut self, question: &[u8]) {
        match self.answers.get(question) {
            Some(answers) => {
                let given = self.given.entry(question.to_vec()).or_default();
                let ReplayedAnswer { bytes, end } = &answers[*given % answers.len()];
                *given += 1;
                self.said.extend(&self.recording[bytes.clone()]);
                self.said.extend(end);
            }
            None if question.is_empty() => self.said.extend(b"\n\rpylon>"),
            None => {
                let said = [
                    question,
                    b"\n\r@\r\r\nUnknown command '",
                    question,
                    b"' - try 'help'\r\n\r$$\r\n\rpylon>",
                ];
                self.said.extend(said.concat());
            }
        }
        self.reader.take().into_iter().for_each(Waker::wake);
    }
}

impl Io for Replay {}

impl AsyncRead for Replay {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.said.is_empty() {
            this.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let (ready, _) = this.said.as_slices();
        let taken = ready.len().min(buffer.remaining());
        buffer.put_slice(&ready[..taken]);
        this.said.drain(..taken);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Replay {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        for byte in bytes {
            if matches!(byte, b'\r' | b'\n') {
                let question = std::mem::take(&mut this.typed);
                this.answer(&question);
            } else {
                this.typed.push(*byte);
            }
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_recording_is_told_as_such_and_not_as_a_port() {
        let folder = tempfile::tempdir().expect("a folder");
        let missing = folder.path().join("missing");
        for (path, reason) in [
            (missing.as_path(), "No such file"),
            (folder.path(), "it is no file"),
            (Path::new("/dev/zero"), "it is no file"),
        ] {
            let Err(error) = open(path) else { panic!("{} is a recording", path.display()) };
            let told = error.to_string();
            assert!(told.starts_with(&format!("replay:{} can't be replayed: ", path.display())), "{told}");
            assert!(told.contains(reason) && told.contains("recorded answers"), "{told}");
            assert!(!told.contains("adapter"), "{told}");
        }
    }
}
