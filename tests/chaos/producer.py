"""Pushes events, each exactly once though Redis comes and goes, and knows what it pushed.

Or some of them again, on purpose: what `sink.dedupe` is for.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from tests.chaos import events
from tests.claiming import QUEUE
from tests.waiting import wait_until

#: Holds the number of the producer's last transaction: the one key that is not pepi_stream's.
MARK = "chaos:mark"

_HIGH_WATER = 150_000  # payloads in the queue above which the producer waits
_LOW_WATER = 50_000
_PATIENCE_SECONDS = 60.0
_REPEATS = 100  # payloads that come again beside a chunk of new events
_RECENT = 8  # chunks that other workers may hold just now

#: Adds commands to a transaction.
Commands = Callable[[Any], object]


class Producer:
    """The only writer to the queue.

    Each push is a transaction that also writes its own number. After a lost reply that number
    tells whether the push took place. So the producer knows exactly what it pushed, and a
    difference at the end is the pipeline's.

    Args:
        redis: a client without retries of its own.
        repeats: draws payloads to push again beside new ones; None for no repeats.

    Attributes:
        pushed: the first number of each chunk that is certainly in Redis.
        payloads: how many payloads that were, with those that came again.
        repeats: event -> how often it came again.
    """

    def __init__(self, redis: Redis, *, repeats: Random | None = None) -> None:
        self._redis = redis
        self._random = repeats
        self._lock = asyncio.Lock()
        self._number = 0
        self._next = 0
        self.pushed: list[int] = []
        self.payloads = 0
        self.repeats: Counter[int] = Counter()

    @property
    def events(self) -> int:
        """How many events were pushed, repeats apart."""
        return len(self.pushed) * events.CHUNK

    async def run(self, stop: asyncio.Event, *, per_second: float) -> None:
        """Push until ``stop``, at most so many events a second, and wait while the queue is long.

        Args:
            stop: ends it.
            per_second: events.
        """
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not stop.is_set():
            depth = await self.push_chunk()
            if depth > _HIGH_WATER:
                await self._until_short(stop)
            due = max(due + events.CHUNK / per_second, loop.time() - 1)
            await pause(stop, due - loop.time())

    async def push_chunk(self) -> int:
        """Push the next events on the queue; return its length."""
        depth = 0

        def push(pipe: Any) -> None:
            pipe.rpush(QUEUE, *payloads)

        async with self._chunk() as payloads:
            results = await self._once(push)
            depth = results[0] if results else 0
        return depth

    async def hand_over(self, commands: Callable[[Any, list[bytes]], object]) -> None:
        """Put the next events into Redis in another way than on the queue."""
        async with self._chunk() as payloads:
            await self._once(lambda pipe: commands(pipe, payloads))

    async def transact(self, commands: Commands) -> None:
        """Run commands in a transaction, exactly once."""
        async with self._lock:
            await self._once(commands)

    @asynccontextmanager
    async def _chunk(self) -> AsyncIterator[list[bytes]]:
        """The next payloads, which count as pushed when the block ends well."""
        async with self._lock:
            first = self._next
            self._next += events.CHUNK
            again = self._again(first)
            payloads = [*events.payloads(first), *again]
            if self._random:
                self._random.shuffle(payloads)
            yield payloads
            self.pushed.append(first)
            self.payloads += len(payloads)
            self.repeats.update(n for payload in again for n in events.numbers_of(payload))

    def _again(self, first: int) -> list[bytes]:
        """Return payloads of this chunk, of one just pushed, or of any; all of its bad ones."""
        if not self._random:
            return []
        chunks = self._random.choice([[first], self.pushed[-_RECENT:], self.pushed]) or [first]
        chunk = events.payloads(self._random.choice(chunks))
        bad = [p for p in chunk if any(map(events.is_dead, events.numbers_of(p)))]
        return [*bad, *self._random.choices(chunk, k=_REPEATS)]

    async def _once(self, commands: Commands) -> list[Any]:
        """Run a transaction exactly once; return its results, or nothing if they were lost."""
        self._number += 1
        deadline = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
        while True:
            try:
                async with self._redis.pipeline(transaction=True) as pipe:
                    # Watched, because a transaction whose reply was lost may still be on its way.
                    await pipe.watch(MARK)
                    if await pipe.get(MARK) == b"%d" % self._number:
                        return []
                    pipe.multi()  # type: ignore[no-untyped-call]
                    commands(pipe)
                    pipe.set(MARK, self._number)
                    return list(await pipe.execute())
            except (RedisError, OSError):
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await pause(asyncio.Event(), 0.05)

    async def _until_short(self, stop: asyncio.Event) -> None:
        async def short() -> bool:
            if stop.is_set():
                return True
            try:
                return int(await self._redis.llen(QUEUE)) < _LOW_WATER
            except (RedisError, OSError):
                return False

        await wait_until(short, seconds=10 * _PATIENCE_SECONDS)


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Let time pass, or less of it when ``stop`` is set."""
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            await stop.wait()
    except TimeoutError:
        pass
