"""Looks at the tables that are there: can the sink write to them, and what to do if not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

import aiomysql

from pepi_stream.sink.connection import fetch
from pepi_stream.sink.schema import Schema


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


async def inspect_tables(conn: aiomysql.Connection, schema: Schema) -> AsyncIterator[TableState]:
    """Yield the state of every table of the schema."""
    for table, columns in schema.tables().items():
        yield await _inspect(conn, table, columns)


async def _inspect(conn: aiomysql.Connection, table: str, columns: list[str]) -> TableState:
    found = await fetch(
        conn,
        "SELECT ENGINE FROM information_schema.TABLES "
        f"WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '{table}'",
    )
    if not found:
        return TableState(
            table,
            "does not exist",
            "run `faust -A pepi_stream migrate`, or grant this user its privileges if it is there",
        )
    engine = str(found[0][0])
    if engine.lower() != "innodb":
        return TableState(
            table, f"is {engine}, which has no transactions", f"ALTER TABLE {table} ENGINE=InnoDB"
        )
    described = await fetch(
        conn,
        "SELECT COLUMN_NAME, IS_NULLABLE = 'NO' AND COLUMN_DEFAULT IS NULL AND EXTRA = '' "
        "AND COALESCE(GENERATION_EXPRESSION, '') = '' FROM information_schema.COLUMNS "
        f"WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '{table}'",
    )
    there = {str(name).lower() for name, _ in described}
    if missing := [name for name in columns if name.lower() not in there]:
        return TableState(
            table,
            f"has no column {', '.join(missing)}",
            "ALTER it, or name the columns that it has in sink.columns or windows",
        )
    ours = {name.lower() for name in columns}
    if unfilled := [str(n) for n, must in described if must and str(n).lower() not in ours]:
        return TableState(
            table,
            f"has a column without default that nothing fills: {', '.join(unfilled)}",
            "give it a default, add it to sink.columns, or use another table or database",
        )
    return TableState(table)
