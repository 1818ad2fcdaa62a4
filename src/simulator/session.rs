//! A session: a console in real time, its faults, and the record of what it said.

use std::collections::VecDeque;
use std::time::Instant;

use fastrand::Rng;

use super::console::{Console, Utterance};
use super::faults::{Fault, Faults, Piece};
use super::said::{Said, Truth};
use super::speed::{self, Sleep};

/// How many answers are remembered.
const REMEMBERED: usize = 4096;

/// A console that time passes for, and that things happen to.
pub(super) struct Session {
    pub(crate) console: Console,
    pub(crate) faults: Faults,
    /// A fault for the next answer, whatever the rates say.
    pub(crate) next_fault: Option<Fault>,
    /// The speed at which the console hears and speaks.
    pub(crate) line_speed: u32,
    /// A console that must be woken.
    pub(crate) sleep: Option<Sleep>,
    /// Simulated seconds for each real one; 0 stands still.
    speed: f64,
    caught_up: Instant,
    /// What will happen to the command being typed.
    fate: Option<Fault>,
    rng: Rng,
    said: VecDeque<Said>,
    answers: u64,
}

impl Session {
    pub(crate) fn new(console: Console, faults: Faults, speed: f64, seed: u64) -> Self {
        Self {
            console,
            faults,
            next_fault: None,
            line_speed: speed::CONSOLE,
            sleep: None,
            speed,
            caught_up: Instant::now(),
            fate: None,
            rng: Rng::with_seed(seed ^ 0x6661_756c_7473),
            said: VecDeque::new(),
            answers: 0,
        }
    }

    /// Lets the bank live up to now.
    pub(crate) fn catch_up(&mut self) {
        let now = Instant::now();
        let passed = now.duration_since(self.caught_up).mul_f64(self.speed.max(0.0));
        self.caught_up = now;
        self.console.bank_mut().advance(passed);
    }

    /// What goes out when `bytes` come in, typed at `speed`.
    pub(crate) fn hear(&mut self, bytes: &[u8], speed: u32) -> Vec<Piece> {
        self.catch_up();
        if let Some(sleep) = &mut self.sleep {
            if bytes.iter().any(|byte| sleep.is_ended_by(*byte, speed)) {
                self.sleep = None;
            }
            return Vec::new();
        }
        let mut pieces = Vec::new();
        for byte in speed::across(bytes, speed, self.line_speed) {
            if self.console.begins_command(byte) {
                let drawn = self.faults.draw(&mut self.rng);
                self.fate = self.next_fault.take().or(drawn);
            }
            match self.console.type_byte(byte) {
                Some(Utterance::Echo(_)) if self.fate == Some(Fault::Mute) => {}
                Some(Utterance::Echo(bytes) | Utterance::Page(bytes)) => pieces.push(Piece::Bytes(bytes)),
                Some(Utterance::Answer { command, bytes, values }) => {
                    let (struck, damage) = match self.fate.take() {
                        Some(fault) => {
                            let (pieces, damage) = fault.strike(bytes, &self.faults, &mut self.rng);
                            (pieces, Some(damage))
                        }
                        None => (vec![Piece::Bytes(bytes)], None),
                    };
                    pieces.extend(struck);
                    self.answers += 1;
                    let at = self.console.bank().now();
                    self.said.push_back(Said { number: self.answers, at, command, damage, values });
                    if self.said.len() > REMEMBERED {
                        self.said.pop_front();
                    }
                }
                None => {}
            }
        }
        pieces
    }

    /// How many answers were given.
    pub(crate) fn answers(&self) -> u64 {
        self.answers
    }

    /// What was said so far.
    pub(crate) fn truth(&self) -> Truth {
        Truth { answers: self.said.iter().cloned().collect() }
    }
}
