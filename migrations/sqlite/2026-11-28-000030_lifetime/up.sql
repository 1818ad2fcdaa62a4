-- What a battery has measured of its own life: a row a figure when it has changed; the name holds the unit.
CREATE TABLE lifetime (
    battery_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    taken_at_ms INTEGER NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (battery_id, name, taken_at_ms)
) WITHOUT ROWID;

-- The same with who the battery is; taken_at is UTC; place is where it was seen last.
CREATE VIEW v_lifetime AS
SELECT bank.name AS bank, b.place, b.id AS battery_id, b.barcode, r.name,
    datetime(r.taken_at_ms / 1000, 'unixepoch') AS taken_at, r.taken_at_ms, r.value
FROM lifetime AS r
JOIN battery AS own ON own.id = r.battery_id
JOIN battery AS b ON b.id = COALESCE(own.joined_to_id, own.id)
JOIN bank ON bank.id = b.bank_id;
