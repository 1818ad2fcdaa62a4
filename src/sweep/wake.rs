//! Greeting a console after the link was opened: is anybody there, and can he be woken?
//!
//! ```text
//! empty line ── a prompt ─────────────────────────────────────────────► awake
//!     │ ─────── something else ────────────────────────────────────────► let the first question find out
//!     └──────── silence ── the link can change its speed ── 1200 baud: the frame ── empty line ── a prompt ─► woken
//!                                  └─ it can't, or may not ───────────────────────────── silence ──────────► silent
//! ```
//! A battery of some Pylontech models that was switched off stays silent until it has heard a frame of another
//! protocol at 1200 baud; everybody else takes it for garbage on the command line, which an empty line flushes
//! (protocol, section 2). The console's mode is never changed.

use tokio::time::sleep;

use crate::console::framing::prompt::Prompt;
use crate::console::transcript::CommandError;
use crate::sweep::client::ConsoleClient;

/// The frame that wakes: version 2.0, address 1, commands 46 and 82, information 8520, with its checksum.
const FRAME: &[u8] = b"~20014682C0048520FCC3\r";
/// The speed at which it is understood.
const WAKE_BAUD: u32 = 1_200;
/// How many empty lines a console that was just woken gets.
const WAKE_PROBES: u32 = 3;

/// How a console was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsoleState {
    /// It answered with its prompt.
    Awake(Prompt),
    /// It answered after it was woken.
    Woken(Prompt),
    /// It says something that is no prompt we know.
    Unrecognized,
}

/// Asks whether anybody is there. `wake` is the speed to return to where a silent console may be woken.
///
/// # Errors
/// Nobody answers, or the link is gone.
pub async fn probe_console(
    conversation: &mut ConsoleClient,
    wake: Option<u32>,
) -> Result<ConsoleState, CommandError> {
    let mut first = conversation.probe().await;
    if first == Err(CommandError::NoResponse) {
        first = conversation.probe().await;
    }
    match (first, wake) {
        (Ok(prompt), _) => Ok(prompt.map_or(ConsoleState::Unrecognized, ConsoleState::Awake)),
        (Err(CommandError::NoResponse), Some(baud)) => wake(conversation, baud).await,
        (Err(lost @ (CommandError::NoResponse | CommandError::LinkGone(_))), _) => Err(lost),
        (Err(_), _) => Ok(ConsoleState::Unrecognized),
    }
}

async fn wake(conversation: &mut ConsoleClient, baud: u32) -> Result<ConsoleState, CommandError> {
    if !conversation.set_speed(WAKE_BAUD)? {
        return Err(CommandError::NoResponse);
    }
    conversation.send_raw(FRAME).await?;
    // A speed that changes while the frame is still on its way would cut it off.
    sleep(conversation.timeouts().wake).await;
    conversation.set_speed(baud)?;
    let mut last = CommandError::NoResponse;
    for _ in 0..WAKE_PROBES {
        match conversation.probe().await {
            Ok(prompt) => return Ok(prompt.map_or(ConsoleState::Unrecognized, ConsoleState::Woken)),
            Err(lost @ CommandError::LinkGone(_)) => return Err(lost),
            Err(lost) => last = lost,
        }
    }
    if last == CommandError::NoResponse { Err(last) } else { Ok(ConsoleState::Unrecognized) }
}
