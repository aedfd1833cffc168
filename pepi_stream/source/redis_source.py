"""RedisSource: takes claims, keeps their leases, hands them on, acks what was committed.

Data goes out through ``deliver``; acks come back through :meth:`RedisSource.settled`. One
loop both recovers expired claims and takes new ones, so there is one place that knows
whether a further claim fits.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from functools import partial
from typing import NoReturn, TypeVar

from pepi_stream.announcements import Announcer
from pepi_stream.claims import Claim, ClaimStore, HeldClaims, claim_age_seconds, clock_ms
from pepi_stream.claims.failures import redis_failure
from pepi_stream.claims.patience import Patience
from pepi_stream.errors import PepiError, TransientError
from pepi_stream.outcome import Outcome
from pepi_stream.settings import Settings
from pepi_stream.upstream import Retry, Upstream

logger = logging.getLogger(__name__)
T = TypeVar("T")

# After a claim that emptied the queue, let a few payloads gather: at 20,000 events/s a
# claim then holds about 200 payloads and not 10, for 10 ms of latency.
_GATHER_SECONDS = 0.01
_BACKOFF_CAP_SECONDS = 5.0
_ANNOUNCE_SECONDS = 1.0
_DEATHS = 2  # workers that a record must have killed to be to blame


class ClaimLostError(PepiError):
    """A claim is another worker's now; what this one did with it does not count."""


