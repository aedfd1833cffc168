"""Probes Redis: version, persistence, eviction, clock, the keys of the queue and who drains it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from pepi_stream.claims import ClaimStore, connect_redis
from pepi_stream.claims.failures import redis_failure
from pepi_stream.claims.replies import shown_reply
from pepi_stream.monitor.finding import Finding, clock_finding
from pepi_stream.settings import Settings

_REDIS_NEEDED: Final = (6, 2)
_NEARLY_FULL: Final = 0.9  # of maxmemory
_LOOK_AGAIN_SECONDS: Final = 1.0
_ADOPT: Final = "`faust -A pepi_stream claims adopt` gives them one, so that workers take them over"


async def redis_findings(settings: Settings) -> AsyncIterator[Finding]:
    """Look at Redis, and twice at the queue."""
    redis = connect_redis(settings.redis)
    store = ClaimStore(
        redis, queue=settings.source.queue, lease_seconds=settings.source.lease_seconds
    )
    try:
        async for finding in _redis(redis, store):
            yield finding
    except Exception as exc:
        yield Finding("fail", str(redis_failure(exc, "looking at Redis")))
    finally:
        await redis.aclose()


async def eviction_policy(redis: Redis) -> str | None:
    """Return the maxmemory-policy; None where the user may not ask for it."""
    try:
        info: dict[str, Any] = await redis.info("memory")
    except NoPermissionError:
        return None
    return str(info.get("maxmemory_policy", "noeviction"))


async def _redis(redis: Redis, store: ClaimStore) -> AsyncIterator[Finding]:
    try:
        async for finding in _server(redis, store):
            yield finding
    except NoPermissionError as exc:  # a worker needs neither INFO nor TYPE
        yield Finding(
            "warn",
            "Redis answers, but its version, persistence and eviction stay unknown "
            f"({shown_reply(exc)})",
            "ACL SETUSER ... +info +type",
        )
    before = time.time()
    seconds, micros = await redis.time()
    after = time.time()
    ahead = seconds + micros / 1e6 - (before + after) / 2
    if (found := clock_finding("Redis", ahead, after - before)) is not None:
        yield found
    try:
        unleased = await store.unleased()
    except NoPermissionError as exc:
        yield Finding(
            "warn",
            f"whether there are claims that nobody leases stays unknown ({shown_reply(exc)})",
            "ACL SETUSER ... +scan",
        )
    else:
        if unleased:
            yield Finding(
                "fail",
                f"{len(unleased)} claims have payloads and no lease, so that no worker takes them "
                f"over (keys {store.claim_key('*')}; was {store.claims_key} removed?)",
                _ADOPT,
            )
    yield await _backlog(store)


async def _backlog(store: ClaimStore) -> Finding:
    """Look at the queue, and again if something waits: is anybody draining it?"""
    queued, claimed = await store.depth()
    what = f"queue {store.queue}: {queued:,} payloads, {claimed:,} open claims"
    if not queued and not claimed:
        return Finding("ok", what)
    leases = await store.leases()
    await asyncio.sleep(_LOOK_AGAIN_SECONDS)
    later, _ = await store.depth()
    seconds, _ = await store.redis.time()
    renewed = await store.leases()
    # Who works claims, renews or acks; in a whole second it does one of them if there is a backlog.
    if renewed != leases or later < queued:
        return Finding("ok", f"{what}, being drained")
    if not queued and all(deadline > seconds * 1000 for deadline in renewed.values()):
        return Finding("ok", what)
    return Finding(
        "warn",
        f"{what}, and nobody drains them",
        "start workers (`faust -A pepi_stream worker`), or see what their log and /readyz say",
    )


async def _server(redis: Redis, store: ClaimStore) -> AsyncIterator[Finding]:
    info: dict[str, Any] = await redis.info()
    version = tuple(int(n) for n in str(info["redis_version"]).split(".")[:2])
    if version < _REDIS_NEEDED:
        yield Finding("fail", f"Redis {info['redis_version']}", "6.2 or later is needed (BLMOVE)")
    else:
        yield Finding("ok", f"Redis {info['redis_version']} answers")
    if info.get("role") != "master":
        yield Finding("fail", "this Redis is a replica", "point REDIS_URL at the primary")
    for finding in (*_persistence(info), *_memory(info)):
        yield finding
    for key, kind in (
        (store.queue, b"list"),
        (store.claims_key, b"zset"),
        (store.deliveries_key, b"hash"),
    ):
        found: Any = await redis.type(key)
        if found not in (kind, b"none"):
            yield Finding(
                "fail",
                f"key {key} is a {found.decode()}, not a {kind.decode()}",
                "choose another source.queue, or remove the key",
            )


def _persistence(info: dict[str, Any]) -> list[Finding]:
    found = []
    if info.get("aof_enabled"):
        found.append(Finding("ok", "Redis keeps an append-only file"))
    else:
        found.append(
            Finding(
                "warn",
                "Redis keeps no append-only file",
                "a crash loses queued payloads and open claims; CONFIG SET appendonly yes",
            )
        )
    for name, what in (
        ("aof_last_write_status", "append-only file"),
        ("aof_last_bgrewrite_status", "append-only file anew"),
        ("rdb_last_bgsave_status", "snapshot"),
    ):
        if info.get(name, "ok") != "ok":
            found.append(
                Finding(
                    "fail" if name == "aof_last_write_status" else "warn",
                    f"Redis could not write its {what} ({name} is {info[name]})",
                    "see its log and its disk: it may refuse writes (MISCONF), and lose data",
                )
            )
    return found


def _memory(info: dict[str, Any]) -> list[Finding]:
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy == "noeviction":
        found = [Finding("ok", "Redis evicts nothing (noeviction)")]
    else:
        found = [
            Finding(
                "fail",
                f"Redis may evict the queue and its claims (maxmemory-policy {policy})",
                "CONFIG SET maxmemory-policy noeviction",
            )
        ]
    most, used = int(info.get("maxmemory", 0)), int(info.get("used_memory", 0))
    if most and used > _NEARLY_FULL * most:
        found.append(
            Finding(
                "warn",
                f"Redis uses {used / most:.0%} of its maxmemory: producers will be refused (OOM)",
                "drain the queue with more workers, or raise maxmemory",
            )
        )
    return found
