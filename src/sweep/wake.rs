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
use crate::console::transcript::Lost;
use crate::sweep::client::Conversation;

/// The frame that wakes: version 2.0, address 1, commands 46 and 82, information 8520, with its checksum.
const FRAME: &[u8] = b"~20014682C0048520FCC3\r";
/// The speed at which it is understood.
const WAKING_BAUD: u32 = 1_200;
/// How many empty lines a console that was just woken gets.
const POKES: u32 = 3;

/// How a console was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It answered with its prompt.
    Awake(Prompt),
    /// It answered after it was woken.
    Woken(Prompt),
    /// It says something that is no prompt we know.
    Unclear,
}

/// Asks whether anybody is there. `wake` is the speed to return to where a silent console may be woken.
///
/// # Errors
/// Nobody answers, or the link is gone.
pub async fn greet(conversation: &mut Conversation, wake: Option<u32>) -> Result<Found, Lost> {
    let mut first = conversation.probe().await;
    if first == Err(Lost::Silent) {
        first = conversation.probe().await;
    }
    match (first, wake) {
        (Ok(prompt), _) => Ok(prompt.map_or(Found::Unclear, Found::Awake)),
        (Err(Lost::Silent), Some(baud)) => rouse(conversation, baud).await,
        (Err(lost @ (Lost::Silent | Lost::LinkGone(_))), _) => Err(lost),
        (Err(_), _) => Ok(Found::Unclear),
    }
}

async fn rouse(conversation: &mut Conversation, baud: u32) -> Result<Found, Lost> {
    if !conversation.set_speed(WAKING_BAUD)? {
        return Err(Lost::Silent);
    }
    conversation.type_raw(FRAME).await?;
    // A speed that changes while the frame is still on its way would cut it off.
    sleep(conversation.patience().wake).await;
    conversation.set_speed(baud)?;
    let mut last = Lost::Silent;
    for _ in 0..POKES {
        match conversation.probe().await {
            Ok(prompt) => return Ok(prompt.map_or(Found::Unclear, Found::Woken)),
            Err(lost @ Lost::LinkGone(_)) => return Err(lost),
            Err(lost) => last = lost,
        }
    }
    if last == Lost::Silent { Err(last) } else { Ok(Found::Unclear) }
}
