"""Faults of Redis, and of what it says: lost replies, lost scripts, claims that come back."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any, Final
from uuid import UUID

from pepi_stream.claims.keys import claim_key, claims_key, deliveries_key
from pepi_stream.claims.scripts import Scripts
from tests.chaos.cluster import Cluster, frozen
from tests.chaos.registry import fault
from tests.chaos.worker_faults import sigkill_worker
from tests.claiming import QUEUE
from tests.waiting import wait_until

_SCRIPTS: Final = Scripts()
_CLAIM = _SCRIPTS.claim.sha.encode()
_RECOVER = _SCRIPTS.recover.sha.encode()
_ACK = _SCRIPTS.ack.sha.encode()

_OLD_SECONDS = 15
_PATIENCE_SECONDS = 25.0  # for a fault's moment to come


@fault
async def suspect_claim(cluster: Cluster, random: Random) -> None:
    """A claim that seems to crash workers: it is taken record by record, and nobody is to blame."""
    claim_id = await _open_claim(cluster)
    now, _ = await cluster.redis.time()

    def come_back_often(pipe: Any) -> None:
        pipe.zadd(claims_key(QUEUE), {claim_id: (now - 1) * 1000}, xx=True)
        pipe.hset(deliveries_key(QUEUE), claim_id, 9)

    async with cluster.redis_lock:
        if await cluster.redis.zscore(claims_key(QUEUE), claim_id) is None:
            raise TimeoutError(f"claim {claim_id} was acked before it could be made a suspect")
        await cluster.producer.transact(come_back_often)
    if random.random() < 0.5:  # a worker may well die over it, and the record is still innocent
        await sigkill_worker(cluster, random)


@fault
async def sigkill_redis(cluster: Cluster, random: Random) -> None:
    """Redis crashes, and starts on its append-only file."""
    async with cluster.redis_lock:
        await cluster.in_thread(cluster.redis_server.kill)
        await cluster.pause(random.uniform(0, 2))
        await cluster.in_thread(cluster.redis_server.start)


@fault
async def sigstop_redis(cluster: Cluster, random: Random) -> None:
    """Redis hangs for longer than its clients wait."""
    async with cluster.redis_lock, frozen(cluster.redis_server.pid):
        await cluster.pause(random.uniform(1.2, 2.5))


@fault
async def switch_redis(cluster: Cluster, random: Random) -> None:
    """A replica is promoted (`FAILOVER TO`); nobody's connection is cut, and all must follow."""
    async with cluster.redis_lock:
        await cluster.promote_redis(random.uniform(0, 1))


@fault
async def script_flush(cluster: Cluster, random: Random) -> None:
    """Redis forgets the scripts, several times in a row."""
    async with cluster.redis_lock:
        for _ in range(random.randint(1, 20)):
            await cluster.redis.script_flush()
            await cluster.pause(random.uniform(0, 0.01))


@fault
async def client_kill(cluster: Cluster, random: Random) -> None:
    """Every connection to Redis is closed, the producer's too."""
    async with cluster.redis_lock:
        killed = await cluster.redis.client_kill_filter(_type="normal", skipme=True)
        assert killed >= 1


@fault
async def redis_out_of_memory(cluster: Cluster, random: Random) -> None:
    """Redis refuses what takes memory; what is queued must drain all the same."""
    async with cluster.redis_lock:
        await cluster.redis.config_set("maxmemory", 1)
        try:
            await cluster.pause(random.uniform(0.5, 2))
        finally:
            await cluster.redis.config_set("maxmemory", 0)


@fault
async def lose_claim_reply(cluster: Cluster, random: Random) -> None:
    """Redis has claimed, and the connection breaks before the worker hears it."""
    await _lose_reply(cluster, random, _CLAIM)


@fault
async def lose_ack_reply(cluster: Cluster, random: Random) -> None:
    """Redis has acked, and the connection breaks before the worker hears it."""
    await _lose_reply(cluster, random, _ACK)


@fault
async def lose_recover_reply(cluster: Cluster, random: Random) -> None:
    """A claim was handed over, and nobody hears it."""
    async with cluster.some_worker(random) as victim:
        others = [w for w in cluster.workers if w is not victim] or [victim]
        lost = [asyncio.Event() for _ in others]

        for worker, event in zip(others, lost, strict=True):

            async def lose(link: Any, event: asyncio.Event = event) -> bool:
                event.set()
                link.cut()
                return False

            worker.redis.set_trap(_RECOVER, "reply", lose)
        victim.kill()
        victim.start()
        await wait_until(lambda: any(event.is_set() for event in lost), seconds=_PATIENCE_SECONDS)
        await victim.ready()


async def _lose_reply(cluster: Cluster, random: Random, part: bytes) -> None:
    async with cluster.some_worker(random) as worker:
        before = worker.redis.lost
        worker.redis.lose_reply_to(part)
        await wait_until(lambda: worker.redis.lost > before, seconds=_PATIENCE_SECONDS)


@fault
async def redeliver_committed_claim(cluster: Cluster, random: Random) -> None:
    """A claim comes back, by hand, after its commit."""
    claim_id = await _open_claim(cluster)
    payloads: Any = await cluster.redis.lrange(claim_key(QUEUE, claim_id), 0, -1)
    if not payloads:
        raise TimeoutError(f"claim {claim_id} was acked before it could be copied")
    await wait_until(lambda: _acked(cluster, claim_id), seconds=_PATIENCE_SECONDS)
    await cluster.producer.transact(lambda pipe: _make_claim(pipe, claim_id, payloads))


@fault
async def reuse_claim_id(cluster: Cluster, random: Random) -> None:
    """A claim id that the ledger knows, with other payloads, which must not be dropped."""
    # One so old that no ack of it is on its way any more: that would drop whatever has the id.
    async with cluster.mysql_lock, cluster.admin() as admin:
        cursor = await admin.cursor()
        await cursor.execute(
            "SELECT claim_id FROM pepi_claim WHERE committed_at < NOW(3) - INTERVAL "
            f"{_OLD_SECONDS} SECOND ORDER BY claim_id DESC LIMIT 1"
        )
        found = await cursor.fetchone()
    if found is None:
        raise TimeoutError("no claim is old enough yet")
    claim_id = str(UUID(bytes=found[0]))
    if not await _acked(cluster, claim_id):
        raise TimeoutError(f"claim {claim_id} is open again")
    await cluster.producer.hand_over(lambda pipe, fresh: _make_claim(pipe, claim_id, fresh))


async def _open_claim(cluster: Cluster) -> str:
    """Return the id of some claim that a worker holds."""
    found: list[Any] = []

    async def some() -> bool:
        found[:] = await cluster.redis.zrange(claims_key(QUEUE), -1, -1)
        return bool(found)

    async with cluster.redis_lock:
        await wait_until(some, seconds=_PATIENCE_SECONDS)
    return str(found[0].decode())


async def _acked(cluster: Cluster, claim_id: str) -> bool:
    async with cluster.redis_lock:
        return await cluster.redis.zscore(claims_key(QUEUE), claim_id) is None


def _make_claim(pipe: Any, claim_id: str, payloads: list[bytes]) -> None:
    """Add to a transaction what makes a claim whose lease has run out."""
    pipe.rpush(claim_key(QUEUE, claim_id), *payloads)
    pipe.zadd(claims_key(QUEUE), {claim_id: 1})
    pipe.hset(deliveries_key(QUEUE), claim_id, 1)
