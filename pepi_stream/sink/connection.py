"""Connections to MySQL or MariaDB, with the session that the sink relies on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import aiomysql

from pepi_stream.errors import FatalError, PepiError, TransientError
from pepi_stream.settings import DatabaseSettings
from pepi_stream.sink.bulk import BulkConnection
from pepi_stream.sink.failures import mysql_failure
from pepi_stream.tls import client_context

# Strict, so that a value that does not fit is an error and not a silent cut;
# without NO_BACKSLASH_ESCAPES, on which the escaping rests; UTC, because that is what the
# literals are in; utf8mb4 said again, because a server with skip-character-set-client-handshake, or
# an init_connect, does not heed what the greeting asked for, and would read our text as something
# else; READ COMMITTED, because upserts of window rows then take no gap locks. A table
# lock (LOCK TABLES, ALTER TABLE) is waited for no longer than a row lock, and a worker that dies in
# mid-transaction without a word, with its machine or its network, holds its locks for idle seconds.
_SESSION = (
    "SET NAMES utf8mb4 COLLATE utf8mb4_general_ci, "
    "SESSION sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', "
    "time_zone = '+00:00', innodb_lock_wait_timeout = {lock_wait}, "
    "lock_wait_timeout = {lock_wait}, wait_timeout = {idle}"
)
_ISOLATION = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"

#: A statement that takes so many seconds is on a dead connection (a server that was stopped, a
#: network that drops packets). Longer than any lock_wait_seconds.
STATEMENT_SECONDS = 120.0
_GOODBYE_SECONDS = 1.0


async def connect(settings: DatabaseSettings) -> BulkConnection:
    """Open a connection with the sink's session settings.

    Raises:
        TransientError: the server cannot be reached now.
        FatalError: it refuses us: wrong password, no such database; or we refuse it: no TLS, or
            not the certificate that DATABASE_URL asks for.
        ConfigError: a file that the URL names for TLS cannot be used.
    """
    return await _connect(settings, settings.connect_args())


async def connect_without_database(settings: DatabaseSettings) -> BulkConnection:
    """Open a connection to the server, whether or not the database exists yet."""
    return await _connect(settings, settings.connect_args() | {"db": None})


async def _connect(settings: DatabaseSettings, args: dict[str, Any]) -> BulkConnection:
    tls = settings.tls()
    context = client_context(tls) if tls else None
    # aiomysql encodes the password as Latin-1, and servers compare bytes of UTF-8.
    password = args["password"].encode().decode("latin-1")
    try:
        async with asyncio.timeout(settings.timeout_seconds):
            conn = BulkConnection(
                **args | {"password": password},
                ssl=context,
                charset="utf8mb4",
                autocommit=True,  # transactions are opened with BEGIN
                # The time-out is ours: aiomysql's is asyncio.wait_for, which in Python 3.11 loses
                # a cancellation that comes just when what it waits for is done.
                connect_timeout=None,
                program_name="pepi_stream",
            )
            try:
                await conn._connect()  # what aiomysql.connect does
                session = {"lock_wait": settings.lock_wait_seconds, "idle": settings.idle_seconds}
                await conn.query(_SESSION.format(**session))
                await conn.query(_ISOLATION)
                # No variable of MySQL's, which would refuse SELECT @@wsrep_on.
                wsrep = await fetch(conn, "SHOW VARIABLES LIKE 'wsrep_on'")
                conn.clustered = wsrep == [("wsrep_on", "ON")]
            except BaseException:
                conn.close()
                raise
    except Exception as exc:
        raise _failure(exc, args["unix_socket"] or f"{args['host']}:{args['port']}") from exc
    return conn


def _failure(exc: Exception, where: str) -> PepiError:
    if isinstance(exc, FatalError):  # GuardedConnection's
        return FatalError(f"connecting to {where}: {exc}")
    failure = mysql_failure(exc, f"connecting to {where}")
    if isinstance(failure, TransientError):
        return type(failure)(f"{failure}; is MySQL up, and DATABASE_URL right?")
    return failure


async def disconnect(conn: aiomysql.Connection) -> None:
    """Close a connection with a word to the server, which would log it as aborted otherwise."""
    try:
        async with asyncio.timeout(_GOODBYE_SECONDS):
            await conn.ensure_closed()
    except Exception as exc:
        mysql_failure(exc, "closing a connection")  # raises what is none of MySQL's
    finally:
        conn.close()


async def fetch(conn: aiomysql.Connection, sql: str) -> list[tuple[Any, ...]]:
    """Run a query and return its rows.

    Raises:
        TimeoutError: no answer in :data:`STATEMENT_SECONDS`; the connection is closed.
    """
    async with asyncio.timeout(STATEMENT_SECONDS), conn.cursor() as cursor:
        await cursor.execute(sql)
        return list(await cursor.fetchall())


async def execute(conn: aiomysql.Connection, sql: bytes) -> int:
    """Run a statement and return how many rows it affected.

    Raises:
        TimeoutError: no answer in :data:`STATEMENT_SECONDS`; the connection is closed.
    """
    async with asyncio.timeout(STATEMENT_SECONDS):
        affected: int = await conn.query(sql)
    return affected


async def execute_bulk(conn: BulkConnection, sql: str, types: bytes, rows: Sequence[bytes]) -> int:
    """Execute a statement once a row; as :meth:`BulkConnection.execute_bulk`.

    Raises:
        TimeoutError: no answer in :data:`STATEMENT_SECONDS`; the connection is closed.
    """
    async with asyncio.timeout(STATEMENT_SECONDS):
        return await conn.execute_bulk(sql, types, rows)
