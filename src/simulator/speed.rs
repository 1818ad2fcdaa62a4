//! Speeds: what reaches the other end of a line whose ends run at different ones, and the frame that wakes a
//! console at one of them (protocol, section 2).

use std::time::Duration;

/// The speed of a console's line in bits a second.
pub(super) const CONSOLE: u32 = 115_200;
/// The speed at which a sleeping console listens.
const WAKING: u32 = 1_200;
/// What it listens for.
const FRAME: &[u8] = b"~20014682C0048520FCC3\r";

/// What is heard at the speed `to` of what was said at `from`: garbage where they differ, the same each time. A
/// slow ear takes several bytes for one.
pub(super) fn across(bytes: &[u8], from: u32, to: u32) -> Vec<u8> {
    if from == to {
        return bytes.to_vec();
    }
    let at_once = (from / to.max(1)).max(1) as usize;
    let garbled = |bytes: &[u8]| 0x80 | bytes.iter().fold(0_u8, |mix, byte| mix.rotate_left(3) ^ byte);
    bytes.chunks(at_once).map(garbled).collect()
}

/// How long a byte is on its way: ten bits with start and stop.
pub(super) fn a_byte_at(speed: u32) -> Duration {
    Duration::from_secs(10) / speed.max(1)
}

/// The sleep of a console that says nothing until it has heard the frame.
#[derive(Debug, Default)]
pub(super) struct Sleep {
    heard: Vec<u8>,
}

impl Sleep {
    /// Whether this byte, typed at that speed, completes the frame.
    pub(crate) fn is_ended_by(&mut self, byte: u8, speed: u32) -> bool {
        if speed != WAKING {
            self.heard.clear();
            return false;
        }
        self.heard.push(byte);
        let too_many = self.heard.len().saturating_sub(FRAME.len());
        self.heard.drain(..too_many);
        self.heard == FRAME
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_woken(bytes: &[u8], speed: impl Fn(usize) -> u32) -> bool {
        let mut sleep = Sleep::default();
        bytes.iter().enumerate().any(|(at, byte)| sleep.is_ended_by(*byte, speed(at)))
    }

    #[test]
    fn only_the_whole_frame_at_its_speed_wakes() {
        assert!(is_woken(FRAME, |_| WAKING));
        assert!(is_woken(&[b"\n~200~", FRAME].concat(), |_| WAKING), "what went before does not matter");
        assert!(!is_woken(FRAME, |_| CONSOLE));
        assert!(!is_woken(FRAME, |at| if at < 21 { WAKING } else { CONSOLE }), "cut off by the change");
        assert!(!is_woken(&FRAME[..21], |_| WAKING));
    }

    #[test]
    fn another_speed_is_garbage_and_the_same_each_time() {
        let said = b"PYTES>";
        assert_eq!(across(said, CONSOLE, CONSOLE), said);
        for speed in [0, 1_200, 9_600, 230_400] {
            let heard = across(said, CONSOLE, speed);
            assert!(!heard.is_empty() && !heard.is_ascii(), "{heard:?} at {speed}");
            assert_eq!(heard, across(said, CONSOLE, speed));
        }
        assert!(across(&[b'x'; 96], CONSOLE, 9_600).len() < 10);
    }
}
