//! The layout of the existing table: which of its columns can be written, and which are required.

use diesel::mysql::MysqlConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use crate::store::mariadb::legacy::columns::{COLUMNS, LegacyColumn};

/// An existing column, whoever created it.
#[derive(Clone, Debug, QueryableByName)]
pub(crate) struct FoundColumn {
    #[diesel(sql_type = Text)]
    pub(crate) name: String,
    /// With its length: `varchar(11)`.
    #[diesel(sql_type = Text)]
    pub(crate) sql_type: String,
    #[diesel(sql_type = BigInt)]
    is_nullable: i64,
    #[diesel(sql_type = BigInt)]
    has_default: i64,
    #[diesel(sql_type = BigInt)]
    is_insertable: i64,
    #[diesel(sql_type = BigInt)]
    is_generated: i64,
    #[diesel(sql_type = BigInt)]
    is_counted: i64,
    #[diesel(sql_type = BigInt)]
    is_key: i64,
}

impl FoundColumn {
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// Whether it numbers the rows.
    pub(crate) fn is_number_of_row(&self) -> bool {
        self.is_counted != 0 || (self.is("id") && self.is_key != 0)
    }

    /// Whether an inserted row must have a value for it.
    pub(crate) fn is_demanded(&self) -> bool {
        self.is_nullable == 0 && self.has_default == 0 && self.is_counted == 0 && self.is_generated == 0
    }
}

/// Whether the table's storage engine has transactions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LegacyEngine {
    /// Like InnoDB.
    Transactional,
    /// Like MyISAM: each row is written immediately.
    RowByRow,
    /// A view, or a table that can't be inspected now.
    #[default]
    Unknown,
}

#[derive(Default)]
pub(crate) struct LegacyLayout {
    pub(crate) found: Vec<FoundColumn>,
    pub(crate) engine: LegacyEngine,
}

impl LegacyLayout {
    /// Reads the layout; `None` if there is no table that this user may see.
    pub(crate) fn read(connection: &mut MysqlConnection) -> QueryResult<Option<Self>> {
        let engine = "SELECT e.TRANSACTIONS AS transactions FROM information_schema.TABLES AS t \
             LEFT JOIN information_schema.ENGINES AS e ON e.ENGINE = t.ENGINE \
             WHERE t.TABLE_SCHEMA = DATABASE() AND t.TABLE_NAME = 'pwr_data'";
        let Some(engine) = diesel::sql_query(engine).get_result::<EngineRow>(connection).optional()? else {
            return Ok(None);
        };
        let engine = match engine.transactions.as_deref() {
            Some("YES") => LegacyEngine::Transactional,
            Some(_) => LegacyEngine::RowByRow,
            None => LegacyEngine::Unknown,
        };
        let found = "SELECT COLUMN_NAME AS name, CAST(COLUMN_TYPE AS CHAR) AS sql_type, \
             CAST(IS_NULLABLE = 'YES' AS SIGNED) AS is_nullable, \
             CAST(COLUMN_DEFAULT IS NOT NULL OR EXTRA LIKE '%DEFAULT_GENERATED%' AS SIGNED) AS has_default, \
             CAST(PRIVILEGES LIKE '%insert%' AS SIGNED) AS is_insertable, \
             CAST(EXTRA LIKE '%VIRTUAL%' OR EXTRA LIKE '%STORED%' OR EXTRA LIKE '%PERSISTENT%' AS SIGNED) AS is_generated, \
             CAST(EXTRA LIKE '%auto_increment%' AS SIGNED) AS is_counted, \
             CAST(COLUMN_KEY IN ('PRI', 'UNI') AS SIGNED) AS is_key \
             FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'pwr_data' \
             ORDER BY ORDINAL_POSITION";
        let found: Vec<FoundColumn> = diesel::sql_query(found).load(connection)?;
        Ok(Some(Self { found, engine }))
    }

    /// Creates the table as pytes_serial 0.9.1 does.
    pub(crate) fn create(connection: &mut MysqlConnection) -> QueryResult<()> {
        let columns: Vec<String> =
            COLUMNS.iter().map(|column| format!("{} {}", column.name, column.sql_type)).collect();
        let columns = columns.join(", ");
        let table = format!(
            "CREATE TABLE IF NOT EXISTS pwr_data (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, {columns})"
        );
        diesel::sql_query(table).execute(connection).map(drop)
    }

    /// The columns that are written, and whether each is `NOT NULL`.
    pub(crate) fn written(&self) -> Vec<(&'static LegacyColumn, bool)> {
        let written = |column: &'static LegacyColumn| {
            let found = self.column(column.name)?;
            (found.is_insertable != 0 && found.is_generated == 0).then_some((column, found.is_nullable == 0))
        };
        COLUMNS.iter().filter_map(written).collect()
    }

    /// Whether this user may insert into at least one column.
    pub(crate) fn is_insertable(&self) -> bool {
        self.found.iter().any(|column| column.is_insertable != 0)
    }

    pub(crate) fn column(&self, name: &str) -> Option<&FoundColumn> {
        self.found.iter().find(|column| column.is(name))
    }
}

#[derive(QueryableByName)]
struct EngineRow {
    #[diesel(sql_type = Nullable<Text>)]
    transactions: Option<String>,
}
