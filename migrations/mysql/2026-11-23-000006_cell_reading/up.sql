-- A cell in a full sweep; cells count from 1.
CREATE TABLE IF NOT EXISTS `cell_reading` (
    `taken_at_ms` BIGINT NOT NULL,
    `battery_id` INT NOT NULL,
    `cell` SMALLINT NOT NULL,
    `bank_id` INT NOT NULL,
    `place` SMALLINT NOT NULL,
    `voltage_mv` INT NULL,
    `current_ma` INT NULL,
    `temperature_mc` INT NULL,
    `soc_percent` INT NULL,
    `coulomb_mah` BIGINT NULL,
    `balancing` SMALLINT NULL,
    `state_id` INT NOT NULL,
    PRIMARY KEY (`taken_at_ms`, `battery_id`, `cell`)
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_bin;
