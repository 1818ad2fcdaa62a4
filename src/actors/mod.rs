//! The actors: one file each, thin. None knows another: whom it feeds is handed to it by the tree.

pub mod db;
pub mod event;
pub mod json_file;
pub mod mqtt;
pub mod parser;
pub mod serial;
pub mod stats;
pub mod systemd;
pub mod terminal;
