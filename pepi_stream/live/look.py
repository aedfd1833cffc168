"""Looks at the queue and asks the servers whether they answer: once a second at most."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Final, NamedTuple, TypeVar

from pepi_stream.claims import ClaimStore, claim_age_seconds, clock_ms
from pepi_stream.claims.failures import redis_failure
from pepi_stream.errors import PepiError, StaleConnectionError, TransientError, message_of
from pepi_stream.formats import Format
from pepi_stream.settings import DatabaseSettings
from pepi_stream.sink import connect, statements
from pepi_stream.sink.bulk import BulkConnection
from pepi_stream.sink.connection import disconnect, execute, fetch
from pepi_stream.sink.failures import mysql_failure
from pepi_stream.upstream import Upstream

T = TypeVar("T")

#: A server that does not answer within this is of no use.
ANSWER_SECONDS: Final = 2.0
#: Of the payload at the head of the queue.
HEAD_BYTES: Final = 256 * 1024
_MOST_CLAIMS = 1000  # whose age is looked at: those whose lease ends first
_FRESH_SECONDS = 1.0
# A server that took a write so lately is not asked to take one.
_WRITTEN_SECONDS = 10.0
_WRITE_SECONDS = 1.0
_TRYING = "trying to write to MySQL"


class Look(NamedTuple):
    """What was seen.

    Attributes:
        at: seconds of the monotonic clock.
        backlog: payloads in the queue; None when Redis did not answer.
        claims: open claims.
        claim_age: seconds since the oldest of them was made.
        oldest: seconds since the event at the head of the queue happened.
        oldest_words: why that is not known.
        redis: why Redis did not answer; empty when it did.
        mysql: likewise.
    """

    at: float
    backlog: int | None = None
    claims: int | None = None
    claim_age: float | None = None
    oldest: float | None = None
    oldest_words: str = ""
    redis: str = ""
    mysql: str = ""


class Lookout:
    """Takes looks.

    Args:
        store: the queue.
        database: settings.
        format: reads the payload at the head.
        mysql: told whether MySQL takes what is written to it.
        ledger: the table to try that with.
    """

    def __init__(
        self,
        store: ClaimStore,
        database: DatabaseSettings,
        format: Format,
        *,
        mysql: Upstream,
        ledger: str,
    ) -> None:
        self._mysql = mysql
        self._ledger = ledger
        self._turn = 0
        self._store = store
        self._database = database
        self._format = format
        self._conn: BulkConnection | None = None
        self._used = 0.0
        self._lock = asyncio.Lock()
        self.last: Look | None = None

    async def look(self, *, write: bool = False) -> Look:
        """Return what is to be seen now, or was a moment ago. Raises nothing.

        Args:
            write: find out whether MySQL takes writes, too, if nobody else has, lately.
        """
        async with self._lock:
            if self.last is None or time.monotonic() - self.last.at > _FRESH_SECONDS * 0.9:
                (seen, redis), (_, mysql) = await asyncio.gather(
                    _within(self._look_at_redis, _redis),
                    _within(partial(self._ask_mysql, write), _mysql),
                )
                look = seen or Look(0.0)
                self.last = look._replace(at=time.monotonic(), redis=redis, mysql=mysql)
            return self.last

    async def close(self) -> None:
        """Close the connection to MySQL."""
        if self._conn is not None:
            conn, self._conn = self._conn, None
            await disconnect(conn)

    async def rest(self) -> None:
        """Nobody looks: close the connection before the server does it."""
        if self._conn is not None and not self._lock.locked() and self._stale():
            await self.close()

    def _stale(self) -> bool:
        return time.monotonic() - self._used > self._database.idle_seconds / 2

    async def _look_at_redis(self) -> Look:
        store = self._store
        backlog, claims = await store.depth()
        now_ms = clock_ms()
        ages = _ages(await store.open_ids(_MOST_CLAIMS), now_ms) if claims else []
        age = max(ages, default=None)
        oldest: float | None = age or 0.0
        words = ""
        if backlog:
            oldest, words = self._age_of(await store.head(HEAD_BYTES), now_ms)
        return Look(0.0, backlog, claims, age, oldest, words)

    def _age_of(self, head: bytes | int | None, now_ms: int) -> tuple[float | None, str]:
        if head is None:  # taken meanwhile
            return 0.0, ""
        if isinstance(head, int):
            return None, f"the next payload is too large to look into ({head:,} bytes)"
        try:
            column = self._format.decode([head]).columns.get("occurred_at")
            occurred = [ms for ms in column if ms is not None] if column is not None else []
        except asyncio.CancelledError:
            raise
        except BaseException:  # an extension's; the sink has the reason when it comes to it
            occurred = []
        if not occurred:
            return None, "the next payload does not tell when its event happened"
        return max(0.0, (now_ms - min(occurred)) / 1000), ""

    async def _ask_mysql(self, write: bool) -> None:
        conn = self._conn
        if conn is not None and (conn.closed or self._stale() or self._turn != self._mysql.turn):
            await self.close()
        try:
            if self._conn is None:
                self._turn = self._mysql.turn
                self._conn = await connect(self._database)
            await fetch(self._conn, "SELECT 1")
            self._used = time.monotonic()
            if write and self._mysql.unwritten_seconds > _WRITTEN_SECONDS:
                await self._write(self._conn)
        except BaseException:
            if self._conn is not None:
                self._conn.close()
                self._conn = None
            raise

    async def _write(self, conn: BulkConnection) -> None:
        """Find out whether MySQL takes writes, which a worker without events would not know."""
        try:
            async with asyncio.timeout(_WRITE_SECONDS):
                await execute(conn, statements.delete_nothing(self._ledger))
        except Exception as exc:
            failure = _mysql(exc, _TRYING)
            if isinstance(exc, TimeoutError):
                failure = StaleConnectionError(f"{_TRYING}: no answer within {_WRITE_SECONDS:g} s")
            if isinstance(failure, StaleConnectionError):
                conn.close()
                self._mysql.distrust(self._turn)
            if isinstance(failure, TransientError):
                self._mysql.failed(self, failure)
        else:
            self._mysql.succeeded(self)


async def _within(
    ask: Callable[[], Awaitable[T]], sort: Callable[[Exception], PepiError]
) -> tuple[T | None, str]:
    """Return (the answer, "") or (None, why there is none)."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await ask(), ""
    except TimeoutError:
        return None, f"no answer within {ANSWER_SECONDS:g} s"
    except PepiError as exc:
        return None, str(exc)
    except Exception as exc:
        try:
            return None, str(sort(exc))
        except Exception:
            return None, message_of(exc)


def _redis(exc: Exception) -> PepiError:
    return redis_failure(exc, "looking at the queue")


def _mysql(exc: Exception, doing: str = "asking MySQL") -> PepiError:
    return mysql_failure(exc, doing)


def _ages(claim_ids: Iterable[str], now_ms: int) -> list[float]:
    ages = []
    for claim_id in claim_ids:
        try:
            ages.append(max(0.0, claim_age_seconds(claim_id, now_ms)))
        except ValueError:
            continue
    return ages
