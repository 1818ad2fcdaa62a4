//! A recording in place of a console: each question is answered with the next recorded answer to it, in a
//! circle, so that a short recording runs for ever.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::link::{Io, LinkError};

/// Recordings larger than this are no recordings.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// Opens the recording in `file`.
pub(super) fn open(file: &Path) -> Result<Replay, LinkError> {
    let recording = read(file).map_err(|error| LinkError::NoRecording {
        what: format!("replay:{}", file.display()),
        reason: error.to_string(),
    })?;
    Ok(Replay { recording, after: HashMap::new(), typed: Vec::new(), said: VecDeque::new(), reader: None })
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
    /// Where to look for the next answer to each question.
    after: HashMap<Vec<u8>, usize>,
    typed: Vec<u8>,
    said: VecDeque<u8>,
    reader: Option<Waker>,
}

impl Replay {
    fn answer(&mut self, question: &[u8]) {
        let from = self.after.get(question).copied().unwrap_or(0);
        let found = self.find(question, from).or_else(|| self.find(question, 0));
        match found {
            Some((start, end)) => {
                self.after.insert(question.to_vec(), end);
                self.said.extend(&self.recording[start..end]);
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

    /// The first recorded answer to `question` behind `from`: from its echo to the prompt behind its end mark.
    fn find(&self, question: &[u8], from: usize) -> Option<(usize, usize)> {
        if question.is_empty() {
            return None;
        }
        let recording = &self.recording;
        let is_echo = |start: &usize| {
            let before = start.checked_sub(1).map_or(b'\n', |at| recording[at]);
            let behind = recording.get(start + question.len());
            recording[*start..].starts_with(question)
                && matches!(before, b'\n' | b'\r' | b'>')
                && matches!(behind, Some(b'\r' | b'\n'))
        };
        let start = (from..recording.len()).find(is_echo)?;
        let rest = &recording[start..];
        let end = rest.windows(2).position(|mark| mark == b"$$").map_or(rest.len(), |at| at + 2);
        let prompt = rest[end..].iter().position(|byte| *byte == b'>').map_or(rest.len(), |at| end + at + 1);
        Some((start, start + prompt))
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
