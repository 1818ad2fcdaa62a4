-- A bank by its name in the settings.
CREATE TABLE bank (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE
);

-- A battery by its identity: its barcode where known, else its place. joined_to_id names the battery that its rows belong to as well, until they have been moved there.
CREATE TABLE battery (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    identity TEXT NOT NULL UNIQUE,
    bank_id INTEGER NOT NULL,
    place INTEGER NOT NULL,
    barcode TEXT,
    manufacturer TEXT,
    model TEXT,
    firmware TEXT,
    nominal_capacity_mah INTEGER,
    usable_capacity_mah INTEGER,
    cells INTEGER,
    joined_to_id INTEGER
);

-- A set of state words as it was said, once; words is the whole set as JSON.
CREATE TABLE state (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    words TEXT NOT NULL UNIQUE,
    base_state TEXT,
    volt_state TEXT,
    current_state TEXT,
    temp_state TEXT,
    coulomb_state TEXT,
    soh_state TEXT,
    heater TEXT,
    charge_switch TEXT,
    discharge_switch TEXT,
    cell_volt_state TEXT,
    cell_temp_state TEXT,
    system_alarm TEXT
);

-- A full sweep of a bank.
CREATE TABLE bank_reading (
    taken_at_ms INTEGER NOT NULL,
    bank_id INTEGER NOT NULL,
    took_ms INTEGER NOT NULL,
    asked_again INTEGER NOT NULL,
    missing INTEGER NOT NULL,
    batteries INTEGER NOT NULL,
    voltage_mv INTEGER,
    current_ma INTEGER,
    power_mw INTEGER,
    temperature_mc INTEGER,
    soc_permille INTEGER,
    remaining_mah INTEGER,
    energy_mwh INTEGER,
    cell_voltage_low_mv INTEGER,
    cell_voltage_high_mv INTEGER,
    cell_temperature_low_mc INTEGER,
    cell_temperature_high_mc INTEGER,
    state_id INTEGER NOT NULL,
    PRIMARY KEY (taken_at_ms, bank_id)
) WITHOUT ROWID;

-- A battery in a full sweep.
CREATE TABLE battery_reading (
    taken_at_ms INTEGER NOT NULL,
    battery_id INTEGER NOT NULL,
    bank_id INTEGER NOT NULL,
    place INTEGER NOT NULL,
    voltage_mv INTEGER,
    current_ma INTEGER,
    temperature_mc INTEGER,
    soc_percent INTEGER,
    remaining_mah INTEGER,
    energy_mwh INTEGER,
    mos_temperature_mc INTEGER,
    cell_voltage_low_mv INTEGER,
    cell_voltage_high_mv INTEGER,
    cell_temperature_low_mc INTEGER,
    cell_temperature_high_mc INTEGER,
    battery_events INTEGER,
    power_events INTEGER,
    system_fault INTEGER,
    other_events TEXT,
    clock_local_s INTEGER,
    soh_percent INTEGER,
    cycles INTEGER,
    state_id INTEGER NOT NULL,
    PRIMARY KEY (taken_at_ms, battery_id)
) WITHOUT ROWID;

-- A cell in a full sweep; cells count from 1.
CREATE TABLE cell_reading (
    taken_at_ms INTEGER NOT NULL,
    battery_id INTEGER NOT NULL,
    cell INTEGER NOT NULL,
    bank_id INTEGER NOT NULL,
    place INTEGER NOT NULL,
    voltage_mv INTEGER,
    current_ma INTEGER,
    temperature_mc INTEGER,
    soc_percent INTEGER,
    coulomb_mah INTEGER,
    balancing INTEGER,
    state_id INTEGER NOT NULL,
    PRIMARY KEY (taken_at_ms, battery_id, cell)
) WITHOUT ROWID;

-- A bit that rose in an event word; battery_id 0 is the bank itself.
CREATE TABLE event (
    raised_at_ms INTEGER NOT NULL,
    bank_id INTEGER NOT NULL,
    battery_id INTEGER NOT NULL,
    word TEXT NOT NULL,
    bit INTEGER NOT NULL,
    place INTEGER NOT NULL,
    cleared_at_ms INTEGER,
    level TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (raised_at_ms, bank_id, battery_id, word, bit)
) WITHOUT ROWID;

-- A record of a battery's own log; clock_local_s is its own clock as seconds since 1970.
CREATE TABLE battery_log (
    battery_id INTEGER NOT NULL,
    record INTEGER NOT NULL,
    clock_local_s INTEGER NOT NULL,
    module TEXT,
    code INTEGER,
    info TEXT,
    PRIMARY KEY (battery_id, record, clock_local_s)
) WITHOUT ROWID;

