//! Injected faults: what bad lines, adapters and busy consoles do to an answer.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use fastrand::Rng;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// No answer and no echo.
    Mute,
    /// One to four bytes of the answer are changed.
    Garble,
    /// The answer stops at a random byte.
    Truncate,
    /// Random bytes before and after the answer.
    Noise,
    /// A pause in the middle of the answer.
    Slow,
    /// The answer arrives long after the command.
    Late,
    /// The link disconnects in the middle of the answer and returns later.
    Unplug,
}

impl FaultKind {
    /// All kinds, in order of precedence.
    pub const ALL: [Self; 7] =
        [Self::Mute, Self::Garble, Self::Truncate, Self::Noise, Self::Slow, Self::Late, Self::Unplug];

    /// The name on the command line.
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

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The effect of a fault on an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    pub fault: FaultKind,
    /// Positions in the answer: the changed bytes, or where it stopped or paused.
    pub at: Vec<usize>,
}

/// Probabilities and durations of faults.
#[derive(Clone, Debug, PartialEq)]
pub struct Faults {
    rates: [f64; 7],
    late_after: Duration,
    slow_pause: Duration,
    unplugged: Duration,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            rates: [0.0; 7],
            late_after: Duration::from_secs(6),
            slow_pause: Duration::from_millis(700),
            unplugged: Duration::from_secs(3),
        }
    }
}

impl Faults {
    pub fn none() -> Self {
        Self::default()
    }

    /// Sets the probability (0 to 1) of `fault` per answer.
    #[must_use]
    pub fn with(mut self, fault: FaultKind, rate: f64) -> Self {
        self.rates[fault as usize] = rate.clamp(0.0, 1.0);
        self
    }

    /// Sets the delay of late answers (default 6 s).
    #[must_use]
    pub fn late_by(self, time: Duration) -> Self {
        Self { late_after: time, ..self }
    }

    /// Sets the pause in slow answers (default 0.7 s).
    #[must_use]
    pub fn slow_by(self, time: Duration) -> Self {
        Self { slow_pause: time, ..self }
    }

    /// Sets how long an unplugged link stays away (default 3 s).
    #[must_use]
    pub fn unplugged_for(self, time: Duration) -> Self {
        Self { unplugged: time, ..self }
    }

    /// Draws the fault of the next answer, if any.
    pub(super) fn draw(&self, rng: &mut Rng) -> Option<FaultKind> {
        // One number per kind regardless of the rates, so that the following draws don't depend on the rates.
        let drawn = FaultKind::ALL.map(|_| rng.f64());
        FaultKind::ALL.into_iter().find(|fault| drawn[*fault as usize] < self.rates[*fault as usize])
    }
}

/// A fault and its rate, written `garble=0.01`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FaultRate {
    pub fault: FaultKind,
    /// Probability per answer, 0 to 1.
    pub rate: f64,
}

/// Why a `KIND=RATE` is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultRateError {
    #[error("unknown fault {0:?}; expected one of mute, garble, truncate, noise, slow, late, unplug")]
    Kind(String),
    #[error("expected KIND=RATE with a rate from 0 to 1, such as garble=0.01, found {0:?}")]
    Rate(String),
}

impl FromStr for FaultRate {
    type Err = FaultRateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, rate) = text.split_once('=').ok_or_else(|| FaultRateError::Rate(text.to_owned()))?;
        let fault = FaultKind::ALL.into_iter().find(|fault| fault.name() == kind);
        let fault = fault.ok_or_else(|| FaultRateError::Kind(kind.to_owned()))?;
        let rate = rate.parse().ok().filter(|rate| (0.0..=1.0).contains(rate));
        Ok(Self { fault, rate: rate.ok_or_else(|| FaultRateError::Rate(text.to_owned()))? })
    }
}

/// A part of the output on the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OutputChunk {
    /// Bytes, sent at the line's baud rate.
    Bytes(Vec<u8>),
    Pause(Duration),
    /// The link is disconnected for this time.
    Unplug(Duration),
}

impl FaultKind {
    /// Applies the fault to an answer.
    pub(super) fn apply(self, answer: Vec<u8>, faults: &Faults, rng: &mut Rng) -> (Vec<OutputChunk>, Damage) {
        let position = |rng: &mut Rng| rng.usize(..answer.len().max(1));
        let damage = |at| Damage { fault: self, at };
        match self {
            Self::Mute => (Vec::new(), damage(vec![0])),
            Self::Garble => {
                let mut at: Vec<_> = (0..rng.usize(1..=4)).map(|_| position(rng)).collect();
                at.sort_unstable();
                at.dedup();
                let mut answer = answer;
                for &index in &at {
                    if let Some(byte) = answer.get_mut(index) {
                        *byte ^= rng.u8(1..);
                    }
                }
                (vec![OutputChunk::Bytes(answer)], damage(at))
            }
            Self::Truncate => {
                let at = position(rng);
                (vec![OutputChunk::Bytes(answer[..at].to_vec())], damage(vec![at]))
            }
            Self::Noise => {
                let before = noise(rng);
                let at = vec![0, before.len() + answer.len()];
                let after = noise(rng);
                (vec![OutputChunk::Bytes([before, answer, after].concat())], damage(at))
            }
            Self::Slow => {
                let at = position(rng);
                let (first, rest) = answer.split_at(at);
                let chunks = vec![
                    OutputChunk::Bytes(first.to_vec()),
                    OutputChunk::Pause(faults.slow_pause),
                    OutputChunk::Bytes(rest.to_vec()),
                ];
                (chunks, damage(vec![at]))
            }
            Self::Late => {
                (vec![OutputChunk::Pause(faults.late_after), OutputChunk::Bytes(answer)], damage(vec![0]))
            }
            Self::Unplug => {
                let at = position(rng);
                let chunks =
                    vec![OutputChunk::Bytes(answer[..at].to_vec()), OutputChunk::Unplug(faults.unplugged)];
                (chunks, damage(vec![at]))
            }
        }
    }
}

/// Up to a dozen random bytes, including those that idle lines are known to produce.
fn noise(rng: &mut Rng) -> Vec<u8> {
    let mut bytes = vec![0x00, 0xFE, 0xFF];
    bytes.extend((0..rng.usize(..9)).map(|_| rng.u8(..)));
    rng.shuffle(&mut bytes);
    bytes
}
