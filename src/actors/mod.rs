//! The actors: one file each, thin. None knows another: whom it feeds is handed to it by the tree.

pub mod db;
pub mod event;
pub mod json_file;
pub(crate) mod mqtt;
pub mod parser;
pub mod serial;
pub mod stats;
pub(crate) mod systemd;
pub(crate) mod terminal;
