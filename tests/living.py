"""Live states and the workers they listen to, in one process, over real servers."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from pepi_stream.announcements import Announcement, Announcer
from pepi_stream.claims import Claim, ClaimStore, clock_ms, connect_redis
from pepi_stream.live import Live
from pepi_stream.outcome import Outcome
from pepi_stream.services.tasks import end
from pepi_stream.sink import Transaction
from tests.sinking import Database
from tests.waiting import wait_until

QUEUE = "pepi_queue"


def payload(number: int, at: float | None = None, **fields: Any) -> bytes:
    """A ``plain`` payload of now, or of ``at`` in seconds since 1970."""
    return msgspec.json.encode(
        {
            "id": number,
            "event_name": ("sent", "opened", "clicked", "bounced")[number % 4],
            "email": f"user{number}@{('gmail.com', 'hotmail.fr', 'corp.example')[number % 3]}",
            "campaign": f"campaign {number % 7}",
            "ts": int(time.time() if at is None else at),
            **fields,
        }
    )


class Committer:
    """A worker as far as a listener knows it: claims, commits, acks with a message."""

    def __init__(
        self, database: Database, store: ClaimStore, transaction: Transaction, alone: asyncio.Lock
    ) -> None:
        self._alone = alone
        self.database = database
        self.store = store
        self.transaction = transaction
        self.announcer = Announcer(clock_ms(), store.db)

    async def claim(self, payloads: Sequence[bytes]) -> Claim:
        async with self._alone:
            await self.store.redis.rpush(QUEUE, *payloads)
            claim = await self.store.claim(
                self.store.new_id(), max_payloads=len(payloads), max_bytes=1 << 30
            )
        assert claim is not None
        return claim

    async def write(self, *claims: Claim) -> Outcome:
        pipeline, renderer = self.database.pipeline, self.database.renderer
        batches = [pipeline.count(pipeline.enrich(claim)) for claim in claims]
        return await self.transaction.write([renderer.render(batch) for batch in batches])

    async def ack(self, *outcomes: Outcome) -> int:
        done = [c.id for o in outcomes for c in (*o.committed, *o.repeated)]
        return await self.store.ack(done, self.announcer.committed(outcomes, clock_ms()))

    async def commit(self, payloads: Sequence[bytes]) -> Outcome:
        """All of it."""
        outcome = await self.write(await self.claim(payloads))
        await self.ack(outcome)
        return outcome

    async def alive(self) -> None:
        await self.store.publish(self.announcer.alive(clock_ms(), rows=1, dead=0, held=0))


class Stand:
    """Live states, committers, and the database they are held against."""

    def __init__(self, database: Database, redis_url: str) -> None:
        self.database = database
        self.settings = database.settings
        self._alone = asyncio.Lock()
        self._asking = asyncio.Lock()
        self._tasks: list[asyncio.Task[Any]] = []
        self._stores: list[ClaimStore] = []
        self.lives: list[Live] = []

    def store(self) -> ClaimStore:
        store = ClaimStore(connect_redis(self.settings.redis), queue=QUEUE, lease_seconds=30)
        self._stores.append(store)
        return store

    async def committer(self) -> Committer:
        return Committer(
            self.database, self.store(), await self.database.transaction(), self._alone
        )

    def live(self, **options: Any) -> Live:
        """Start a live state."""
        live = Live(self.settings, self.database.pipeline, worker="here:1", **options)

        async def deliver(said: Announcement) -> None:
            live.hear(said)

        for work in (live.listen_forever(deliver), live.seed_forever(), live.sample_forever()):
            self._tasks.append(asyncio.ensure_future(work))
        self.lives.append(live)
        return live

    async def _ask(self, sql: str) -> list[tuple[Any, ...]]:
        async with self._asking:
            return await self.database.query(sql)

    async def rows(self) -> int:
        [(count,)] = await self._ask("SELECT COUNT(*) FROM pepi_event")
        return int(count)

    async def truth(self, window: str) -> Counter[tuple[int, tuple[str, ...]]]:
        by = ", ".join(f"`{c}`" for c in self.settings.windows[window].by)
        found = await self._ask(
            f"SELECT TIMESTAMPDIFF(SECOND, '1970-01-01', window_start), {by}, n "
            f"FROM pepi_window_{window}"
        )
        return Counter({(int(s), tuple(v)): int(n) for s, *v, n in found})

    async def equal(self, *lives: Live) -> bool:
        """Tell whether what they show is what is in the database."""
        for live in lives or self.lives:
            for window in self.settings.windows:
                if shown(live, window) != await self.truth(window):
                    return False
        return True

    async def close(self) -> None:
        for task in self._tasks:
            assert not task.done(), task
        await end(self._tasks)
        for live in self.lives:
            await live.close()
        for store in self._stores:
            await store.close()


def shown(live: Live, window: str) -> Counter[tuple[int, tuple[str, ...]]]:
    rows = live.snapshot()["windows"][window]["rows"]
    return Counter({(start, tuple(values)): n for start, values, n in rows})


def total(live: Live, window: str = "minute") -> int:
    return shown(live, window).total()


@asynccontextmanager
async def stand(database: Database, redis_url: str) -> AsyncIterator[Stand]:
    made = Stand(database, redis_url)
    try:
        yield made
    finally:
        await made.close()


async def seeded(*lives: Live) -> None:
    """Wait until each has read the tables once."""
    for live in lives:
        await wait_until(lambda live=live: live.reads >= 1)  # type: ignore[misc]
