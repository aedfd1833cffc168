"""Tells what a refusal is about: a producer's value, or a table that is not as it should be.

Only the first makes a dead letter. After the second every row would be one, so the claims are
kept and the worker ends, as it does when a column is missing. The server's error number alone
does not tell: 1366 is a bad number of a producer's, or a text column that became an INT. So the
tables are looked at again, as at start, when a row is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import aiomysql

from pepi_stream.errors import FatalError, PepiError, PoisonError, TransientError
from pepi_stream.sink.connection import fetch
from pepi_stream.sink.failures import DUPLICATE_KEY, NO_NUMBER_LEFT, NO_PARTITION, mysql_failure
from pepi_stream.sink.inspection import Found, Key, TableState, judge, look_at
from pepi_stream.sink.schema import Schema

_DUPLICATES: Final = frozenset({DUPLICATE_KEY, 1586})
# Character that the column's character set lacks: by MySQL, by MariaDB.
_CHARSET: Final = frozenset({1366, 1977, 3854})
_ENTRY_AND_KEY: Final = re.compile(r"'(.*)'[^']*'(?:[^'.]*\.)?([^'.]*)'[^']*$", re.DOTALL)
# An event may be so much younger than its arrival and still be of a clock that runs well.
_AHEAD_MS: Final = timedelta(days=1) // timedelta(milliseconds=1)
_BROKEN = "compare it with what `migrate --dry-run` prints, its keys, checks and triggers, too"


class Refusals:
    """Judges the refusals of one connection.

    Args:
        conn: the connection.
        schema: the tables.
    """

    def __init__(self, conn: aiomysql.Connection, schema: Schema) -> None:
        self._conn = conn
        self._tables = {table.name: table for table in schema.definitions()}
        self._events = schema.names.event
        self._written = {c.name.lower() for c in schema.columns if c.values is not None}
        self._found: Found | None = None

    def begin(self) -> None:
        """Forget how the event table was: it may have changed before this transaction."""
        self._found = None

    async def of_row(
        self, exc: Exception, occurred_ahead: Callable[[], int | None] = lambda: None
    ) -> None:
        """Judge why the server refused one event's row.

        Args:
            exc: what was raised.
            occurred_ahead: says by how many ms the event is younger than its arrival.

        Raises:
            FatalError: it is not about the row's values.
        """
        if (number := _number(exc)) is None:
            return
        message = str(exc.args[-1])
        if number == NO_PARTITION:
            ahead = occurred_ahead()
            if ahead is None or ahead <= _AHEAD_MS:
                raise self._fatal(exc, "add a partition for the row, or one for all the rest")
            return
        if self._found is None:
            self._found = await look_at(self._conn, self._events)
        if self._found is None:
            return
        if number in _DUPLICATES:
            if key := self._key_of_its_own(self._found, message):
                raise self._fatal(
                    exc,
                    f"no event has a value in the key {key.name}: its AUTO_INCREMENT is used up or "
                    "was set back (ALTER TABLE ... AUTO_INCREMENT, or a larger type), or its "
                    "column's default is the same in all rows",
                )
            return
        for state in judge(self._tables[self._events], self._found):
            if state.problem and (
                state.fatal
                or (state.charset and number in _CHARSET and "tring value" in message)
                or (state.charset and number in _CHARSET - {1366})
            ):
                raise self._fatal(exc, _said(state))

    def _key_of_its_own(self, found: Found, message: str) -> Key | None:
        """Return the key that a duplicate was found in, if its values are none of the events'."""
        match = _ENTRY_AND_KEY.search(message)
        key = next((k for k in found.keys if match and k.name == match[2]), None)
        if match is None or key is None or "" in key.columns:
            return None
        columns = [found.columns[name] for name in key.columns]
        foreign = [c for c in columns if c.name.lower() not in self._written]
        if any(column.automatic for column in foreign):
            return key
        # What a trigger, or an expression over the event's values, has filled is of the event.
        constant = {str(c.default).strip("'") for c in foreign if not c.generated}
        return key if len(foreign) == len(columns) and constant == {match[1]} else None

    async def of_transaction(self, exc: Exception, doing: str, table: str) -> PepiError:
        """Return what to raise for an error that ended a transaction, which is rolled back.

        Args:
            exc: what was raised, by a statement that wrote to ``table``.
            doing: what was being done, for the message.
            table: its name.
        """
        if isinstance(exc, TransientError):
            failure: PepiError = exc  # of ours: a table did not do what it is asked to
        else:
            failure = mysql_failure(exc, doing)
        if isinstance(failure, PoisonError):
            # No event's value is at fault: we make, and bound, what our own tables hold.
            failure = FatalError(str(mysql_failure(exc, f"{doing} (table {table})")))
            problem = await self._problem_of(table)
            return FatalError(f"{failure}; {problem or f'mend the table: {_BROKEN}'}")
        if isinstance(exc, TransientError) and (problem := await self._problem_of(table)):
            return FatalError(f"{failure}; {problem}")
        if _number(exc) == NO_NUMBER_LEFT and (column := await self._used_up(table)):
            return FatalError(
                f"{failure}; the numbers of {table}.{column} are used up: give it a larger type, "
                f"or go back to those in use (ALTER TABLE `{table}` AUTO_INCREMENT = 1)"
            )
        if isinstance(failure, FatalError) and table not in str(failure):
            return FatalError(f"{failure} (table {table})")
        return failure

    async def _problem_of(self, table: str) -> str | None:
        try:
            states = judge(self._tables[table], await look_at(self._conn, table))
        except Exception:  # the connection is gone, too: the next one will tell
            return None
        return next((_said(state) for state in states if state.problem), None)

    async def _used_up(self, table: str) -> str | None:
        """Return the name of the AUTO_INCREMENT column of a table if no number is left to it."""
        try:
            if await fetch(self._conn, "SHOW VARIABLES LIKE 'information_schema_stats_expiry'"):
                # Else MySQL says what it was a day ago.
                await self._conn.query("SET SESSION information_schema_stats_expiry = 0")
            rows = await fetch(
                self._conn,
                "SELECT AUTO_INCREMENT FROM information_schema.TABLES "
                f"WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '{table}'",
            )
            found = await look_at(self._conn, table)
        except Exception:  # as above
            return None
        for column in found.columns.values() if found else ():
            if column.automatic and column.largest and int(rows[0][0] or 0) >= column.largest:
                return column.name
        return None

    def _fatal(self, exc: Exception, remedy: str) -> FatalError:
        failure = mysql_failure(exc, f"inserting rows into {self._events}")
        return FatalError(f"{failure}; {remedy}; the claims are kept")


def _number(exc: Exception) -> int | None:
    """Return the number of an error of MySQL's."""
    if isinstance(exc, aiomysql.MySQLError) and exc.args and isinstance(exc.args[0], int):
        return exc.args[0]
    return None


def _said(state: TableState) -> str:
    return f"table {state.table} {state.problem}; {state.remedy}"
