-- Batteries in volts, amperes, degrees; taken_at is UTC; battery_id is the identity, place where it sat then.
CREATE OR REPLACE VIEW v_battery AS
SELECT bank.name AS bank, r.place, b.id AS battery_id, b.barcode, b.model, TIMESTAMP('1970-01-01') + INTERVAL r.taken_at_ms DIV 1000 SECOND AS taken_at, r.taken_at_ms,
    r.voltage_mv / 1000e0 AS voltage_v, r.current_ma / 1000e0 AS current_a, r.temperature_mc / 1000e0 AS temperature_c,
    r.soc_percent, r.remaining_mah / 1000e0 AS remaining_ah, r.energy_mwh / 1000000e0 AS energy_kwh,
    r.mos_temperature_mc / 1000e0 AS mos_temperature_c,
    r.cell_voltage_low_mv / 1000e0 AS cell_voltage_low_v, r.cell_voltage_high_mv / 1000e0 AS cell_voltage_high_v,
    r.cell_temperature_low_mc / 1000e0 AS cell_temperature_low_c, r.cell_temperature_high_mc / 1000e0 AS cell_temperature_high_c,
    r.battery_events, r.power_events, r.system_fault, r.other_events, r.soh_percent, r.cycles,
    s.base_state, s.volt_state, s.current_state, s.temp_state, s.coulomb_state, s.soh_state, s.heater,
    s.charge_switch, s.discharge_switch, s.cell_volt_state, s.cell_temp_state, s.system_alarm, s.mos_temp_state
FROM battery_reading AS r
JOIN battery AS own ON own.id = r.battery_id
JOIN battery AS b ON b.id = COALESCE(own.joined_to_id, own.id)
JOIN bank ON bank.id = r.bank_id
JOIN state AS s ON s.id = r.state_id;
