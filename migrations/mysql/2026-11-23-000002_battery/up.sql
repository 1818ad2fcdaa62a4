-- A battery by its identity: its barcode where known, else its place. joined_to_id names the battery that its rows belong to as well, until they have been moved there.
CREATE TABLE IF NOT EXISTS `battery` (
    `id` INT NOT NULL AUTO_INCREMENT,
    `identity` VARCHAR(96) NOT NULL,
    `bank_id` INT NOT NULL,
    `place` SMALLINT NOT NULL,
    `barcode` VARCHAR(64) NULL,
    `manufacturer` VARCHAR(64) NULL,
    `model` VARCHAR(64) NULL,
    `firmware` VARCHAR(64) NULL,
    `nominal_capacity_mah` BIGINT NULL,
    `usable_capacity_mah` BIGINT NULL,
    `cells` SMALLINT NULL,
    `joined_to_id` INT NULL,
    PRIMARY KEY (`id`),
    UNIQUE KEY `battery_identity` (`identity`)
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_bin;
