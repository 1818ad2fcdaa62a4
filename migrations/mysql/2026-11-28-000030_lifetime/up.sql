-- What a battery has measured of its own life: a row a figure when it has changed; the name holds the unit.
CREATE TABLE IF NOT EXISTS `lifetime` (
    `battery_id` INT NOT NULL,
    `name` VARCHAR(48) NOT NULL,
    `taken_at_ms` BIGINT NOT NULL,
    `value` BIGINT NOT NULL,
    PRIMARY KEY (`battery_id`, `name`, `taken_at_ms`)
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_bin;
