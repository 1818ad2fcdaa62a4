-- A full sweep of a bank.
CREATE TABLE IF NOT EXISTS `bank_reading` (
    `taken_at_ms` BIGINT NOT NULL,
    `bank_id` INT NOT NULL,
    `took_ms` INT NOT NULL,
    `asked_again` INT NOT NULL,
    `missing` INT NOT NULL,
    `batteries` SMALLINT NOT NULL,
    `voltage_mv` INT NULL,
    `current_ma` INT NULL,
    `power_mw` BIGINT NULL,
    `temperature_mc` INT NULL,
    `soc_permille` INT NULL,
    `remaining_mah` BIGINT NULL,
    `energy_mwh` BIGINT NULL,
    `cell_voltage_low_mv` INT NULL,
    `cell_voltage_high_mv` INT NULL,
    `cell_temperature_low_mc` INT NULL,
    `cell_temperature_high_mc` INT NULL,
    `state_id` INT NOT NULL,
    PRIMARY KEY (`taken_at_ms`, `bank_id`)
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_bin;
