"""The tables: names, columns and DDL.

Nothing here is outside what MySQL 8 and MariaDB 10.6 or later have in common.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import NamedTuple

from pepi_stream.columns import COLUMNS, ColumnSpec, built_in_name, load_columns
from pepi_stream.settings import Settings
from pepi_stream.sink.literals import quote
from pepi_stream.tables import TableNames
from pepi_stream.windows import MAX_DIMENSION, Window

#: How the COMMENT of every table that ``migrate`` made begins. It changes no other.
MADE_BY = "pepi_stream:"

_TABLE = "ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
_QUEUE_MAX = 1500  # a COMMENT has 2048 characters
_MARK = re.compile(r"of the flow (\[.*\])$")
_QUOTED = re.compile(r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\"", re.DOTALL)


class Flow(NamedTuple):
    """What fills the tables of one prefix: they belong to it alone.

    Its ledger, windows and dead letters are those of one queue and one event table: with another
    flow's in them, the windows would not count the rows. Not the address of Redis: one queue is
    known by several, and is the same after a move.

    Attributes:
        queue: ``source.queue``.
        table: ``sink.table``.
        prefix: ``sink.prefix``; None where a release wrote the mark that had none.
    """

    queue: str
    table: str
    prefix: str | None

    @classmethod
    def named(cls, queue: str, table: str, prefix: str) -> Flow:
        """Return the flow; a queue whose name is too long for a COMMENT is known by its digest."""
        if len(json.dumps(queue)) > _QUEUE_MAX:
            digest = hashlib.blake2b(queue.encode("utf-8", "surrogatepass"), digest_size=16)
            queue = f"blake2b {digest.hexdigest()}"
        return cls(queue, table, prefix)

    def mark(self) -> str:
        """Return what the COMMENT of the ledger and of the event table ends with."""
        return "of the flow " + json.dumps(self)

    @classmethod
    def of(cls, comment: str) -> Flow | None:
        """Return the flow that a COMMENT names; None when it names none."""
        found = _MARK.search(comment)
        try:
            named = json.loads(found[1]) if found else []
        except ValueError:  # somebody has edited it
            return None
        if len(named) not in (2, 3) or not all(isinstance(name, str) for name in named):
            return None
        queue, table, *prefix = named
        return cls(queue, table, prefix[0] if prefix else None)

    def is_other(self, flow: Flow) -> bool:
        """Tell whether this is another flow than that one."""
        return self[:2] != flow[:2] or self.prefix not in (None, flow.prefix)


class TableColumn(NamedTuple):
    """One column.

    Attributes:
        name: of the column.
        definition: SQL type and attributes.
        dimension: what a window counts by: with it, existing counts would mean something else.
        own: of a table of ours, and no user's choice.
        value: in the event table, the built-in column whose values it takes; '' for a user's code.
        stated: its type is of the user's choice.
        written: whether INSERTs fill it.
    """

    name: str
    definition: str
    dimension: bool = False
    own: bool = True
    value: str = ""
    stated: bool = False
    written: bool = True

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
        flow: what the table remembers that it belongs to; the ledger and the event table do.
    """

    name: str
    columns: Sequence[TableColumn]
    comment: str
    key: Sequence[str] = ()
    also: Sequence[str] = ()
    flow: Flow | None = None

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
            f"COMMENT={quote(f'{MADE_BY} {self.comment}')}"
        )

    def remember(self) -> str:
        """Return the ALTER TABLE statement that writes down the flow; it touches no row."""
        return f"ALTER TABLE `{self.name}` COMMENT={quote(f'{MADE_BY} {self.comment}')}"

    def add(self, columns: Sequence[TableColumn]) -> str:
        """Return the ALTER TABLE statement that adds columns."""
        added = ", ".join(f"ADD COLUMN `{c.name}` {c.definition}" for c in columns)
        return f"ALTER TABLE `{self.name}` {added}"


_LEDGER = (
    TableColumn("claim_id", "BINARY(16) NOT NULL COMMENT 'UUIDv7: in order of time'"),
    TableColumn("payloads", "INT UNSIGNED NOT NULL"),
    TableColumn("digest", "BINARY(16) NOT NULL COMMENT 'of the payloads: tells a reused id'"),
    TableColumn("committed_at", "DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3)"),
    # The default is not PROTOCOL: it is what workers write that know no version.
    TableColumn(
        "version", "TINYINT UNSIGNED NOT NULL DEFAULT 1 COMMENT 'of the delivery protocol'"
    ),
)
_DEAD_LETTERS = (
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
)
_SEEN = (
    TableColumn("uid", "BINARY(16) NOT NULL COMMENT 'hash of an event_uid'"),
    TableColumn("claim_id", "BINARY(16) NOT NULL COMMENT 'first of the transaction'"),
    TableColumn("seen_at", "DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP"),
)


class Schema:
    """The configured tables.

    Args:
        names: of the tables.
        columns: of the event table, in order.
        windows: the windows, which have a table each.
        flow: what fills the tables.
        dedupe: columns that make an event the repeat of another; none, and none is remembered.
    """

    def __init__(
        self,
        names: TableNames,
        columns: Sequence[ColumnSpec],
        windows: Sequence[Window],
        *,
        flow: Flow,
        dedupe: Sequence[str] = (),
    ) -> None:
        self.names = names
        self.flow = flow
        self.columns = columns
        self.windows = windows
        self.dedupe = dedupe

    @classmethod
    def from_settings(cls, settings: Settings) -> Schema:
        """Build the configured schema; raises ConfigError for a column nobody knows."""
        names = TableNames.from_settings(settings)
        return cls(
            names,
            load_columns(settings.sink.columns),
            [Window(name, window) for name, window in settings.windows.items()],
            flow=Flow.named(settings.source.queue, names.event, names.prefix),
            dedupe=settings.sink.dedupe,
        )

    def definitions(self) -> list[Table]:
        """Return the tables, our own first."""
        names = self.names
        tables = [
            Table(
                names.ledger,
                _LEDGER,
                f"claims that have taken effect; {self.flow.mark()}",
                ["claim_id"],
                flow=self.flow,
            ),
            Table(names.dead_letters, _DEAD_LETTERS, "records that became no row", ["seq"]),
        ]
        if self.dedupe:
            comment = "events of the last hours, so that a repeat is known"
            tables.append(Table(names.seen, _SEEN, comment, ["uid"], ["seen_at"]))
        columns = [_event_column(spec) for spec in self.columns]
        tables.append(Table(names.event, columns, f"events; {self.flow.mark()}", flow=self.flow))
        tables += [_window_table(names.window(window.name), window) for window in self.windows]
        return tables

    def tables(self) -> dict[str, list[str]]:
        """Return the columns that must exist, by table."""
        return {table.name: [c.name for c in table.columns] for table in self.definitions()}

    def ddl(self) -> list[str]:
        """Return the CREATE TABLE statements; each leaves an existing table alone."""
        return [table.create() for table in self.definitions()]


def _event_column(spec: ColumnSpec) -> TableColumn:
    value = built_in_name(spec)
    return TableColumn(
        spec.name,
        spec.sql_type,
        own=False,
        value=value,
        stated=bool(value) and spec.sql_type != COLUMNS[value].sql_type,
        written=spec.values is not None,
    )


def _window_table(name: str, window: Window) -> Table:
    by = f"VARCHAR({MAX_DIMENSION}) NOT NULL"
    return Table(
        name,
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
