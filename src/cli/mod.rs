//! The verbs: what is typed after `bankwatch`, a file a verb.

pub mod config;
