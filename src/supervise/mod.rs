//! Keeps actors alive: restarts in place, health, deadlines for what blocks, an ordered end.
//!
//! Generic: it knows actix and nothing of ours. actix's own supervisor loses actor, mailbox and addresses
//! to a panic; here **the address outlives every failure**. The mailbox is made first, the actor runs in a
//! loop that catches its unwinding, and the same instance goes on with fresh state
//! ([`Supervised::restarting`](actix::Supervised::restarting) assigns it). Queued messages are kept, only
//! the message being handled is lost.
//!
//! ```text
//!                    pause over                   panic, stop, hang,
//!               ┌─────────────────► Starting ───────failed start──────┐
//!               │                      │ `started` returned           │
//!           Restarting                 ▼                              │
//!               ▲                   Running ────────the same──────────┤
//!               │                      ▲│                             ▼
//!               │    thread free again ││ takes no order         budget left?
//!               │                      │▼                        yes  │  no, or it gave up
//!               │                   Blocked                       │   │
//!               └─────────────────────────────────────────────────┘   ▼
//!                    Starting ◄────── every `retry_failed_every` ── Failed
//!
//!  Ended: from anywhere, when it is told to end or, after a trouble, no address is left.
//!  A chain that is Failed or Blocked asks for the end of the process ([`Supervisor::fatal`]).
//! ```
//!
//! | file | holds |
//! |---|---|
//! | [`policy`](Policy) | how long to pause, when to give up: pure, time handed in |
//! | [`child`](Child) | an entry in the list of children, and the [`Lifeline`] an actor is handed |
//! | `keep` | the loop that runs one actor for ever |
//! | `pulse` | pings a child, orders its restart, finds blocked threads |
//! | [`health`](Health) | the snapshot all may watch |
//! | `board` | where children report; feeds the snapshot and the log |
//! | [`supervisor`](Supervisor) | the children in start order and their arbiters |
//! | [`shutdown`](Phase) | the ordered end within a deadline |
//! | [`worker`](Worker) | a thread for calls that may block for ever |
//! | [`signals`](signals()) | SIGTERM, SIGINT, SIGHUP |
//!
//! What an actor owes its supervisor: constructors do no I/O, `started` opens what it needs and stops on an
//! error, `stopping` and `stopped` are trivial (a panic there while unwinding aborts the process), handlers
//! neither block nor `ctx.wait` longer than a ping may take, and timers are re-armed with `run_later`.

mod beat;
mod board;
mod child;
mod health;
mod keep;
mod messages;
mod panic;
mod policy;
mod pulse;
mod shutdown;
mod signals;
mod supervisor;
mod worker;

pub use self::beat::{Beat, Beats};
pub use self::board::Fatal;
pub use self::child::{Child, Lifeline};
pub use self::health::{ChildHealth, Health, State};
pub use self::messages::{Flush, Ping};
pub use self::policy::{Policy, Role};
pub use self::shutdown::{Late, Phase, Report};
pub use self::signals::{Signal, Signals, signals};
pub use self::supervisor::Supervisor;
pub use self::worker::{Worker, WorkerError};
