//! Roll-ups as counts, sums and extremes rather than means, so that minutes merge into exact hours.

use std::collections::BTreeMap;

use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use crate::store::sql::schema::{rollup_day, rollup_hour, rollup_minute};

/// The start of the span, the bank, and the battery (0: the bank itself).
pub(crate) type RollupKey = (i64, i32, i32);

/// Defines the columns once: how each is merged, and the row of each table.
macro_rules! sums {
    (
        add $add:tt least $least:tt most $most:tt last $last:tt
        rows { $($row:ident: $table:ident),+ }
    ) => {
        sums!(@sums add $add least $least most $most last $last);
        $(sums!(@row $row $table add $add least $least most $most last $last);)+
    };
    (
        @sums
        add { $($add:ident: $add_type:ty),+ }
        least { $($least:ident: $least_type:ty),+ }
        most { $($most:ident: $most_type:ty),+ }
        last { $($last:ident: $last_type:ty),+ }
    ) => {
        /// Counts, sums and extremes of a number of sweeps, and the last known value of slow quantities.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct RollupSums {
            $(pub $add: $add_type,)+
            $(pub $least: Option<$least_type>,)+
            $(pub $most: Option<$most_type>,)+
            $(pub $last: Option<$last_type>,)+
        }

        impl RollupSums {
            /// Adds the sums of later sweeps.
            pub(crate) fn merge(&mut self, later: &Self) {
                $(self.$add = self.$add.saturating_add(later.$add);)+
                $(self.$least = self.$least.into_iter().chain(later.$least).min();)+
                $(self.$most = self.$most.into_iter().chain(later.$most).max();)+
                $(self.$last = later.$last.or(self.$last);)+
            }
        }
    };
    (
        @row $row:ident $table:ident
        add { $($add:ident: $add_type:ty),+ }
        least { $($least:ident: $least_type:ty),+ }
        most { $($most:ident: $most_type:ty),+ }
        last { $($last:ident: $last_type:ty),+ }
    ) => {
        #[derive(Queryable, Selectable, Insertable)]
        #[diesel(table_name = $table, treat_none_as_default_value = false)]
        pub(crate) struct $row {
            started_at_ms: i64,
            bank_id: i32,
            battery_id: i32,
            through_ms: i64,
            $($add: $add_type,)+
            $($least: Option<$least_type>,)+
            $($most: Option<$most_type>,)+
            $($last: Option<$last_type>,)+
        }

        impl $row {
            /// The row of sums up to `through_ms`.
            pub(crate) fn new(key: &RollupKey, (through_ms, sums): &(i64, RollupSums)) -> Self {
                Self {
                    started_at_ms: key.0,
                    bank_id: key.1,
                    battery_id: key.2,
                    through_ms: *through_ms,
                    $($add: sums.$add,)+
                    $($least: sums.$least,)+
                    $($most: sums.$most,)+
                    $($last: sums.$last,)+
                }
            }

            /// Reverses [`Self::new`].
            pub(crate) fn into_entry(self) -> (RollupKey, (i64, RollupSums)) {
                let sums = RollupSums {
                    $($add: self.$add,)+
                    $($least: self.$least,)+
                    $($most: self.$most,)+
                    $($last: self.$last,)+
                };
                ((self.started_at_ms, self.bank_id, self.battery_id), (self.through_ms, sums))
            }
        }
    };
}

sums! {
    add {
        samples: i32,
        voltage_n: i32, voltage_sum_mv: i64,
        current_n: i32, current_sum_ma: i64,
        temperature_n: i32, temperature_sum_mc: i64,
        soc_n: i32, soc_sum_permille: i64,
        power_n: i32, power_sum_mw: i64
    }
    least {
        voltage_min_mv: i32, current_min_ma: i32, temperature_min_mc: i32, soc_min_permille: i32,
        cell_voltage_low_mv: i32, cell_temperature_low_mc: i32
    }
    most {
        voltage_max_mv: i32, current_max_ma: i32, temperature_max_mc: i32, soc_max_permille: i32,
        cell_voltage_high_mv: i32, cell_temperature_high_mc: i32
    }
    last { soh_percent: i32, cycles: i64 }
    rows { MinuteRow: rollup_minute, HourRow: rollup_hour, DayRow: rollup_day }
}

/// Sums by key, with the time up to which they reach.
pub(crate) type SumsByRollup = BTreeMap<RollupKey, (i64, RollupSums)>;

/// Defines the setter of each quantity; an unknown value changes nothing.
macro_rules! quantities {
    ($($name:ident: $n:ident $sum:ident $min:ident $max:ident),+) => {$(
        pub(crate) fn $name(&mut self, value: Option<i32>) {
            if let Some(value) = value {
                self.$n += 1;
                self.$sum += i64::from(value);
                (self.$min, self.$max) = (Some(value), Some(value));
            }
        }
    )+};
}

impl RollupSums {
    /// One sweep without values yet.
    pub(crate) fn of_one_sweep() -> Self {
        Self { samples: 1, ..Self::default() }
    }

    quantities! {
        voltage: voltage_n voltage_sum_mv voltage_min_mv voltage_max_mv,
        current: current_n current_sum_ma current_min_ma current_max_ma,
        temperature: temperature_n temperature_sum_mc temperature_min_mc temperature_max_mc,
        soc: soc_n soc_sum_permille soc_min_permille soc_max_permille
    }

    pub(crate) fn power(&mut self, value: Option<i64>) {
        self.power_n += i32::from(value.is_some());
        self.power_sum_mw += value.unwrap_or_default();
    }

    /// Lowest and highest cell voltage, lowest and highest cell temperature.
    pub(crate) fn cells(&mut self, [low, high, cold, warm]: [Option<i32>; 4]) {
        (self.cell_voltage_low_mv, self.cell_voltage_high_mv) = (low, high);
        (self.cell_temperature_low_mc, self.cell_temperature_high_mc) = (cold, warm);
    }
}
