//! A write-ahead queue on the local disk: rows stay in it until the database has confirmed them.
//!
//! A row leaves the journal only after the sink has confirmed it. After a crash between the two it is delivered again,
//! so a [`JournalSink`] must accept a row that it has already: exactly once in effect. The journal does not interpret
//! its rows; each is a kind, a bank, a time and bytes.
//!
//! ```text
//!              append                                            head                   store
//! readings ───────────► JournalBuffer: Journal, a SQLite file ────────► Drain ────────────────► JournalSink, the database
//!          durable when │            ▲                                 │                          │
//!          it returns   │            │ confirm: deleted here           │◄── ok, down, poison ─────┘
//!                       │            └─────────────────────────────────┘
//!                       └► memory, for rows that the disk did not accept
//! ```

pub(crate) mod bounds;
pub(crate) mod buffer;
pub(crate) mod drain;
pub(crate) mod entry;
pub(crate) mod error;
pub(crate) mod file;
pub(crate) mod loss;
pub(crate) mod notice;
pub(crate) mod open;
mod rows;

pub use bounds::Bounds;
pub use buffer::JournalBuffer;
pub use drain::{Drain, DrainConfig, DrainStep, JournalSink, NextStep, SinkError};
pub use entry::{JournalEntry, StoredEntry};
#[cfg(feature = "internals")]
pub use error::JournalError;
#[cfg(feature = "internals")]
pub use file::{Journal, OpenedJournal};
#[cfg(feature = "internals")]
pub use loss::{Loss, LossReason};
pub use notice::StoreNotice;
#[cfg(feature = "internals")]
pub use notice::{DeadLetter, DeadLetterTable};
#[cfg(feature = "internals")]
pub use open::DamagedFile;
