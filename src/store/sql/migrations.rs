//! The embedded migrations, and the version of a schema.

use diesel::migration::{Migration, MigrationSource};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};

use crate::store::error::StoreError;

/// SQLite's DDL is transactional.
pub(crate) const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// On MariaDB and MySQL each DDL statement commits by itself: so there is one per migration, and each may be repeated,
/// so that the next start completes a half-applied one.
pub(crate) const MYSQL: EmbeddedMigrations = embed_migrations!("migrations/mysql");

/// The newest migration of a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchemaVersion {
    /// When it was opened; `None`: there were no tables.
    pub(crate) found: Option<String>,
    /// Now.
    pub(crate) current: String,
}

impl SchemaVersion {
    pub(crate) fn of(applied: &[String], known: &[String]) -> Self {
        Self { found: applied.iter().max().cloned(), current: known.last().cloned().unwrap_or_default() }
    }
}

/// The versions known to this program, in order.
pub(crate) fn versions<DB: diesel::backend::Backend>(source: &EmbeddedMigrations) -> Vec<String>
where
    EmbeddedMigrations: MigrationSource<DB>,
{
    let migrations: Vec<Box<dyn Migration<DB>>> = source.migrations().unwrap_or_default();
    let mut versions: Vec<String> =
        migrations.iter().map(|migration| migration.name().version().to_string()).collect();
    versions.sort_unstable();
    versions
}

/// Fails if one of the applied versions is not among `known`, before anything is changed.
pub(crate) fn refuse_newer(database: &str, known: &[String], applied: &[String]) -> Result<(), StoreError> {
    match applied.iter().filter(|version| !known.contains(version)).max() {
        None => Ok(()),
        Some(found) => Err(StoreError::Newer {
            database: database.to_owned(),
            found: found.clone(),
            known: known.last().cloned().unwrap_or_default(),
        }),
    }
}
