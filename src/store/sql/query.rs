//! Queries, retention and dead letters, on SQLite and MariaDB alike. A macro, for the reason in `insert.rs`.

/// Rows per table that one step of retention deletes at most, so that it takes milliseconds.
pub(crate) const MAX_PRUNED: i64 = 4000;

/// Defines the queries on a connection.
macro_rules! impl_query {
    ($connection:ty) => {
        /// The requested history, oldest first.
        fn history(connection: &mut $connection, query: &HistoryQuery<'_>) -> QueryResult<Vec<HistoryPoint>> {
            let bank = bank::table.filter(bank::name.eq(query.bank)).select(bank::id);
            let Some(bank_id) = bank.first::<i32>(connection).optional()? else { return Ok(Vec::new()) };
            let batteries = match query.place {
                None => vec![0],
                Some(place) => batteries_at(connection, bank_id, place)?,
            };
            macro_rules! rolled_up {
                ($table:ident, $row:ident) => {{
                    let rows: Vec<$row> = $table::table
                        .filter(
                            $table::started_at_ms
                                .ge(query.from_ms)
                                .and($table::started_at_ms.lt(query.to_ms)),
                        )
                        .filter($table::battery_id.eq_any(batteries))
                        .filter($table::bank_id.eq(bank_id).or($table::battery_id.ne(0)))
                        .order(($table::started_at_ms, $table::through_ms))
                        .limit(query.limit)
                        .select($row::as_select())
                        .load(connection)?;
                    let point = |row: $row| {
                        let ((at_ms, ..), (_, sums)) = row.into_entry();
                        HistoryPoint { at_ms, sums }
                    };
                    Ok(rows.into_iter().map(point).collect())
                }};
            }
            match (query.resolution, query.place) {
                (Resolution::Raw, None) => {
                    let rows = bank_reading::table
                        .filter(
                            bank_reading::taken_at_ms
                                .ge(query.from_ms)
                                .and(bank_reading::taken_at_ms.lt(query.to_ms)),
                        )
                        .filter(bank_reading::bank_id.eq(bank_id))
                        .order(bank_reading::taken_at_ms)
                        .limit(query.limit)
                        .select(BankPointRow::as_select())
                        .load(connection)?;
                    Ok(rows.into_iter().map(HistoryPoint::from).collect())
                }
                (Resolution::Raw, Some(_)) => {
                    let rows = battery_reading::table
                        .filter(
                            battery_reading::taken_at_ms
                                .ge(query.from_ms)
                                .and(battery_reading::taken_at_ms.lt(query.to_ms)),
                        )
                        .filter(battery_reading::battery_id.eq_any(batteries))
                        .order(battery_reading::taken_at_ms)
                        .limit(query.limit)
                        .select(BatteryPointRow::as_select())
                        .load(connection)?;
                    Ok(rows.into_iter().map(HistoryPoint::from).collect())
                }
                (Resolution::Minute, _) => rolled_up!(rollup_minute, MinuteRow),
                (Resolution::Hour, _) => rolled_up!(rollup_hour, HourRow),
                (Resolution::Day, _) => rolled_up!(rollup_day, DayRow),
            }
        }

        /// The numbers of the battery that sits there: its own, and those it had before its barcode was known.
        fn batteries_at(connection: &mut $connection, bank_id: i32, place: u8) -> QueryResult<Vec<i32>> {
            let seated = battery::table
                .filter(battery::bank_id.eq(bank_id).and(battery::place.eq(i32::from(place))))
                .order(battery::id.desc())
                .select(battery::id);
            let Some(id) = seated.first::<i32>(connection).optional()? else { return Ok(Vec::new()) };
            let mut ids: Vec<i32> =
                battery::table.filter(battery::joined_to_id.eq(id)).select(battery::id).load(connection)?;
            ids.push(id);
            Ok(ids)
        }

        /// One small step of retention: of each table at most so many rows, or one sweep's, that are older than is
        /// wanted.
        fn delete_old(
            connection: &mut $connection,
            now_ms: i64,
            keep: &Retention,
            rows: i64,
        ) -> QueryResult<PruneProgress> {
            let mut pruned = PruneProgress::default();
            macro_rules! delete {
                ($table:ident, $keep:expr) => {
                    if let Some(before) = $keep.map(|keep| now_ms.saturating_sub(keep)) {
                        let old = || {
                            $table::table.filter($table::taken_at_ms.lt(before)).order($table::taken_at_ms)
                        };
                        let first: Option<i64> =
                            old().select($table::taken_at_ms).first(connection).optional()?;
                        let last: Option<i64> =
                            old().select($table::taken_at_ms).offset(rows).first(connection).optional()?;
                        if let Some(first) = first {
                            // At least one sweep is deleted, however many rows it has.
                            let until = last.map_or(before, |last| last.max(first + 1));
                            let old = $table::table.filter($table::taken_at_ms.lt(until));
                            pruned.rows += diesel::delete(old).execute(connection)?;
                            pruned.more |= last.is_some();
                        }
                    }
                };
            }
            delete!(cell_reading, keep.cells_ms());
            delete!(battery_reading, keep.batteries_ms());
            delete!(bank_reading, keep.batteries_ms());
            Ok(pruned)
        }

        /// Inserts a dead letter, and deletes the oldest beyond the maximum.
        fn insert_dead_letter(
            connection: &mut $connection,
            body: &[u8],
            reason: &str,
            at_ms: i64,
        ) -> QueryResult<()> {
            let row = DeadLetterRow { buried_at_ms: at_ms, reason: bounded(reason, 255), body };
            diesel::insert_into(dead_letter::table).values(row).execute(connection)?;
            let newest: Option<i32> =
                dead_letter::table.select(diesel::dsl::max(dead_letter::id)).first(connection)?;
            let old =
                dead_letter::table.filter(dead_letter::id.le(newest.unwrap_or_default() - MAX_DEAD_LETTERS));
            diesel::delete(old).execute(connection)?;
            Ok(())
        }

        /// The time of the bank's first row at or after `from_ms`.
        fn next_row(
            connection: &mut $connection,
            rows: ExportTable,
            bank_id: i32,
            from_ms: i64,
        ) -> QueryResult<Option<i64>> {
            macro_rules! next {
                ($table:ident, $at_ms:ident) => {
                    $table::table
                        .filter($table::$at_ms.ge(from_ms).and($table::bank_id.eq(bank_id)))
                        .order($table::$at_ms)
                        .select($table::$at_ms)
                        .first(connection)
                        .optional()
                };
            }
            match rows {
                ExportTable::Banks => next!(bank_reading, taken_at_ms),
                ExportTable::Batteries => next!(battery_reading, taken_at_ms),
                ExportTable::Cells => next!(cell_reading, taken_at_ms),
                ExportTable::Minutes => next!(rollup_minute, started_at_ms),
                ExportTable::Hours => next!(rollup_hour, started_at_ms),
                ExportTable::Days => next!(rollup_day, started_at_ms),
            }
        }

        /// The rows of one slice of time of one bank.
        fn export_slice(
            connection: &mut $connection,
            slice: &ExportQuery<'_>,
        ) -> QueryResult<Vec<StringRecord>> {
            use diesel::sql_types::{BigInt, Text};
            let query = diesel::sql_query(slice.table.query(slice.place))
                .bind::<Text, _>(slice.bank.unwrap_or_default())
                .bind::<BigInt, _>(slice.from_ms)
                .bind::<BigInt, _>(slice.to_ms);
            macro_rules! load {
                ($row:ident) => {{
                    let rows: Vec<$row> = query.load(connection)?;
                    Ok(rows.iter().map($row::record).collect())
                }};
            }
            match slice.table {
                ExportTable::Banks => load!(BankExportRow),
                ExportTable::Batteries => load!(BatteryExportRow),
                ExportTable::Cells => load!(CellExportRow),
                ExportTable::Minutes | ExportTable::Hours | ExportTable::Days => load!(RollupExportRow),
            }
        }

        /// The names of all banks in the history.
        fn bank_names(connection: &mut $connection) -> QueryResult<Vec<(i32, String)>> {
            bank::table.order(bank::name).select((bank::id, bank::name)).load(connection)
        }
    };
}

pub(crate) use impl_query;
