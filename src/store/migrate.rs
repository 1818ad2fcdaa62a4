//! The schema: migrations that the binary brings along, and what was found instead of one of them.

use diesel::migration::{Migration, MigrationSource};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};

use crate::store::error::StoreError;

/// The schema on SQLite, whose statements of that kind are transactional.
pub(super) const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// The schema on MariaDB and MySQL, where each such statement commits by itself: one a migration, each of which may
/// be repeated, so that a half applied one is mended by the next start.
pub(super) const MYSQL: EmbeddedMigrations = embed_migrations!("migrations/mysql");

/// The schema of a database by its newest migration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    /// As it was found; none: there were no tables.
    pub(crate) found: Option<String>,
    /// As it is since.
    pub(crate) now: String,
}

impl Schema {
    pub(super) fn of(applied: &[String], known: &[String]) -> Self {
        Self { found: applied.iter().max().cloned(), now: known.last().cloned().unwrap_or_default() }
    }
}

/// The versions that this program knows, in order.
pub(super) fn versions<DB: diesel::backend::Backend>(source: &EmbeddedMigrations) -> Vec<String>
where
    EmbeddedMigrations: MigrationSource<DB>,
{
    let migrations: Vec<Box<dyn Migration<DB>>> = source.migrations().unwrap_or_default();
    let mut versions: Vec<String> =
        migrations.iter().map(|migration| migration.name().version().to_string()).collect();
    versions.sort_unstable();
    versions
}

/// Refuses a schema that holds what this program does not know; it has not been touched yet.
///
/// # Errors
/// One of the applied versions is not among `known`.
pub(super) fn refuse_newer(database: &str, known: &[String], applied: &[String]) -> Result<(), StoreError> {
    match applied.iter().filter(|version| !known.contains(version)).max() {
        None => Ok(()),
        Some(found) => Err(StoreError::Newer {
            database: database.to_owned(),
            found: found.clone(),
            known: known.last().cloned().unwrap_or_default(),
        }),
    }
}
