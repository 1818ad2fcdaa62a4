//! Publishes readings to an MQTT broker: topics, payloads, Home Assistant discovery, and the session that carries them.
//!
//! ```text
//!                       ┌► payload        a report, topic by topic ─────────────────┐
//! report ─► publisher ──┼► legacy_topics  the same in the topics of pytes_serial ───┼─► client::session ─► broker
//!           (schedules) └► homeassistant  discovery ────────────────────────────────┘
//! ```
//! Everything except `client` and `task` is pure: reports and times in, messages out.

mod alarm;
pub mod client;
pub mod event_backlog;
pub mod homeassistant;
pub mod legacy_topics;
pub mod message;
pub mod message_kind;
pub mod payload;
mod publish_group;
pub mod publish_round;
pub mod publisher;
mod rate_limiter;
pub mod task;
pub mod topics;