class RedisSource:
    """The source of one worker.

    Args:
        store: the queue's claims.
        settings: what to claim, and how much.
        deliver: takes a claim into the pipeline; called once per delivery.
        upstream: told whether Redis takes what is written to it.
    """

    def __init__(
        self,
        store: ClaimStore,
        settings: Settings,
        *,
        deliver: Callable[[Claim], Awaitable[None]],
        upstream: Upstream | None = None,
    ) -> None:
        self.store = store
        self._upstream = upstream or Upstream("Redis")
        self.held = HeldClaims(
            settings.source.max_in_flight,
            # What is decoded takes many times the bytes of its payloads.
            settings.source.max_in_flight * settings.source.claim_max_bytes // 4,
        )
        self._settings = settings.source
        self._retention_seconds = settings.sink.ledger_retention_days * 86_400
        # BLMOVE must answer before the socket's own time-out does.
        self._longest_wait = settings.redis.timeout_seconds / 2
        # A claim's lease must outlast the reply that hands it over. (Two of them, because claims
        # succeed while a large one waits to be recovered.)
        longest = int(settings.source.lease_seconds / settings.redis.timeout_seconds)
        self._claiming, self._recovering = Patience(longest), Patience(longest)
        self.announcer = Announcer(clock_ms(), store.db)
        self._deliver = deliver
        self._claimed: asyncio.Queue[Claim] = asyncio.Queue()
        self._quiet = asyncio.Event()
        self._waiting: asyncio.Task[bool] | None = None
        self._outcomes: list[Outcome] = []
        self._committed = asyncio.Event()
        self._freed = asyncio.Event()
        self._recover_at = 0.0
        self._claim_retry, self._recover_retry = self._retry(), self._retry()
        self._asked: str | None = None  # the id of a claim whose reply was lost
        self._reported: set[str] = set()
        # Claims that are taken apart now, and the suspects that the walk began with.
        self._walks: dict[str, tuple[Claim, Counter[int]]] = {}
        self._noting = asyncio.Lock()
        self._released = False
        self._draining = False  # True once Redis has answered

    def starved(self, claims_in_sink: int) -> bool:
        """Tell whether every claim that may be held is waiting in the sink."""
        return self.held.full and claims_in_sink >= self.held.uncommitted

    async def claim_forever(self) -> None:
        """Recover and claim until :meth:`quiet`.

        Raises:
            FatalError: Redis refuses us in a way that retrying cannot mend.
        """
        while await self._slot():
            claim = await self._recovered() or await self._fresh()
            if claim is None:
                continue
            self._take(claim)
            if claim.left == 0:
                await asyncio.sleep(_GATHER_SECONDS)

    async def deliver_forever(self) -> NoReturn:
        """Hand on what was claimed.

        A task of its own, so that the request for the next claim is on its way first: Redis
        then works on it while this one is decoded.
        """
        while True:
            await self._deliver(await self._claimed.get())

    async def renew_forever(self) -> NoReturn:
        """Renew the leases of everything held, three times a lease."""
        retry = self._retry(cap=1.0)
        while True:
            await asyncio.sleep(self._settings.lease_seconds / 3)
            while self.held:
                try:
                    lost = await self.store.renew(self.held.leases())
                except Exception as exc:
                    await self._wait(retry, redis_failure(exc, "renewing leases"))
                    continue
                for claim_id in self.held.open_ids().intersection(lost) - self._reported:
                    self._reported.add(claim_id)
                    logger.warning(
                        "lost the lease of claim %s; another worker has it, and the "
                        "ledger makes it count once",
                        claim_id,
                    )
                break
            retry.succeeded(wrote=bool(self.held))

    async def ack_forever(self) -> NoReturn:
        """Ack what :meth:`settled` brings, all that has gathered in one call."""
        retry = self._retry(first=0.05)
        while True:
            await self._committed.wait()
            self._committed.clear()
            outcomes, self._outcomes = self._outcomes, []
            done = [c.id for o in outcomes for c in (*o.committed, *o.repeated)]
            message = self.announcer.committed(outcomes, clock_ms())
            while True:
                try:
                    if done:
                        await self.store.ack(done, message)
                        self._drop(done)
                        done = []
                    for outcome in outcomes:
                        while outcome.conflicts:
                            await self._reissue(outcome.conflicts[-1])
                            outcome.conflicts.pop()
                    break
                except Exception as exc:
                    await self._wait(retry, redis_failure(exc, "acking claims"))
            retry.succeeded()

    async def announce_forever(self, totals: Callable[[], tuple[int, int]]) -> NoReturn:
        """Say that this worker is alive, every second. Nobody depends on it.

        Args:
            totals: tells how many rows and dead letters this worker has committed.
        """
        heard = True
        while True:
            rows, dead = totals()
            message = self.announcer.alive(clock_ms(), rows=rows, dead=dead, held=len(self.held))
            try:
                await self.store.publish(message)
                heard = True
            except Exception as exc:
                failure = redis_failure(exc, "announcing this worker")
                if heard and not isinstance(failure, TransientError):
                    logger.warning("%s; no page shows this worker", failure)
                heard = False
            await asyncio.sleep(_ANNOUNCE_SECONDS)

    async def leave(self) -> None:
        """Say that this worker's silence is none to worry about, if Redis hears it."""
        try:
            await self.store.publish(self.announcer.leaving(clock_ms()))
        except Exception as exc:
            logger.debug("%s", redis_failure(exc, "announcing the end of this worker"))

    def settled(self, outcome: Outcome) -> None:
        """Take note of a COMMIT: its claims are acked from now on, never released."""
        self.held.committed(c.id for c in (*outcome.committed, *outcome.repeated))
        self._outcomes.append(outcome)
        self._committed.set()

    def quiet(self) -> None:
        """Claim nothing more."""
        self._quiet.set()
        self._freed.set()
        if self._waiting is not None:
            self._waiting.cancel()

    async def drained(self) -> None:
        """Wait until nothing is held any more."""
        while self.held:
            self._freed.clear()
            await self._freed.wait()

    async def release(self) -> int:
        """Give the claims that took no effect back to the other workers; return how many.

        Their leases would run out anyway, so a Redis that does not answer is only logged.
        """
        leases = self.held.releasable()
        self._released = True
        if not leases:
            return 0
        try:
            async with self._noting:  # a note on its way would arrive after these
                for claim, noted in list(self._walks.values()):  # without the record in hand
                    await self.store.note_suspects(claim, noted.elements())
            released = await self.store.release(leases)
        except Exception as exc:
            logger.warning(
                "%s; their leases run out by themselves", redis_failure(exc, "releasing")
            )
            return 0
        self.held.drop(claim_id for claim_id, _ in leases)
        return released

    async def _slot(self) -> bool:
        """Wait until a further claim fits; False when there will be none."""
        while self.held.full and not self._quiet.is_set():
            self._freed.clear()
            await self._freed.wait()
        return not self._quiet.is_set()

    async def _fresh(self) -> Claim | None:
        """Claim from the queue; when there is nothing, wait until there may be something."""
        again = self._asked is not None
        self._asked = self._asked or self.store.new_id()
        try:
            with self._claiming.waiting() as patience:
                claim = await self.store.claim(
                    self._asked,
                    max_payloads=self._settings.claim_max,
                    max_bytes=self._settings.claim_max_bytes,
                    again=again,
                    patience=patience,
                )
            self._asked = None
            if not self._draining:
                self._draining = True
                logger.info("draining the list %r", self.store.queue)
            if claim is None and again:
                return None  # this only read, as a replica does, too: no sign that all is well
            if claim is None:
                await self._payloads()
        except Exception as exc:
            failure = redis_failure(exc, f"claiming from {self.store.queue}")
            await self._wait(self._claim_retry, failure, quiet=self._quiet)
            return None
        self._claim_retry.succeeded()
        return claim

    async def _recovered(self) -> Claim | None:
        """Take over an expired claim, if it is time to look and there is one."""
        if time.monotonic() < self._recover_at:
            return None
        claim = None
        try:
            expired = await self.store.expired(
                skip=lambda claim_id, now_ms: (
                    claim_id in self.held or not self._replayable(claim_id, now_ms)
                )
            )
            if expired:
                with self._recovering.waiting() as patience:
                    claim = await self.store.recover(expired, patience=patience)
        except Exception as exc:
            failure = redis_failure(exc, f"claiming from {self.store.queue}")
            if not isinstance(failure, TransientError):
                raise failure from exc
            self._recover_at = time.monotonic() + self._recover_retry.failed(failure)
            return None
        self._recover_retry.succeeded(wrote=claim is not None)
        if claim is None:
            self._recover_at = time.monotonic() + self._settings.recover_seconds
        return claim

    def _replayable(self, claim_id: str, now_ms: int) -> bool:
        """Tell whether the ledger would still know the claim, had it taken effect."""
        try:
            age = claim_age_seconds(claim_id, now_ms)
        except ValueError:
            age = float("inf")
        if age < self._retention_seconds:
            return True
        if claim_id not in self._reported:
            self._reported.add(claim_id)
            logger.error(
                "claim %s is older than sink.ledger_retention_days, so the ledger cannot say "
                "whether it took effect; it stays in %s until a person decides",
                claim_id,
                self.store.claim_key(claim_id),
            )
        return False

    def _take(self, claim: Claim) -> None:
        if not claim.payloads:
            logger.error(
                "claim %s has a lease but no payloads: its list was evicted or deleted by "
                "somebody else; dropping the lease",
                claim.id,
            )
            self.held.add(claim)
            self.settled(Outcome([], [claim], [], 0, 0, {}))
            return
        if claim.delivery > 1:
            logger.info("took over %r", claim)
        self.held.add(claim)
        self._claimed.put_nowait(claim)

    async def walk(self, claim: Claim) -> AsyncIterator[tuple[int, bool]]:
        """Walk through a claim that keeps coming back.

        Yields (position, whether the record there kills workers). Before a position is
        yielded it is noted in Redis, so that if this worker dies over that record, the next
        one knows which it was. One death may be anybody's (a deploy, an operator); a record
        is to blame once two workers have died over it.

        Raises:
            ClaimLostError: another worker has the claim now.
        """
        noted = Counter(await self._patiently(partial(self.store.suspects, claim.id)))
        killers = {position for position, deaths in noted.items() if deaths >= _DEATHS}
        self._walks[claim.id] = claim, noted
        try:
            for position in range(len(claim.payloads)):
                if position not in killers:
                    await self._note(claim, [*noted.elements(), position])
                yield position, position in killers
                if position not in killers:
                    del noted[position]
            await self._note(claim, noted.elements())
        finally:
            del self._walks[claim.id]

    async def _note(self, claim: Claim, positions: Iterable[int]) -> None:
        suspects = list(positions)

        async def note() -> bool:
            async with self._noting:
                return await self.store.note_suspects(claim, suspects)

        if not await self._patiently(note):
            self._drop([claim.id])
            raise ClaimLostError(f"{claim!r} was taken over by another worker in mid-walk")

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call Redis until it answers; raise what retrying cannot mend."""
        retry = self._retry()
        while True:
            if self._released:  # what is noted now would blame a record that did nothing
                await asyncio.Event().wait()
            try:
                answer = await call()
            except Exception as exc:
                await self._wait(retry, redis_failure(exc, "noting suspects"))
            else:
                retry.succeeded()
                return answer

    async def _reissue(self, claim: Claim) -> None:
        logger.critical(
            "claim id %s is in the ledger with other payloads: an old Redis or MySQL was "
            "restored, or ids were made by hand; its payloads go on under a new id",
            claim.id,
        )
        fresh = await self.store.reissue(claim)
        self._drop([claim.id])
        if fresh is not None:
            self.held.add(fresh)
            await self._deliver(fresh)

    def _drop(self, claim_ids: list[str]) -> None:
        self.held.drop(claim_ids)
        self._reported.difference_update(claim_ids)
        self._freed.set()

    async def _payloads(self) -> None:
        """Wait until the queue has payloads, it is time to look for expired claims, or quiet."""
        seconds = min(self._longest_wait, max(0.01, self._recover_at - time.monotonic()))
        self._waiting = asyncio.ensure_future(self.store.wait(seconds))
        try:
            await self._waiting
        except asyncio.CancelledError:
            if not self._quiet.is_set():
                raise
        finally:
            self._waiting = None

    def _retry(self, *, first: float = 0.1, cap: float = _BACKOFF_CAP_SECONDS) -> Retry:
        return Retry(self._upstream, first, cap)

    async def _wait(
        self, retry: Retry, failure: Exception, *, quiet: asyncio.Event | None = None
    ) -> None:
        """Wait before the next try, or only until ``quiet``; raise what retrying cannot mend."""
        if not isinstance(failure, TransientError):
            raise failure
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(retry.failed(failure)):
                await (quiet or asyncio.Event()).wait()
