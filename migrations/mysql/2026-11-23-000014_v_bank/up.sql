-- The bank in volts, amperes, watts, degrees; taken_at is UTC.
CREATE OR REPLACE VIEW v_bank AS
SELECT bank.name AS bank, TIMESTAMP('1970-01-01') + INTERVAL r.taken_at_ms DIV 1000 SECOND AS taken_at, r.taken_at_ms,
    r.voltage_mv / 1000e0 AS voltage_v, r.current_ma / 1000e0 AS current_a, r.power_mw / 1000e0 AS power_w,
    r.temperature_mc / 1000e0 AS temperature_c, r.soc_permille / 10e0 AS soc_percent,
    r.remaining_mah / 1000e0 AS remaining_ah, r.energy_mwh / 1000000e0 AS energy_kwh,
    r.cell_voltage_low_mv / 1000e0 AS cell_voltage_low_v, r.cell_voltage_high_mv / 1000e0 AS cell_voltage_high_v,
    r.cell_temperature_low_mc / 1000e0 AS cell_temperature_low_c, r.cell_temperature_high_mc / 1000e0 AS cell_temperature_high_c,
    s.base_state, r.batteries, r.missing, r.asked_again, r.took_ms / 1000e0 AS took_s
FROM bank_reading AS r
JOIN bank ON bank.id = r.bank_id
JOIN state AS s ON s.id = r.state_id;
