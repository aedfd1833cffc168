"""The tables: names, DDL, and the heads of the statements that fill them.

Nothing here is outside what MySQL 8 and MariaDB 10.6 or later have in common.
"""

from __future__ import annotations

from collections.abc import Sequence

from pepi_stream.columns import ColumnSpec, load_columns
from pepi_stream.settings import Settings
from pepi_stream.windows import MAX_DIMENSION, Window

LEDGER = "pepi_claim"
DEAD_LETTERS = "pepi_dead_letter"

_TABLE = "ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"

_LEDGER_DDL = f"""\
CREATE TABLE IF NOT EXISTS `{LEDGER}` (
  `claim_id` BINARY(16) NOT NULL COMMENT 'UUIDv7: in order of time',
  `payloads` INT UNSIGNED NOT NULL,
  `digest` BINARY(16) NOT NULL COMMENT 'of the payloads: tells a reused id',
  `committed_at` DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  PRIMARY KEY (`claim_id`)
) {_TABLE} COMMENT='pepi_stream: claims that have taken effect'"""

_DEAD_LETTERS_DDL = f"""\
CREATE TABLE IF NOT EXISTS `{DEAD_LETTERS}` (
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
) {_TABLE} COMMENT='pepi_stream: records that became no row'"""


class Schema:
    """The configured tables.

    Args:
        table: name of the event table.
        columns: its columns, in order.
        windows: the window tables.
    """

    def __init__(
        self, table: str, columns: Sequence[ColumnSpec], windows: Sequence[Window]
    ) -> None:
        self.table = table
        self.columns = columns
        self.windows = windows

    @classmethod
    def from_settings(cls, settings: Settings) -> Schema:
        """Build the configured schema; raises ConfigError for a column nobody knows."""
        return cls(
            settings.sink.table,
            load_columns(settings.sink.columns),
            [Window(name, window) for name, window in settings.windows.items()],
        )

    def tables(self) -> dict[str, list[str]]:
        """Return the columns that must exist, by table."""
        return {
            LEDGER: ["claim_id", "payloads", "digest", "committed_at"],
            DEAD_LETTERS: [
                *("seq", "claim_id", "position", "element", "part"),
                *("payload", "reason", "format", "created_at"),
            ],
            self.table: [column.name for column in self.columns],
            **{w.table: ["window_start", "dimensions", *w.by, "n"] for w in self.windows},
        }

    def ddl(self) -> list[str]:
        """Return the CREATE TABLE statements; each leaves an existing table alone."""
        columns = ",\n".join(f"  `{c.name}` {c.sql_type}" for c in self.columns)
        events = (
            f"CREATE TABLE IF NOT EXISTS `{self.table}` (\n{columns}\n) {_TABLE} "
            "COMMENT='pepi_stream: events'"
        )
        return [_LEDGER_DDL, _DEAD_LETTERS_DDL, events, *map(self._window_ddl, self.windows)]

    @staticmethod
    def _window_ddl(window: Window) -> str:
        by = "".join(f"  `{name}` VARCHAR({MAX_DIMENSION}) NOT NULL,\n" for name in window.by)
        return (
            f"CREATE TABLE IF NOT EXISTS `{window.table}` (\n"
            f"  `window_start` DATETIME NOT NULL COMMENT 'UTC',\n"
            f"  `dimensions` BINARY(16) NOT NULL COMMENT 'hash of the columns below',\n{by}"
            f"  `n` BIGINT UNSIGNED NOT NULL,\n"
            f"  PRIMARY KEY (`window_start`, `dimensions`)\n"
            f") {_TABLE} COMMENT='pepi_stream: events every {window.seconds} s'"
        )
