-- Means and extremes of each day of UTC; without a battery_id it is the bank itself; place is where the battery was seen last.
CREATE OR REPLACE VIEW v_day AS
SELECT bank.name AS bank, b.place, b.id AS battery_id, b.barcode, TIMESTAMP('1970-01-01') + INTERVAL r.started_at_ms DIV 1000 SECOND AS started_at, r.started_at_ms, r.samples,
    r.voltage_sum_mv / 1000e0 / NULLIF(r.voltage_n, 0) AS voltage_v,
    r.voltage_min_mv / 1000e0 AS voltage_min_v, r.voltage_max_mv / 1000e0 AS voltage_max_v,
    r.current_sum_ma / 1000e0 / NULLIF(r.current_n, 0) AS current_a,
    r.current_min_ma / 1000e0 AS current_min_a, r.current_max_ma / 1000e0 AS current_max_a,
    r.power_sum_mw / 1000e0 / NULLIF(r.power_n, 0) AS power_w,
    r.temperature_sum_mc / 1000e0 / NULLIF(r.temperature_n, 0) AS temperature_c,
    r.temperature_min_mc / 1000e0 AS temperature_min_c, r.temperature_max_mc / 1000e0 AS temperature_max_c,
    r.soc_sum_permille / 10e0 / NULLIF(r.soc_n, 0) AS soc_percent,
    r.soc_min_permille / 10e0 AS soc_min_percent, r.soc_max_permille / 10e0 AS soc_max_percent,
    r.cell_voltage_low_mv / 1000e0 AS cell_voltage_low_v, r.cell_voltage_high_mv / 1000e0 AS cell_voltage_high_v,
    r.cell_temperature_low_mc / 1000e0 AS cell_temperature_low_c, r.cell_temperature_high_mc / 1000e0 AS cell_temperature_high_c,
    r.soh_percent, r.cycles
FROM rollup_day AS r
JOIN bank ON bank.id = r.bank_id
LEFT JOIN battery AS own ON own.id = r.battery_id
LEFT JOIN battery AS b ON b.id = COALESCE(own.joined_to_id, own.id);
