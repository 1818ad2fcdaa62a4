//! Probes a console after the link was opened, and wakes it if it is silent.
//!
//! ```text
//! empty line ── a prompt ─────────────────────────────────────────────► awake
//!     │ ─────── something else ────────────────────────────────────────► unrecognized: the first command decides
//!     └──────── silence ── the link can change its speed ── 1200 baud: the frame ── empty line ── a prompt ─► woken
//!                                  └─ it cannot, or `wake = "never"` ─────────────────── silence ──────────► no response
//! ```
//! After being switched off, some Pylontech models stay silent until they receive a frame of another protocol at 1200
//! baud; all others treat it as garbage on the command line, which an empty line flushes (protocol, section 2). The
//! console's mode is never changed.

use tokio::time::sleep;

use crate::console::framing::prompt::Prompt;
use crate::console::transcript::CommandError;
use crate::sweep::client::ConsoleClient;

/// Version 2.0, address 1, commands 46 and 82, information 8520, checksum.
const WAKE_FRAME: &[u8] = b"~20014682C0048520FCC3\r";

const WAKE_BAUD: u32 = 1_200;
/// How many empty lines are sent after the wake-up frame.
const WAKE_PROBES: u32 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsoleState {
    /// Answered with its prompt.
    Awake(Prompt),
    /// Answered after it was woken.
    Woken(Prompt),
    /// Answered with something other than a known prompt.
    Unrecognized,
}

/// Probes the console. A silent one is woken if `wake_baud` is given, the speed to return to.
///
/// # Errors
/// Returns an error if nothing answers, or if the link must be reopened.
pub async fn probe_console(
    client: &mut ConsoleClient,
    wake_baud: Option<u32>,
) -> Result<ConsoleState, CommandError> {
    let mut first = client.probe().await;
    if first == Err(CommandError::NoResponse) {
        first = client.probe().await;
    }
    match (first, wake_baud) {
        (Ok(prompt), _) => Ok(prompt.map_or(ConsoleState::Unrecognized, ConsoleState::Awake)),
        (Err(CommandError::NoResponse), Some(baud)) => wake(client, baud).await,
        (Err(error @ (CommandError::NoResponse | CommandError::LinkGone(_))), _) => Err(error),
        (Err(_), _) => Ok(ConsoleState::Unrecognized),
    }
}

async fn wake(client: &mut ConsoleClient, baud: u32) -> Result<ConsoleState, CommandError> {
    if !client.set_speed(WAKE_BAUD)? {
        return Err(CommandError::NoResponse);
    }
    client.send_raw(WAKE_FRAME).await?;
    // Changing the speed while the frame is being sent would cut it off.
    sleep(client.timeouts().wake).await;
    client.set_speed(baud)?;
    let mut last = CommandError::NoResponse;
    for _ in 0..WAKE_PROBES {
        match client.probe().await {
            Ok(prompt) => return Ok(prompt.map_or(ConsoleState::Unrecognized, ConsoleState::Woken)),
            Err(error @ CommandError::LinkGone(_)) => return Err(error),
            Err(error) => last = error,
        }
    }
    if last == CommandError::NoResponse { Err(last) } else { Ok(ConsoleState::Unrecognized) }
}
