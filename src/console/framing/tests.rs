use super::*;
use crate::console::framing::refusal::CommandRefusal;

fn answer(command: &str, bytes: &[u8]) -> Answer {
    match Framer::new(command).push(bytes) {
        FrameStatus::Complete(answer) => answer,
        other => panic!("{other:?}"),
    }
}

const TIME: &[u8] =
    b"time\n\r@\r\n\rRTC 2026-11-22 06:00:00\r\n\rCommand completed successfully\r\n\r$$\r\n\rpylon>";

#[test]
fn echo_marks_and_prompt_are_not_part_of_an_answer() {
    let time = answer("time", TIME);
    assert_eq!(time.lines().collect::<Vec<_>>(), [(1, "RTC 2026-11-22 06:00:00")]);
    assert_eq!((time.status, time.prompt), (AnswerStatus::Success, Some(Prompt::Pylon)));
}

#[test]
fn chunks_of_any_size_give_the_same_answer() {
    let whole = answer("time", TIME);
    for cut in 1..TIME.len() {
        let mut framer = Framer::new("time");
        assert_eq!(framer.push(&TIME[..cut]), FrameStatus::Incomplete, "cut at {cut}");
        assert_eq!(framer.push(&TIME[cut..]), FrameStatus::Complete(whole.clone()), "cut at {cut}");
    }
}

#[test]
fn a_late_answer_to_an_earlier_command_is_dropped() {
    let mut bytes =
        b"pwr 1\n\r@\r\r\n Power  1\r\r\n\rCommand completed successfully\r\n\r$$\r\n\rpylon>".to_vec();
    assert_eq!(Framer::new("time").push(&bytes), FrameStatus::Prompt);
    bytes.extend_from_slice(TIME);
    assert_eq!(answer("time", &bytes), answer("time", TIME));
}

#[test]
fn surrounding_noise_and_unsolicited_text_are_ignored() {
    let bytes = [b"\xfe\0\xffbattery says hello\r\n\0\xfe", TIME, b"\r\nmore"].concat();
    assert_eq!(answer("time", &bytes), answer("time", TIME));
}

#[test]
fn a_repeated_echo_restarts_the_body() {
    let truncated = [b"time\n\r@\r\n\rRTC 2026-1", b"\r\npylon>time\r\n".as_slice(), TIME].concat();
    assert_eq!(answer("time", &truncated), answer("time", TIME));
}

#[test]
fn every_prompt_or_silence_after_the_end_mark_ends_an_answer() {
    for prompt in ["pylon>", "pylon_debug>", "PYTES>", "PYTES_debug>"] {
        let bytes = [&TIME[..TIME.len() - 6], prompt.as_bytes()].concat();
        assert_eq!(answer("time", &bytes).prompt.map(|p| p.text()), Some(prompt));
    }
    let mut framer = Framer::new("time");
    assert_eq!(framer.push(&TIME[..TIME.len() - 6]), FrameStatus::Incomplete);
    assert_eq!(framer.on_silence().map(|answer| answer.status), Some(AnswerStatus::Success));
    let mut truncated = Framer::new("time");
    truncated.push(&TIME[..40]);
    assert_eq!(truncated.on_silence(), None);
}

#[test]
fn a_prompt_without_an_end_mark_means_a_truncated_answer() {
    let truncated = [&TIME[..40], b"\r\n\rpylon>"].concat();
    assert_eq!(Framer::new("time").push(&truncated), FrameStatus::Prompt);
}

#[test]
fn a_pager_is_reported_once_and_is_not_part_of_the_answer() {
    let mut framer = Framer::new("log");
    let pager = b"Press [Enter] to be continued,other key to exit";
    let first = [b"log\n\r@\r\n\r Index : 1\r\n\r$\r\n\r".as_slice(), pager].concat();
    assert_eq!(framer.push(&first), FrameStatus::Pager);
    assert_eq!(framer.push(b""), FrameStatus::Incomplete);
    let rest = b"\r                                                  \r\r\n Index : 0\r\n\rCommand completed successfully\r\n\r$$\r\n\rPYTES>";
    let FrameStatus::Complete(log) = framer.push(rest) else { panic!("no answer") };
    let lines: Vec<_> = log.lines().map(|(_, line)| line.trim()).collect();
    assert_eq!(lines, ["Index : 1", "$", "Index : 0"]);
}

