"""Looks at the tables that are there: can the sink write to them, and what to do if not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

import aiomysql

from pepi_stream.sink.connection import fetch
from pepi_stream.sink.schema import MADE_BY, Flow, Schema, Table, TableColumn

_MIGRATE = "run `faust -A pepi_stream migrate`"


class TableState(NamedTuple):
    """One table.

    Attributes:
        table: its name.
        problem: what is wrong with it; None when the sink can write to it.
        remedy: what to do about it.
    """

    table: str
    problem: str | None = None
    remedy: str = ""


class Found(NamedTuple):
    """A table as it is in the database.

    Attributes:
        engine: its storage engine.
        comment: its COMMENT.
        columns: names in lower case, as MySQL compares them.
        unfilled: names of the columns that every INSERT has to fill.
    """

    engine: str
    comment: str
    columns: set[str]
    unfilled: list[str]

    @property
    def ours(self) -> bool:
        """Whether ``migrate`` made it, and so may change it."""
        return self.comment.startswith(MADE_BY)

    @property
    def flow(self) -> Flow | None:
        """The flow that it belongs to, if it remembers one."""
        return Flow.of(self.comment)

    def missing(self, table: Table) -> list[TableColumn]:
        """Return the columns of ``table`` that it lacks."""
        return [c for c in table.columns if c.name.lower() not in self.columns]


async def inspect_tables(conn: aiomysql.Connection, schema: Schema) -> AsyncIterator[TableState]:
    """Yield the state of every table of the schema."""
    for table in schema.definitions():
        yield judge(table, await look_at(conn, table.name))


async def look_at(conn: aiomysql.Connection, name: str) -> Found | None:
    """Return what is known of a table; None when there is no such table."""
    where = f"WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '{name}'"
    found = await fetch(
        conn, f"SELECT ENGINE, TABLE_COMMENT FROM information_schema.TABLES {where}"
    )
    if not found:
        return None
    described = await fetch(
        conn,
        "SELECT COLUMN_NAME, IS_NULLABLE = 'NO' AND COLUMN_DEFAULT IS NULL AND EXTRA = '' "
        "AND COALESCE(GENERATION_EXPRESSION, '') = '' "
        f"FROM information_schema.COLUMNS {where}",
    )
    engine, comment = found[0]
    return Found(
        str(engine),
        str(comment),
        {str(column).lower() for column, _ in described},
        [str(column) for column, must in described if must],
    )


async def null_by_default(conn: aiomysql.Connection, table: str) -> frozenset[str]:
    """Return the columns that an INSERT which does not name them leaves NULL.

    MariaDB says that a column's default is the text NULL where MySQL says that it has none.
    """
    rows = await fetch(
        conn,
        "SELECT COLUMN_NAME FROM information_schema.COLUMNS "
        f"WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '{table}' AND IS_NULLABLE = 'YES' "
        "AND COALESCE(COLUMN_DEFAULT, 'NULL') = 'NULL' AND EXTRA = ''",
    )
    return frozenset(str(name) for (name,) in rows)


def judge(table: Table, found: Found | None) -> TableState:
    """Say whether the sink can write to the table that was found."""
    name = table.name
    if found is None:
        return TableState(
            name,
            "does not exist",
            f"{_MIGRATE}, or grant this user its privileges if it is there",
        )
    if table.flow and found.flow and found.flow != table.flow:
        return TableState(
            name,
            f"belongs to another flow (queue {found.flow.queue!r}, table {found.flow.table})",
            f"set sink.prefix to give this flow (queue {table.flow.queue!r}, table "
            f"{table.flow.table}) tables of its own; or, if that flow was renamed to this one, "
            "stop its workers and run `faust -A pepi_stream migrate --take-over`",
        )
    if found.engine.lower() != "innodb":
        return TableState(
            name,
            f"is {found.engine}, which has no transactions",
            f"ALTER TABLE {name} ENGINE=InnoDB",
        )
    if missing := found.missing(table):
        return TableState(
            name,
            f"has no column {', '.join(c.name for c in missing)}",
            _remedy(table, found, missing),
        )
    ours = {column.name.lower() for column in table.columns}
    if unfilled := [column for column in found.unfilled if column.lower() not in ours]:
        return TableState(
            name,
            f"has a column without default that nothing fills: {', '.join(unfilled)}",
            "give it a default, add it to sink.columns, or use another table or database",
        )
    return TableState(name)


def _remedy(table: Table, found: Found, missing: list[TableColumn]) -> str:
    """Say how the table gets its missing columns: from ``migrate``, or from a person."""
    alter = table.add(missing)
    if not found.ours:
        return (
            "pepi_stream did not make this table, so `migrate` does not change it: run "
            f"{alter}; or name the columns that it has in sink.columns or windows"
        )
    if any(column.dimension for column in missing):
        return (
            "its counts are by other columns, and stay so: give the window with the new `by` "
            "another name in windows"
        )
    if not all(column.addable for column in missing):
        return (
            "`migrate` adds no key, and no NOT NULL without DEFAULT (it would fill old rows with "
            f"values that nobody meant): stop the workers and run {alter}; or name the columns "
            "that it has in sink.columns"
        )
    return f"{_MIGRATE}, or name the columns that it has in sink.columns"
