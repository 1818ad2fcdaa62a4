//! How rows are read and how old ones go: the same for both backends, as in `writing.rs`.

/// Rows that one step of retention deletes of a table at most, so that it takes milliseconds.
pub(super) const PRUNED: i64 = 4000;

/// Defines what is asked of a connection.
macro_rules! reading {
    ($connection:ty) => {
        /// The history asked for, oldest first.
        fn history(connection: &mut $connection, asked: &Asked<'_>) -> QueryResult<Vec<Point>> {
            let bank = bank::table.filter(bank::name.eq(asked.bank)).select(bank::id);
            let Some(bank_id) = bank.first::<i32>(connection).optional()? else { return Ok(Vec::new()) };
            let batteries = match asked.place {
                None => vec![0],
                Some(place) => batteries_at(connection, bank_id, place)?,
            };
            macro_rules! rolled_up {
                ($table:ident, $row:ident) => {{
                    let rows: Vec<$row> = $table::table
                        .filter(
                            $table::started_at_ms
                                .ge(asked.from_ms)
                                .and($table::started_at_ms.lt(asked.to_ms)),
                        )
                        .filter($table::battery_id.eq_any(batteries))
                        .filter($table::bank_id.eq(bank_id).or($table::battery_id.ne(0)))
                        .order(($table::started_at_ms, $table::through_ms))
                        .limit(asked.most)
                        .select($row::as_select())
                        .load(connection)?;
                    let point = |row: $row| {
                        let ((at_ms, ..), (_, sums)) = row.into_entry();
                        Point { at_ms, sums }
                    };
                    Ok(rows.into_iter().map(point).collect())
                }};
            }
            match (asked.step, asked.place) {
                (Step::Raw, None) => {
                    let rows = bank_reading::table
                        .filter(
                            bank_reading::taken_at_ms
                                .ge(asked.from_ms)
                                .and(bank_reading::taken_at_ms.lt(asked.to_ms)),
                        )
                        .filter(bank_reading::bank_id.eq(bank_id))
                        .order(bank_reading::taken_at_ms)
                        .limit(asked.most)
                        .select(RawBank::as_select())
                        .load(connection)?;
                    Ok(rows.into_iter().map(Point::from).collect())
                }
                (Step::Raw, Some(_)) => {
                    let rows = battery_reading::table
                        .filter(
                            battery_reading::taken_at_ms
                                .ge(asked.from_ms)
                                .and(battery_reading::taken_at_ms.lt(asked.to_ms)),
                        )
                        .filter(battery_reading::battery_id.eq_any(batteries))
                        .order(battery_reading::taken_at_ms)
                        .limit(asked.most)
                        .select(RawBattery::as_select())
                        .load(connection)?;
                    Ok(rows.into_iter().map(Point::from).collect())
                }
                (Step::Minute, _) => rolled_up!(rollup_minute, MinuteRow),
                (Step::Hour, _) => rolled_up!(rollup_hour, HourRow),
                (Step::Day, _) => rolled_up!(rollup_day, DayRow),
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
        ) -> QueryResult<Pruned> {
            let mut pruned = Pruned::default();
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
                            // At least one sweep goes, however many rows it has.
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

        /// Keeps what can't be stored, and of all such things the newest.
        fn bury_letter(
            connection: &mut $connection,
            body: &[u8],
            reason: &str,
            at_ms: i64,
        ) -> QueryResult<()> {
            let row = LetterRow { buried_at_ms: at_ms, reason: bounded(reason, 255), body };
            diesel::insert_into(dead_letter::table).values(row).execute(connection)?;
            let newest: Option<i32> =
                dead_letter::table.select(diesel::dsl::max(dead_letter::id)).first(connection)?;
            let old =
                dead_letter::table.filter(dead_letter::id.le(newest.unwrap_or_default() - LETTERS_KEPT));
            diesel::delete(old).execute(connection)?;
            Ok(())
        }

        /// When the bank's first row of its kind at or after `from_ms` was taken.
        fn next_row(
            connection: &mut $connection,
            rows: Rows,
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
                Rows::Banks => next!(bank_reading, taken_at_ms),
                Rows::Batteries => next!(battery_reading, taken_at_ms),
                Rows::Cells => next!(cell_reading, taken_at_ms),
                Rows::Minutes => next!(rollup_minute, started_at_ms),
                Rows::Hours => next!(rollup_hour, started_at_ms),
                Rows::Days => next!(rollup_day, started_at_ms),
            }
        }

        /// The lines of one slice of time of one bank.
        fn lines(connection: &mut $connection, slice: &Export<'_>) -> QueryResult<Vec<String>> {
            use diesel::sql_types::{BigInt, Text};
            let query = diesel::sql_query(slice.rows.query(slice.place))
                .bind::<Text, _>(slice.bank.unwrap_or_default())
                .bind::<BigInt, _>(slice.from_ms)
                .bind::<BigInt, _>(slice.to_ms);
            macro_rules! lines {
                ($line:ident) => {{
                    let found: Vec<$line> = query.load(connection)?;
                    Ok(found.iter().map($line::line).collect())
                }};
            }
            match slice.rows {
                Rows::Banks => lines!(BankLine),
                Rows::Batteries => lines!(BatteryLine),
                Rows::Cells => lines!(CellLine),
                Rows::Minutes | Rows::Hours | Rows::Days => lines!(SpanLine),
            }
        }

        /// The names of all banks that have history.
        fn bank_names(connection: &mut $connection) -> QueryResult<Vec<(i32, String)>> {
            bank::table.order(bank::name).select((bank::id, bank::name)).load(connection)
        }
    };
}

pub(super) use reading;
