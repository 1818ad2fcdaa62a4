-- MySQL has no ADD COLUMN IF NOT EXISTS, and a migration must be repeatable.
SET @statement = IF(
    (SELECT COUNT(*) FROM information_schema.COLUMNS
        WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'state' AND COLUMN_NAME = 'mos_temp_state') = 0,
    'ALTER TABLE `state` ADD COLUMN `mos_temp_state` VARCHAR(24) NULL',
    'DO 0');
PREPARE adding FROM @statement;
EXECUTE adding;
DEALLOCATE PREPARE adding;
