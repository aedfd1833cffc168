-- A database as pepi_stream 0.1.0 left it: its tables, its rows, a dead letter, window counts and
-- ledger entries, written out by hand.
--
-- NEVER EDIT THIS FILE. It stands for the data of installations that nobody can change after the
-- fact. If a test fails on it, the code no longer reads what 0.1.0 wrote: mend the code. What a
-- later version leaves at rest gets a directory of its own beside this one.
--
-- The claim ids are of the year 2100, so that no retention ever makes them old.

CREATE TABLE `pepi_claim` (
  `claim_id` BINARY(16) NOT NULL COMMENT 'UUIDv7: in order of time',
  `payloads` INT UNSIGNED NOT NULL,
  `digest` BINARY(16) NOT NULL COMMENT 'of the payloads: tells a reused id',
  `committed_at` DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  PRIMARY KEY (`claim_id`)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin COMMENT='pepi_stream: claims that have taken effect';

CREATE TABLE `pepi_dead_letter` (
  `seq` BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  `claim_id` BINARY(16) NOT NULL,
  `position` INT UNSIGNED NOT NULL COMMENT 'payload in the claim',
  `element` INT UNSIGNED NULL COMMENT 'event in the payload; NULL: the whole payload',
  `part` INT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'a payload above max_allowed_packet has several',
  `payload` LONGBLOB NOT NULL,
  `reason` TEXT NOT NULL,
  `format` VARCHAR(255) NOT NULL,
  `created_at` DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  PRIMARY KEY (`seq`)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin COMMENT='pepi_stream: records that became no row';

CREATE TABLE `pepi_event` (
  `seq` BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  `id` VARCHAR(255) NULL,
  `event_name` VARCHAR(64) NOT NULL,
  `recipient` VARCHAR(320) NULL,
  `recipient_domain` VARCHAR(255) NULL,
  `mailbox_provider` VARCHAR(64) NULL,
  `campaign` VARCHAR(255) NULL,
  `occurred_at` DATETIME(3) NOT NULL,
  `received_at` DATETIME(3) NOT NULL,
  `ip` VARCHAR(45) NULL,
  `client` VARCHAR(64) NULL,
  `os` VARCHAR(64) NULL,
  `device` VARCHAR(64) NULL,
  `url` TEXT NULL,
  `bounce_class` VARCHAR(32) NULL,
  `reason` TEXT NULL,
  `is_machine` TINYINT(1) NULL,
  `esp` VARCHAR(32) NULL,
  `event_uid` VARCHAR(255) NULL
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin COMMENT='pepi_stream: events';

CREATE TABLE `pepi_window_minute` (
  `window_start` DATETIME NOT NULL COMMENT 'UTC',
  `dimensions` BINARY(16) NOT NULL COMMENT 'hash of the columns below',
  `event_name` VARCHAR(255) NOT NULL,
  `mailbox_provider` VARCHAR(255) NOT NULL,
  `n` BIGINT UNSIGNED NOT NULL,
  PRIMARY KEY (`window_start`, `dimensions`)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin COMMENT='pepi_stream: events every 60 s';

CREATE TABLE `pepi_window_hour` (
  `window_start` DATETIME NOT NULL COMMENT 'UTC',
  `dimensions` BINARY(16) NOT NULL COMMENT 'hash of the columns below',
  `event_name` VARCHAR(255) NOT NULL,
  `campaign` VARCHAR(255) NOT NULL,
  `n` BIGINT UNSIGNED NOT NULL,
  PRIMARY KEY (`window_start`, `dimensions`)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin COMMENT='pepi_stream: events every 3600 s';

-- Claim ...001: three payloads, two rows and a dead letter; committed and acked.
-- Claim ...003: two payloads, two rows; committed, and still open in redis.txt.
INSERT INTO `pepi_claim` (`claim_id`, `payloads`, `digest`, `committed_at`) VALUES
  (X'03bb2cc3d80170008000000000000001', 3, X'b8ada329e7094991ccf0dab3d3fc7c29', '2023-11-14 22:14:00.125'),
  (X'03bb2cc3d80370008000000000000003', 2, X'eeeb15df91a1832a03dc733e95416265', '2023-11-14 22:15:01.250');

INSERT INTO `pepi_event` VALUES
  (1, 'golden-1', 'sent', 'ann@gmail.com', 'gmail.com', 'Google', 'spring', '2023-11-14 22:13:20.000',
   '2023-11-14 22:14:00.000', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (2, 'golden-2', 'opened', 'bob@hotmail.fr', 'hotmail.fr', 'Microsoft', 'spring', '2023-11-14 22:13:50.000',
   '2023-11-14 22:14:00.000', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (3, 'golden-3', 'sent', 'cleo@gmail.com', 'gmail.com', 'Google', 'spring', '2023-11-14 22:13:30.000',
   '2023-11-14 22:15:01.000', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (4, 'golden-4', 'clicked', 'dan@corp.example', 'corp.example', 'Other', NULL, '2023-11-14 22:15:00.000',
   '2023-11-14 22:15:01.000', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);

INSERT INTO `pepi_dead_letter` VALUES
  (1, X'03bb2cc3d80170008000000000000001', 2, NULL, 0, 'no json',
   'not JSON: invalid character (byte 1)', 'plain', '2023-11-14 22:14:00.125');

INSERT INTO `pepi_window_minute` VALUES
  ('2023-11-14 22:13:00', X'1134e2c9a148bc585c718d716b5134ca', 'sent', 'Google', 2),
  ('2023-11-14 22:13:00', X'835785c931183694be2aa37c0284b0ed', 'opened', 'Microsoft', 1),
  ('2023-11-14 22:15:00', X'2f45c69df3a39620640d896efad59308', 'clicked', 'Other', 1);

INSERT INTO `pepi_window_hour` VALUES
  ('2023-11-14 22:00:00', X'51c32187df01de6dd98188dcb930ba2f', 'sent', 'spring', 2),
  ('2023-11-14 22:00:00', X'19b91978b77cd7651ff95dfe72168eb5', 'opened', 'spring', 1),
  ('2023-11-14 22:00:00', X'57be3d74115596556e8d77422deb01c4', 'clicked', '', 1);
