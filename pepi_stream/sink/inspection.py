"""Looks at the tables that are there: can the sink write to them, and what to do if not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import aiomysql

from pepi_stream.sink.connection import fetch
from pepi_stream.sink.fitting import FoundColumn, mending, misfit
from pepi_stream.sink.schema import MADE_BY, Flow, Schema, Table, TableColumn

_MIGRATE = "run `faust -A pepi_stream migrate`"
_STATE = "or say so with a `type` of your own in sink.columns"


class TableState(NamedTuple):
    """One table, or one thing that is wrong with it.

    Attributes:
        table: its name.
        problem: what is wrong with it; None when the sink can write to it.
        remedy: what to do about it.
        fatal: False when the sink can write some of its rows.
        charset: the problem is a character set.
    """

    table: str
    problem: str | None = None
    remedy: str = ""
    fatal: bool = True
    charset: bool = False


class Key(NamedTuple):
    """A primary or unique key.

    Attributes:
        name: of the key.
        columns: names in lower case; '' for one of which only a prefix, or an expression, counts.
    """

    name: str
    columns: frozenset[str]


class Found(NamedTuple):
    """A table as it is in the database.

    Attributes:
        engine: its storage engine; '' of a view.
        comment: its COMMENT.
        columns: by name in lower case, as MySQL compares them.
        keys: its primary and unique keys.
        open_partitions: False when it is partitioned so that some row would be in no partition.
    """

    engine: str
    comment: str
    columns: dict[str, FoundColumn]
    keys: list[Key]
    open_partitions: bool = True

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
    """Yield the state of every table of the schema: what is wrong, or that nothing is."""
    for table in schema.definitions():
        for state in judge(table, await look_at(conn, table.name)):
            yield state


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
        "SELECT COLUMN_NAME, LOWER(DATA_TYPE), LOWER(COLUMN_TYPE), "
        "COALESCE(CHARACTER_MAXIMUM_LENGTH, 0), COALESCE(CHARACTER_SET_NAME, ''), "
        "IS_NULLABLE = 'YES', COLUMN_DEFAULT, LOWER(EXTRA), "
        "COALESCE(GENERATION_EXPRESSION, '') <> '' "
        f"FROM information_schema.COLUMNS {where}",
    )
    engine, comment = found[0]
    return Found(
        str(engine or ""),
        str(comment),
        {
            name.lower(): FoundColumn(
                *(name, kind, full, int(length), charset),
                *(bool(nullable), default, extra, bool(generated)),
            )
            for name, kind, full, length, charset, nullable, default, extra, generated in described
        },
        await _unique_keys(conn, where),
        await _has_open_partitions(conn, where),
    )


async def _unique_keys(conn: aiomysql.Connection, where: str) -> list[Key]:
    keys: dict[str, set[str]] = {}
    for key, column, prefix in await fetch(
        conn,
        "SELECT INDEX_NAME, COLUMN_NAME, SUB_PART FROM information_schema.STATISTICS "
        f"{where} AND NON_UNIQUE = 0",
    ):
        whole = column is not None and prefix is None
        keys.setdefault(str(key), set()).add(str(column).lower() if whole else "")
    return [Key(name, frozenset(columns)) for name, columns in keys.items()]


async def _has_open_partitions(conn: aiomysql.Connection, where: str) -> bool:
    parts = await fetch(
        conn,
        "SELECT PARTITION_METHOD, PARTITION_DESCRIPTION FROM information_schema.PARTITIONS "
        f"{where} AND PARTITION_NAME IS NOT NULL",
    )
    if not any(str(method).startswith(("RANGE", "LIST")) for method, _ in parts):
        return True
    return any(str(limits).upper() in ("MAXVALUE", "DEFAULT") for _, limits in parts)


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


def _of_another_flow(name: str, own: Flow, other: Flow) -> TableState:
    setting = "sink.table" if name == own.table else "sink.prefix"
    prefix = "" if other.prefix in (None, own.prefix) else f", prefix {other.prefix}"
    return TableState(
        name,
        f"belongs to another flow (queue {other.queue!r}, table {other.table}{prefix})",
        f"set {setting} to give this flow (queue {own.queue!r}, table {own.table}, prefix "
        f"{own.prefix}) tables of its own; or, if that flow was renamed to this one, stop its "
        "workers and run `faust -A pepi_stream migrate --take-over`",
    )


def judge(table: Table, found: Found | None) -> list[TableState]:
    """Say whether the sink can write to the table that was found, and what is not as it should be.

    Returns:
        All that is wrong, what is fatal first; or one state without a problem, when nothing is.
    """
    name = table.name
    if found is None:
        return [
            TableState(
                name,
                "does not exist",
                f"{_MIGRATE}, or grant this user its privileges if it is there",
            )
        ]
    if table.flow and found.flow and found.flow.is_other(table.flow):
        return [_of_another_flow(name, table.flow, found.flow)]
    if not found.engine:
        return [TableState(name, "is a view", "name a table, or rename the view")]
    if found.engine.lower() != "innodb":
        return [
            TableState(
                name,
                f"is {found.engine}, which has no transactions",
                f"ALTER TABLE {name} ENGINE=InnoDB",
            )
        ]
    if missing := found.missing(table):
        return [
            TableState(
                name,
                f"has no column {', '.join(c.name for c in missing)}",
                _remedy(table, found, missing),
            )
        ]
    states = [
        *_unfilled(table, found),
        *_column_states(table, found),
        *_key_states(table, found),
    ]
    if not found.open_partitions:
        states.append(
            TableState(
                name,
                "is partitioned, and a row beyond its last partition ends the worker",
                "add partitions in time, or one for all the rest (VALUES LESS THAN MAXVALUE)",
                fatal=False,
            )
        )
    return sorted(states, key=lambda state: not state.fatal) or [TableState(name)]


def _unfilled(table: Table, found: Found) -> Iterator[TableState]:
    names = {column.name.lower() for column in table.columns}
    if unfilled := [c.name for at, c in found.columns.items() if c.unfilled and at not in names]:
        yield TableState(
            table.name,
            f"has a column without default that nothing fills: {', '.join(unfilled)}",
            "give it a default, add it to sink.columns, or use another table or database",
        )


def _column_states(table: Table, found: Found) -> Iterator[TableState]:
    for column in table.columns:
        there = found.columns[column.name.lower()]
        wrong = misfit(column, there, ours=found.ours)
        if wrong is None:
            continue
        alter = f"ALTER TABLE `{table.name}` "
        if wrong.charset:
            alter += "CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
        else:
            name = column.name.lower()
            alter += mending(column, there, keyed=any(name in key.columns for key in found.keys))
        yield TableState(
            table.name,
            f"has a column that {'cannot' if wrong.fatal else 'can only partly'} be written: "
            f"{wrong.column} {wrong.problem}",
            f"run {alter}" + ("" if column.own else f"; {_STATE}"),
            fatal=wrong.fatal,
            charset=wrong.charset,
        )


def _key_states(table: Table, found: Found) -> Iterator[TableState]:
    """Yield what is wrong with the keys of a table of our own: they are what makes events count."""
    if not table.key:
        return
    needed = frozenset(table.key)
    automatic = {name for name, column in found.columns.items() if column.automatic}
    # By any of these, rows that are different are refused or merged.
    wrong = [k for k in found.keys if not k.columns >= needed and not k.columns & automatic]
    exact = any(key.columns == needed for key in found.keys)
    names = {key.name for key in found.keys}
    change = []
    if not exact or "PRIMARY" in {key.name for key in wrong}:
        surrogate = "PRIMARY" in names - {key.name for key in wrong}
        kind = "UNIQUE" if surrogate and not _is_longer(found, needed) else "PRIMARY"
        if kind == "PRIMARY" and "PRIMARY" in names:
            change.append("DROP PRIMARY KEY")
        change.append(f"ADD {kind} KEY ({', '.join(f'`{name}`' for name in table.key)})")
    change += [f"DROP KEY `{key.name}`" for key in wrong if key.name != "PRIMARY"]
    remedy = (
        f"stop the workers and run ALTER TABLE `{table.name}` {', '.join(change)}; rows that are "
        "there twice have to be merged first"
    )
    if not exact:
        columns = ", ".join(table.key)
        yield TableState(table.name, f"has no primary or unique key of exactly {columns}", remedy)
    elif wrong:
        yield TableState(
            table.name,
            f"has a unique key, {wrong[0].name}, by which rows that differ are the same",
            remedy,
        )


def _is_longer(found: Found, needed: frozenset[str]) -> bool:
    """Tell whether the primary key is the one that is needed, and more."""
    return any(key.name == "PRIMARY" and key.columns > needed for key in found.keys)


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
