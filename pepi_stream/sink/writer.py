"""Sink: the buffer, and the writers that empty it, one connection each."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import NoReturn

from pymysql.err import MySQLError

from pepi_stream.claims.claim import first_claim_key
from pepi_stream.errors import FatalError, StaleConnectionError, TransientError
from pepi_stream.events import Batch
from pepi_stream.outcome import Outcome
from pepi_stream.pipeline import Pipeline
from pepi_stream.settings import Settings
from pepi_stream.sink import statements
from pepi_stream.sink.buffer import SinkBuffer
from pepi_stream.sink.bulk import BulkConnection
from pepi_stream.sink.connection import connect, disconnect, execute, fetch
from pepi_stream.sink.failures import mysql_failure
from pepi_stream.sink.inspection import inspect_tables, null_by_default
from pepi_stream.sink.repeats import prune_statement
from pepi_stream.sink.rows import Rendered, RowRenderer, rendered_text
from pepi_stream.sink.schema import Schema
from pepi_stream.sink.transaction import Transaction
from pepi_stream.upstream import Retry, Upstream

logger = logging.getLogger(__name__)

_PRUNE_ROWS = 1000


class Sink:
    """Buffers batches and commits them.

    Args:
        settings: sink and database settings.
        pipeline: recounts windows when rows are refused.
        on_commit: called after each COMMIT.
        starved: tells that the source can claim nothing more until a flush ends, so
            that waiting for a fuller buffer is in vain.
        upstream: told whether MySQL takes what is written to it.
    """

    def __init__(
        self,
        settings: Settings,
        pipeline: Pipeline,
        *,
        on_commit: Callable[[Outcome], None],
        starved: Callable[[int], bool] = lambda claims: False,
        upstream: Upstream | None = None,
    ) -> None:
        self._upstream = upstream or Upstream("MySQL")
        self._settings = settings
        self._pipeline = pipeline
        self._on_commit = on_commit
        self._starved = starved
        self.schema = Schema.from_settings(settings)
        # To find repeats, the columns are needed until the end.
        self._renderer = RowRenderer(self.schema.columns, drop=not self.schema.dedupe)
        self._buffer = SinkBuffer(
            max_rows=settings.sink.max_rows,
            max_bytes=settings.sink.max_bytes,
            max_age_seconds=settings.sink.max_age_seconds,
        )
        self._changed = asyncio.Event()
        self._writing = 0

    def accept(self, batch: Batch) -> None:
        """Take in a batch that was decoded, enriched and counted."""
        self._buffer.add(self.render(batch), time.monotonic())
        self._changed.set()

    def rehearse(self, batch: Batch) -> None:
        """Do all that :meth:`accept` does to a batch, and forget it."""
        self.render(batch)

    def render(self, batch: Batch) -> Rendered:
        """Render a batch; events that no row can be made of become dead letters."""
        try:
            return self._renderer.render(batch)
        except Exception:
            logger.exception("%r cannot be rendered as a whole; taking it event by event", batch)
        rows: list[str] = []
        kept = self._pipeline.sieve(
            batch, lambda event: rows.extend(self._renderer.render_all(event))
        )
        return rendered_text(kept, self._renderer.names, rows)

    async def ready(self) -> None:
        """Wait until the server answers and has the tables.

        Raises:
            FatalError: it refuses us, or a table or column is missing.
        """
        retry = self._retry()
        while True:
            try:
                conn = await connect(self._settings.database)
                try:
                    await self._check_tables(conn)
                finally:
                    conn.close()
                return retry.succeeded(wrote=False)
            except TransientError as exc:
                await asyncio.sleep(retry.failed(exc))

    async def write_forever(self) -> NoReturn:
        """Flush whatever is due, over one connection; run one task per connection.

        A flush that fails is written again, the same claims, until it is committed.

        Raises:
            FatalError: retrying cannot help; the flush stays uncommitted.
        """
        transaction: Transaction | None = None
        turn = 0
        retry = self._retry()
        try:
            while True:
                try:
                    idle = self._settings.database.idle_seconds / 2 if transaction else None
                    async with asyncio.timeout(idle):
                        flush = await self._next_flush()
                except TimeoutError:  # before the server does it
                    assert transaction is not None
                    await disconnect(transaction.conn)
                    transaction = None
                    continue
                try:
                    while True:
                        if transaction is not None and (
                            transaction.conn.closed or turn != self._upstream.turn
                        ):
                            await disconnect(transaction.conn)
                            transaction = None
                        try:
                            if transaction is None:
                                turn = self._upstream.turn
                                transaction = await self._open()
                            outcome = await transaction.write(flush)
                            break
                        except TransientError as exc:
                            if transaction is not None and isinstance(exc, StaleConnectionError):
                                self._upstream.distrust(turn)
                            await asyncio.sleep(retry.failed(exc))
                finally:
                    self._writing -= len(flush)
                retry.succeeded()
                self._on_commit(outcome)
        finally:
            if transaction is not None:
                transaction.conn.close()

    async def prune(self) -> int:
        """Delete ledger entries past the retention, in small chunks; return how many.

        With ``sink.dedupe``, forget the events past ``sink.dedupe_hours``, too.
        """
        days = self._settings.sink.ledger_retention_days
        before = first_claim_key(int((time.time() - days * 86_400) * 1000))
        conn = await connect(self._settings.database)
        try:
            if self.schema.dedupe:
                hours = self._settings.sink.dedupe_hours
                await _repeat(conn, prune_statement(self.schema.names.seen, hours, _PRUNE_ROWS))
            return await _repeat(
                conn, statements.prune_ledger(self.schema.names.ledger, before, days, _PRUNE_ROWS)
            )
        except Exception as exc:
            raise mysql_failure(exc, "pruning the ledger") from exc
        finally:
            conn.close()

    async def _next_flush(self) -> list[Rendered]:
        while True:
            due_in = self._buffer.due_in(time.monotonic())
            if due_in is not None and (
                due_in <= 0 or self._starved(len(self._buffer) + self._writing)
            ):
                flush = self._buffer.take()
                self._writing += len(flush)
                return flush
            self._changed.clear()
            try:
                async with asyncio.timeout(due_in):
                    await self._changed.wait()
            except TimeoutError:
                pass

    async def _open(self) -> Transaction:
        conn = await connect(self._settings.database)
        try:
            packet = await _packet(conn)
        except BaseException as exc:
            conn.close()
            if isinstance(exc, FatalError):
                raise
            raise mysql_failure(exc, "connecting") from exc
        return Transaction(
            conn,
            schema=self.schema,
            pipeline=self._pipeline,
            render=self.render,
            packet=packet,
            max_bytes=self._settings.sink.max_bytes,
        )

    async def _check_tables(self, conn: BulkConnection) -> None:
        try:
            await _packet(conn)
            async for state in inspect_tables(conn, self.schema):
                if state.problem:
                    text = f"table {state.table} {state.problem}; {state.remedy}"
                    if state.fatal:
                        raise FatalError(text)
                    logger.warning("%s", text)
            self._renderer.bulk = conn.bulk and self._settings.sink.bulk
            self._renderer.omittable = await null_by_default(conn, self.schema.names.event)
        except (MySQLError, OSError) as exc:
            raise mysql_failure(exc, "looking at the tables") from exc

    def _retry(self) -> Retry:
        return Retry(self._upstream, 0.1, self._settings.sink.retry_max_seconds)


async def _packet(conn: BulkConnection) -> int:
    """Return the server's max_allowed_packet; raises FatalError when it is too small."""
    [(packet,)] = await fetch(conn, "SELECT @@max_allowed_packet")
    if problem := statements.packet_problem(packet):
        raise FatalError(f"MySQL's {problem}; {statements.PACKET_REMEDY}")
    return int(packet)


async def _repeat(conn: BulkConnection, delete: bytes) -> int:
    """Run a DELETE of at most _PRUNE_ROWS rows until nothing is left to it; return how many."""
    deleted = 0
    while True:
        gone = await execute(conn, delete)
        deleted += gone
        if gone < _PRUNE_ROWS:
            return deleted
