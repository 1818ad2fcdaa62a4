-- A record of a battery's own log; clock_local_s is its own clock as seconds since 1970.
CREATE TABLE IF NOT EXISTS `battery_log` (
    `battery_id` INT NOT NULL,
    `record` BIGINT NOT NULL,
    `clock_local_s` BIGINT NOT NULL,
    `module` VARCHAR(64) NULL,
    `code` BIGINT NULL,
    `info` VARCHAR(255) NULL,
    PRIMARY KEY (`battery_id`, `record`, `clock_local_s`)
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_bin;
