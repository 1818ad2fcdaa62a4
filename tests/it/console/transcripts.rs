//! Transcripts written for these tests, one for each known layout, answer and refusal: each is compared with the
//! committed values next to it, and framed equally from a port and from a file.

use std::path::{Path, PathBuf};

use bankwatch::internals::console::answers;
use bankwatch::internals::console::command::Command;
use bankwatch::internals::console::framing::answer::{Answer, AnswerStatus};
use bankwatch::internals::console::framing::prompt::Prompt;
use bankwatch::internals::console::framing::{FrameStatus, Framer};
use support::captures;

/// All transcripts, by name.
fn transcripts() -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let entries = std::fs::read_dir(folder).expect("the transcripts are committed");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "txt"));
    files.sort();
    assert!(files.len() >= 40, "{} transcripts", files.len());
    files.into_iter().map(|path| (path.clone(), std::fs::read(path).expect("a transcript"))).collect()
}

/// The command: the first line, without an old prompt.
fn question(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let line = text.split(['\r', '\n']).find(|line| !line.is_empty()).expect("an echo");
    Prompt::strip(line).to_owned()
}

fn framed(question: &str, bytes: &[u8]) -> Option<Answer> {
    let mut framer = Framer::new(question);
    for byte in bytes.chunks(1) {
        if let FrameStatus::Complete(answer) = framer.push(byte) {
            return Some(answer);
        }
    }
    None
}

#[test]
fn every_transcript_yields_the_committed_values() {
    for (path, bytes) in transcripts() {
        let name = path.display();
        let question = question(&bytes);
        let answer = framed(&question, &bytes).unwrap_or_else(|| panic!("{name}: no whole answer"));
        let refusal = path.file_stem().is_some_and(|stem| stem.to_string_lossy().starts_with("refused_"));
        assert_eq!(matches!(answer.status, AnswerStatus::Refused(_)), refusal, "{name}: {:?}", answer.status);
        let text = match question.parse::<Command>() {
            Err(_) => format!("{:?}", answer.status),
            Ok(command) => {
                assert_eq!(Answer::from_transcript(&bytes), answer, "{name}: a file reads as the wire does");
                match answers::parse(command, &answer) {
                    Ok(parsed) => {
                        assert_eq!(parsed.problems(), [], "{name}");
                        serde_json::to_string_pretty(&parsed).expect("plain values serialise")
                    }
                    Err(reason) => {
                        assert!(refusal, "{name}: {reason}");
                        format!("refused: {reason}")
                    }
                }
            }
        };
        captures::assert_snapshot(&path.with_extension("json"), &text);
    }
}

#[test]
fn transcripts_frame_the_same_with_chunks_of_any_size() {
    for (path, bytes) in transcripts() {
        let question = question(&bytes);
        let whole = Framer::new(&question).push(&bytes);
        assert!(matches!(whole, FrameStatus::Complete(_)), "{}: {whole:?}", path.display());
        for cut in 1..bytes.len() {
            let mut framer = Framer::new(&question);
            let first = framer.push(&bytes[..cut]);
            assert!(!matches!(first, FrameStatus::Complete(_)), "{} cut at {cut}", path.display());
            assert_eq!(framer.push(&bytes[cut..]), whole, "{} cut at {cut}", path.display());
        }
    }
}
