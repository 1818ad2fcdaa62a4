//! Parses every capture of a real console next to the project, found by discovery, or records why it was
//! refused, and compares the result with the committed values; raw captures go through the framing as well.

use bankwatch::internals::console::answers;
use bankwatch::internals::console::answers::parsed::Parsed;
use bankwatch::internals::console::command::Command;
use bankwatch::internals::console::framing::answer::{Answer, AnswerStatus};
use bankwatch::internals::console::framing::{FrameStatus, Framer};
use support::captures::{self, Capture};

/// The committed result of a capture: the values, or why there are none.
fn outcome(capture: &Capture) -> Result<Parsed, String> {
    let answer = Answer::from_transcript(&capture.bytes);
    let command: Command = match answer.command() {
        Some(command) => command,
        None => capture.command.parse().map_err(|_| "not a question that we ask".to_owned())?,
    };
    let parsed = match answer.status {
        AnswerStatus::Unclear => answers::parse_text(command, &answer).map_err(|error| error.to_string()),
        _ => answers::parse(command, &answer).map_err(|error| error.to_string()),
    }?;
    match parsed.problems() {
        [] => Ok(parsed),
        [problem, ..] => Err(problem.to_string()),
    }
}

#[test]
fn every_capture_yields_the_committed_values_or_its_reason() {
    let mut unheld = Vec::new();
    for capture in captures::discover() {
        let outcome = outcome(&capture);
        invariants(&capture, &outcome);
        let text = match &outcome {
            Ok(parsed) => serde_json::to_string_pretty(parsed).expect("plain values serialise"),
            Err(reason) => format!("refused: {reason}"),
        };
        let snapshot = captures::snapshot(&capture.name);
        if snapshot.exists() || captures::updating() {
            captures::assert_snapshot(&snapshot, &text);
        } else {
            unheld.push((capture.name.clone(), text));
        }
    }
    for (name, text) in unheld {
        captures::print_notice(&format!("no committed values for {name}; parsed:\n{text}\n"));
    }
}

/// Checks that apply to any capture, known or new.
fn invariants(capture: &Capture, outcome: &Result<Parsed, String>) {
    let name = &capture.name;
    let Ok(parsed) = outcome else { return };
    match parsed {
        Parsed::Table(table) => {
            for row in table.rows.iter().filter(|row| !row.absent) {
                assert!(row.voltage.is_some_and(|v| (30_000..62_000).contains(&v.0)), "{name}: {row:?}");
                assert!(row.current.is_some_and(|c| c.0.abs() < 300_000), "{name}: {row:?}");
                assert!(row.temperature.is_some_and(|t| (-40_000..90_000).contains(&t.0)), "{name}: {row:?}");
                assert!(row.soc.is_some_and(|soc| (0..=110).contains(&soc.0)), "{name}: {row:?}");
            }
            let silent = |row: &&bankwatch::internals::console::answers::pwr_table::PwrRow| {
                row.absent && row.voltage.is_some()
            };
            assert_eq!(table.rows.iter().find(silent), None, "{name}: an absent place has no voltage");
        }
        Parsed::Cells(table) => {
            assert!(
                table.stack || (15..=16).contains(&table.cells.len()),
                "{name}: {} cells",
                table.cells.len()
            );
            for cell in &table.cells {
                assert!(cell.voltage.is_some_and(|v| (1_500..=4_095).contains(&v.0)), "{name}: {cell:?}");
                assert!(
                    cell.temperature.is_some_and(|t| (-40_000..90_000).contains(&t.0)),
                    "{name}: {cell:?}"
                );
            }
        }
        _ => {}
    }
}

#[test]
fn raw_captures_frame_the_same_with_chunks_of_any_size() {
    let mut framed = 0;
    for capture in captures::discover().filter(|capture| capture.raw) {
        let answer = Answer::from_transcript(&capture.bytes);
        let (Some(echo), true) = (&answer.echo, answer.has_end_mark) else { continue };
        let whole = framed_in(echo, &[&capture.bytes]);
        assert!(whole.is_some(), "{}: no answer framed", capture.name);
        for cut in 1..capture.bytes.len() {
            let (head, tail) = capture.bytes.split_at(cut);
            assert_eq!(framed_in(echo, &[head, tail]), whole, "{} cut at {cut}", capture.name);
        }
        let bytewise: Vec<&[u8]> = capture.bytes.chunks(1).collect();
        assert_eq!(framed_in(echo, &bytewise), whole, "{} byte by byte", capture.name);
        framed += 1;
    }
    captures::print_count(framed, "raw captures framed at every cut");
}

/// The answer's lines and status, once the framing has received all chunks.
fn framed_in(question: &str, pieces: &[&[u8]]) -> Option<(Vec<String>, AnswerStatus)> {
    let mut framer = Framer::new(question);
    for piece in pieces {
        if let FrameStatus::Complete(answer) = framer.push(piece) {
            return Some((answer.lines().map(|(_, line)| line.to_owned()).collect(), answer.status));
        }
    }
    framer
        .on_silence()
        .map(|answer| (answer.lines().map(|(_, line)| line.to_owned()).collect(), answer.status))
}
