//! The store on a server: MariaDB, or MySQL 8.

mod abort;
mod database;
mod legacy;
mod server;

pub use abort::AbortHandle;
pub use database::MariaDb;
pub use legacy::{
    ImportProgress, LegacyRefusal, LegacyReport, LegacyStep, LegacyWriter, SkippedSweep, check_legacy_table,
    prepare_legacy_table,
};
pub use server::DatabaseServer;
