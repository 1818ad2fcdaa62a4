//! Whether `pwr_data` takes rows, for those who ask from outside the service.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use crate::store::error::StoreError;
use crate::store::mariadb::legacy::columns::COLUMNS;
use crate::store::mariadb::legacy::layout::LegacyLayout;
use crate::store::mariadb::legacy::refusal::LegacyRefusal;
use crate::store::mariadb::legacy::writer::LegacyWriter;
use crate::store::mariadb::server::{CountRow, DatabaseServer};

/// The state of the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LegacyReport {
    /// Why the service's latest attempt was refused, if it was.
    pub refusal: Option<String>,
    /// Sweeps waiting to be written.
    pub waiting: i64,
    /// Columns and privileges that will cause refusals.
    pub obstacles: Vec<String>,
}

#[derive(QueryableByName)]
struct PendingSummaryRow {
    #[diesel(sql_type = BigInt)]
    waiting: i64,
    #[diesel(sql_type = Nullable<Text>)]
    refusal: Option<String>,
}

/// Checks the table without changing anything. It may take as long as connecting.
///
/// # Errors
/// The server can't be reached, or the database does not exist.
pub fn check_legacy_table(server: &DatabaseServer) -> Result<LegacyReport, StoreError> {
    let mut connection = server.connect(false)?;
    let failed = |error: diesel::result::Error| server.error(&error);
    let mut report = LegacyReport::default();
    let listed = "SELECT COUNT(*) AS value FROM information_schema.TABLES \
         WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'legacy_pending'";
    if diesel::sql_query(listed).get_result::<CountRow>(&mut connection).map_err(failed)?.value > 0 {
        let refused = "SELECT (SELECT COUNT(*) FROM legacy_pending) AS waiting, (SELECT refusal FROM legacy_pending \
             WHERE refusal IS NOT NULL ORDER BY taken_at_ms, bank_id LIMIT 1) AS refusal";
        let refused: PendingSummaryRow =
            diesel::sql_query(refused).get_result(&mut connection).map_err(failed)?;
        (report.waiting, report.refusal) = (refused.waiting, refused.refusal);
    }
    if let Some(layout) = LegacyLayout::read(&mut connection).map_err(failed)? {
        report.obstacles = obstacles(&layout);
    }
    Ok(report)
}

/// Creates the table if it does not exist, as the service does at its first sweep.
///
/// # Errors
/// It does not accept rows.
pub fn prepare_legacy_table(server: &DatabaseServer) -> Result<(), LegacyRefusal> {
    LegacyWriter::new(server.clone()).connect().map(drop)
}

fn obstacles(layout: &LegacyLayout) -> Vec<String> {
    let mut obstacles = Vec::new();
    if !layout.is_insertable() {
        obstacles.push("the account may not insert rows; grant it INSERT on this table".to_owned());
    }
    let is_ours = |name: &str| COLUMNS.iter().any(|column| column.name.eq_ignore_ascii_case(name));
    let demanded = layout.found.iter().filter(|column| column.is_demanded() && !is_ours(&column.name));
    obstacles.extend(demanded.map(|column| LegacyRefusal::demanded(column).to_string()));
    let missing = COLUMNS.iter().filter(|column| column.is_in_all && layout.column(column.name).is_none());
    let missing: Vec<&str> = missing.map(|column| column.name).collect();
    if !missing.is_empty() {
        obstacles.push(format!("columns that do not exist are not written: {}", missing.join(", ")));
    }
    obstacles
}
