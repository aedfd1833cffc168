"""A sink's parts over a real database, what is in its tables, and the conservation check."""

from __future__ import annotations

import getpass
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomysql

from pepi_stream.claims.claim import Claim, new_claim_id
from pepi_stream.events import Batch, Column
from pepi_stream.pipeline import Pipeline
from pepi_stream.settings import Settings, load_settings
from pepi_stream.sink import Rendered, RowRenderer, Schema, Transaction, connect
from pepi_stream.sink.bulk import BulkConnection, bulk_head
from pepi_stream.sink.connection import fetch

NOW_MS = 1_700_000_000_000
_millisecond = itertools.count(NOW_MS)


def event(number: int = 1, **fields: Any) -> bytes:
    """A Pepipost payload; a field that is given as None is left out."""
    record = {
        "TRANSID": number,
        "EMAIL": f"reader{number}@gmail.com",
        "TIMESTAMP": 1_554_375_863 + number % 3 * 60,
        "EVENT": ("sent", "opened", "clicked")[number % 3],
        "TAGS": f"campaign {number % 2}",
        **fields,
    }
    return json.dumps({k: v for k, v in record.items() if v is not None}).encode()


def events(count: int, first: int = 1) -> list[bytes]:
    return [event(number) for number in range(first, first + count)]


def claim_of(payloads: Sequence[bytes], claim_id: str | None = None) -> Claim:
    return Claim(
        claim_id or new_claim_id(next(_millisecond)),
        list(payloads),
        delivery=1,
        received_at=NOW_MS,
    )


def object_or_text(batch: Batch) -> Column:
    """A user's column: no SQL value at all for a recipient that starts with ``object``."""
    return [object() if r.startswith("object") else r for r in batch.column("recipient")]


def null_or_text(batch: Batch) -> Column:
    """A user's column: None for a recipient that starts with ``null``."""
    return [None if r.startswith("null") else r for r in batch.column("recipient")]


def raising(batch: Batch) -> Column:
    """A user's column that raises, at length, for a recipient that starts with ``raise``."""
    if any(r.startswith("raise") for r in batch.column("recipient")):
        raise ValueError("no such reader " * 4_700)  # above the 65,535 bytes of a TEXT
    return batch.column("recipient")


class Database:
    """The tables that settings ask for, and everything that writes to them.

    Attributes:
        settings: with ``database.url`` of the test's database.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.pipeline = Pipeline.from_settings(settings)
        self.schema = Schema.from_settings(settings)
        self.renderer = RowRenderer(self.schema.columns, drop=not self.schema.dedupe)
        self.renderer.bulk = settings.sink.bulk  # the tests' server is MariaDB
        self._connections: list[BulkConnection] = []
        self._look: BulkConnection | None = None

    async def connect(self, settings: Settings | None = None) -> BulkConnection:
        """Open a connection with the sink's session; closed when the test ends."""
        conn = await connect((settings or self.settings).database)
        self._connections.append(conn)
        return conn

    async def transaction(
        self, *, max_bytes: int = 8 << 20, settings: Settings | None = None
    ) -> Transaction:
        conn = await self.connect(settings)
        [(packet,)] = await fetch(conn, "SELECT @@max_allowed_packet")
        return Transaction(
            conn,
            schema=self.schema,
            pipeline=self.pipeline,
            render=self.renderer.render,
            packet=packet,
            max_bytes=max_bytes,
        )

    def batch(self, payloads: Sequence[bytes], claim_id: str | None = None) -> Batch:
        """What the agents make of a claim of these payloads."""
        return self.pipeline.count(self.pipeline.enrich(claim_of(payloads, claim_id)))

    def rendered(self, payloads: Sequence[bytes], claim_id: str | None = None) -> Rendered:
        return self.renderer.render(self.batch(payloads, claim_id))

    async def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Run one statement on a connection of its own kind: nothing of a test's is on it."""
        if self._look is None or self._look.closed:
            self._look = await self.connect()
        return await fetch(self._look, sql)

    async def look_again(self) -> None:
        """Connect anew, after the server was away."""
        self._look = await self.connect()

    async def make_tables(self) -> None:
        """Run the DDL as ``migrate`` does; tables that exist are left alone."""
        conn = await self.connect()
        for statement in self.schema.ddl():
            await conn.query(statement.encode())

    async def value(self, sql: str) -> Any:
        [(value,)] = await self.query(sql)
        return value

    async def ids(self) -> list[str]:
        """The ``id`` of every row, sorted as text."""
        return sorted(str(row[0]) for row in await self.query(f"SELECT id FROM {self.table}"))

    @property
    def table(self) -> str:
        return self.schema.names.event

    async def dead(self) -> list[tuple[int, int | None, bytes, str]]:
        """(position, element, payload, reason) of each dead letter, its parts joined."""
        parts = await self.query(
            "SELECT claim_id, position, element, part, payload, reason FROM pepi_dead_letter "
            "ORDER BY claim_id, position, element, part"
        )
        letters: list[tuple[int, int | None, bytes, str]] = []
        for _, same in itertools.groupby(parts, key=lambda row: row[:3]):
            rows = list(same)
            assert [row[3] for row in rows] == list(range(len(rows)))
            letters.append((rows[0][1], rows[0][2], b"".join(r[4] for r in rows), rows[0][5]))
        return letters

    async def check_windows(self) -> None:
        """Promise P3: the sum of each window is the number of rows."""
        there = {name for (name,) in await self.query("SHOW TABLES")}
        if self.table not in there:
            return
        rows = await self.value(f"SELECT COUNT(*) FROM `{self.table}`")
        for window in self.schema.windows:
            total = await self.value(
                f"SELECT COALESCE(SUM(n), 0) FROM `{self.schema.names.window(window.name)}`"
            )
            assert int(total) == rows, f"{window.name} counts {total} of {rows} rows"


