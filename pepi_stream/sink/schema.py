"""The tables: names, columns and DDL.

Nothing here is outside what MySQL 8 and MariaDB 10.6 or later have in common.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from pepi_stream.columns import ColumnSpec, load_columns
from pepi_stream.settings import Settings
from pepi_stream.windows import MAX_DIMENSION, Window

LEDGER = "pepi_claim"
DEAD_LETTERS = "pepi_dead_letter"
SEEN = "pepi_seen"

#: How the COMMENT of every table that ``migrate`` made begins. It changes no other.
MADE_BY = "pepi_stream:"

_TABLE = "ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
_QUOTED = re.compile(r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\"", re.DOTALL)


class TableColumn(NamedTuple):
    """One column.

    Attributes:
        name: of the column.
        definition: SQL type and attributes.
        dimension: what a window counts by: with it, existing counts would mean something else.
    """

    name: str
    definition: str
    dimension: bool = False

    @property
    def addable(self) -> bool:
        """Whether a table with rows, in use by workers of other releases, can be given it.

        Not one that is NOT NULL without DEFAULT: the rows that are there would get a value that
        nobody meant ('' or 0), and a worker that does not know the column could not insert.
        """
        words = _QUOTED.sub("''", self.definition).upper()
        return (
            not self.dimension
            and not re.search(r"\b(AUTO_INCREMENT|KEY|SERIAL|UNIQUE)\b", words)
            and not (re.search(r"\bNOT\s+NULL\b", words) and not re.search(r"\bDEFAULT\b", words))
        )


class Table(NamedTuple):
    """One table.

    Attributes:
        name: of the table.
        columns: in order.
        comment: what it holds.
        key: columns of its primary key; empty when a column's definition says it.
        also: columns of a further index, if it has one.
    """

    name: str
    columns: Sequence[TableColumn]
    comment: str
    key: Sequence[str] = ()
    also: Sequence[str] = ()

    def create(self) -> str:
        """Return the CREATE TABLE statement; it leaves an existing table alone."""
        lines = [f"  `{c.name}` {c.definition}" for c in self.columns]
        if self.key:
            lines.append(f"  PRIMARY KEY ({_names(self.key)})")
        if self.also:
            lines.append(f"  KEY ({_names(self.also)})")
        body = ",\n".join(lines)
        return (
            f"CREATE TABLE IF NOT EXISTS `{self.name}` (\n{body}\n) {_TABLE} "
            f"COMMENT='{MADE_BY} {self.comment}'"
        )

    def add(self, columns: Sequence[TableColumn]) -> str:
        """Return the ALTER TABLE statement that adds columns."""
        added = ", ".join(f"ADD COLUMN `{c.name}` {c.definition}" for c in columns)
        return f"ALTER TABLE `{self.name}` {added}"


_LEDGER_TABLE = Table(
    LEDGER,
    [
        TableColumn("claim_id", "BINARY(16) NOT NULL COMMENT 'UUIDv7: in order of time'"),
        TableColumn("payloads", "INT UNSIGNED NOT NULL"),
        TableColumn("digest", "BINARY(16) NOT NULL COMMENT 'of the payloads: tells a reused id'"),
        TableColumn("committed_at", "DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3)"),
        # The default is not PROTOCOL: it is what workers write that know no version.
        TableColumn(
            "version", "TINYINT UNSIGNED NOT NULL DEFAULT 1 COMMENT 'of the delivery protocol'"
        ),
    ],
    "claims that have taken effect",
    ["claim_id"],
)
_DEAD_LETTERS_TABLE = Table(
    DEAD_LETTERS,
    [
        TableColumn("seq", "BIGINT UNSIGNED NOT NULL AUTO_INCREMENT"),
        TableColumn("claim_id", "BINARY(16) NOT NULL"),
        TableColumn("position", "INT UNSIGNED NOT NULL COMMENT 'payload in the claim'"),
        TableColumn(
            "element",
            "INT UNSIGNED NULL COMMENT 'event in the payload; NULL: the whole payload'",
        ),
        TableColumn(
            "part",
            "INT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'a large payload has several'",
        ),
        TableColumn("payload", "LONGBLOB NOT NULL"),
        TableColumn("reason", "TEXT NOT NULL"),
        TableColumn("format", "VARCHAR(255) NOT NULL"),
        TableColumn("created_at", "DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3)"),
    ],
    "records that became no row",
    ["seq"],
)

_SEEN_TABLE = Table(
    SEEN,
    [
        TableColumn("uid", "BINARY(16) NOT NULL COMMENT 'hash of an event_uid'"),
        TableColumn("claim_id", "BINARY(16) NOT NULL COMMENT 'first of the transaction'"),
        TableColumn("seen_at", "DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP"),
    ],
    "events of the last hours, so that a repeat is known",
    ["uid"],
    ["seen_at"],
)


class Schema:
    """The configured tables.

    Args:
        table: name of the event table.
        columns: its columns, in order.
        windows: the window tables.
        dedupe: whether the events of the last hours are remembered.
    """

    def __init__(
        self,
        table: str,
        columns: Sequence[ColumnSpec],
        windows: Sequence[Window],
        *,
        dedupe: bool = False,
    ) -> None:
        self.table = table
        self.columns = columns
        self.windows = windows
        self.dedupe = dedupe

    @classmethod
    def from_settings(cls, settings: Settings) -> Schema:
        """Build the configured schema; raises ConfigError for a column nobody knows."""
        return cls(
            settings.sink.table,
            load_columns(settings.sink.columns),
            [Window(name, window) for name, window in settings.windows.items()],
            dedupe=settings.sink.dedupe != "off",
        )

    def definitions(self) -> list[Table]:
        """Return the tables, our own first."""
        columns = [TableColumn(c.name, c.sql_type) for c in self.columns]
        events = Table(self.table, columns, "events")
        seen = [_SEEN_TABLE] if self.dedupe else []
        windows = map(_window_table, self.windows)
        return [_LEDGER_TABLE, _DEAD_LETTERS_TABLE, *seen, events, *windows]

    def tables(self) -> dict[str, list[str]]:
        """Return the columns that must exist, by table."""
        return {table.name: [c.name for c in table.columns] for table in self.definitions()}

    def ddl(self) -> list[str]:
        """Return the CREATE TABLE statements; each leaves an existing table alone."""
        return [table.create() for table in self.definitions()]


def _window_table(window: Window) -> Table:
    by = f"VARCHAR({MAX_DIMENSION}) NOT NULL"
    return Table(
        window.table,
        [
            TableColumn("window_start", "DATETIME NOT NULL COMMENT 'UTC'"),
            TableColumn("dimensions", "BINARY(16) NOT NULL COMMENT 'hash of the columns below'"),
            *(TableColumn(name, by, dimension=True) for name in window.by),
            TableColumn("n", "BIGINT UNSIGNED NOT NULL"),
        ],
        f"events every {window.seconds} s",
        ["window_start", "dimensions"],
    )


def _names(columns: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in columns)
