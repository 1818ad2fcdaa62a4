-- What the database refused to take, and why.
CREATE TABLE IF NOT EXISTS `dead_letter` (
    `id` INT NOT NULL AUTO_INCREMENT,
    `buried_at_ms` BIGINT NOT NULL,
    `reason` VARCHAR(255) NOT NULL,
    `body` LONGBLOB NOT NULL,
    PRIMARY KEY (`id`)
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_bin;
