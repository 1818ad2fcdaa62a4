//! Writes `pwr_data` on a separate connection, so that nothing else waits for it.
//!
//! A sweep is deleted from `legacy_pending` in the transaction that writes its rows, so each is written exactly once,
//! even if the service or the server is killed. In a table without transactions (MyISAM), a kill between the two may
//! write a sweep twice.
//!
//! ```text
//! a batch is refused ─► its first sweep alone ─refused─► the next one, the newest one
//!                              ▲                            │ accepted     │ refused
//!                              └── again: refused ◄─────────┘              ▼
//!                                     └► left out, the rest goes on       the table accepts nothing: wait
//! ```

use std::time::Instant;

use diesel::connection::SimpleConnection;
use diesel::dsl::min;
use diesel::mysql::MysqlConnection;
use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_types::Text;

use crate::store::error::{ErrorClass, StoreError};
use crate::store::mariadb::database::MAX_IDLE;
use crate::store::mariadb::legacy::columns::{PendingSweep, rows_of};
use crate::store::mariadb::legacy::insert::{
    complete_rows, delete_pending, insert, unless_written, write_row_by_row,
};
use crate::store::mariadb::legacy::layout::{LegacyEngine, LegacyLayout};
use crate::store::mariadb::legacy::refusal::{LegacyRefusal, RefusalContext};
use crate::store::mariadb::legacy::step::{LegacyStep, SkippedSweep};
use crate::store::mariadb::server::DatabaseServer;
use crate::store::sql::insert::ROWS;
use crate::store::sql::schema::{bank, battery_reading, legacy_pending};
use crate::store::text::bounded;

/// Sweeps written in one transaction: at most, and at first.
const MAX_SWEEPS: usize = 64;
const FIRST_SWEEPS: usize = 8;

/// Expired sweeps deleted from the list at a time.
const EXPIRED_BATCH: i64 = 1000;

/// Limits how long a lock on the table or one of its triggers can block the writer. MySQL has no such limit for
/// statements that write.
const LIMITS: &str = "SET lock_wait_timeout = 3, innodb_lock_wait_timeout = 3";
const STATEMENT_LIMIT: &str = "SET max_statement_time = 5";

/// Like the server's message for each column.
const NOTHING_WRITTEN: &str = "INSERT denied on every column that pytes_serial writes";

/// Writes the sweeps that wait for `pwr_data`.
pub struct LegacyWriter {
    server: DatabaseServer,
    open: Option<LegacyConnection>,
    /// Sweeps of the next batch.
    batch: usize,
}

/// A connection, and the layout of the table.
struct LegacyConnection {
    connection: MysqlConnection,
    account: String,
    layout: LegacyLayout,
    used: Instant,
}

impl LegacyWriter {
    #[must_use]
    pub fn new(server: DatabaseServer) -> Self {
        Self { server, open: None, batch: FIRST_SWEEPS }
    }

    /// Writes one batch, oldest sweeps first.
    pub fn step(&mut self) -> LegacyStep {
        let mut step = LegacyStep::default();
        if let Err(refusal) = self.advance(&mut step) {
            self.record_refusal(&refusal, &mut step);
            // Reconnect and read the layout again: the owner may have changed the table.
            self.open = None;
            self.batch = FIRST_SWEEPS;
            step.refusal = Some(refusal);
        }
        step
    }

    fn advance(&mut self, step: &mut LegacyStep) -> Result<(), LegacyRefusal> {
        let was_open = self.connect()?;
        let waiting = match self.waiting() {
            // The server has closed an idle connection.
            Err(StoreError::Lost { .. }) if was_open => {
                self.open = None;
                self.connect()?;
                self.waiting()
            }
            waiting => waiting,
        };
        let waiting = waiting.map_err(|error| self.refusal(&error))?;
        let Some(first) = waiting.first() else { return Ok(()) };
        step.is_more = true;
        let written = self.write(&waiting, step);
        match written.map_err(|error| self.refusal(&error)) {
            Ok(()) => {
                step.is_more = waiting.len() == self.batch;
                self.batch = (self.batch * 2).min(MAX_SWEEPS);
                Ok(())
            }
            Err(refusal) if !refusal.is_about_row => Err(refusal),
            Err(_) if waiting.len() > 1 => {
                self.batch = 1;
                Ok(())
            }
            Err(refusal) => self.skip_refused(first, refusal, step),
        }
    }

