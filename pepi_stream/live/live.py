"""Live: keeps the live tables of one worker equal to the database, and tells a page of them.

What is exact and why: docs/decisions/0012-live-tables.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, NoReturn

from pepi_stream import announcements
from pepi_stream.announcements import Announcement
from pepi_stream.backoff import Backoff
from pepi_stream.claims import ClaimStore, clock_ms, connect_redis
from pepi_stream.claims.claim import first_claim_key
from pepi_stream.errors import message_of
from pepi_stream.live import letters
from pepi_stream.live.listener import listen
from pepi_stream.live.look import Lookout
from pepi_stream.live.merge import AbandonedError, Merger, claim_keys
from pepi_stream.live.page import Page
from pepi_stream.live.queries import Queries
from pepi_stream.live.recent import Recent
from pepi_stream.live.rows import RowTable
from pepi_stream.live.series import SeriesTable
from pepi_stream.live.snapshot import read_snapshot
from pepi_stream.live.tables import Tables
from pepi_stream.pipeline import Pipeline
from pepi_stream.settings import Settings
from pepi_stream.sink import connect
from pepi_stream.sink.connection import disconnect
from pepi_stream.sink.failures import mysql_failure
from pepi_stream.tables import TableNames
from pepi_stream.upstream import Upstream

logger = logging.getLogger(__name__)

#: The tables are read anew so often even if nothing seems to have been missed.
RESEED_SECONDS: Final = 60.0
_LEAST_SECONDS = 1.0  # between two reads, whatever was missed
# A read may take this share of the time, at most, when messages are missed; and when none are.
_HURRIED, _UNHURRIED = 1 / 5, 1 / 20
_READ_SECONDS = 30.0
_MARKER_SECONDS = 5.0
# Claims whose id is older than this at the marker were open then, or acked (but see Verdict).
_CLAIM_SECONDS = 60
_WATCHED_SECONDS = 10.0
_TICK_SECONDS = 1.0
_NO_PROGRESS_SECONDS = 60.0
# Dead letters that are read at the same time: each takes one of MySQL's connections.
_LOOK_AT_ONCE = 4


class Live:
    """The live state of one worker; nothing that it does or fails to do ends the worker.

    Args:
        settings: all of them.
        pipeline: its windows are shown, its format reads the head of the queue.
        worker: name of this worker, ``host:pid``.
        version: of this release.
        rows: rows of a window that are kept, at most.
        row_table: where the windows' rows are kept.
        series_table: where the series is kept.
        held: tells how many claims of this worker wait to be committed.
        committed: tells how much this worker has committed.
        checked: tells whether MySQL was found to have the tables.
        redis: tells whether Redis takes what is written to it.
        mysql: the same of MySQL.
    """

    def __init__(
        self,
        settings: Settings,
        pipeline: Pipeline,
        *,
        worker: str = "",
        version: str = "",
        rows: int = 1000,
        row_table: RowTable | None = None,
        series_table: SeriesTable | None = None,
        held: Callable[[], int] = lambda: 0,
        committed: Callable[[], int] = lambda: 0,
        checked: Callable[[], bool] = lambda: True,
        redis: Upstream | None = None,
        mysql: Upstream | None = None,
    ) -> None:
        self._settings = settings
        self._windows = pipeline.windows
        self._queries = Queries(TableNames.from_settings(settings))
        self._rows = rows
        self._held, self._committed, self._checked = held, committed, checked
        self._redis, self._mysql = redis or Upstream("Redis"), mysql or Upstream("MySQL")
        self.store = ClaimStore(
            connect_redis(settings.redis, self._redis),
            queue=settings.source.queue,
            lease_seconds=settings.source.lease_seconds,
        )
        self._tables = Tables(
            pipeline.windows,
            rows,
            {} if row_table is None else row_table,
            {} if series_table is None else series_table,
        )
        now = time.monotonic()
        self._recent = Recent(now)
        self._merger = Merger(self._tables)
        self._lookout = Lookout(
            self.store,
            settings.database,
            pipeline.format,
            mysql=self._mysql,
            ledger=TableNames.from_settings(settings).ledger,
        )
        self._page = Page(
            self._merger,
            self._recent,
            lease_seconds=settings.source.lease_seconds,
            head={
                "queue": settings.source.queue,
                "worker": worker,
                "version": version,
            },
        )
        self._page.stale_since, self._page.stale_words = now, self._merger.wanted
        self._listening = asyncio.Event()
        self._marked = asyncio.Event()
        self._stirred = asyncio.Event()
        self._watching = asyncio.Event()
        self._watched_at: float | None = None
        self._sizes: letters.Sizes = {}
        self._letters_due = False
        self._looking = asyncio.Semaphore(_LOOK_AT_ONCE)
        self._progress = now, committed()
        self._logged: set[str] = set()
        self.reads = 0

    # What a page asks.

    def snapshot(self) -> dict[str, Any]:
        """Return the whole state as ``docs/live.md`` has it, without ``id``, nothing masked."""
        return self._page.snapshot()

    def changes(self) -> dict[str, Any] | None:
        """Return what changed since the last call, or None; there is one caller.

        With a key ``snapshot`` the tables were replaced: readers need :meth:`snapshot`.
        """
        return self._page.changes()

    def watch(self) -> None:
        """Note that somebody looks: the figures are sampled for some seconds."""
        self._watched_at = time.monotonic()
        self._watching.set()

    async def look(self) -> None:
        """Note that somebody looks, and sample the figures now; two seconds at most."""
        self.watch()
        await self._sample()

    async def dead_letter(self, seq: int) -> dict[str, Any] | None:
        """Return one dead letter as ``docs/live.md`` has it, or None.

        Raises:
            PepiError: MySQL does not answer, or does not let us see it.
        """
        async with self._looking:
            conn = await connect(self._settings.database)
            try:
                return await letters.whole(conn, self._queries, seq)
            except Exception as exc:
                raise mysql_failure(exc, "reading a dead letter") from exc
            finally:
                await disconnect(conn)

    async def ready(self) -> list[str]:
        """Return why this worker is not ready; empty when it is."""
        look = await self._lookout.look(write=self._checked())
        self._page.look = look
        reasons = []
        if look.redis:
            reasons.append(f"Redis does not answer: {look.redis}")
        if look.mysql:
            reasons.append(f"MySQL does not answer: {look.mysql}")
        if not self._checked():
            reasons.append("the tables in MySQL are not checked yet")
        reasons += self._refusals()
        self._note_progress()
        waited = time.monotonic() - self._progress[0]
        if not look.mysql and waited > _NO_PROGRESS_SECONDS:
            reasons.append(f"claims are held and none was committed for {waited:.0f} s")
        return reasons

    # What keeps it up to date.

    def hear(self, said: Announcement) -> None:
        """Take in an announcement; raises nothing."""
        try:
            now = time.monotonic()
            self._recent.ages.add(said.lags, now)
            self._recent.took.add(said.took, now)
            self._recent.told(said.whole, now)
            for commit in said.commits:
                self._recent.committed(commit.rows, commit.dead, now)
                self._letters_due |= commit.dead > 0
            self._merger.hear(said, clock_ms())
            if self._merger.marked:
                self._marked.set()
        except Exception as exc:
            self._log_once(exc, "an announcement")
            self._merger.wanted = "an announcement was not understood"
        self._note_wanted()

    async def listen_forever(self, deliver: Callable[[Announcement], Awaitable[None]]) -> NoReturn:
        """Deliver announcements; what is delivered must come to :meth:`hear`, in order."""
        backoff = Backoff(0.1, 5.0)

        def subscribed() -> None:
            self._listening.set()
            self._stirred.set()

        async def heard(said: Announcement) -> None:
            if backoff.failures:
                logger.info("the live page hears the workers again")
                backoff.reset()
            await deliver(said)

        while True:
            try:
                await listen(self.store, self._redis, heard, subscribed)
            except Exception as exc:
                self._listening.clear()
                self._merger.abandon("the connection to Redis was lost")
                self._note_wanted()
                if not backoff.failures:
                    logger.warning("the live page hears no worker: %s; trying on", message_of(exc))
                await asyncio.sleep(backoff.next())

    async def seed_forever(self) -> NoReturn:
        """Read the tables when something was missed, and now and then anyway."""
        backoff = Backoff(0.5, 15.0)
        due = 0.0
        while True:
            await self._listening.wait()
            wait = 0.0 if self._merger.wanted else due - time.monotonic()
            if wait > 0:
                self._stirred.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._stirred.wait()
                continue  # what stirred us may be that we do not listen any more
            began = time.monotonic()
            try:
                async with asyncio.timeout(_READ_SECONDS):
                    await self._seed()
            except Exception as exc:
                words = (
                    "reading takes too long" if isinstance(exc, TimeoutError) else message_of(exc)
                )
                self._merger.abandon(words)
                self._page.stale_words = words
                self._note_wanted()
                if not backoff.failures and not isinstance(exc, AbandonedError):
                    logger.warning("the live page cannot read the tables: %s; trying on", words)
                await asyncio.sleep(max(_LEAST_SECONDS, backoff.next()))
                continue
            if backoff.failures:
                logger.info("the live page shows the tables again")
                backoff.reset()
            took = time.monotonic() - began
            due = time.monotonic() + max(
                RESEED_SECONDS * random.uniform(0.8, 1.2), took / _UNHURRIED
            )
            await asyncio.sleep(max(_LEAST_SECONDS, took / _HURRIED))

    async def sample_forever(self) -> NoReturn:
        """Sample the figures every second while somebody looks."""
        while True:
            try:
                self._merger.workers.forget(clock_ms())
                self._note_progress()
                if self._watched():
                    await self._sample()
                    # Not while a snapshot is read: it has an older list, and shows it later.
                    reading = self._merger.marked
                    if self._letters_due and self._tables.dead is not None and not reading:
                        await self._read_letters()
                else:
                    self._watching.clear()
                    await self._lookout.rest()
            except Exception as exc:
                self._log_once(exc, "sampling figures")
            if self._watched():
                await asyncio.sleep(_TICK_SECONDS)
            else:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_TICK_SECONDS):
                        await self._watching.wait()

    async def close(self) -> None:
        """Close the connections."""
        await self._lookout.close()
        await self.store.close()

    async def _seed(self) -> None:
        nonce = os.urandom(8).hex()
        self._marked.clear()
        self._merger.expect(nonce)
        now_ms = clock_ms()
        since = now_ms - _CLAIM_SECONDS * 1000 - self._merger.workers.behind_ms()
        asked = await self.store.open_ids_and_publish(announcements.marker(nonce, now_ms))
        async with asyncio.timeout(_MARKER_SECONDS):
            await self._marked.wait()
        conn = await connect(self._settings.database)
        try:
            snapshot, ledger = await read_snapshot(
                conn,
                self._queries,
                self._windows,
                limit=self._rows,
                now=time.time(),
                asked=claim_keys(asked),
                since=first_claim_key(max(0, since)),
                sizes=self._sizes,
            )
        finally:
            conn.close()
        self._merger.complete(snapshot, ledger)
        self._page.set_letters(snapshot.letters)
        if not self.reads:
            logger.info("the live page shows the tables")
        self.reads += 1
        self._note_wanted()
        self._page.judge()

    def _note_wanted(self) -> None:
        if self._merger.wanted:
            self._stirred.set()
            if self._page.stale_since is None:
                self._page.stale_since = time.monotonic()
                self._page.stale_words = self._merger.wanted
        elif self._listening.is_set() and not self._merger.marked and self._merger.seeded:
            self._page.stale_since = None

    async def _sample(self) -> None:
        self._page.look = await self._lookout.look(write=self._checked())
        self._page.refusals = self._refusals()
        self._page.judge()

    def _refusals(self) -> list[str]:
        return [words for server in (self._redis, self._mysql) if (words := server.refusal)]

    async def _read_letters(self) -> None:
        self._letters_due = False
        conn = await connect(self._settings.database)
        try:
            self._page.set_letters(await letters.newest(conn, self._queries, self._sizes))
        finally:
            await disconnect(conn)

    def _watched(self) -> bool:
        at = self._watched_at
        return at is not None and time.monotonic() - at < _WATCHED_SECONDS

    def _note_progress(self) -> None:
        committed = self._committed()
        if committed != self._progress[1] or not self._held():
            self._progress = time.monotonic(), committed

    def _log_once(self, exc: Exception, doing: str) -> None:
        what = f"{doing}: {message_of(exc)}"
        if what not in self._logged and len(self._logged) < 20:
            self._logged.add(what)
            logger.warning("the live page: %s (said once)", what, exc_info=exc)
