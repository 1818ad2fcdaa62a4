//! The tables of both backends; `migrations/` creates them, and `docs/database.md` describes their columns.

diesel::table! {
    bank (id) {
        id -> Integer,
        name -> Text,
    }
}

diesel::table! {
    battery (id) {
        id -> Integer,
        identity -> Text,
        bank_id -> Integer,
        place -> Integer,
        barcode -> Nullable<Text>,
        manufacturer -> Nullable<Text>,
        model -> Nullable<Text>,
        firmware -> Nullable<Text>,
        nominal_capacity_mah -> Nullable<BigInt>,
        usable_capacity_mah -> Nullable<BigInt>,
        cells -> Nullable<Integer>,
        joined_to_id -> Nullable<Integer>,
    }
}

diesel::table! {
    state (id) {
        id -> Integer,
        words -> Text,
        base_state -> Nullable<Text>,
        volt_state -> Nullable<Text>,
        current_state -> Nullable<Text>,
        temp_state -> Nullable<Text>,
        coulomb_state -> Nullable<Text>,
        soh_state -> Nullable<Text>,
        heater -> Nullable<Text>,
        charge_switch -> Nullable<Text>,
        discharge_switch -> Nullable<Text>,
        cell_volt_state -> Nullable<Text>,
        cell_temp_state -> Nullable<Text>,
        system_alarm -> Nullable<Text>,
        mos_temp_state -> Nullable<Text>,
    }
}

diesel::table! {
    bank_reading (taken_at_ms, bank_id) {
        taken_at_ms -> BigInt,
        bank_id -> Integer,
        took_ms -> Integer,
        asked_again -> Integer,
        missing -> Integer,
        batteries -> Integer,
        voltage_mv -> Nullable<Integer>,
        current_ma -> Nullable<Integer>,
        power_mw -> Nullable<BigInt>,
        temperature_mc -> Nullable<Integer>,
        soc_permille -> Nullable<Integer>,
        remaining_mah -> Nullable<BigInt>,
        energy_mwh -> Nullable<BigInt>,
        cell_voltage_low_mv -> Nullable<Integer>,
        cell_voltage_high_mv -> Nullable<Integer>,
        cell_temperature_low_mc -> Nullable<Integer>,
        cell_temperature_high_mc -> Nullable<Integer>,
        state_id -> Integer,
    }
}

diesel::table! {
    battery_reading (taken_at_ms, battery_id) {
        taken_at_ms -> BigInt,
        battery_id -> Integer,
        bank_id -> Integer,
        place -> Integer,
        voltage_mv -> Nullable<Integer>,
        current_ma -> Nullable<Integer>,
        temperature_mc -> Nullable<Integer>,
        soc_percent -> Nullable<Integer>,
        remaining_mah -> Nullable<BigInt>,
        energy_mwh -> Nullable<BigInt>,
        mos_temperature_mc -> Nullable<Integer>,
        cell_voltage_low_mv -> Nullable<Integer>,
        cell_voltage_high_mv -> Nullable<Integer>,
        cell_temperature_low_mc -> Nullable<Integer>,
        cell_temperature_high_mc -> Nullable<Integer>,
        battery_events -> Nullable<BigInt>,
        power_events -> Nullable<BigInt>,
        system_fault -> Nullable<BigInt>,
        other_events -> Nullable<Text>,
        clock_local_s -> Nullable<BigInt>,
        soh_percent -> Nullable<Integer>,
        cycles -> Nullable<BigInt>,
        state_id -> Integer,
    }
}

diesel::table! {
    cell_reading (taken_at_ms, battery_id, cell) {
        taken_at_ms -> BigInt,
        battery_id -> Integer,
        cell -> Integer,
        bank_id -> Integer,
        place -> Integer,
        voltage_mv -> Nullable<Integer>,
        current_ma -> Nullable<Integer>,
        temperature_mc -> Nullable<Integer>,
        soc_percent -> Nullable<Integer>,
        coulomb_mah -> Nullable<BigInt>,
        balancing -> Nullable<Integer>,
        state_id -> Integer,
    }
}

diesel::table! {
    event (raised_at_ms, bank_id, battery_id, word, bit) {
        raised_at_ms -> BigInt,
        bank_id -> Integer,
        battery_id -> Integer,
        word -> Text,
        bit -> BigInt,
        place -> Integer,
        cleared_at_ms -> Nullable<BigInt>,
        level -> Text,
        text -> Text,
    }
}

diesel::table! {
    battery_log (battery_id, record, clock_local_s) {
        battery_id -> Integer,
        record -> BigInt,
        clock_local_s -> BigInt,
        module -> Nullable<Text>,
        code -> Nullable<BigInt>,
        info -> Nullable<Text>,
    }
}

diesel::table! {
    counter (bank_id, battery_id, place, name) {
        bank_id -> Integer,
        battery_id -> Integer,
        place -> Integer,
        name -> Text,
        value -> BigInt,
        taken_at_ms -> BigInt,
    }
}

diesel::table! {
    rollup_part (run) {
        run -> BigInt,
        number -> BigInt,
        at_ms -> BigInt,
    }
}

diesel::table! {
    lifetime (battery_id, name, taken_at_ms) {
        battery_id -> Integer,
        name -> Text,
        taken_at_ms -> BigInt,
        value -> BigInt,
    }
}

// Only on a server, like the table of pytes_serial.
diesel::table! {
    legacy_pending (taken_at_ms, bank_id) {
        taken_at_ms -> BigInt,
        bank_id -> Integer,
        from_place -> Integer,
        refusal -> Nullable<Text>,
    }
}

diesel::table! {
    dead_letter (id) {
        id -> Integer,
        buried_at_ms -> BigInt,
        reason -> Text,
        body -> Binary,
    }
}

/// The roll-ups of minutes, hours and days have the same columns.
macro_rules! rollup {
    ($($table:ident),+) => {$(
        diesel::table! {
            $table (started_at_ms, bank_id, battery_id) {
                started_at_ms -> BigInt,
                bank_id -> Integer,
                battery_id -> Integer,
                through_ms -> BigInt,
                samples -> Integer,
                voltage_n -> Integer,
                voltage_sum_mv -> BigInt,
                voltage_min_mv -> Nullable<Integer>,
                voltage_max_mv -> Nullable<Integer>,
                current_n -> Integer,
                current_sum_ma -> BigInt,
                current_min_ma -> Nullable<Integer>,
                current_max_ma -> Nullable<Integer>,
                temperature_n -> Integer,
                temperature_sum_mc -> BigInt,
                temperature_min_mc -> Nullable<Integer>,
                temperature_max_mc -> Nullable<Integer>,
                soc_n -> Integer,
                soc_sum_permille -> BigInt,
                soc_min_permille -> Nullable<Integer>,
                soc_max_permille -> Nullable<Integer>,
                power_n -> Integer,
                power_sum_mw -> BigInt,
                cell_voltage_low_mv -> Nullable<Integer>,
                cell_voltage_high_mv -> Nullable<Integer>,
                cell_temperature_low_mc -> Nullable<Integer>,
                cell_temperature_high_mc -> Nullable<Integer>,
                soh_percent -> Nullable<Integer>,
                cycles -> Nullable<BigInt>,
            }
        }
    )+};
}

rollup!(rollup_minute, rollup_hour, rollup_day);
