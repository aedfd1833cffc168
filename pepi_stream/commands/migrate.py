"""``migrate``: create the tables that are missing, and the columns that our own tables lack."""

from __future__ import annotations

from typing import Any

import aiomysql
import click
from faust.cli import option
from pymysql.err import MySQLError

from pepi_stream.commands.base import PepiCommand
from pepi_stream.errors import FatalError, PepiError
from pepi_stream.settings.urls import shown_database
from pepi_stream.sink import Schema, connect, connect_without_database
from pepi_stream.sink.failures import DUPLICATE_COLUMN, mysql_failure
from pepi_stream.sink.inspection import judge, look_at
from pepi_stream.sink.schema import Table

_OPTIONS: list[Any] = [
    option(
        "--dry-run",
        is_flag=True,
        help="Print the statements that create tables, and do nothing. Which columns are added "
        "(ALTER TABLE) depends on the database, and is not in there.",
    ),
    option(
        "--take-over",
        is_flag=True,
        help="Hand the tables of another flow (another source.queue or sink.table) to this one, "
        "after it was renamed. Its workers must have been stopped.",
    ),
]


class migrate(PepiCommand):
    """Create the database and the tables that are missing, and bring older tables up to date.

    A column is added to tables that this command made (their COMMENT begins with
    'pepi_stream:'), if it may be NULL or has a DEFAULT; no other table is changed, and nothing is
    ever dropped. Safe to run again and again, several at once, and beside running workers of
    this version or an older one.
    """

    options = _OPTIONS

    async def run(self, dry_run: bool, take_over: bool, **kwargs: Any) -> int:
        """Run the DDL, or print it."""
        schema = Schema.from_settings(self.settings)
        database = self.settings.database.connect_args()["db"]
        if dry_run:
            for statement in [_create_database(database), f"USE {_name(database)}", *schema.ddl()]:
                click.echo(f"{statement};\n")
            return 0
        await self._ensure_database(database)
        conn = await connect(self.settings.database)
        problems: list[str] = []
        try:
            # A table that a long transaction uses would keep us waiting, and the workers behind us.
            seconds = self.settings.database.lock_wait_seconds
            await conn.query(f"SET SESSION lock_wait_timeout = {seconds}")
            for table in schema.definitions():
                done = await _bring_up_to_date(conn, table, take_over=take_over)
                wrong = [s for s in judge(table, await look_at(conn, table.name)) if s.problem]
                said = [f"table {table.name} {s.problem}; {s.remedy}" for s in wrong]
                if any(state.fatal for state in wrong):
                    problems += said
                else:
                    click.echo("\n".join([f"{table.name}: {done}", *said]))
        except PepiError:
            raise
        except Exception as exc:
            raise mysql_failure(
                exc, f"looking at the tables in {shown_database(database)}"
            ) from exc
        finally:
            conn.close()
        if problems:
            raise FatalError("\n".join(problems))
        return 0

    async def _ensure_database(self, database: str) -> None:
        try:
            conn = await connect(self.settings.database)
        except FatalError:
            # Access denied and no such database look alike to a user without grants.
            conn = await connect_without_database(self.settings.database)
            try:
                await conn.query(_create_database(database).encode())
            except Exception as exc:
                raise mysql_failure(
                    exc, f"creating the database {shown_database(database)}", ddl=True
                ) from exc
            finally:
                conn.close()
        else:
            conn.close()


async def _bring_up_to_date(conn: aiomysql.Connection, table: Table, *, take_over: bool) -> str:
    """Create the table, or add the columns that it lacks and may be given; say what was done."""
    found = await look_at(conn, table.name)
    if found is None:
        await _change(conn, table.create(), f"creating the table {table.name}")
        return "created"
    added: list[str] = []
    while found.ours and (columns := [c for c in found.missing(table) if c.addable]):
        statement = table.add(columns)
        try:
            await _change(conn, statement, f"upgrading the table {table.name}")
        except aiomysql.MySQLError as exc:
            if exc.args[0] != DUPLICATE_COLUMN:
                raise
            # Another `migrate` was faster with one of them; what is still missing is next.
            before, found = found, await look_at(conn, table.name) or found
            if found.columns.keys() == before.columns.keys():
                raise FatalError(
                    f"table {table.name} has columns that this user cannot see; "
                    "grant the user what README.md lists under Security (REFERENCES)"
                ) from None
        else:
            added = [c.name for c in columns]
            found = await look_at(conn, table.name) or found
    done = [f"added {', '.join(added)}"] if added else []
    other = table.flow is not None and found.flow is not None and found.flow.is_other(table.flow)
    if table.flow and found.ours and (not found.flow or (other and take_over)):
        await _change(conn, table.remember(), f"writing the flow into the table {table.name}")
        done.append(f"taken over from the queue {found.flow.queue!r}" if found.flow else "marked")
    return f"upgraded: {', '.join(done)}" if done else "there already"


async def _change(conn: aiomysql.Connection, statement: str, doing: str) -> None:
    """Run a DDL statement; raise what keeps it from running, with the statement to run by hand."""
    try:
        await conn.query(statement.encode())
    except Exception as exc:
        if isinstance(exc, MySQLError) and exc.args[0] == DUPLICATE_COLUMN:
            raise
        failure = mysql_failure(exc, doing, ddl=True)
        raise type(failure)(f"{failure}. The statement was: {statement}") from exc


def _name(database: str) -> str:
    return "`" + database.replace("`", "``") + "`"


def _create_database(database: str) -> str:
    return f"CREATE DATABASE IF NOT EXISTS {_name(database)} DEFAULT CHARACTER SET utf8mb4"
