//! Rows for other programs: comma-separated values, the names of the views' columns in the first line, times in UTC,
//! an empty field for what was not said.

use std::fmt::Write;

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Double, Integer, Nullable, Text};
use jiff::Timestamp;

/// Which rows are exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Export<'a> {
    /// Of what.
    pub(crate) rows: Rows,
    /// Of this bank; none: of all.
    pub(crate) bank: Option<&'a str>,
    /// Of the battery at this place alone: where it sat then, and in roll-ups where it sits now.
    pub(crate) place: Option<u8>,
    /// From when, in milliseconds since 1970, UTC.
    pub(crate) from_ms: i64,
    /// Until when (exclusive).
    pub(crate) to_ms: i64,
}

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// A bank in a full sweep.
    Banks,
    /// A battery in a full sweep.
    Batteries,
    /// A cell in a full sweep.
    Cells,
    /// A minute of a bank or of a battery.
    Minutes,
    /// An hour of one.
    Hours,
    /// A day of UTC of one.
    Days,
}

impl Rows {
    /// All of them, by the word for it.
    pub(crate) const ALL: [(&'static str, Self); 6] = [
        ("banks", Self::Banks),
        ("batteries", Self::Batteries),
        ("cells", Self::Cells),
        ("minutes", Self::Minutes),
        ("hours", Self::Hours),
        ("days", Self::Days),
    ];

    /// How much time is read at once, in milliseconds: some ten thousand rows of a large bank.
    pub(super) fn slice_ms(self) -> i64 {
        match self {
            Self::Banks | Self::Batteries => 3_600_000,
            Self::Cells => 300_000,
            Self::Minutes => 6 * 3_600_000,
            Self::Hours => 15 * 86_400_000,
            Self::Days => 366 * 86_400_000,
        }
    }

    /// The view, the name of its time, and what orders rows of one time.
    fn view(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Banks => ("v_bank", "taken_at", "bank"),
            Self::Batteries => ("v_battery", "taken_at", "place"),
            Self::Cells => ("v_cell", "taken_at", "place, cell"),
            Self::Minutes => ("v_minute", "started_at", "place"),
            Self::Hours => ("v_hour", "started_at", "place"),
            Self::Days => ("v_day", "started_at", "place"),
        }
    }

    fn columns(self) -> &'static str {
        match self {
            Self::Banks => BankLine::COLUMNS,
            Self::Batteries => BatteryLine::COLUMNS,
            Self::Cells => CellLine::COLUMNS,
            Self::Minutes | Self::Hours | Self::Days => SpanLine::COLUMNS,
        }
    }

    /// The first line.
    #[must_use]
    pub fn header(self) -> String {
        format!("{}{}", self.view().1, self.columns())
    }

    /// The query for a slice: the bank's name, from, to (exclusive).
    pub(super) fn query(self, place: Option<u8>) -> String {
        let (view, time, order) = self.view();
        let place = place.map(|place| format!(" AND place = {place}")).unwrap_or_default();
        format!(
            "SELECT {time}_ms AS at_ms{} FROM {view} WHERE bank = ? AND {time}_ms >= ? AND {time}_ms < ?{place} \
             ORDER BY {time}_ms, {order}",
            self.columns()
        )
    }
}

/// A value as a field.
trait Field {
    fn field(&self, line: &mut String);
}

impl Field for String {
    /// In quotes where it holds what would end it.
    fn field(&self, line: &mut String) {
        if self.contains([',', '"', '\n', '\r']) {
            line.push('"');
            line.push_str(&self.replace('"', "\"\""));
            line.push('"');
        } else {
            line.push_str(self);
        }
    }
}

macro_rules! plain {
    ($($type:ty),+) => {$(
        impl Field for $type {
            fn field(&self, line: &mut String) {
                // Writing to a string can't fail.
                let _ = write!(line, "{self}");
            }
        }
    )+};
}

plain!(i32, i64, f64);

impl<T: Field> Field for Option<T> {
    fn field(&self, line: &mut String) {
        self.iter().for_each(|value| value.field(line));
    }
}