#[test]
fn a_pager_is_reported_once_with_chunks_of_any_size() {
    let first = b"log\n\r@\r\n\r Index : 1\n\rPress [Enter] to be continued,other key to exit\r".as_slice();
    let erase = b"\r                                                  \r\r\r\n".as_slice();
    for cut in 1..=first.len() {
        let mut framer = Framer::new("log");
        let statuses = [framer.push(&first[..cut]), framer.push(&first[cut..])];
        assert_eq!(
            statuses.iter().filter(|status| **status == FrameStatus::Pager).count(),
            1,
            "cut at {cut}"
        );
        assert_eq!(framer.push(erase), FrameStatus::Incomplete, "cut at {cut}");
    }
    let more = [first, erase, b" Index : 0\r\n".as_slice()].concat();
    assert_eq!(Framer::new("log").push(&more), FrameStatus::Incomplete);
    assert_eq!(Framer::new("log").push(&more[..more.len() - 4]), FrameStatus::Incomplete);
}

#[test]
fn a_pager_is_reported_after_its_carriage_return() {
    let pager = b"log\n\r@\r\n\r Index : 1\n\rPress [Enter] to be continued,other key to exit\r";
    assert_eq!(Framer::new("log").push(pager), FrameStatus::Pager);
    let passed = [pager.as_slice(), b"\r          \r\r\r\n Index : 0\r\n"].concat();
    assert_eq!(Framer::new("log").push(&passed), FrameStatus::Incomplete);
    let mut bytewise = Framer::new("log");
    let pagers = pager.chunks(1).filter(|byte| bytewise.push(byte) == FrameStatus::Pager).count();
    assert_eq!(pagers, 1);
}

#[test]
fn a_prompt_within_a_pager_ends_the_answer_with_chunks_of_any_size() {
    let pager = "Press [Enter]pylon> to be continued,other key to exit\r\n\rPYTES>";
    let bytes = format!("log\n\r@\r\n\r Index : 1\r\n\r$$\r\n\r{pager}");
    for size in 1..=bytes.len() {
        let mut framer = Framer::new("log");
        let prompt = bytes.as_bytes().chunks(size).find_map(|chunk| match framer.push(chunk) {
            FrameStatus::Complete(answer) => answer.prompt,
            _ => None,
        });
        assert_eq!(prompt, Some(Prompt::Pylon), "chunks of {size}");
    }
}

#[test]
fn input_after_the_prompt_does_not_change_the_answer() {
    let bytes = [TIME, b"time\r\n\r@\r\n"].concat();
    assert_eq!(answer("time", &bytes), answer("time", TIME));
}

#[test]
fn a_late_prompt_within_an_answer_is_not_one_of_its_lines() {
    let late = [&TIME[..9], b"\r\npylon>\r\n".as_slice(), &TIME[9..]].concat();
    assert_eq!(answer("time", &late), answer("time", TIME));
}

#[test]
fn a_refusal_is_an_answer() {
    let soh = answer("soh 1", b"soh 1\n\r@\r\r\nUnknown command 'soh' - try 'help'\r\n\r$$\r\n\rpylon>");
    assert_eq!(soh.status, AnswerStatus::Refused(CommandRefusal::UnknownCommand));
}

#[test]
fn an_empty_command_is_answered_by_a_prompt() {
    assert_eq!(answer("", b"\n\rPYTES_debug>").prompt, Some(Prompt::PytesDebug));
}

/// Bytes that a framer holds in memory.
fn held(framer: &Framer) -> usize {
    let answers = [&framer.body, &framer.behind_damaged_echo].into_iter().flatten();
    framer.line.capacity() + answers.map(Answer::bytes).sum::<usize>()
}

