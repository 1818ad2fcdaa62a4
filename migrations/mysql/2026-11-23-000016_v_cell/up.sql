-- A cell a row, in volts, amperes, degrees; taken_at is UTC; place is where its battery sat then.
CREATE OR REPLACE VIEW v_cell AS
SELECT bank.name AS bank, r.place, b.id AS battery_id, b.barcode, r.cell, TIMESTAMP('1970-01-01') + INTERVAL r.taken_at_ms DIV 1000 SECOND AS taken_at, r.taken_at_ms,
    r.voltage_mv / 1000e0 AS voltage_v, r.current_ma / 1000e0 AS current_a, r.temperature_mc / 1000e0 AS temperature_c,
    r.soc_percent, r.coulomb_mah / 1000e0 AS coulomb_ah, r.balancing,
    s.base_state, s.volt_state, s.current_state, s.temp_state
FROM cell_reading AS r
JOIN battery AS own ON own.id = r.battery_id
JOIN battery AS b ON b.id = COALESCE(own.joined_to_id, own.id)
JOIN bank ON bank.id = r.bank_id
JOIN state AS s ON s.id = r.state_id;
