"""A RedisSource on a real Redis, with a pipeline that only records what it is given."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from pepi_stream.claims import Claim, ClaimStore, connect_redis
from pepi_stream.events import WindowKey
from pepi_stream.outcome import Outcome
from pepi_stream.settings import load_settings
from pepi_stream.source import RedisSource
from pepi_stream.upstream import Upstream
from tests.claiming import Bench, store_of, times_run
from tests.waiting import wait_until


class Worker:
    """One worker's source.

    Args:
        url: of its Redis.
        redis_timeout: seconds that it waits for a reply.
        clock: tells since when Redis takes no writes.
        settings: of the section [source], by name.
    """

    def __init__(
        self,
        url: str,
        *,
        redis_timeout: str = "5",
        clock: Callable[[], float] = time.monotonic,
        **settings: str,
    ) -> None:
        names = {
            "CLAIM_MAX": "2",
            "MAX_IN_FLIGHT": "3",
            "LEASE_SECONDS": "3",
            "RECOVER_SECONDS": "0.05",
            **settings,
        }
        environment = {f"PEPI_SOURCE__{name}": value for name, value in names.items()}
        environment["PEPI_REDIS__TIMEOUT_SECONDS"] = redis_timeout
        loaded = load_settings({"REDIS_URL": url, **environment})
        self.delivered: list[Claim] = []
        self.upstream = Upstream("Redis", clock)
        self.store: ClaimStore = store_of(connect_redis(loaded.redis, self.upstream))
        self.source = RedisSource(self.store, loaded, deliver=self._deliver, upstream=self.upstream)

    async def _deliver(self, claim: Claim) -> None:
        self.delivered.append(claim)

    @property
    def payloads(self) -> list[bytes]:
        return [p for c in self.delivered for p in c.payloads]

    async def delivers(self, count: int) -> list[Claim]:
        await wait_until(lambda: len(self.delivered) >= count)
        assert len(self.delivered) == count
        return self.delivered

    def commit(self, *claims: Claim, rows: int = 0) -> None:
        counts = {"minute": Counter({WindowKey(60, ("opened",)): rows})} if rows else {}
        self.source.settled(Outcome(list(claims), [], [], rows, 0, counts))


@asynccontextmanager
async def running(worker: Worker) -> AsyncIterator[Worker]:
    """Run the source's loops; an error that none of them should raise fails the test."""
    source = worker.source
    loops: list[Callable[[], Awaitable[None]]] = [
        source.claim_forever,
        source.deliver_forever,
        source.ack_forever,
        source.renew_forever,
    ]
    tasks = [asyncio.ensure_future(loop()) for loop in loops]
    try:
        yield worker
    finally:
        source.quiet()
        for task in tasks[1:]:
            task.cancel()
        async with asyncio.timeout(5):
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        await worker.store.close()
    for end in ended:
        assert end is None or isinstance(end, asyncio.CancelledError), end


async def rounds(bench: Bench, count: int) -> None:
    """Wait until the worker has looked for expired claims so many times more."""
    name = "zrangebyscore"
    until = await times_run(bench.redis, name) + count

    async def looked() -> bool:
        return await times_run(bench.redis, name) >= until

    await wait_until(looked)


def errors(caplog: pytest.LogCaptureFixture, part: str, level: int = logging.ERROR) -> int:
    return sum(r.levelno == level and part in r.getMessage() for r in caplog.records)
