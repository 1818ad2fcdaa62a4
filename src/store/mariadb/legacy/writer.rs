//! Writes `pwr_data`, on a connection of its own: nobody else waits for it.
//!
//! A sweep leaves `legacy_pending` in the transaction that writes its rows, so each is written once whenever the service
//! or the server is killed. A table that knows no transactions (MyISAM) has each row at once: a kill between the two
//! may write a sweep a second time.
//!
//! ```text
//! a batch is refused ─► its first sweep alone ─refused─► the next one, the newest one
//!                              ▲                            │ taken        │ refused
//!                              └── again: refused ◄─────────┘              ▼
//!                                     └► left out, the rest goes on       the table takes nothing: wait
//! ```

use std::collections::BTreeSet;
use std::time::Instant;

use diesel::connection::SimpleConnection;
use diesel::dsl::min;
use diesel::mysql::MysqlConnection;
use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_types::Text;

use super::layout::{Engine, LegacyLayout};
use super::refusal::{Circumstances, LegacyRefusal};
use super::writing::{complete, insert, take_off, unless_taken, write_row_by_row};
use super::{PendingSweep, rows_of};
use crate::store::error::{Class, StoreError};
use crate::store::mariadb::IDLE;
use crate::store::mariadb::server::Server;
use crate::store::schema::{bank, battery_reading, legacy_pending};
use crate::store::text::bounded;
use crate::store::writing::ROWS;

/// Sweeps written in one transaction at most, and the first time.
const MOST_SWEEPS: usize = 64;
const FIRST_SWEEPS: usize = 8;

/// Sweeps past their retention that are taken off the list at a time.
const FORGOTTEN: i64 = 1000;

/// The owner of the table may hold a lock on it, and its triggers may take long: neither holds the writer up for
/// longer than this. MySQL knows no such time for statements that write.
const LIMITS: &str = "SET lock_wait_timeout = 3, innodb_lock_wait_timeout = 3";
const STATEMENT_LIMIT: &str = "SET max_statement_time = 5";

/// As the server would say it of each column.
const NOTHING_WRITTEN: &str = "INSERT denied on every column that pytes_serial writes";

/// Writes what waits for `pwr_data`.
pub struct LegacyWriter {
    server: Server,
    open: Option<OpenTable>,
    /// Sweeps of the next batch.
    batch: usize,
}

/// A connection, and the table as it was found behind it.
struct OpenTable {
    connection: MysqlConnection,
    account: String,
    layout: LegacyLayout,
    used: Instant,
}

/// What a step amounted to.
#[derive(Debug, Default)]
pub struct LegacyStep {
    /// Sweeps that the table has taken.
    pub written: usize,
    /// Whether another step would find more to do.
    pub is_more: bool,
    /// Sweeps that it refuses although it takes others.
    pub left_out: Vec<LeftOut>,
    /// Columns that demand a value which a battery did not report: its rows were left out.
    /// With the types that they may have.
    pub unreported: BTreeSet<(&'static str, &'static str)>,
    /// Sweeps that waited until their own readings were past their retention.
    pub forgotten: usize,
    /// Why the table takes nothing.
    pub refusal: Option<LegacyRefusal>,
}

/// A sweep that is not in the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its bank.
    pub bank: String,
    /// When it was taken: milliseconds since 1970, UTC.
    pub taken_at_ms: i64,
    /// What the table has against it.
    pub refusal: LegacyRefusal,
}

impl LegacyWriter {
    /// Not connected yet.
    #[must_use]
    pub fn new(server: Server) -> Self {
        Self { server, open: None, batch: FIRST_SWEEPS }
    }

