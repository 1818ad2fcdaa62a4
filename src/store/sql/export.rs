//! Rows of the views for export as CSV: times in UTC, an empty field for an unknown value.

use csv::StringRecord;
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Double, Integer, Nullable, Text};
use jiff::Timestamp;

/// A selection of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportQuery<'a> {
    pub table: ExportTable,
    /// `None`: all banks.
    pub bank: Option<&'a str>,
    /// Only the battery at this place: its place at that time, and in roll-ups its current place.
    pub place: Option<u8>,
    /// Milliseconds since 1970, UTC.
    pub from_ms: i64,
    /// Exclusive.
    pub to_ms: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportTable {
    Banks,
    Batteries,
    Cells,
    /// Minutes of banks and batteries.
    Minutes,
    Hours,
    /// Days in UTC.
    Days,
}

impl ExportTable {
    /// All of them, by name on the command line.
    pub(crate) const ALL: [(&'static str, Self); 6] = [
        ("banks", Self::Banks),
        ("batteries", Self::Batteries),
        ("cells", Self::Cells),
        ("minutes", Self::Minutes),
        ("hours", Self::Hours),
        ("days", Self::Days),
    ];

    /// The time span read at once, in milliseconds: about ten thousand rows of a large bank.
    pub(crate) fn slice_ms(self) -> i64 {
        match self {
            Self::Banks | Self::Batteries => 3_600_000,
            Self::Cells => 300_000,
            Self::Minutes => 6 * 3_600_000,
            Self::Hours => 15 * 86_400_000,
            Self::Days => 366 * 86_400_000,
        }
    }

    /// The view, the name of its time column, and the order of rows with the same time.
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

    /// The columns after the time.
    fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Banks => BankExportRow::COLUMNS,
            Self::Batteries => BatteryExportRow::COLUMNS,
            Self::Cells => CellExportRow::COLUMNS,
            Self::Minutes | Self::Hours | Self::Days => RollupExportRow::COLUMNS,
        }
    }

    #[must_use]
    pub fn header(self) -> StringRecord {
        [self.view().1].iter().chain(self.columns()).collect()
    }

    /// The query for a slice: the bank's name, from, to (exclusive).
    pub(crate) fn query(self, place: Option<u8>) -> String {
        let (view, time, order) = self.view();
        let place = place.map(|place| format!(" AND place = {place}")).unwrap_or_default();
        format!(
            "SELECT {time}_ms AS at_ms, {} FROM {view} WHERE bank = ? AND {time}_ms >= ? AND {time}_ms < ?{place} \
             ORDER BY {time}_ms, {order}",
            self.columns().join(", ")
        )
    }
}

/// Defines a row of a view: its columns, for the query, and the CSV record it becomes. An unknown value is an empty
/// field.
macro_rules! export_row {
    ($name:ident { $($column:ident: $type:ty as $sql:ty),+ $(,)? }) => {
        #[derive(QueryableByName)]
        pub(crate) struct $name {
            #[diesel(sql_type = BigInt)]
            at_ms: i64,
            $(#[diesel(sql_type = Nullable<$sql>)] $column: Option<$type>,)+
        }

        impl $name {
            const COLUMNS: &'static [&'static str] = &[$(stringify!($column)),+];

            pub(crate) fn record(&self) -> StringRecord {
                let mut record = StringRecord::new();
                record.push_field(&Timestamp::from_millisecond(self.at_ms).map(|at| at.to_string()).unwrap_or_default());
                $(record.push_field(&self.$column.as_ref().map(ToString::to_string).unwrap_or_default());)+
                record
            }
        }
    };
}

export_row!(BankExportRow {
    bank: String as Text,
    voltage_v: f64 as Double,
    current_a: f64 as Double,
    power_w: f64 as Double,
    temperature_c: f64 as Double,
    soc_percent: f64 as Double,
    remaining_ah: f64 as Double,
    energy_kwh: f64 as Double,
    cell_voltage_low_v: f64 as Double,
    cell_voltage_high_v: f64 as Double,
    cell_temperature_low_c: f64 as Double,
    cell_temperature_high_c: f64 as Double,
    base_state: String as Text,
    batteries: i32 as Integer,
    missing: i32 as Integer,
    asked_again: i32 as Integer,
    took_s: f64 as Double,
});

export_row!(BatteryExportRow {
    bank: String as Text,
    place: i32 as Integer,
    battery_id: i32 as Integer,
    barcode: String as Text,
    voltage_v: f64 as Double,
    current_a: f64 as Double,
    temperature_c: f64 as Double,
    soc_percent: i32 as Integer,
    remaining_ah: f64 as Double,
    energy_kwh: f64 as Double,
    mos_temperature_c: f64 as Double,
    cell_voltage_low_v: f64 as Double,
    cell_voltage_high_v: f64 as Double,
    cell_temperature_low_c: f64 as Double,
    cell_temperature_high_c: f64 as Double,
    battery_events: i64 as BigInt,
    power_events: i64 as BigInt,
    system_fault: i64 as BigInt,
    other_events: String as Text,
    soh_percent: i32 as Integer,
    cycles: i64 as BigInt,
    base_state: String as Text,
    volt_state: String as Text,
    current_state: String as Text,
    temp_state: String as Text,
    coulomb_state: String as Text,
    soh_state: String as Text,
    heater: String as Text,
    model: String as Text,
    charge_switch: String as Text,
    discharge_switch: String as Text,
    cell_volt_state: String as Text,
    cell_temp_state: String as Text,
    system_alarm: String as Text,
    mos_temp_state: String as Text,
});

export_row!(CellExportRow {
    bank: String as Text,
    place: i32 as Integer,
    battery_id: i32 as Integer,
    barcode: String as Text,
    cell: i32 as Integer,
    voltage_v: f64 as Double,
    current_a: f64 as Double,
    temperature_c: f64 as Double,
    soc_percent: i32 as Integer,
    coulomb_ah: f64 as Double,
    balancing: i32 as Integer,
    base_state: String as Text,
    volt_state: String as Text,
    current_state: String as Text,
    temp_state: String as Text,
});

export_row!(RollupExportRow {
    bank: String as Text,
    place: i32 as Integer,
    battery_id: i32 as Integer,
    barcode: String as Text,
    samples: i32 as Integer,
    voltage_v: f64 as Double,
    voltage_min_v: f64 as Double,
    voltage_max_v: f64 as Double,
    current_a: f64 as Double,
    current_min_a: f64 as Double,
    current_max_a: f64 as Double,
    power_w: f64 as Double,
    temperature_c: f64 as Double,
    temperature_min_c: f64 as Double,
    temperature_max_c: f64 as Double,
    soc_percent: f64 as Double,
    soc_min_percent: f64 as Double,
    soc_max_percent: f64 as Double,
    cell_voltage_low_v: f64 as Double,
    cell_voltage_high_v: f64 as Double,
    cell_temperature_low_c: f64 as Double,
    cell_temperature_high_c: f64 as Double,
    soh_percent: i32 as Integer,
    cycles: i64 as BigInt,
});
