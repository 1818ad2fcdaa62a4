-- The last part of a minute that was stored of each run of the service: what comes a second time counts once.
CREATE TABLE IF NOT EXISTS rollup_part (
    run INTEGER PRIMARY KEY,
    number INTEGER NOT NULL,
    at_ms INTEGER NOT NULL
);
