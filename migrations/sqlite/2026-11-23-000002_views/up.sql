-- The bank in volts, amperes, watts, degrees; taken_at is UTC.
CREATE VIEW v_bank AS
SELECT bank.name AS bank, datetime(r.taken_at_ms / 1000, 'unixepoch') AS taken_at, r.taken_at_ms,
    r.voltage_mv / 1000.0 AS voltage_v, r.current_ma / 1000.0 AS current_a, r.power_mw / 1000.0 AS power_w,
    r.temperature_mc / 1000.0 AS temperature_c, r.soc_permille / 10.0 AS soc_percent,
    r.remaining_mah / 1000.0 AS remaining_ah, r.energy_mwh / 1000000.0 AS energy_kwh,
    r.cell_voltage_low_mv / 1000.0 AS cell_voltage_low_v, r.cell_voltage_high_mv / 1000.0 AS cell_voltage_high_v,
    r.cell_temperature_low_mc / 1000.0 AS cell_temperature_low_c, r.cell_temperature_high_mc / 1000.0 AS cell_temperature_high_c,
    s.base_state, r.batteries, r.missing, r.asked_again, r.took_ms / 1000.0 AS took_s
FROM bank_reading AS r
JOIN bank ON bank.id = r.bank_id
JOIN state AS s ON s.id = r.state_id;

-- Batteries in volts, amperes, degrees; taken_at is UTC; battery_id is the identity, place where it sat then.
CREATE VIEW v_battery AS
SELECT bank.name AS bank, r.place, b.id AS battery_id, b.barcode, b.model, datetime(r.taken_at_ms / 1000, 'unixepoch') AS taken_at, r.taken_at_ms,
    r.voltage_mv / 1000.0 AS voltage_v, r.current_ma / 1000.0 AS current_a, r.temperature_mc / 1000.0 AS temperature_c,
    r.soc_percent, r.remaining_mah / 1000.0 AS remaining_ah, r.energy_mwh / 1000000.0 AS energy_kwh,
    r.mos_temperature_mc / 1000.0 AS mos_temperature_c,
    r.cell_voltage_low_mv / 1000.0 AS cell_voltage_low_v, r.cell_voltage_high_mv / 1000.0 AS cell_voltage_high_v,
    r.cell_temperature_low_mc / 1000.0 AS cell_temperature_low_c, r.cell_temperature_high_mc / 1000.0 AS cell_temperature_high_c,
    r.battery_events, r.power_events, r.system_fault, r.other_events, r.soh_percent, r.cycles,
    s.base_state, s.volt_state, s.current_state, s.temp_state, s.coulomb_state, s.soh_state, s.heater,
    s.charge_switch, s.discharge_switch, s.cell_volt_state, s.cell_temp_state, s.system_alarm
FROM battery_reading AS r
JOIN battery AS own ON own.id = r.battery_id
JOIN battery AS b ON b.id = COALESCE(own.joined_to_id, own.id)
JOIN bank ON bank.id = r.bank_id
JOIN state AS s ON s.id = r.state_id;

-- A cell a row, in volts, amperes, degrees; taken_at is UTC; place is where its battery sat then.
CREATE VIEW v_cell AS
SELECT bank.name AS bank, r.place, b.id AS battery_id, b.barcode, r.cell, datetime(r.taken_at_ms / 1000, 'unixepoch') AS taken_at, r.taken_at_ms,
    r.voltage_mv / 1000.0 AS voltage_v, r.current_ma / 1000.0 AS current_a, r.temperature_mc / 1000.0 AS temperature_c,
    r.soc_percent, r.coulomb_mah / 1000.0 AS coulomb_ah, r.balancing,
    s.base_state, s.volt_state, s.current_state, s.temp_state
FROM cell_reading AS r
JOIN battery AS own ON own.id = r.battery_id
JOIN battery AS b ON b.id = COALESCE(own.joined_to_id, own.id)
JOIN bank ON bank.id = r.bank_id
JOIN state AS s ON s.id = r.state_id;

-- Means and extremes of each minute of UTC; without a battery_id it is the bank itself; place is where the battery was seen last.
CREATE VIEW v_minute AS
SELECT bank.name AS bank, b.place, b.id AS battery_id, b.barcode, datetime(r.started_at_ms / 1000, 'unixepoch') AS started_at, r.started_at_ms, r.samples,
    r.voltage_sum_mv / 1000.0 / NULLIF(r.voltage_n, 0) AS voltage_v,
    r.voltage_min_mv / 1000.0 AS voltage_min_v, r.voltage_max_mv / 1000.0 AS voltage_max_v,
    r.current_sum_ma / 1000.0 / NULLIF(r.current_n, 0) AS current_a,
    r.current_min_ma / 1000.0 AS current_min_a, r.current_max_ma / 1000.0 AS current_max_a,
    r.power_sum_mw / 1000.0 / NULLIF(r.power_n, 0) AS power_w,
    r.temperature_sum_mc / 1000.0 / NULLIF(r.temperature_n, 0) AS temperature_c,
    r.temperature_min_mc / 1000.0 AS temperature_min_c, r.temperature_max_mc / 1000.0 AS temperature_max_c,
    r.soc_sum_permille / 10.0 / NULLIF(r.soc_n, 0) AS soc_percent,
    r.soc_min_permille / 10.0 AS soc_min_percent, r.soc_max_permille / 10.0 AS soc_max_percent,
    r.cell_voltage_low_mv / 1000.0 AS cell_voltage_low_v, r.cell_voltage_high_mv / 1000.0 AS cell_voltage_high_v,
    r.cell_temperature_low_mc / 1000.0 AS cell_temperature_low_c, r.cell_temperature_high_mc / 1000.0 AS cell_temperature_high_c,
    r.soh_percent, r.cycles
