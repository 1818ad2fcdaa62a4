//! The actors: one thin file each. No actor knows another; `app` passes each the recipients that it feeds.

pub mod db;
pub mod event;
pub mod json_file;
pub(crate) mod mqtt;
pub mod parser;
pub mod serial;
pub mod stats;
pub(crate) mod systemd;
pub(crate) mod terminal;
