//! What is said to a broker: topics, payloads, Home Assistant's discovery, and the session that carries them.
//!
//! ```text
//!                    ┌► payload   what a report says, topic by topic ─────────────┐
//! report ─► herald ──┼► legacy    the same in the predecessor's topics ───────────┼─► session ─► broker
//!          what, when└► discovery from the table of entities: what there is ──────┘     ▲
//!                                                   migration: the predecessor's ───────┘
//! ```
//! All but the session is pure: reports and times in, messages out. The session stands on `line` (one connection of
//! the library), `tls` (the certificates), `reason` and [`refusal`] (what a broker means, in words) and, when an attempt
//! failed, `diagnosis` and `handshake` (why).

pub mod backoff;
pub mod client_id;
mod diagnosis;
mod handshake;
mod line;
pub mod message;
mod reason;
pub mod refusal;
pub mod session;
mod tls;
pub mod topics;
