"""ClaimStore: the Redis side of the delivery protocol, one method a step.

Every method raises what redis-py raises; :mod:`pepi_stream.claims.failures` sorts those
into the kinds that the source acts on.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import OutOfMemoryError

from pepi_stream.claims.claim import Claim, new_claim_id
from pepi_stream.claims.connection import FOLLOWING, Login, TlsConnection
from pepi_stream.claims.keys import claim_key, claims_key, deliveries_key, windows_channel
from pepi_stream.claims.scripts import Scripts
from pepi_stream.settings import RedisSettings
from pepi_stream.tls import client_context
from pepi_stream.upstream import Upstream

_CANDIDATES = 20  # expired claims offered to one recovery
_GLOB = re.compile(r"[\\[\]*?^-]")
_PAGE = 1000  # ids read at once
_OOM_POLL_SECONDS = 0.2
_READ_BYTES = 2**18  # of a reply at a time; as much as uvloop reads from the socket


def connect_redis(settings: RedisSettings, upstream: Upstream | None = None) -> Redis:
    """Make a client (no connection yet).

    Its automatic retries are off: whether a broken call took effect is unknown, and the
    protocol has its own answer to that (asking again under the same claim id).

    Args:
        settings: of the section [redis].
        upstream: what is known of the server; shared by the clients of one process.

    Raises:
        ConfigError: a file that the URL names for TLS cannot be used.
    """
    url, tls = settings.connect_args()
    options: dict[str, Any] = {}
    if tls is not None:
        client_context(tls)  # so that a wrong file is an error now
        options = {"connection_class": TlsConnection, "tls": tls}
    redis: Redis = Redis.from_url(
        url,
        **options,
        upstream=upstream or Upstream("Redis"),
        retry=Retry(NoBackoff(), 0),
        socket_timeout=settings.timeout_seconds,
        socket_connect_timeout=settings.timeout_seconds,
        client_name="pepi_stream",
        socket_read_size=_READ_BYTES,
    )
    pool: Any = redis.connection_pool
    login = [pool.connection_kwargs.pop(name, None) for name in ("username", "password")]
    if any(login):
        pool.connection_kwargs["credential_provider"] = Login(*login)
    pool.connection_class = FOLLOWING.get(pool.connection_class, pool.connection_class)
    return redis


def clock_ms() -> int:
    """Return the wall clock in ms since 1970."""
    return time.time_ns() // 1_000_000


class ClaimStore:
    """Claims of one queue.

    Args:
        redis: client made by :func:`connect_redis`.
        queue: name of the LIST that producers RPUSH to.
        lease_seconds: how long a claim is held without a renewal.
        clock: wall clock in ms since 1970, for claim ids and ``received_at``.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        queue: str,
        lease_seconds: float,
        clock: Callable[[], int] = clock_ms,
    ) -> None:
        self.redis = redis
        self.queue = queue
        self.claims_key = claims_key(queue)
        self.deliveries_key = deliveries_key(queue)
        self.channel = windows_channel(queue)
        self._lease_ms = int(lease_seconds * 1000)
        self._clock = clock
        self._scripts = Scripts()
        # A Redis with list-compress-depth counts bytes of compressed lists: so many times what
        # comes out of them. Found out by a claim that is too large.
        self._compression = 1.0

    @property
    def db(self) -> int:
        """Return the number of Redis' database: channels are not told apart by it."""
        return int(self.redis.connection_pool.connection_kwargs.get("db") or 0)

    def claim_key(self, claim_id: str) -> str:
        """Return the key of the LIST that holds a claim's payloads."""
        return claim_key(self.queue, claim_id)

    def new_id(self) -> str:
        """Make the id for one :meth:`claim`."""
        return new_claim_id(self._clock())

    async def claim(
        self,
        claim_id: str,
        *,
        max_payloads: int,
        max_bytes: int,
        again: bool = False,
        patience: int = 1,
    ) -> Claim | None:
        """Move payloads from the queue into the claim ``claim_id``; None when there are none.

        Args:
            claim_id: from :meth:`new_id`; used for one claim only.
            max_payloads: at most so many payloads.
            max_bytes: at most so many bytes of payload and of what Redis needs to hold them, but
                at least one payload.
            again: the reply to the first call was lost: return what that call claimed,
                if anything, and claim nothing new.
            patience: wait so many times as long for the reply.
        """
        key = self.claim_key(claim_id)
        in_redis = max(1, int(max_bytes / self._compression))
        mode = "again" if again else "new"
        async with self._patient(patience) as redis:
            (held, left), payloads = await self._scripts.claim.and_list(
                redis,
                [self.queue, self.claims_key, self.deliveries_key, key],
                [claim_id, max_payloads, in_redis, self._lease_ms, mode],
                key,
            )
        if not held or not payloads:
            return None
        claim = Claim(claim_id, payloads, delivery=1, received_at=self._clock(), left=left)
        if len(payloads) > 1 and claim.size > max_bytes:
            self._compression *= claim.size / max_bytes
        return claim

    async def renew(self, leases: Sequence[tuple[str, int]]) -> list[str]:
        """Extend the leases of (claim id, delivery) pairs; return the ids that were lost."""
        lost = await self._scripts.renew(
            self.redis, [self.claims_key, self.deliveries_key], [self._lease_ms, *_flat(leases)]
        )
        return [i.decode() for i in lost]

    async def expired(
        self, *, skip: Callable[[str, int], bool] = lambda claim_id, now_ms: False
    ) -> list[str]:
        """Return ids of some claims whose lease has run out, the longest expired first.

        Args:
            skip: tells which claims to pass over (those held here, those left to a person);
                gets the id and the time of the Redis server in ms since 1970.
        """
        seconds, micros = await self.redis.time()
        now = seconds * 1000 + micros // 1000
        found: list[str] = []
        for offset in itertools.count(0, _PAGE):
            ids = await self.redis.zrangebyscore(self.claims_key, "-inf", now, offset, _PAGE)
            found += (i for i in map(_text, ids) if not skip(i, now))
            if len(found) >= _CANDIDATES or len(ids) < _PAGE:
                break
        return found

    async def recover(self, candidates: Sequence[str], *, patience: int = 1) -> Claim | None:
        """Take over the first of the candidates that is expired; None when none is.

        The claim keeps its id. It has no payloads when its list was removed by
        somebody else (an eviction, a DEL by hand).

        Args:
            candidates: claim ids.
            patience: wait so many times as long for the reply.
        """
        candidates = candidates[:_CANDIDATES]
        async with self._patient(patience) as redis:
            reply = await self._scripts.recover(
                redis,
                [self.claims_key, self.deliveries_key, *map(self.claim_key, candidates)],
                [self._lease_ms, *candidates],
            )
        if not reply:
            return None
        claim_id, delivery, *payloads = reply
        return Claim(claim_id.decode(), payloads, delivery=int(delivery), received_at=self._clock())

    async def ack(self, claim_ids: Sequence[str], message: bytes = b"") -> int:
        """Drop committed claims and publish ``message`` on :attr:`channel`; return how many."""
        dropped = await self._scripts.ack(
            self.redis,
            [self.claims_key, self.deliveries_key, *map(self.claim_key, claim_ids)],
            [self.channel, message, *claim_ids],
        )
        return int(dropped)

    async def publish(self, message: bytes) -> None:
        """Publish ``message`` on :attr:`channel`."""
        await self.redis.publish(self.channel, message)

    async def release(self, leases: Sequence[tuple[str, int]]) -> int:
        """End the leases of (claim id, delivery) pairs now; return how many were ended."""
        released = await self._scripts.release(
            self.redis, [self.claims_key, self.deliveries_key], _flat(leases)
        )
        return int(released)

    async def reissue(self, claim: Claim) -> Claim | None:
        """Give the claim's payloads a fresh id (see ``reissue.lua``); None when it is gone."""
        fresh = self.new_id()
        moved = await self._scripts.reissue(
            self.redis,
            [
                self.claims_key,
                self.deliveries_key,
                self.claim_key(claim.id),
                self.claim_key(fresh),
            ],
            [claim.id, fresh, self._lease_ms],
        )
        if not moved:
            return None
        return Claim(fresh, claim.payloads, delivery=1, received_at=claim.received_at)

    async def suspects(self, claim_id: str) -> list[int]:
        """Return the positions in the claim that workers were at when they died.

        A position is there as often as a worker died over it.
        """
        noted: Any = await self.redis.hget(self.deliveries_key, f"{claim_id}:at")
        return [int(i) for i in (noted or b"").split(b",") if i]

    async def note_suspects(self, claim: Claim, positions: Iterable[int]) -> bool:
        """Note positions for :meth:`suspects`; ``ack`` forgets them with the claim.

        Returns whether the claim is still this worker's; if not, nothing is noted.
        """
        noted = await self._scripts.suspect(
            self.redis,
            [self.deliveries_key],
            [claim.id, claim.delivery, ",".join(map(str, positions))],
        )
        return bool(noted)

    async def wait(self, seconds: float) -> bool:
        """Wait until the queue is not empty, at most ``seconds``; return whether it is not.

        BLMOVE from the head of the queue to the head of the queue blocks until there is
        a payload and then changes nothing: no polling, and no payload ever leaves the
        list. Every waiting worker is woken by one payload.
        """
        try:
            moved = await self.redis.blmove(
                self.queue,
                self.queue,
                timeout=seconds,  # type: ignore[arg-type]  # Redis takes fractions
                src="LEFT",
                dest="LEFT",
            )
        except OutOfMemoryError:  # BLMOVE is refused at maxmemory, claim.lua is not
            await asyncio.sleep(min(seconds, _OOM_POLL_SECONDS))
            return bool(await self.redis.llen(self.queue))
        return moved is not None

    async def depth(self) -> tuple[int, int]:
        """Return (payloads in the queue, open claims)."""
        pipe = self.redis.pipeline(transaction=False)
        pipe.llen(self.queue)
        pipe.zcard(self.claims_key)
        queued, claimed = await pipe.execute()
        return int(queued), int(claimed)

    async def head(self, max_bytes: int) -> bytes | int | None:
        """Return the payload at the head of the queue, which stays there.

        Returns its size if it has more than ``max_bytes``, None when the queue is empty.
        """
        head: bytes | int | None = await self._scripts.head(self.redis, [self.queue], [max_bytes])
        return head

    async def leases(self) -> dict[str, int]:
        """Return some of the leases, those that end first: claim id -> ms since 1970."""
        found: Any = await self.redis.zrangebyscore(
            self.claims_key, "-inf", "+inf", 0, _PAGE, withscores=True
        )
        return {_text(claim_id): int(deadline) for claim_id, deadline in found}

    async def unleased(self) -> list[str]:
        """Return the ids of claims that have payloads and no lease, so that nobody recovers them.

        Walks over all keys of the Redis, a thousand at a time, and holds nobody up.
        """
        prefix, ids = self.claim_key(""), set[str]()
        pattern = _GLOB.sub(r"\\\g<0>", prefix) + "*"
        async for key in self.redis.scan_iter(match=pattern, count=_PAGE, _type="list"):
            ids.add(_text(key).removeprefix(prefix))
        # Asked after the keys were seen: a claim that was made meanwhile has its lease.
        found = sorted(ids)
        lost: list[str] = []
        for first in range(0, len(found), _PAGE):
            page = found[first : first + _PAGE]
            pipe = self.redis.pipeline(transaction=True)
            for claim_id in page:
                pipe.zscore(self.claims_key, claim_id)
                pipe.exists(self.claim_key(claim_id))  # 0 if it was acked since it was seen
            answers = await pipe.execute()
            lost += [
                claim_id
                for claim_id, score, there in zip(page, answers[::2], answers[1::2], strict=True)
                if score is None and there
            ]
        return lost

    async def adopt(self, claim_ids: Sequence[str]) -> int:
        """Give claims that nobody leases a lease that has run out; return how many got one."""
        adopted = 0
        for first in range(0, len(claim_ids), _PAGE):
            page = claim_ids[first : first + _PAGE]
            adopted += int(
                await self._scripts.adopt(
                    self.redis, [self.claims_key, *map(self.claim_key, page)], page
                )
            )
        return adopted

    async def open_ids(self, limit: int = -1) -> list[str]:
        """Return the ids of open claims, those whose lease ends first; -1 for all of them."""
        found = await self.redis.zrangebyscore(self.claims_key, "-inf", "+inf", 0, limit)
        return [_text(i) for i in found]

    async def open_ids_and_publish(self, message: bytes) -> list[str]:
        """Return the ids of all open claims, and publish ``message``, at the same moment."""
        pipe = self.redis.pipeline(transaction=True)
        pipe.zrangebyscore(self.claims_key, "-inf", "+inf")
        pipe.publish(self.channel, message)
        found, _ = await pipe.execute()
        return [_text(i) for i in found]

    @asynccontextmanager
    async def _patient(self, patience: int) -> AsyncIterator[Redis]:
        """Use the client, or one that waits ``patience`` times as long for a reply.

        A claim's reply holds its payloads, and redis-py's time-out is for the whole of it.
        """
        if patience == 1:
            yield self.redis
            return
        pool = self.redis.connection_pool
        options = dict(pool.connection_kwargs)
        options["socket_timeout"] *= patience
        async with Redis.from_pool(type(pool)(pool.connection_class, **options)) as client:
            yield client

    async def close(self) -> None:
        """Close the connections."""
        await self.redis.aclose()


def _flat(leases: Sequence[tuple[str, int]]) -> list[str | int]:
    return [part for lease in leases for part in lease]


def _text(raw: Any) -> str:
    return raw.decode() if isinstance(raw, bytes) else str(raw)