    /// The first sweep was refused. It is left out if the table accepts another one and then refuses it again.
    fn skip_refused(
        &mut self,
        first: &PendingSweep,
        refusal: LegacyRefusal,
        step: &mut LegacyStep,
    ) -> Result<(), LegacyRefusal> {
        let others = self.others(first).map_err(|error| self.refusal(&error))?;
        for other in others {
            let before = step.written;
            match self.write(&[other], step).map_err(|error| self.refusal(&error)) {
                Ok(()) if step.written > before => {}
                Err(refusal) if !refusal.is_about_row => return Err(refusal),
                // It has no rows any more, or is refused as well.
                Ok(()) | Err(_) => continue,
            }
            return match self.write(std::slice::from_ref(first), step).map_err(|error| self.refusal(&error)) {
                Ok(()) => Ok(()),
                Err(refusal) if !refusal.is_about_row => Err(refusal),
                Err(refusal) => {
                    let left_out = self.leave_out(first, refusal);
                    step.left_out.push(left_out.map_err(|error| self.refusal(&error))?);
                    Ok(())
                }
            };
        }
        Err(refusal)
    }

    /// Makes sure that there is a connection and a table; returns whether the connection was open already.
    pub(crate) fn connect(&mut self) -> Result<bool, LegacyRefusal> {
        if let Some(open) = self.open.as_mut().filter(|open| open.used.elapsed() < MAX_IDLE) {
            open.used = Instant::now();
            return Ok(true);
        }
        self.open = None;
        let connection = self.server.connect(false).map_err(|error| self.refusal(&error))?;
        let (account, layout) = (String::new(), LegacyLayout::default());
        self.open = Some(LegacyConnection { connection, account, layout, used: Instant::now() });
        let inspected = self.with(|LegacyConnection { connection, account, layout, .. }| {
            connection.batch_execute(LIMITS)?;
            // MySQL does not have it.
            let _ = connection.batch_execute(STATEMENT_LIMIT);
            let query = diesel::sql_query("SELECT CURRENT_USER() AS name");
            *account = query.get_result::<AccountRow>(connection)?.name;
            let found = match LegacyLayout::read(connection)? {
                Some(found) => Some(found),
                None => {
                    LegacyLayout::create(connection)?;
                    LegacyLayout::read(connection)?
                }
            };
            *layout = found.unwrap_or_default();
            Ok(())
        });
        inspected.map_err(|error| self.refusal(&error))?;
        match &self.open {
            Some(open) if !open.layout.written().is_empty() => Ok(false),
            _ => Err(self.refusal(&StoreError::Failed {
                what: self.server.name(),
                reason: NOTHING_WRITTEN.to_owned(),
            })),
        }
    }

    /// Explains an error with the current layout: the owner may have changed the table since the connection was opened.
    fn refusal(&mut self, error: &StoreError) -> LegacyRefusal {
        if let Some(open) = self
            .open
            .as_mut()
            .filter(|_| error.class() == ErrorClass::Data || matches!(error, StoreError::Failed { .. }))
            && let Ok(Some(layout)) = LegacyLayout::read(&mut open.connection)
        {
            open.layout = layout;
        }
        let (account, layout) =
            self.open.as_ref().map_or(("", None), |open| (&*open.account, Some(&open.layout)));
        LegacyRefusal::of(error, &RefusalContext { server: &self.server, account, layout })
    }

    fn with<T>(
        &mut self,
        work: impl FnOnce(&mut LegacyConnection) -> QueryResult<T>,
    ) -> Result<T, StoreError> {
        let Some(open) = &mut self.open else {
            let what = self.server.name();
            return Err(StoreError::Lost { what, reason: "it was closed".to_owned() });
        };
        work(open).map_err(|error| self.server.error(&error))
    }

    fn waiting(&mut self) -> Result<Vec<PendingSweep>, StoreError> {
        let sweeps = self.batch as i64;
        self.with(|open| oldest(sweeps).load(&mut open.connection))
    }

