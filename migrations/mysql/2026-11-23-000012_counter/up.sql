-- What only grows: battery_id for a battery, place for a place, the other is 0; both are 0 for a bank.
CREATE TABLE IF NOT EXISTS `counter` (
    `bank_id` INT NOT NULL,
    `battery_id` INT NOT NULL,
    `place` SMALLINT NOT NULL,
    `name` VARCHAR(32) NOT NULL,
    `value` BIGINT NOT NULL,
    `taken_at_ms` BIGINT NOT NULL,
    PRIMARY KEY (`bank_id`, `battery_id`, `place`, `name`)
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_bin;
