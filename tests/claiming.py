"""A real queue in a real Redis, and the checks that every test of the delivery protocol ends with.

The promise under test is P1 of the design: a payload that was pushed is in the queue or in
exactly one claim, until the claim is acked.
"""

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError

from pepi_stream.claims import Claim, ClaimStore, connect_redis
from pepi_stream.settings import load_settings

QUEUE = "pepi_queue"
LEASE_SECONDS = 30.0
MANY = 1_000_000


def client_of(url: str, **settings: str) -> Redis:
    """The worker's own kind of client; settings as in the environment."""
    return connect_redis(load_settings({"REDIS_URL": url, **settings}).redis)


def store_of(redis: Redis) -> ClaimStore:
    return ClaimStore(redis, queue=QUEUE, lease_seconds=LEASE_SECONDS)


class Bench:
    """A queue under test: its store, and what has been pushed and acked so far."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.store = store_of(redis)
        self.expected: Counter[bytes] = Counter()

    async def push(self, *payloads: bytes) -> list[bytes]:
        for start in range(0, len(payloads), 1000):
            await self.redis.rpush(QUEUE, *payloads[start : start + 1000])
        self.expected.update(payloads)
        return list(payloads)

    async def claim(
        self, max_payloads: int = MANY, *, max_bytes: int = MANY, claim_id: str | None = None
    ) -> Claim:
        claim = await self.store.claim(
            claim_id or self.store.new_id(), max_payloads=max_payloads, max_bytes=max_bytes
        )
        assert claim is not None
        return claim

    async def again(self, claim_id: str) -> list[bytes] | None:
        claim = await self.store.claim(claim_id, max_payloads=MANY, max_bytes=MANY, again=True)
        return None if claim is None else claim.payloads

    async def recover(self, *candidates: str) -> Claim:
        claim = await self.store.recover(candidates)
        assert claim is not None
        return claim

    async def ack(self, *claims: Claim, message: bytes = b"") -> int:
        """Ack, and stop expecting the payloads of the claims that were open."""
        for claim in claims:
            if await self.redis.zscore(self.store.claims_key, claim.id) is not None:
                self.expected.subtract(claim.payloads)
        return await self.store.ack([c.id for c in claims], message)

    async def expire(self, claim: Claim) -> None:
        """Let the claim's lease end, as if the time had passed."""
        await self.redis.zadd(self.store.claims_key, {claim.id: 1}, xx=True)
        assert await self.deadline(claim) == 1

    async def deadline(self, claim: Claim) -> float:
        score = await self.redis.zscore(self.store.claims_key, claim.id)
        assert score is not None
        return float(score)

    async def now(self) -> int:
        """The server's clock in ms."""
        seconds, micros = await self.redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    async def queued(self) -> list[bytes]:
        return await list_at(self.redis, QUEUE)

    async def delivery(self, claim: Claim) -> int:
        count = await self.redis.hget(self.store.deliveries_key, claim.id)
        assert count is not None
        return int(count)

    async def check(self) -> None:
        """Every payload that was pushed and not acked is in one place; no key is a stray."""
        await assert_conserved(self.store, self.expected.elements())


@asynccontextmanager
async def checked_bench(url: str) -> AsyncIterator[Bench]:
    """Run a test's block on a queue of this Redis, then check that nothing was lost."""
    redis = client_of(url)
    try:
        bench = Bench(redis)
        yield bench
        await bench.check()
    finally:
        await redis.aclose()


async def list_at(redis: Redis, key: str) -> list[bytes]:
    payloads: Any = await redis.lrange(key, 0, -1)
    return list(payloads)


async def open_claims(store: ClaimStore) -> dict[str, list[bytes]]:
    """Claim id -> payloads, for every claim with a lease."""
    ids: Any = await store.redis.zrange(store.claims_key, 0, -1)
    return {i: await list_at(store.redis, store.claim_key(i)) for i in map(bytes.decode, ids)}


async def assert_conserved(store: ClaimStore, pushed: Iterable[bytes]) -> None:
    """Payloads pushed (and not acked) = queued + in claims, and nothing else is in Redis."""
    claims = await open_claims(store)
    found = Counter(await list_at(store.redis, store.queue))
    for payloads in claims.values():
        found.update(payloads)
    assert found == Counter(pushed), "payloads were lost or doubled"

    expected = {store.claim_key(i) for i, payloads in claims.items() if payloads}
    if claims:
        expected |= {store.claims_key, store.deliveries_key}
        fields: Any = await store.redis.hkeys(store.deliveries_key)
        ids = {f.decode().removesuffix(":at") for f in fields}
        assert ids == claims.keys(), "stray delivery counts"
    found_keys: Any = await store.redis.keys()
    keys = {k.decode() for k in found_keys}
    assert keys - {store.queue} == expected, "stray keys"


async def assert_empty(redis: Redis) -> None:
    """After an ack of everything Redis holds no key at all."""
    assert await redis.dbsize() == 0, await redis.keys()


@asynccontextmanager
async def full_memory(redis: Redis) -> AsyncIterator[None]:
    """A Redis above its maxmemory, which refuses every command that may take more."""
    async with configured(redis, maxmemory=1):
        with pytest.raises(OutOfMemoryError):
            await redis.rpush("another list", "refused")
        yield


@asynccontextmanager
async def configured(redis: Redis, **settings: int) -> AsyncIterator[None]:
    """A Redis with these settings for a while; those that are 0 otherwise."""
    for name, value in settings.items():
        await redis.config_set(name.replace("_", "-"), value)
    try:
        yield
    finally:
        for name in settings:
            await redis.config_set(name.replace("_", "-"), 0)


async def times_run(redis: Redis, name: str) -> int:
    """How often the server has run a command."""
    stats = await redis.info("commandstats")
    return int(stats.get(f"cmdstat_{name}", {}).get("calls", 0))
