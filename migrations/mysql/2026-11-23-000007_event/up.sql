-- A bit that rose in an event word; battery_id 0 is the bank itself.
CREATE TABLE IF NOT EXISTS `event` (
    `raised_at_ms` BIGINT NOT NULL,
    `bank_id` INT NOT NULL,
    `battery_id` INT NOT NULL,
    `word` VARCHAR(16) NOT NULL,
    `bit` BIGINT NOT NULL,
    `place` SMALLINT NOT NULL,
    `cleared_at_ms` BIGINT NULL,
    `level` VARCHAR(16) NOT NULL,
    `text` VARCHAR(255) NOT NULL,
    PRIMARY KEY (`raised_at_ms`, `bank_id`, `battery_id`, `word`, `bit`)
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_bin;
