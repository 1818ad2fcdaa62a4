//! Rows for other programs: comma-separated values, the names of the views' columns in the first line, times in UTC,
//! an empty field for what was not said.

use std::fmt::Write;

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Double, Integer, Nullable, Text};
use jiff::Timestamp;

/// What to export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// Banks.
    Banks,
    /// Batteries.
    Batteries,
    /// Cells.
    Cells,
}

impl Rows {
    /// All of them, by the word for it.
    pub const ALL: [(&'static str, Self); 3] =
        [("banks", Self::Banks), ("batteries", Self::Batteries), ("cells", Self::Cells)];

    /// How much time is read at once, in milliseconds: some ten thousand rows of a large bank.
    pub(super) fn slice_ms(self) -> i64 {
        match self {
            Self::Banks | Self::Batteries => 3_600_000,
            Self::Cells => 300_000,
        }
    }

    /// The first line.
    #[must_use]
    pub fn header(self) -> &'static str {
        match self {
            Self::Banks => BankLine::HEADER,
            Self::Batteries => BatteryLine::HEADER,
            Self::Cells => CellLine::HEADER,
        }
    }

    /// The query for a slice: the bank's name, from, to (exclusive).
    pub(super) fn query(self) -> &'static str {
        match self {
            Self::Banks => BankLine::QUERY,
            Self::Batteries => BatteryLine::QUERY,
            Self::Cells => CellLine::QUERY,
        }
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
    ($name:ident from $view:literal by $order:literal { $($column:ident: $type:ty as $sql:ty),+ $(,)? }) => {
        #[derive(QueryableByName)]
        pub(super) struct $name {
            #[diesel(sql_type = BigInt)]
            taken_at_ms: i64,
            $(#[diesel(sql_type = $sql)] $column: $type,)+
        }

        impl $name {
            const HEADER: &'static str = concat!("taken_at" $(, ",", stringify!($column))+);
            const QUERY: &'static str = concat!(
                "SELECT taken_at_ms" $(, ", ", stringify!($column))+, " FROM ", $view,
                " WHERE bank = ? AND taken_at_ms >= ? AND taken_at_ms < ? ORDER BY taken_at_ms, ", $order
            );

            /// The row as a line, without its end.
            pub(super) fn line(&self) -> String {
                let mut line = Timestamp::from_millisecond(self.taken_at_ms).map(|at| at.to_string()).unwrap_or_default();
                $(
                    line.push(',');
                    self.$column.field(&mut line);
                )+
                line
            }
        }
    };
}

line!(BankLine from "v_bank" by "bank" {
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
});

line!(BatteryLine from "v_battery" by "place" {
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
});

line!(CellLine from "v_cell" by "place, cell" {
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
