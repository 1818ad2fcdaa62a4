//! Baud rates: the garbage received between ends with different baud rates, and the frame that wakes a console at
//! 1200 baud (protocol, section 2).

use std::time::Duration;

pub(crate) const CONSOLE_BAUD: u32 = 115_200;
/// A sleeping console receives at this baud rate.
const WAKE_BAUD: u32 = 1_200;
const WAKE_FRAME: &[u8] = b"~20014682C0048520FCC3\r";

/// The bytes received at `to` baud of bytes sent at `from` baud: deterministic garbage if they differ. A slow receiver
/// merges several bytes into one.
pub(crate) fn transmit(bytes: &[u8], from: u32, to: u32) -> Vec<u8> {
    if from == to {
        return bytes.to_vec();
    }
    let merged = (from / to.max(1)).max(1) as usize;
    let garbled = |bytes: &[u8]| 0x80 | bytes.iter().fold(0_u8, |mix, byte| mix.rotate_left(3) ^ byte);
    bytes.chunks(merged).map(garbled).collect()
}

/// The time to send a byte: ten bits with start and stop bit.
pub(crate) fn byte_time(speed: u32) -> Duration {
    Duration::from_secs(10) / speed.max(1)
}

/// A sleeping console, which waits for the wake-up frame.
#[derive(Debug, Default)]
pub(crate) struct SleepState {
    received: Vec<u8>,
}

impl SleepState {
    /// Takes a byte received at `speed` baud; true if it completes the wake-up frame.
    pub(crate) fn is_woken_by(&mut self, byte: u8, speed: u32) -> bool {
        if speed != WAKE_BAUD {
            self.received.clear();
            return false;
        }
        self.received.push(byte);
        let excess = self.received.len().saturating_sub(WAKE_FRAME.len());
        self.received.drain(..excess);
        self.received == WAKE_FRAME
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_woken(bytes: &[u8], speed: impl Fn(usize) -> u32) -> bool {
        let mut sleep = SleepState::default();
        bytes.iter().enumerate().any(|(at, byte)| sleep.is_woken_by(*byte, speed(at)))
    }

    #[test]
    fn only_the_complete_frame_at_1200_baud_wakes() {
        assert!(is_woken(WAKE_FRAME, |_| WAKE_BAUD));
        assert!(is_woken(&[b"\n~200~", WAKE_FRAME].concat(), |_| WAKE_BAUD), "earlier bytes do not matter");
        assert!(!is_woken(WAKE_FRAME, |_| CONSOLE_BAUD));
        assert!(
            !is_woken(WAKE_FRAME, |at| if at < 21 { WAKE_BAUD } else { CONSOLE_BAUD }),
            "interrupted by the change"
        );
        assert!(!is_woken(&WAKE_FRAME[..21], |_| WAKE_BAUD));
    }

    #[test]
    fn another_baud_rate_yields_deterministic_garbage() {
        let sent = b"PYTES>";
        assert_eq!(transmit(sent, CONSOLE_BAUD, CONSOLE_BAUD), sent);
        for speed in [0, 1_200, 9_600, 230_400] {
            let received = transmit(sent, CONSOLE_BAUD, speed);
            assert!(!received.is_empty() && !received.is_ascii(), "{received:?} at {speed}");
            assert_eq!(received, transmit(sent, CONSOLE_BAUD, speed));
        }
        assert!(transmit(&[b'x'; 96], CONSOLE_BAUD, 9_600).len() < 10);
    }
}