    /// The sweep after this one, and the newest.
    fn others(&mut self, first: &PendingSweep) -> Result<Vec<PendingSweep>, StoreError> {
        self.with(|open| {
            let mut others: Vec<PendingSweep> = oldest(2).load(&mut open.connection)?;
            let newest = legacy_pending::table
                .order((legacy_pending::taken_at_ms.desc(), legacy_pending::bank_id.desc()))
                .select(PendingSweep::as_select());
            others.extend(newest.first(&mut open.connection).optional()?);
            others.retain(|other| (other.taken_at_ms, other.bank_id) != (first.taken_at_ms, first.bank_id));
            others.dedup();
            Ok(others)
        })
    }

    /// Writes sweeps, all or none, unless the table has no transactions.
    fn write(&mut self, sweeps: &[PendingSweep], step: &mut LegacyStep) -> Result<(), StoreError> {
        self.with(|LegacyConnection { connection, layout, .. }| {
            if layout.engine == LegacyEngine::RowByRow {
                return sweeps.iter().try_for_each(|sweep| write_row_by_row(connection, layout, sweep, step));
            }
            let written = connection.transaction(|connection| {
                let (mut rows, mut written, mut expired) = (Vec::new(), 0, 0);
                for sweep in sweeps {
                    delete_pending(connection, sweep)?;
                    let own = rows_of(connection, sweep)?;
                    expired += usize::from(own.is_empty());
                    let before = rows.len();
                    rows.extend(complete_rows(layout, own, step));
                    written += usize::from(rows.len() > before);
                }
                rows.chunks(ROWS).try_for_each(|rows| insert(connection, layout, rows))?;
                Ok::<_, Error>((written, expired))
            });
            let (written, expired) = unless_written(written)?.unwrap_or_default();
            step.written += written;
            step.expired += expired;
            Ok(())
        })
    }

    /// Deletes a refused sweep from the list.
    fn leave_out(
        &mut self,
        sweep: &PendingSweep,
        refusal: LegacyRefusal,
    ) -> Result<SkippedSweep, StoreError> {
        let (taken_at_ms, bank_id) = (sweep.taken_at_ms, sweep.bank_id);
        self.with(|LegacyConnection { connection, .. }| {
            unless_written(delete_pending(connection, sweep))?;
            let bank = bank::table.find(bank_id).select(bank::name).first(connection).optional()?;
            Ok(SkippedSweep { bank: bank.unwrap_or_default(), taken_at_ms, refusal })
        })
    }

    /// Stores the reason for `healthcheck`, and deletes sweeps without rows from the list. Both are retried with the
    /// next refusal if they fail.
    fn record_refusal(&mut self, refusal: &LegacyRefusal, step: &mut LegacyStep) {
        let text = bounded(&refusal.to_string(), 700);
        let noted = self.with(|LegacyConnection { connection, .. }| {
            let kept: Option<i64> =
                battery_reading::table.select(min(battery_reading::taken_at_ms)).first(connection)?;
            let past = oldest(EXPIRED_BATCH).filter(legacy_pending::taken_at_ms.lt(kept.unwrap_or(i64::MIN)));
            let past: Vec<PendingSweep> = past.load(connection)?;
            for sweep in &past {
                unless_written(delete_pending(connection, sweep))?;
            }
            if let Some(first) = oldest(1).first::<PendingSweep>(connection).optional()? {
                let row = legacy_pending::table.find((first.taken_at_ms, first.bank_id));
                diesel::update(row).set(legacy_pending::refusal.eq(text)).execute(connection)?;
            }
            Ok(past.len())
        });
        step.expired += noted.unwrap_or(0);
    }
}

#[derive(QueryableByName)]
struct AccountRow {
    #[diesel(sql_type = Text)]
    name: String,
}

type Oldest = diesel::dsl::Limit<
    diesel::dsl::Select<
        diesel::dsl::Order<legacy_pending::table, (legacy_pending::taken_at_ms, legacy_pending::bank_id)>,
        diesel::dsl::AsSelect<PendingSweep, diesel::mysql::Mysql>,
    >,
>;

/// The oldest waiting sweeps.
fn oldest(sweeps: i64) -> Oldest {
    legacy_pending::table
        .order((legacy_pending::taken_at_ms, legacy_pending::bank_id))
        .select(PendingSweep::as_select())
        .limit(sweeps)
}
