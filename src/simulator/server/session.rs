//! A session: a console in real time with faults, and the history of its answers.

use std::collections::VecDeque;
use std::time::Instant;

use fastrand::Rng;

use crate::simulator::console::{Console, ConsoleOutput};
use crate::simulator::faults::{FaultKind, Faults, OutputChunk};
use crate::simulator::printed::{AnswerHistory, PrintedAnswer};
use crate::simulator::server::line_speed::{self, SleepState};

/// Number of answers in the history.
const MAX_ANSWERS: usize = 4096;

/// A console in real time, with faults.
pub(crate) struct SimulatorSession {
    pub(crate) console: Console,
    pub(crate) faults: Faults,
    /// A fault for the next answer, regardless of the rates.
    pub(crate) next_fault: Option<FaultKind>,
    /// The console's baud rate.
    pub(crate) console_baud: u32,
    /// Set while the console is asleep.
    pub(crate) sleep: Option<SleepState>,
    /// Simulated seconds per real second; 0 stops the simulated clock.
    speed: f64,
    advanced_at: Instant,
    /// The fault of the command being typed.
    current_fault: Option<FaultKind>,
    rng: Rng,
    history: VecDeque<PrintedAnswer>,
    answer_count: u64,
}

impl SimulatorSession {
    pub(crate) fn new(console: Console, faults: Faults, speed: f64, seed: u64) -> Self {
        Self {
            console,
            faults,
            next_fault: None,
            console_baud: line_speed::CONSOLE_BAUD,
            sleep: None,
            speed,
            advanced_at: Instant::now(),
            current_fault: None,
            rng: Rng::with_seed(seed ^ 0x6661_756c_7473),
            history: VecDeque::new(),
            answer_count: 0,
        }
    }

    /// Advances the bank to the current time.
    pub(crate) fn advance(&mut self) {
        let now = Instant::now();
        let passed = now.duration_since(self.advanced_at).mul_f64(self.speed.max(0.0));
        self.advanced_at = now;
        self.console.bank_mut().advance(passed);
    }

    /// Returns the output for `bytes` typed at `baud`.
    pub(crate) fn receive(&mut self, bytes: &[u8], baud: u32) -> Vec<OutputChunk> {
        self.advance();
        if let Some(sleep) = &mut self.sleep {
            if bytes.iter().any(|byte| sleep.is_woken_by(*byte, baud)) {
                self.sleep = None;
            }
            return Vec::new();
        }
        let mut output = Vec::new();
        for byte in line_speed::transmit(bytes, baud, self.console_baud) {
            if self.console.starts_command(byte) {
                let drawn = self.faults.draw(&mut self.rng);
                self.current_fault = self.next_fault.take().or(drawn);
            }
            match self.console.type_byte(byte) {
                Some(ConsoleOutput::Echo(_)) if self.current_fault == Some(FaultKind::Mute) => {}
                Some(ConsoleOutput::Echo(bytes) | ConsoleOutput::Page(bytes)) => {
                    output.push(OutputChunk::Bytes(bytes))
                }
                Some(ConsoleOutput::Answer { command, bytes, values }) => {
                    let (damaged, damage) = match self.current_fault.take() {
                        Some(fault) => {
                            let (chunks, damage) = fault.apply(bytes, &self.faults, &mut self.rng);
                            (chunks, Some(damage))
                        }
                        None => (vec![OutputChunk::Bytes(bytes)], None),
                    };
                    output.extend(damaged);
                    self.answer_count += 1;
                    let at = self.console.bank().now();
                    self.history.push_back(PrintedAnswer {
                        number: self.answer_count,
                        at,
                        command,
                        damage,
                        values,
                    });
                    if self.history.len() > MAX_ANSWERS {
                        self.history.pop_front();
                    }
                }
                None => {}
            }
        }
        output
    }

    pub(crate) fn answer_count(&self) -> u64 {
        self.answer_count
    }

    pub(crate) fn answer_history(&self) -> AnswerHistory {
        AnswerHistory { answers: self.history.iter().cloned().collect() }
    }
}