@asynccontextmanager
async def database(url: str, tables: bool = True, /, **environ: str) -> AsyncIterator[Database]:
    """Open a database, make its tables, and hold P3 against it when the test ends."""
    opened = Database(load_settings({"DATABASE_URL": url, **environ}))
    try:
        if tables:
            await opened.make_tables()
        yield opened
        await opened.check_windows()
    finally:
        for conn in opened._connections:
            conn.close()


def intercept(conn: BulkConnection, before: Callable[[bytes], Awaitable[None]]) -> None:
    """Await ``before(statement)`` each time before a connection is asked something."""
    query, execute_bulk = conn.query, conn.execute_bulk

    async def asked(sql: bytes | str, unbuffered: bool = False) -> Any:
        await before(sql if isinstance(sql, bytes) else sql.encode())
        return await query(sql, unbuffered)

    async def asked_in_bulk(sql: str, types: bytes, rows: Sequence[bytes]) -> int:
        await before(b"".join([sql.encode(), bulk_head(0, types), *rows]))
        return await execute_bulk(sql, types, rows)

    conn.query = asked
    conn.execute_bulk = asked_in_bulk  # type: ignore[method-assign]


class Statements:
    """Everything a connection is asked, as it is sent; a bulk behind the statement's own text."""

    def __init__(self, conn: BulkConnection) -> None:
        self.sent: list[bytes] = []

        async def record(sent: bytes) -> None:
            self.sent.append(sent)

        intercept(conn, record)

    def starting(self, head: str) -> list[bytes]:
        return [sql for sql in self.sent if sql.startswith(head.encode())]


@asynccontextmanager
async def administrator(
    socket: Path, user: str | None = None
) -> AsyncIterator[aiomysql.Connection]:
    """The account that may set global variables: this system user's, over the socket."""
    conn = await aiomysql.connect(
        unix_socket=str(socket), user=user or getpass.getuser(), autocommit=True
    )
    try:
        yield conn
    finally:
        conn.close()


@asynccontextmanager
async def global_variable(socket: Path, name: str, value: int | str) -> AsyncIterator[None]:
    """Set a variable of the server for connections that are opened from now on."""
    async with administrator(socket) as admin:
        [(before,)] = await fetch(admin, f"SELECT @@GLOBAL.{name}")
        await admin.query(f"SET GLOBAL {name} = {value!r}")
        try:
            yield
        finally:
            await admin.query(f"SET GLOBAL {name} = {before!r}")