-- A minute of UTC: what all sweeps in it amount to; battery_id 0 is the bank itself.
CREATE TABLE rollup_minute (
    started_at_ms INTEGER NOT NULL,
    bank_id INTEGER NOT NULL,
    battery_id INTEGER NOT NULL,
    through_ms INTEGER NOT NULL,
    samples INTEGER NOT NULL,
    voltage_n INTEGER NOT NULL,
    voltage_sum_mv INTEGER NOT NULL,
    voltage_min_mv INTEGER,
    voltage_max_mv INTEGER,
    current_n INTEGER NOT NULL,
    current_sum_ma INTEGER NOT NULL,
    current_min_ma INTEGER,
    current_max_ma INTEGER,
    temperature_n INTEGER NOT NULL,
    temperature_sum_mc INTEGER NOT NULL,
    temperature_min_mc INTEGER,
    temperature_max_mc INTEGER,
    soc_n INTEGER NOT NULL,
    soc_sum_permille INTEGER NOT NULL,
    soc_min_permille INTEGER,
    soc_max_permille INTEGER,
    power_n INTEGER NOT NULL,
    power_sum_mw INTEGER NOT NULL,
    cell_voltage_low_mv INTEGER,
    cell_voltage_high_mv INTEGER,
    cell_temperature_low_mc INTEGER,
    cell_temperature_high_mc INTEGER,
    soh_percent INTEGER,
    cycles INTEGER,
    PRIMARY KEY (started_at_ms, bank_id, battery_id)
) WITHOUT ROWID;

-- An hour of UTC: what all sweeps in it amount to; battery_id 0 is the bank itself.
CREATE TABLE rollup_hour (
    started_at_ms INTEGER NOT NULL,
    bank_id INTEGER NOT NULL,
    battery_id INTEGER NOT NULL,
    through_ms INTEGER NOT NULL,
    samples INTEGER NOT NULL,
    voltage_n INTEGER NOT NULL,
    voltage_sum_mv INTEGER NOT NULL,
    voltage_min_mv INTEGER,
    voltage_max_mv INTEGER,
    current_n INTEGER NOT NULL,
    current_sum_ma INTEGER NOT NULL,
    current_min_ma INTEGER,
    current_max_ma INTEGER,
    temperature_n INTEGER NOT NULL,
    temperature_sum_mc INTEGER NOT NULL,
    temperature_min_mc INTEGER,
    temperature_max_mc INTEGER,
    soc_n INTEGER NOT NULL,
    soc_sum_permille INTEGER NOT NULL,
    soc_min_permille INTEGER,
    soc_max_permille INTEGER,
    power_n INTEGER NOT NULL,
    power_sum_mw INTEGER NOT NULL,
    cell_voltage_low_mv INTEGER,
    cell_voltage_high_mv INTEGER,
    cell_temperature_low_mc INTEGER,
    cell_temperature_high_mc INTEGER,
    soh_percent INTEGER,
    cycles INTEGER,
    PRIMARY KEY (started_at_ms, bank_id, battery_id)
) WITHOUT ROWID;

-- A day of UTC: what all sweeps in it amount to; battery_id 0 is the bank itself.
CREATE TABLE rollup_day (
    started_at_ms INTEGER NOT NULL,
    bank_id INTEGER NOT NULL,
    battery_id INTEGER NOT NULL,
    through_ms INTEGER NOT NULL,
    samples INTEGER NOT NULL,
    voltage_n INTEGER NOT NULL,
    voltage_sum_mv INTEGER NOT NULL,
    voltage_min_mv INTEGER,
    voltage_max_mv INTEGER,
    current_n INTEGER NOT NULL,
    current_sum_ma INTEGER NOT NULL,
    current_min_ma INTEGER,
    current_max_ma INTEGER,
    temperature_n INTEGER NOT NULL,
    temperature_sum_mc INTEGER NOT NULL,
    temperature_min_mc INTEGER,
    temperature_max_mc INTEGER,
    soc_n INTEGER NOT NULL,
    soc_sum_permille INTEGER NOT NULL,
    soc_min_permille INTEGER,
    soc_max_permille INTEGER,
    power_n INTEGER NOT NULL,
    power_sum_mw INTEGER NOT NULL,
    cell_voltage_low_mv INTEGER,
    cell_voltage_high_mv INTEGER,
    cell_temperature_low_mc INTEGER,
    cell_temperature_high_mc INTEGER,
    soh_percent INTEGER,
    cycles INTEGER,
    PRIMARY KEY (started_at_ms, bank_id, battery_id)
) WITHOUT ROWID;

-- What only grows: battery_id for a battery, place for a place, the other is 0; both are 0 for a bank.
CREATE TABLE counter (
    bank_id INTEGER NOT NULL,
    battery_id INTEGER NOT NULL,
    place INTEGER NOT NULL,
    name TEXT NOT NULL,
    value INTEGER NOT NULL,
    taken_at_ms INTEGER NOT NULL,
    PRIMARY KEY (bank_id, battery_id, place, name)
) WITHOUT ROWID;

-- What the database refused to take, and why.
CREATE TABLE dead_letter (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    buried_at_ms INTEGER NOT NULL,
    reason TEXT NOT NULL,
    body BLOB NOT NULL
);
