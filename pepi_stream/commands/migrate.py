"""``migrate``: create the tables that are missing."""

from __future__ import annotations

from typing import Any

import click
from faust.cli import option

from pepi_stream.commands.base import PepiCommand
from pepi_stream.errors import FatalError
from pepi_stream.sink import Schema, connect, connect_without_database
from pepi_stream.sink.connection import fetch
from pepi_stream.sink.failures import mysql_failure
from pepi_stream.sink.inspection import inspect_tables

_OPTIONS: list[Any] = [
    option("--dry-run", is_flag=True, help="Print the statements and do nothing."),
]


class migrate(PepiCommand):
    """Create the database and the tables that are missing; change none that exist.

    Safe to run again and again, and beside running workers.
    """

    options = _OPTIONS

    async def run(self, dry_run: bool, **kwargs: Any) -> int:
        """Run the DDL, or print it."""
        schema = Schema.from_settings(self.settings)
        database = self.settings.database.connect_args()["db"]
        if dry_run:
            for statement in [_create_database(database), f"USE {_name(database)}", *schema.ddl()]:
                click.echo(f"{statement};\n")
            return 0
        await self._ensure_database(database)
        conn = await connect(self.settings.database)
        try:
            before = {row[0] for row in await fetch(conn, "SHOW TABLES")}
            for statement in schema.ddl():
                await conn.query(statement.encode())
            async for table, problem, remedy in inspect_tables(conn, schema):
                if problem:
                    raise FatalError(f"table {table} {problem}; {remedy}")
                click.echo(f"{table}: {'there already' if table in before else 'created'}")
        except FatalError:
            raise
        except Exception as exc:
            raise mysql_failure(exc, f"creating the tables in {database}") from exc
        finally:
            conn.close()
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
                raise mysql_failure(exc, f"creating the database {database}") from exc
            finally:
                conn.close()
        else:
            conn.close()


def _name(database: str) -> str:
    return "`" + database.replace("`", "``") + "`"


def _create_database(database: str) -> str:
    return f"CREATE DATABASE IF NOT EXISTS {_name(database)} DEFAULT CHARACTER SET utf8mb4"