#[test]
fn endless_noise_is_cut_off_and_not_buffered() {
    let damaged = b"pr\r\n@\r\n";
    let starts: [&[u8]; 4] = [b"", b"pwr\r\n@\r\n", damaged, &[TIME, b"pwr\r\n$$\r\n"].concat()];
    for start in starts {
        let mut framer = Framer::new("pwr");
        framer.push(start);
        let noise = [b'x'; 4096];
        let mut status = FrameStatus::Incomplete;
        for _ in 0..100 * 1024 * 1024 / noise.len() {
            status = framer.push(&noise);
            assert!(held(&framer) < 1024 * 1024);
        }
        assert_eq!(status, FrameStatus::TooLong);
        assert_eq!(held(&framer), 0);
    }
}

#[test]
fn single_bytes_of_a_long_line_are_processed_in_linear_time() {
    let mut framer = Framer::new("pwr");
    framer.push(b"pwr\r\n$$\r\n");
    let start = std::time::Instant::now();
    while framer.push(b" ") != FrameStatus::TooLong {}
    assert!(start.elapsed() < std::time::Duration::from_secs(5), "{:?}", start.elapsed());
}

const DETAIL: &str = "@\r\r\n Power  1\r\r\n\rCommand completed successfully\r\n\r$$\r\n\rpylon>";

#[test]
fn an_answer_after_a_damaged_echo_counts_once_the_line_is_silent() {
    let mut framer = Framer::new("pwr 1");
    assert_eq!(framer.push(format!("pw 1\n\r{DETAIL}").as_bytes()), FrameStatus::Prompt);
    assert_eq!(framer.foreign_command(), None);
    let answer = framer.on_silence().unwrap();
    assert_eq!(answer.lines().collect::<Vec<_>>(), [(1, " Power  1")]);
    assert_eq!((answer.echo_damaged, answer.prompt), (true, Some(Prompt::Pylon)));
}

#[test]
fn an_answer_after_its_own_echo_wins_over_one_after_a_damaged_echo() {
    let both = format!("pw 1\n\r{DETAIL}pwr 1\n\r{DETAIL}");
    let FrameStatus::Complete(answer) = Framer::new("pwr 1").push(both.as_bytes()) else {
        panic!("no answer")
    };
    assert!(!answer.echo_damaged);
}

#[test]
fn a_truncated_or_foreign_answer_after_a_damaged_echo_never_counts() {
    let truncated = format!("pw 1\n\r{}", &DETAIL[..20]);
    let cases = [
        format!("pw 2\n\r{DETAIL}"),
        format!("pwr 2\n\r{DETAIL}"),
        format!("stat 1\n\r{DETAIL}"),
        truncated.clone(),
        format!("{truncated}\r\npylon>"),
        format!("{truncated}\r\npylon>bat 2\n\r{DETAIL}"),
        format!("{truncated}bat 2\n\r{DETAIL}"),
        format!("pw 1\n\r{}", DETAIL.replace(" Power", "pylon> Power")),
    ];
    for received in cases {
        for length in [1, received.len()] {
            let mut framer = Framer::new("pwr 1");
            received.as_bytes().chunks(length).for_each(|bytes| drop(framer.push(bytes)));
            assert_eq!(framer.on_silence(), None, "{received:?}, {length} bytes at a time");
        }
    }
}

#[test]
fn a_prompt_after_a_damaged_echo_counts_with_chunks_of_any_size() {
    let bytes = b"roh\n\r@\r\r\n soh 1\r\n\r$$\r\n\rpylon>ylon>";
    let answer = answer_at_silence("soh", bytes, bytes.len()).unwrap();
    assert_eq!(answer.prompt, Some(Prompt::Pylon));
    assert_eq!(answer_at_silence("soh", bytes, 1), Some(answer));
}

#[test]
fn a_start_mark_without_its_line_end_never_starts_an_answer() {
    let bytes = b"uime\n\r@RTC 2026-06-01 12:00:00\r\n\r$$\r\n\rPYTES>";
    for length in [1, bytes.len()] {
        assert_eq!(answer_at_silence("time", bytes, length), None, "{length} bytes at a time");
    }
}

/// The answer in bytes that arrive `length` at a time, once the console falls silent.
fn answer_at_silence(command: &str, bytes: &[u8], length: usize) -> Option<Answer> {
    let mut framer = Framer::new(command);
    for piece in bytes.chunks(length) {
        framer.push(piece);
    }
    framer.on_silence()
}
