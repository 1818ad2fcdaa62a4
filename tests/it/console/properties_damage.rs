//! Damaged bytes: none causes a panic, and chunks of any size give the same answer.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use bankwatch::internals::console::answers;
use bankwatch::internals::console::assemble::assemble;
use bankwatch::internals::console::command::{Command, CommandName};
use bankwatch::internals::console::framing::answer::Answer;
use bankwatch::internals::console::framing::{FrameStatus, Framer};
use bankwatch::internals::console::transcript::{Exchange, Transcript};
use bankwatch::internals::console::validation::AnswerValidator;
use bankwatch::internals::model::place::Place;
use bankwatch::internals::model::reading::SweepKind;
use bankwatch::internals::simulator::{Dialect, Simulation};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use support::framed_answers::ask;

const VERBS: [CommandName; 10] = [
    CommandName::Pwr,
    CommandName::Bat,
    CommandName::Info,
    CommandName::Stat,
    CommandName::Soh,
    CommandName::Time,
    CommandName::Log,
    CommandName::DataEvent,
    CommandName::DataHistory,
    CommandName::Unit,
];

/// Every dialect's answer to every command.
static GENUINE: LazyLock<Vec<(Command, Vec<u8>)>> = LazyLock::new(|| {
    let mut all = Vec::new();
    for &dialect in Dialect::ALL {
        let mut console = Simulation::new(dialect).batteries(3).console().unwrap();
        console.bank_mut().take_out(2);
        for verb in VERBS {
            for command in [verb.bare(), verb.for_place(Place::FIRST)] {
                all.push((command, ask(&mut console, &command.to_string()).received));
            }
        }
    }
    all
});

/// Damage to bytes on the line.
#[derive(Clone, Debug)]
enum Damage {
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Lose(Index, usize),
    Repeat(Index, usize),
    Truncate(Index),
}

impl Damage {
    fn strike(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let end = |at: usize, length: usize| (at + length).min(bytes.len());
        match self {
            Self::Flip(at, bit) => {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            Self::Insert(at, new) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, new.iter().copied());
            }
            Self::Lose(at, length) => {
                let at = at.index(bytes.len());
                bytes.drain(at..end(at, *length));
            }
            Self::Repeat(at, length) => {
                let at = at.index(bytes.len());
                let again = bytes[at..end(at, *length)].to_vec();
                bytes.splice(at..at, again);
            }
            Self::Truncate(at) => bytes.truncate(at.index(bytes.len())),
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    let telling = prop_oneof![
        Just(b"\r\n".to_vec()),
        Just(b"$$".to_vec()),
        Just(b"pylon>".to_vec()),
        vec(any::<u8>(), 1..8)
    ];
    prop_oneof![
        4 => (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        2 => (any::<Index>(), telling).prop_map(|(at, new)| Damage::Insert(at, new)),
        2 => (any::<Index>(), 1..200_usize).prop_map(|(at, length)| Damage::Lose(at, length)),
        1 => (any::<Index>(), 1..200_usize).prop_map(|(at, length)| Damage::Repeat(at, length)),
        1 => any::<Index>().prop_map(Damage::Truncate),
    ]
}

/// A command and a damaged answer to it.
fn damaged() -> impl Strategy<Value = (Command, Vec<u8>)> {
    (any::<Index>(), vec(damage(), 0..6)).prop_map(|(which, all)| {
        let (command, mut bytes) = GENUINE[which.index(GENUINE.len())].clone();
        all.iter().for_each(|damage| damage.strike(&mut bytes));
        (command, bytes)
    })
}

/// The first answer in the chunks, or the one that is complete when the line falls silent.
fn framed<'a>(question: &str, pieces: impl Iterator<Item = &'a [u8]>) -> Option<Answer> {
    let mut framer = Framer::new(question);
    for piece in pieces {
        if let FrameStatus::Complete(answer) = framer.push(piece) {
            return Some(answer);
        }
    }
    framer.on_silence()
}

/// Runs everything that processes an answer.
fn read_by_all(command: Command, answer: Answer) {
    for verb in VERBS {
        for other in [verb.bare(), verb.for_place(Place::FIRST)] {
            if let Ok(parsed) = answers::parse_text(other, &answer) {
                assert!(parsed.problems().iter().all(|problem| !problem.to_string().is_empty()));
            }
        }
    }
    let mut review = AnswerValidator::default();
    review.begin_sweep();
    for asked in 1..=3 {
        review.validate(command, Duration::from_secs(u64::from(asked)), asked, Ok(answer.clone()));
    }
    let exchange = Exchange { command, outcome: Ok(answer), attempts: 1 };
    let reading = assemble(&Transcript {
        bank: "bank".into(),
        kind: SweepKind::Full,
        started_at: jiff::Timestamp::UNIX_EPOCH,
        started: Instant::now(),
        took: Duration::ZERO,
        known_places: vec![Place::FIRST],
        exchanges: vec![exchange.clone(), exchange],
    });
    assert!(!reading.batteries.is_empty());
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(1_500))]

    #[test]
    fn no_bytes_panic_a_parser(which in 0..VERBS.len(), bytes in vec(any::<u8>(), 0..600)) {
        let command = VERBS[which].bare();
        let echoed = [command.to_string().as_bytes(), b"\r\n", &bytes].concat();
        for bytes in [&bytes, &echoed] {
            read_by_all(command, Answer::from_transcript(bytes));
            framed(&command.to_string(), bytes.chunks(7)).into_iter().for_each(|answer| read_by_all(command, answer));
        }
    }

    #[test]
    fn no_damage_to_an_answer_panics_a_parser((command, bytes) in damaged()) {
        read_by_all(command, Answer::from_transcript(&bytes));
        framed(&command.to_string(), bytes.chunks(64)).into_iter().for_each(|answer| read_by_all(command, answer));
    }

    #[test]
    fn chunks_of_any_size_frame_the_same_answer((command, bytes) in damaged(), cuts in vec(any::<Index>(), 0..12)) {
        let question = command.to_string();
        let whole = framed(&question, std::iter::once(bytes.as_slice()));
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|ends| &bytes[ends[0]..ends[1]]);
        prop_assert_eq!(&framed(&question, pieces), &whole);
        prop_assert_eq!(&framed(&question, bytes.chunks(1)), &whole);
    }
}

#[test]
fn every_genuine_answer_is_found_among_others() {
    for pair in GENUINE.windows(2) {
        let [(_, before), (command, bytes)] = pair else { unreachable!("windows of two") };
        let alone = framed(&command.to_string(), std::iter::once(bytes.as_slice()));
        let late = [before.as_slice(), b"\r\n", bytes, before].concat();
        if pair[0].0 != *command {
            assert_eq!(framed(&command.to_string(), late.chunks(100)), alone, "{command}");
        }
    }
}

#[test]
fn a_transcript_of_noise_has_no_usable_values() {
    let mut random = 1_u32;
    let mut noise = |line_ends: bool| -> Vec<u8> {
        let byte = |_| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let byte = (random >> 24) as u8;
            if !line_ends && matches!(byte, b'\r' | b'\n') { b'x' } else { byte }
        };
        (0..4_000_000).map(byte).collect()
    };
    for bytes in [noise(true), noise(false), vec![b'\n'; 4_000_000], vec![b' '; 4_000_000]] {
        let answer = Answer::from_transcript(&bytes);
        for verb in VERBS {
            assert!(answers::parse(verb.bare(), &answer).is_err());
        }
    }
}