    /// Writes one batch, oldest sweeps first.
    pub fn step(&mut self) -> LegacyStep {
        let mut step = LegacyStep::default();
        if let Err(refusal) = self.advance(&mut step) {
            self.note(&refusal, &mut step);
            // The table is looked at again: its owner may have changed it.
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
        let waiting = waiting.map_err(|error| self.refused(&error))?;
        let Some(first) = waiting.first() else { return Ok(()) };
        step.is_more = true;
        let written = self.write(&waiting, step);
        match written.map_err(|error| self.refused(&error)) {
            Ok(()) => {
                step.is_more = waiting.len() == self.batch;
                self.batch = (self.batch * 2).min(MOST_SWEEPS);
                Ok(())
            }
            Err(refusal) if !refusal.is_about_row => Err(refusal),
            Err(_) if waiting.len() > 1 => {
                self.batch = 1;
                Ok(())
            }
            Err(refusal) => self.pass_over(first, refusal, step),
        }
    }

    /// The first sweep was refused. It is left out if the table takes another one and refuses it again after that.
    fn pass_over(
        &mut self,
        first: &PendingSweep,
        refusal: LegacyRefusal,
        step: &mut LegacyStep,
    ) -> Result<(), LegacyRefusal> {
        let others = self.others(first).map_err(|error| self.refused(&error))?;
        for other in others {
            let before = step.written;
            match self.write(&[other], step).map_err(|error| self.refused(&error)) {
                Ok(()) if step.written > before => {}
                Err(refusal) if !refusal.is_about_row => return Err(refusal),
                // Nothing of it is left, or it is refused as well.
                Ok(()) | Err(_) => continue,
            }
            return match self.write(std::slice::from_ref(first), step).map_err(|error| self.refused(&error)) {
                Ok(()) => Ok(()),
                Err(refusal) if !refusal.is_about_row => Err(refusal),
                Err(refusal) => {
                    let left_out = self.leave_out(first, refusal);
                    step.left_out.push(left_out.map_err(|error| self.refused(&error))?);
                    Ok(())
                }
            };
        }
        Err(refusal)
    }

    /// Makes sure of a connection and of the table behind it; answers whether there was one.
    pub(super) fn connect(&mut self) -> Result<bool, LegacyRefusal> {
        if let Some(open) = self.open.as_mut().filter(|open| open.used.elapsed() < IDLE) {
            open.used = Instant::now();
            return Ok(true);
        }
        self.open = None;
        let connection = self.server.connect(false).map_err(|error| self.refused(&error))?;
        let (account, layout) = (String::new(), LegacyLayout::default());
        self.open = Some(OpenTable { connection, account, layout, used: Instant::now() });
        let looked = self.with(|OpenTable { connection, account, layout, .. }| {
            connection.batch_execute(LIMITS)?;
            // MySQL does not know it.
            let _ = connection.batch_execute(STATEMENT_LIMIT);
            let query = diesel::sql_query("SELECT CURRENT_USER() AS name");
            *account = query.get_result::<LoginName>(connection)?.name;
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
        looked.map_err(|error| self.refused(&error))?;
        match &self.open {
            Some(open) if !open.layout.written().is_empty() => Ok(false),
            _ => Err(self.refused(&StoreError::Failed {
                what: self.server.name(),
                reason: NOTHING_WRITTEN.to_owned(),
            })),
        }
    }

    /// What an error means, by the table as it is now: its owner may have changed it since the connection was made.
    fn refused(&mut self, error: &StoreError) -> LegacyRefusal {
        if let Some(open) = self
            .open
            .as_mut()
            .filter(|_| error.class() == Class::Data || matches!(error, StoreError::Failed { .. }))
            && let Ok(Some(layout)) = LegacyLayout::read(&mut open.connection)
        {
            open.layout = layout;
        }
        let (account, layout) =
            self.open.as_ref().map_or(("", None), |open| (&*open.account, Some(&open.layout)));
        LegacyRefusal::of(error, &Circumstances { server: &self.server, account, layout })
    }

    fn with<T>(&mut self, work: impl FnOnce(&mut OpenTable) -> QueryResult<T>) -> Result<T, StoreError> {
        let Some(open) = &mut self.open else {
            let what = self.server.name();
            return Err(StoreError::Lost { what, reason: "it was closed".to_owned() });
        };
        work(open).map_err(|error| self.server.failed(&error))
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

    /// Writes sweeps: all of them or none, except where the table knows no transactions.
    fn write(&mut self, sweeps: &[PendingSweep], step: &mut LegacyStep) -> Result<(), StoreError> {
        self.with(|OpenTable { connection, layout, .. }| {
            if layout.engine == Engine::RowByRow {
                return sweeps.iter().try_for_each(|sweep| write_row_by_row(connection, layout, sweep, step));
            }
            let taken = connection.transaction(|connection| {
                let (mut rows, mut taken, mut forgotten) = (Vec::new(), 0, 0);
                for sweep in sweeps {
                    take_off(connection, sweep)?;
                    let own = rows_of(connection, sweep)?;
                    forgotten += usize::from(own.is_empty());
                    let before = rows.len();
                    rows.extend(complete(layout, own, step));
                    taken += usize::from(rows.len() > before);
                }
                rows.chunks(ROWS).try_for_each(|rows| insert(connection, layout, rows))?;
                Ok::<_, Error>((taken, forgotten))
            });
            let (taken, forgotten) = unless_taken(taken)?.unwrap_or_default();
            step.written += taken;
            step.forgotten += forgotten;
            Ok(())
        })
    }

    /// Takes a sweep off the list that the table does not take.
    fn leave_out(&mut self, sweep: &PendingSweep, refusal: LegacyRefusal) -> Result<LeftOut, StoreError> {
        let (taken_at_ms, bank_id) = (sweep.taken_at_ms, sweep.bank_id);
        self.with(|OpenTable { connection, .. }| {
            unless_taken(take_off(connection, sweep))?;
            let bank = bank::table.find(bank_id).select(bank::name).first(connection).optional()?;
            Ok(LeftOut { bank: bank.unwrap_or_default(), taken_at_ms, refusal })
        })
    }

    /// Keeps the reason where `healthcheck` finds it, and takes those sweeps off the list that have no rows any more.
    /// Both matter less than the reason itself: what fails here is tried again with the next refusal.
    fn note(&mut self, refusal: &LegacyRefusal, step: &mut LegacyStep) {
        let text = bounded(&refusal.to_string(), 700);
        let noted = self.with(|OpenTable { connection, .. }| {
            let kept: Option<i64> =
                battery_reading::table.select(min(battery_reading::taken_at_ms)).first(connection)?;
            let past = oldest(FORGOTTEN).filter(legacy_pending::taken_at_ms.lt(kept.unwrap_or(i64::MIN)));
            let past: Vec<PendingSweep> = past.load(connection)?;
            for sweep in &past {
                unless_taken(take_off(connection, sweep))?;
            }
            if let Some(first) = oldest(1).first::<PendingSweep>(connection).optional()? {
                let row = legacy_pending::table.find((first.taken_at_ms, first.bank_id));
                diesel::update(row).set(legacy_pending::refusal.eq(text)).execute(connection)?;
            }
            Ok(past.len())
        });
        step.forgotten += noted.unwrap_or(0);
    }
}

#[derive(QueryableByName)]
struct LoginName {
    #[diesel(sql_type = Text)]
    name: String,
}

type Oldest = diesel::dsl::Limit<
    diesel::dsl::Select<
        diesel::dsl::Order<legacy_pending::table, (legacy_pending::taken_at_ms, legacy_pending::bank_id)>,
        diesel::dsl::AsSelect<PendingSweep, diesel::mysql::Mysql>,
    >,
>;

/// What has waited longest.
fn oldest(sweeps: i64) -> Oldest {
    legacy_pending::table
        .order((legacy_pending::taken_at_ms, legacy_pending::bank_id))
        .select(PendingSweep::as_select())
        .limit(sweeps)
}
