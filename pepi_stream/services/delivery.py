"""Delivery: the source and the sink of one worker, started and drained as one."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from mode import Service

from pepi_stream.claims import Claim, ClaimStore, connect_redis
from pepi_stream.claims.failures import redis_failure
from pepi_stream.errors import PepiError, TransientError, message_of
from pepi_stream.events import Batch
from pepi_stream.monitor import DeadLetterLog, eviction_policy
from pepi_stream.monitor.dead_letters import EVERY_SECONDS
from pepi_stream.outcome import Outcome
from pepi_stream.pipeline import Pipeline, join
from pepi_stream.services.tasks import end
from pepi_stream.settings import Settings
from pepi_stream.sink import Sink
from pepi_stream.source import ClaimLostError, RedisSource
from pepi_stream.tables import TableNames
from pepi_stream.upstream import Upstream

logger = logging.getLogger(__name__)

_PRUNE_SECONDS = 600.0
_LAST_CLAIM_SECONDS = 1.0  # for the reply to it, when the worker ends with a failure
_GC_THRESHOLDS = (50_000, 10, 10)


class Delivery(Service):
    """Owns what one worker holds: its claims, its buffer, its connections.

    ``redis`` and ``mysql`` know whether the servers take what is written to them.

    Claims leave through ``deliver`` (into the first channel); batches come back through
    :meth:`accept` (from the last agent); acks go from the sink to the source.

    Args:
        settings: all of them.
        pipeline: what the agents do to a claim.
        deliver: puts a claim on the first channel.
        subscribed: waits until the agents listen to their channels.
        on_failure: called once with the error that ends this worker.
    """

    mundane_level = "debug"  # that it starts and stops

    def __init__(
        self,
        settings: Settings,
        pipeline: Pipeline,
        *,
        deliver: Callable[[Claim], Awaitable[None]],
        subscribed: Callable[[], Awaitable[None]],
        on_failure: Callable[[PepiError], None],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.settings = settings
        self.pipeline = pipeline
        self.redis, self.mysql = Upstream("Redis"), Upstream("MySQL")
        self.store = ClaimStore(
            connect_redis(settings.redis, self.redis),
            queue=settings.source.queue,
            lease_seconds=settings.source.lease_seconds,
        )
        self.source = RedisSource(self.store, settings, deliver=deliver, upstream=self.redis)
        self.sink = Sink(
            settings,
            pipeline,
            on_commit=self._committed,
            starved=self.source.starved,
            upstream=self.mysql,
        )
        self.rows = 0
        self.dead = 0
        self.checked = False  # whether MySQL was found to have the tables
        self.repeats = 0
        self._letters = DeadLetterLog(TableNames.from_settings(settings).dead_letters)
        self._subscribed = subscribed
        self._on_failure = on_failure
        self._failure: PepiError | None = None
        self._running: list[asyncio.Task[None]] = []
        self._claiming: asyncio.Task[None] | None = None

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Guard what an agent does with a claim or batch in its hand.

        An agent that raises loses what it holds, and the claim's lease would be renewed for
        ever: the worker ends instead, and the lease runs out.
        """
        try:
            yield
        except asyncio.CancelledError:
            raise
        except BaseException as exc:  # an extension's SystemExit or panic, too
            self._fail(exc)
            raise

    async def enrich(self, claim: Claim) -> Batch | None:
        """Decode and enrich a claim; one that keeps killing workers is taken apart.

        Returns None for a claim that another worker took over meanwhile.
        """
        if claim.delivery <= self.settings.source.max_deliveries:
            return self.pipeline.enrich(claim)
        logger.error("%r keeps coming back; taking it record by record", claim)
        parts = []
        try:
            async for position, killer in self.source.walk(claim):
                if killer:
                    reason = f"workers died over this record (delivery {claim.delivery})"
                    parts.append(self.pipeline.refuse(claim, position, reason))
                else:
                    part = self.pipeline.count(self.pipeline.enrich_one(claim, position))
                    self.sink.rehearse(part)
                    parts.append(part)
        except ClaimLostError as exc:
            logger.warning("%s", exc)
            return None
        return join(claim, self.pipeline.format.name, parts)

    def accept(self, batch: Batch) -> None:
        """Take a counted batch into the sink."""
        self.sink.accept(batch)

    async def on_start(self) -> None:
        """Start claiming once the agents listen and MySQL has the tables."""
        # A batch makes thousands of short-lived containers and no cycles: collecting as
        # often as the default does cost a fifth of the worker's time.
        gc.freeze()
        gc.set_threshold(*_GC_THRESHOLDS)
        self._running = [asyncio.ensure_future(self._guard(self._run()))]

    async def on_stop(self) -> None:
        """Stop claiming, flush, ack what is committed, release the rest.

        All within ``worker.drain_seconds``, of which a tenth is kept for the release.
        """
        drain_seconds = self.settings.worker.drain_seconds
        deadline = asyncio.get_running_loop().time() + drain_seconds
        self.source.quiet()
        if self._claiming is not None:  # else a claim that is on its way would keep its lease
            patience = drain_seconds * 0.9 if self._failure is None else _LAST_CLAIM_SECONDS
            await asyncio.wait([self._claiming], timeout=patience)
        if self._failure is None:
            try:
                async with asyncio.timeout_at(deadline - drain_seconds / 10):
                    await self.source.drained()
            except TimeoutError:
                logger.warning(
                    "%d claims are not committed within worker.drain_seconds (%g s)",
                    self.source.held.uncommitted,
                    drain_seconds,
                )
        await end(self._running)
        released = 0
        try:
            async with asyncio.timeout_at(max(deadline, deadline - drain_seconds + 1)):
                # After a bug the lease runs out instead: the delivery then counts towards
                # source.max_deliveries, and the record at fault is found.
                if type(self._failure) is not PepiError:
                    released = await self.source.release()
                if self._failure is None:
                    await self.source.leave()
                await self.store.close()
        except TimeoutError:
            logger.warning("Redis does not answer; leases of open claims run out by themselves")
        self._warn(self._letters.rest())
        logger.info(
            "stopped: %d rows and %d dead letters committed, %d repeats left out, "
            "%d claims released",
            self.rows,
            self.dead,
            self.repeats,
            released,
        )

    async def _run(self) -> None:
        await self._subscribed()
        await self.sink.ready()
        self.checked = True
        self._spawn(self.source.deliver_forever())
        self._spawn(self.source.ack_forever())
        self._spawn(self.source.renew_forever())
        self._spawn(self.source.announce_forever(lambda: (self.rows, self.dead)))
        self._spawn(self._prune_forever())
        self._spawn(self._warn_forever())
        self._spawn(self._look_at_eviction())
        for _ in range(self.settings.sink.connections):
            self._spawn(self.sink.write_forever())
        if not self.should_stop:
            self._claiming = self._spawn(self.source.claim_forever())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(self._guard(work))
        self._running.append(task)
        return task

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a task; an error that retrying cannot mend ends the worker, with one line."""
        try:
            await work
        except Exception as exc:
            self._fail(exc)

    def _fail(self, exc: BaseException) -> None:
        if isinstance(exc, PepiError):
            failure = exc
            if self._failure is None:  # the others fail of the same: one line is enough
                logger.critical("%s", exc)
        else:
            failure = PepiError(f"a bug in pepi_stream or an extension: {message_of(exc)}")
            logger.critical("%s", failure, exc_info=exc)
        if self._failure is None:
            self._failure = failure
            self._on_failure(failure)

    async def _prune_forever(self) -> None:
        while True:
            try:
                pruned = await self.sink.prune()
                if pruned:
                    logger.info("pruned %d old claims from the ledger", pruned)
            except TransientError as exc:
                if self.mysql.works:  # else the log has said it
                    logger.warning("%s; trying again later", exc)
            await asyncio.sleep(_PRUNE_SECONDS)

    async def _warn_forever(self) -> None:
        """Say what became dead letters when no further commit does."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            self._warn(self._letters.due(time.monotonic()))

    def _warn(self, lines: Iterator[str]) -> None:
        for line in lines:
            logger.warning("%s", line)

    async def _look_at_eviction(self) -> None:
        """Say once that Redis may evict the queue; `check` says it, too, if nobody asks Redis."""
        try:
            policy = await eviction_policy(self.store.redis)
        except Exception as exc:
            logger.debug("%s", redis_failure(exc, "asking for maxmemory-policy"))
            return
        if policy not in (None, "noeviction"):
            logger.warning(
                "Redis may evict the queue and its claims (maxmemory-policy %s): "
                "CONFIG SET maxmemory-policy noeviction",
                policy,
            )

    def _committed(self, outcome: Outcome) -> None:
        self.rows += outcome.rows
        self.dead += outcome.dead
        self.repeats += outcome.repeats
        self._letters.note(outcome.reasons, outcome.rows + outcome.dead)
        self._warn(self._letters.due(time.monotonic()))
        self.source.settled(outcome)
