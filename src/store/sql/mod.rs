//! The tables, and the statements on them, shared by SQLite and MariaDB.

pub(crate) mod duplicates;
pub mod export;
pub mod history;
pub(crate) mod id_cache;
pub(crate) mod ids;
pub(crate) mod impl_store;
pub(crate) mod insert;
pub(crate) mod migrations;
pub(crate) mod minute_parts;
pub(crate) mod query;
pub(crate) mod rows;
pub(crate) mod schema;
pub(crate) mod values;
