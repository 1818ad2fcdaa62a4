//! What is said to a broker: topics, payloads, Home Assistant's discovery, and the session that carries them.
//!
//! ```text
//!                    ┌► payload   what a report says, topic by topic ─────────────┐
//! report ─► herald ──┼► legacy    the same in the predecessor's topics ───────────┼─► session ─► broker
//!          what, when└► discovery from the table of entities: what there is ──────┘     ▲
//!                                                   migration: the predecessor's ───────┤
//!                                                   cleanup: of earlier runs ───────────┘
//! ```
//! All but the session is pure: reports and times in, messages out. The session stands on `line` (one connection of
//! the library), `tls` (the certificates), `reason` and [`refusal`] (what a broker means, in words) and, when an attempt
//! failed, `diagnosis` and `handshake` (why).

mod alarm;
mod backlog;
pub(crate) mod backoff;
mod cleanup;
pub(crate) mod client_id;
mod diagnosis;
pub mod discovery;
pub mod entity;
pub mod expiry;
mod handshake;
pub mod herald;
pub(crate) mod inherited;
pub(crate) mod keeper;
pub mod kept;
mod leftovers;
pub mod legacy;
mod line;
pub mod message;
pub mod migration;
pub mod naming;
mod outgoing;
mod pace;
pub mod payload;
pub(crate) mod presence;
mod reason;
pub mod refusal;
pub(crate) mod round;
pub mod session;
pub mod shape;
mod sort;
mod tls;
pub mod topics;
pub(crate) mod unsaid;
pub mod words;
