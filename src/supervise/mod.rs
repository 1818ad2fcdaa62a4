//! Supervision in the manner of Erlang/OTP: restarts failed actors in place, watches their health, abandons threads
//! that block, and shuts everything down in order.
//!
//! It depends on actix and on nothing specific to batteries. actix's own supervisor loses the actor, its mailbox and
//! all addresses in a panic; here **the address outlives every failure**. The mailbox is created first, the actor runs
//! in a loop that catches its panics, and the same instance continues with reset state
//! ([`Supervised::restarting`](actix::Supervised::restarting) resets it). Queued messages survive; only the message
//! that was being handled is lost.
//!
//! ```text
//!                    pause over                   panic, stop, hang,
//!               ┌─────────────────► Starting ───────failed start──────┐
//!               │                      │ `started` returned           │
//!           Restarting                 ▼                              │
//!               ▲                   Running ────────the same──────────┤
//!               │                      ▲│                             ▼
//!               │       thread is free ││ no command             budget left?
//!               │                      │▼ received               yes  │  no, or it gave up
//!               │                   Blocked                       │   │
//!               └─────────────────────────────────────────────────┘   ▼
//!                    Starting ◄── every `failed_retry_interval` ─── Failed
//!
//!  Ended: from any state, when the child is stopped or, after a failure, nobody holds its address.
//!  A critical child that is Failed or Blocked ends the process ([`Supervisor::fatal`]).
//! ```
//!
//! | file | contents |
//! |---|---|
//! | [`policy`](SupervisionPolicy) | backoff, panic budget, restart decisions; pure, the caller passes the time |
//! | [`child`](ChildSpec) | the child specification, and the [`StopHandle`] that an actor receives |
//! | `runner` | the loop that runs one actor |
//! | `ping_monitor` | pings a child, restarts it when it hangs, detects blocked threads |
//! | [`health`](ServiceHealth) | the health snapshot |
//! | `registry` | collects the state of all children; updates the snapshot and the log |
//! | [`supervisor`](Supervisor) | the children in start order and their arbiters |
//! | [`shutdown`](ShutdownPhase) | the ordered shutdown within a deadline |
//! | [`worker`](Worker) | a thread for calls that may block forever |
//! | [`heartbeat`](HeartbeatSet) | proof of progress for the watchdog |
//! | [`signals`](signals()) | SIGTERM, SIGINT, SIGHUP |
//!
//! The contract for actors: constructors do no I/O; `started` opens what it needs and stops on an error; `stopping` and
//! `stopped` are trivial (a panic there while unwinding aborts the process); handlers neither block nor `ctx.wait`
//! longer than a ping may take; timers are re-armed with `run_later`.

mod child;
mod health;
mod heartbeat;
mod messages;
mod panic;
mod ping_monitor;
mod policy;
mod registry;
mod runner;
mod shutdown;
mod signals;
mod supervisor;
mod worker;

pub use self::child::{ChildSpec, StopHandle};
pub use self::health::ServiceHealth;
#[cfg(feature = "internals")]
pub use self::health::{ChildHealth, ChildState};
pub use self::heartbeat::{Heartbeat, HeartbeatSet};
pub use self::messages::{Flush, Ping};
pub use self::policy::{Role, SupervisionPolicy};
pub use self::registry::FatalFailure;
pub use self::shutdown::ShutdownPhase;
#[cfg(feature = "internals")]
pub use self::shutdown::{LateChild, ShutdownReport};
pub use self::signals::{Signal, Signals, signals};
pub use self::supervisor::Supervisor;
pub use self::worker::{Worker, WorkerError};
