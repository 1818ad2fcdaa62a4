-- A set of state words as it was said, once; words is the whole set as JSON.
CREATE TABLE IF NOT EXISTS `state` (
    `id` INT NOT NULL AUTO_INCREMENT,
    `words` VARCHAR(700) NOT NULL,
    `base_state` VARCHAR(24) NULL,
    `volt_state` VARCHAR(24) NULL,
    `current_state` VARCHAR(24) NULL,
    `temp_state` VARCHAR(24) NULL,
    `coulomb_state` VARCHAR(24) NULL,
    `soh_state` VARCHAR(24) NULL,
    `heater` VARCHAR(24) NULL,
    `charge_switch` VARCHAR(24) NULL,
    `discharge_switch` VARCHAR(24) NULL,
    `cell_volt_state` VARCHAR(24) NULL,
    `cell_temp_state` VARCHAR(24) NULL,
    `system_alarm` VARCHAR(24) NULL,
    PRIMARY KEY (`id`),
    UNIQUE KEY `state_words` (`words`)
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_bin;
