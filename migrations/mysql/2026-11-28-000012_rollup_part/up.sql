-- The last part of a minute that was stored of each run of the service: what comes a second time counts once.
CREATE TABLE IF NOT EXISTS `rollup_part` (
    `run` BIGINT NOT NULL,
    `number` BIGINT NOT NULL,
    `at_ms` BIGINT NOT NULL,
    PRIMARY KEY (`run`)
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_bin;
