-- What a battery has measured of its own life, with who the battery is; taken_at is UTC; place is where it was seen last.
CREATE OR REPLACE VIEW v_lifetime AS
SELECT bank.name AS bank, b.place, b.id AS battery_id, b.barcode, r.name,
    TIMESTAMP('1970-01-01') + INTERVAL r.taken_at_ms DIV 1000 SECOND AS taken_at, r.taken_at_ms, r.value
FROM lifetime AS r
JOIN battery AS own ON own.id = r.battery_id
JOIN battery AS b ON b.id = COALESCE(own.joined_to_id, own.id)
JOIN bank ON bank.id = b.bank_id;
