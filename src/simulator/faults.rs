//! Faults on request: what lines, adapters and busy consoles do to an answer.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use fastrand::Rng;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// No answer at all, not even an echo.
    Mute,
    /// One to four bytes of the answer are others.
    Garble,
    /// The answer stops somewhere and nothing follows.
    Truncate,
    /// Random bytes before and after the answer.
    Noise,
    /// A pause in the middle.
    Slow,
    /// The answer comes long after the question.
    Late,
    /// The link goes away in the middle and comes back after a while.
    Unplug,
}

impl Fault {
    /// All kinds, in the order in which they are drawn.
    pub const ALL: [Self; 7] =
        [Self::Mute, Self::Garble, Self::Truncate, Self::Noise, Self::Slow, Self::Late, Self::Unplug];

    /// What users call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mute => "mute",
            Self::Garble => "garble",
            Self::Truncate => "truncate",
            Self::Noise => "noise",
            Self::Slow => "slow",
            Self::Late => "late",
            Self::Unplug => "unplug",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a fault did to an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Which fault.
    pub fault: Fault,
    /// Where in the answer: the bytes that were changed, or the place where it broke off or paused.
    pub at: Vec<usize>,
}

/// How often which fault happens, and how long it lasts.
#[derive(Clone, Debug, PartialEq)]
pub struct Faults {
    rates: [f64; 7],
    late: Duration,
    slow: Duration,
    unplugged: Duration,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            rates: [0.0; 7],
            late: Duration::from_secs(6),
            slow: Duration::from_millis(700),
            unplugged: Duration::from_secs(3),
        }
    }
}

impl Faults {
    /// No faults.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// The same with `fault` hitting an answer with probability `rate` (0 to 1).
    #[must_use]
    pub fn with(mut self, fault: Fault, rate: f64) -> Self {
        self.rates[fault as usize] = rate.clamp(0.0, 1.0);
        self
    }

    /// The same with late answers coming after `time` (6 s unless told otherwise).
    #[must_use]
    pub fn late_by(self, time: Duration) -> Self {
        Self { late: time, ..self }
    }

    /// The same with slow answers pausing for `time` (0.7 s unless told otherwise).
    #[must_use]
    pub fn slow_by(self, time: Duration) -> Self {
        Self { slow: time, ..self }
    }

    /// The same with an unplugged link staying away for `time` (3 s unless told otherwise).
    #[must_use]
    pub fn unplugged_for(self, time: Duration) -> Self {
        Self { unplugged: time, ..self }
    }

    /// Draws which fault hits the next answer, if any.
    pub(super) fn draw(&self, rng: &mut Rng) -> Option<Fault> {
        // One number a kind, whatever the rates, so that the draws after it stay the same.
        let drawn = Fault::ALL.map(|_| rng.f64());
        Fault::ALL.into_iter().find(|fault| drawn[*fault as usize] < self.rates[*fault as usize])
    }
}

/// A fault and its rate, written `garble=0.01`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FaultRate {
    /// Which fault.
    pub fault: Fault,
    /// Probability for each answer, 0 to 1.
    pub rate: f64,
}

/// Why a `KIND=RATE` could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFaultRate {
    /// There is no such kind.
    #[error("no fault is called {0:?}; there are mute, garble, truncate, noise, slow, late and unplug")]
    Kind(String),
    /// The rate is no number between 0 and 1.
    #[error("expected KIND=RATE with a rate from 0 to 1, such as garble=0.01, but found {0:?}")]
    Rate(String),
}

impl FromStr for FaultRate {
    type Err = BadFaultRate;

    fn from_str(written: &str) -> Result<Self, Self::Err> {
        let (kind, rate) = written.split_once('=').ok_or_else(|| BadFaultRate::Rate(written.to_owned()))?;
        let fault = Fault::ALL.into_iter().find(|fault| fault.name() == kind);
        let fault = fault.ok_or_else(|| BadFaultRate::Kind(kind.to_owned()))?;
        let rate = rate.parse().ok().filter(|rate| (0.0..=1.0).contains(rate));
        Ok(Self { fault, rate: rate.ok_or_else(|| BadFaultRate::Rate(written.to_owned()))? })
    }
}

/// A piece of what goes out on the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Bytes, at the pace of the line.
    Bytes(Vec<u8>),
    /// Nothing for a while.
    Pause(Duration),
    /// The link goes away for a while.
    Unplug(Duration),
}

impl Fault {
    /// What becomes of an answer, and what was done to it.
    pub(super) fn strike(self, answer: Vec<u8>, faults: &Faults, rng: &mut Rng) -> (Vec<Piece>, Damage) {
        let anywhere = |rng: &mut Rng| rng.usize(..answer.len().max(1));
        let damage = |at| Damage { fault: self, at };
        match self {
            Self::Mute => (Vec::new(), damage(vec![0])),
            Self::Garble => {
                let mut at: Vec<_> = (0..rng.usize(1..=4)).map(|_| anywhere(rng)).collect();
                at.sort_unstable();
                at.dedup();
                let mut answer = answer;
                for &place in &at {
                    if let Some(byte) = answer.get_mut(place) {
                        *byte ^= rng.u8(1..);
                    }
                }
                (vec![Piece::Bytes(answer)], damage(at))
            }
            Self::Truncate => {
                let at = anywhere(rng);
                (vec![Piece::Bytes(answer[..at].to_vec())], damage(vec![at]))
            }
            Self::Noise => {
                let before = noise(rng);
                let at = vec![0, before.len() + answer.len()];
                let after = noise(rng);
                (vec![Piece::Bytes([before, answer, after].concat())], damage(at))
            }
            Self::Slow => {
                let at = anywhere(rng);
                let (first, rest) = answer.split_at(at);
                let pieces = vec![
                    Piece::Bytes(first.to_vec()),
                    Piece::Pause(faults.slow),
                    Piece::Bytes(rest.to_vec()),
                ];
                (pieces, damage(vec![at]))
            }
            Self::Late => (vec![Piece::Pause(faults.late), Piece::Bytes(answer)], damage(vec![0])),
            Self::Unplug => {
                let at = anywhere(rng);
                let pieces = vec![Piece::Bytes(answer[..at].to_vec()), Piece::Unplug(faults.unplugged)];
                (pieces, damage(vec![at]))
            }
        }
    }
}

/// Up to a dozen random bytes, among them those that idle lines are known to yield.
fn noise(rng: &mut Rng) -> Vec<u8> {
    let mut bytes = vec![0x00, 0xFE, 0xFF];
    bytes.extend((0..rng.usize(..9)).map(|_| rng.u8(..)));
    rng.shuffle(&mut bytes);
    bytes
}