/// Defines a row of a view: its columns, the query, and the line it becomes.
macro_rules! line {
    ($name:ident { $($column:ident: $type:ty as $sql:ty),+ $(,)? }) => {
        #[derive(QueryableByName)]
        pub(super) struct $name {
            #[diesel(sql_type = BigInt)]
            at_ms: i64,
            $(#[diesel(sql_type = $sql)] $column: $type,)+
        }

        impl $name {
            const COLUMNS: &'static str = concat!($(",", stringify!($column)),+);

            /// The row as a line, without its end.
            pub(super) fn line(&self) -> String {
                let mut line = Timestamp::from_millisecond(self.at_ms).map(|at| at.to_string()).unwrap_or_default();
                $(
                    line.push(',');
                    self.$column.field(&mut line);
                )+
                line
            }
        }
    };
}

line!(BankLine {
    bank: String as Text,
    voltage_v: Option<f64> as Nullable<Double>,
    current_a: Option<f64> as Nullable<Double>,
    power_w: Option<f64> as Nullable<Double>,
    temperature_c: Option<f64> as Nullable<Double>,
    soc_percent: Option<f64> as Nullable<Double>,
    remaining_ah: Option<f64> as Nullable<Double>,
    energy_kwh: Option<f64> as Nullable<Double>,
    cell_voltage_low_v: Option<f64> as Nullable<Double>,
    cell_voltage_high_v: Option<f64> as Nullable<Double>,
    cell_temperature_low_c: Option<f64> as Nullable<Double>,
    cell_temperature_high_c: Option<f64> as Nullable<Double>,
    base_state: Option<String> as Nullable<Text>,
    batteries: i32 as Integer,
    missing: i32 as Integer,
    asked_again: i32 as Integer,
    took_s: Option<f64> as Nullable<Double>,
});

line!(BatteryLine {
    bank: String as Text,
    place: i32 as Integer,
    battery_id: i32 as Integer,
    barcode: Option<String> as Nullable<Text>,
    voltage_v: Option<f64> as Nullable<Double>,
    current_a: Option<f64> as Nullable<Double>,
    temperature_c: Option<f64> as Nullable<Double>,
    soc_percent: Option<i32> as Nullable<Integer>,
    remaining_ah: Option<f64> as Nullable<Double>,
    energy_kwh: Option<f64> as Nullable<Double>,
    mos_temperature_c: Option<f64> as Nullable<Double>,
    cell_voltage_low_v: Option<f64> as Nullable<Double>,
    cell_voltage_high_v: Option<f64> as Nullable<Double>,
    cell_temperature_low_c: Option<f64> as Nullable<Double>,
    cell_temperature_high_c: Option<f64> as Nullable<Double>,
    battery_events: Option<i64> as Nullable<BigInt>,
    power_events: Option<i64> as Nullable<BigInt>,
    system_fault: Option<i64> as Nullable<BigInt>,
    other_events: Option<String> as Nullable<Text>,
    soh_percent: Option<i32> as Nullable<Integer>,
    cycles: Option<i64> as Nullable<BigInt>,
    base_state: Option<String> as Nullable<Text>,
    volt_state: Option<String> as Nullable<Text>,
    current_state: Option<String> as Nullable<Text>,
    temp_state: Option<String> as Nullable<Text>,
    coulomb_state: Option<String> as Nullable<Text>,
    soh_state: Option<String> as Nullable<Text>,
    heater: Option<String> as Nullable<Text>,
    model: Option<String> as Nullable<Text>,
    charge_switch: Option<String> as Nullable<Text>,
    discharge_switch: Option<String> as Nullable<Text>,
    cell_volt_state: Option<String> as Nullable<Text>,
    cell_temp_state: Option<String> as Nullable<Text>,
    system_alarm: Option<String> as Nullable<Text>,
    mos_temp_state: Option<String> as Nullable<Text>,
});

line!(CellLine {
    bank: String as Text,
    place: i32 as Integer,
    battery_id: i32 as Integer,
    barcode: Option<String> as Nullable<Text>,
    cell: i32 as Integer,
    voltage_v: Option<f64> as Nullable<Double>,
    current_a: Option<f64> as Nullable<Double>,
    temperature_c: Option<f64> as Nullable<Double>,
    soc_percent: Option<i32> as Nullable<Integer>,
    coulomb_ah: Option<f64> as Nullable<Double>,
    balancing: Option<i32> as Nullable<Integer>,
    base_state: Option<String> as Nullable<Text>,
    volt_state: Option<String> as Nullable<Text>,
    current_state: Option<String> as Nullable<Text>,
    temp_state: Option<String> as Nullable<Text>,
});

line!(SpanLine {
    bank: String as Text,
    place: Option<i32> as Nullable<Integer>,
    battery_id: Option<i32> as Nullable<Integer>,
    barcode: Option<String> as Nullable<Text>,
    samples: i32 as Integer,
    voltage_v: Option<f64> as Nullable<Double>,
    voltage_min_v: Option<f64> as Nullable<Double>,
    voltage_max_v: Option<f64> as Nullable<Double>,
    current_a: Option<f64> as Nullable<Double>,
    current_min_a: Option<f64> as Nullable<Double>,
    current_max_a: Option<f64> as Nullable<Double>,
    power_w: Option<f64> as Nullable<Double>,
    temperature_c: Option<f64> as Nullable<Double>,
    temperature_min_c: Option<f64> as Nullable<Double>,
    temperature_max_c: Option<f64> as Nullable<Double>,
    soc_percent: Option<f64> as Nullable<Double>,
    soc_min_percent: Option<f64> as Nullable<Double>,
    soc_max_percent: Option<f64> as Nullable<Double>,
    cell_voltage_low_v: Option<f64> as Nullable<Double>,
    cell_voltage_high_v: Option<f64> as Nullable<Double>,
    cell_temperature_low_c: Option<f64> as Nullable<Double>,
    cell_temperature_high_c: Option<f64> as Nullable<Double>,
    soh_percent: Option<i32> as Nullable<Integer>,
    cycles: Option<i64> as Nullable<BigInt>,
});
