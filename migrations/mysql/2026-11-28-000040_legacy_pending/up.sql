-- Sweeps that pwr_data has not taken yet, from the battery at from_place on; refusal is why, at the latest attempt.
CREATE TABLE IF NOT EXISTS `legacy_pending` (
    `taken_at_ms` BIGINT NOT NULL,
    `bank_id` INT NOT NULL,
    `from_place` SMALLINT NOT NULL DEFAULT 1,
    `refusal` VARCHAR(700) NULL,
    PRIMARY KEY (`taken_at_ms`, `bank_id`)
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_bin;