FROM rollup_minute AS r
JOIN bank ON bank.id = r.bank_id
LEFT JOIN battery AS own ON own.id = r.battery_id
LEFT JOIN battery AS b ON b.id = COALESCE(own.joined_to_id, own.id);

-- Means and extremes of each hour of UTC; without a battery_id it is the bank itself; place is where the battery was seen last.
CREATE VIEW v_hour AS
SELECT bank.name AS bank, b.place, b.id AS battery_id, b.barcode, datetime(r.started_at_ms / 1000, 'unixepoch') AS started_at, r.started_at_ms, r.samples,
    r.voltage_sum_mv / 1000.0 / NULLIF(r.voltage_n, 0) AS voltage_v,
    r.voltage_min_mv / 1000.0 AS voltage_min_v, r.voltage_max_mv / 1000.0 AS voltage_max_v,
    r.current_sum_ma / 1000.0 / NULLIF(r.current_n, 0) AS current_a,
    r.current_min_ma / 1000.0 AS current_min_a, r.current_max_ma / 1000.0 AS current_max_a,
    r.power_sum_mw / 1000.0 / NULLIF(r.power_n, 0) AS power_w,
    r.temperature_sum_mc / 1000.0 / NULLIF(r.temperature_n, 0) AS temperature_c,
    r.temperature_min_mc / 1000.0 AS temperature_min_c, r.temperature_max_mc / 1000.0 AS temperature_max_c,
    r.soc_sum_permille / 10.0 / NULLIF(r.soc_n, 0) AS soc_percent,
    r.soc_min_permille / 10.0 AS soc_min_percent, r.soc_max_permille / 10.0 AS soc_max_percent,
    r.cell_voltage_low_mv / 1000.0 AS cell_voltage_low_v, r.cell_voltage_high_mv / 1000.0 AS cell_voltage_high_v,
    r.cell_temperature_low_mc / 1000.0 AS cell_temperature_low_c, r.cell_temperature_high_mc / 1000.0 AS cell_temperature_high_c,
    r.soh_percent, r.cycles
FROM rollup_hour AS r
JOIN bank ON bank.id = r.bank_id
LEFT JOIN battery AS own ON own.id = r.battery_id
LEFT JOIN battery AS b ON b.id = COALESCE(own.joined_to_id, own.id);

-- Means and extremes of each day of UTC; without a battery_id it is the bank itself; place is where the battery was seen last.
CREATE VIEW v_day AS
SELECT bank.name AS bank, b.place, b.id AS battery_id, b.barcode, datetime(r.started_at_ms / 1000, 'unixepoch') AS started_at, r.started_at_ms, r.samples,
    r.voltage_sum_mv / 1000.0 / NULLIF(r.voltage_n, 0) AS voltage_v,
    r.voltage_min_mv / 1000.0 AS voltage_min_v, r.voltage_max_mv / 1000.0 AS voltage_max_v,
    r.current_sum_ma / 1000.0 / NULLIF(r.current_n, 0) AS current_a,
    r.current_min_ma / 1000.0 AS current_min_a, r.current_max_ma / 1000.0 AS current_max_a,
    r.power_sum_mw / 1000.0 / NULLIF(r.power_n, 0) AS power_w,
    r.temperature_sum_mc / 1000.0 / NULLIF(r.temperature_n, 0) AS temperature_c,
    r.temperature_min_mc / 1000.0 AS temperature_min_c, r.temperature_max_mc / 1000.0 AS temperature_max_c,
    r.soc_sum_permille / 10.0 / NULLIF(r.soc_n, 0) AS soc_percent,
    r.soc_min_permille / 10.0 AS soc_min_percent, r.soc_max_permille / 10.0 AS soc_max_percent,
    r.cell_voltage_low_mv / 1000.0 AS cell_voltage_low_v, r.cell_voltage_high_mv / 1000.0 AS cell_voltage_high_v,
    r.cell_temperature_low_mc / 1000.0 AS cell_temperature_low_c, r.cell_temperature_high_mc / 1000.0 AS cell_temperature_high_c,
    r.soh_percent, r.cycles
FROM rollup_day AS r
JOIN bank ON bank.id = r.bank_id
LEFT JOIN battery AS own ON own.id = r.battery_id
LEFT JOIN battery AS b ON b.id = COALESCE(own.joined_to_id, own.id);
