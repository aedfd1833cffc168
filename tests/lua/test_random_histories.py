"""Random histories of three workers, against a model of what the delivery protocol promises.

After every step Redis holds exactly what the model holds: each payload in one place, each
claim in queue order, each id with its delivery count.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.claiming import QUEUE, assert_conserved, client_of, list_at, open_claims, store_of

T = TypeVar("T")

WORKERS = st.sampled_from(["a", "b", "c"])
PAYLOADS = st.lists(st.binary(max_size=6), min_size=1, max_size=8)


@dataclass
class Held:
    """What the model knows of an open claim."""

    payloads: list[bytes]
    delivery: int = 1
    expired: bool = False


def some_open(history: "History") -> bool:
    return bool(history.open)


class History(RuleBasedStateMachine):
    """Three workers that do whatever they like, in any order."""

    url: str
    lost_replies: Bundle[str] = Bundle("lost_replies")

    @initialize()
    def start(self) -> None:
        self.runner = asyncio.Runner()
        self.redis = client_of(self.url)
        self.store = store_of(self.redis)
        self.run(flush(self.redis))
        self.queue: list[bytes] = []
        self.open: dict[str, Held] = {}
        self.seen: dict[str, list[bytes]] = {}
        self.holds: dict[str, dict[str, int]] = {"a": {}, "b": {}, "c": {}}

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.run(self.redis.aclose())
            self.runner.close()

    @rule(payloads=PAYLOADS)
    def push(self, payloads: list[bytes]) -> None:
        self.run(push(self.redis, payloads))
        self.queue += payloads

    @rule(
        target=lost_replies,
        worker=WORKERS,
        pushed=PAYLOADS,
        max_payloads=st.integers(1, 6),
        max_bytes=st.integers(1, 400),
        lost=st.booleans(),
    )
    def claim(
        self, worker: str, pushed: list[bytes], max_payloads: int, max_bytes: int, lost: bool
    ) -> str:
        if len(pushed) > 2:  # mostly there is something to claim
            self.push(pushed)
        claim_id = self.store.new_id()
        assert claim_id not in self.seen
        got = self.run(self.store.claim(claim_id, max_payloads=max_payloads, max_bytes=max_bytes))
        count = len(got.payloads) if got else 0
        assert bool(count) == bool(self.queue)
        assert count <= max_payloads
        taken, self.queue = self.queue[:count], self.queue[count:]
        assert (got.payloads if got else []) == taken
        assert count <= 1 or sum(map(len, taken)) <= max_bytes
        if taken:
            self.seen[claim_id] = taken
            self.open[claim_id] = Held(taken)
            if not lost:
                self.holds[worker][claim_id] = 1
        return claim_id

    @rule(worker=WORKERS, claim_id=lost_replies)
    def again(self, worker: str, claim_id: str) -> None:
        got = self.run(self.store.claim(claim_id, max_payloads=1, max_bytes=1, again=True))
        held = self.open.get(claim_id)
        if held is None or held.delivery != 1:
            assert got is None
            return
        assert got is not None
        assert got.payloads == held.payloads
        held.expired = False
        self.holds[worker][claim_id] = 1

    @precondition(some_open)
    @rule(worker=WORKERS)
    def renew(self, worker: str) -> None:
        leases = list(self.holds[worker].items())
        lost = self.run(self.store.renew(leases))
        assert lost == [i for i, d in leases if not self._holds(i, d)]
        for claim_id, delivery in leases:
            if self._holds(claim_id, delivery):
                self.open[claim_id].expired = False

    @precondition(some_open)
    @rule(data=st.data())
    def expire(self, data: st.DataObject) -> None:
        claim_id = data.draw(st.sampled_from(list(self.open)))
        self.run(expire(self.redis, self.store.claims_key, claim_id))
        self.open[claim_id].expired = True

    @precondition(some_open)
    @rule(worker=WORKERS, data=st.data(), expire_first=st.sampled_from([True, True, False]))
    def recover(self, worker: str, data: st.DataObject, expire_first: bool) -> None:
        if expire_first:
            self.expire(data)
        mine = self.holds[worker]
        candidates = self.run(self.store.expired(skip=lambda claim_id, _: claim_id in mine))
        assert set(candidates) == {i for i, h in self.open.items() if h.expired} - mine.keys()
        # In the order they were made, for ids are random; the running ones come along.
        expired = [i for i in self.open if i in candidates]
        running = [i for i, h in self.open.items() if not h.expired]
        got = self.run(self.store.recover([*running, *expired][-20:]))
        if got is None:
            assert not expired
            return
        assert got.id == expired[0]
        held = self.open[got.id]
        held.delivery += 1
        assert held.expired
        held.expired = False
        assert (got.payloads, got.delivery) == (held.payloads, held.delivery)
        mine[got.id] = got.delivery

    @precondition(some_open)
    @rule(worker=WORKERS)
    def release(self, worker: str) -> None:
        leases, self.holds[worker] = self.holds[worker], {}
        mine = [(i, d) for i, d in leases.items() if self._holds(i, d)]
        assert self.run(self.store.release(list(leases.items()))) == len(mine)
        for claim_id, _ in mine:
            self.open[claim_id].expired = True
            self.open[claim_id].delivery -= 1

    @rule(worker=WORKERS, data=st.data())
    def ack(self, worker: str, data: st.DataObject) -> None:
        if not self.holds[worker]:
            return
        ids = data.draw(st.lists(st.sampled_from(list(self.holds[worker])), unique=True))
        open_ids = [i for i in ids if i in self.open]
        assert self.run(self.store.ack(ids)) == len(open_ids)
        for claim_id in ids:
            self.open.pop(claim_id, None)
            del self.holds[worker][claim_id]

    def _holds(self, claim_id: str, delivery: int) -> bool:
        return claim_id in self.open and self.open[claim_id].delivery == delivery

    @invariant()
    def redis_holds_what_the_model_holds(self) -> None:
        self.run(self._compare())

    async def _compare(self) -> None:
        assert await list_at(self.redis, QUEUE) == self.queue
        assert await open_claims(self.store) == {i: h.payloads for i, h in self.open.items()}
        counts = await self.redis.hgetall(self.store.deliveries_key)
        assert counts == {i.encode(): b"%d" % h.delivery for i, h in self.open.items()}
        in_claims = [p for h in self.open.values() for p in h.payloads]
        await assert_conserved(self.store, [*self.queue, *in_claims])


async def flush(redis: Any) -> None:
    await redis.flushall()


async def push(redis: Any, payloads: list[bytes]) -> None:
    await redis.rpush(QUEUE, *payloads)


async def expire(redis: Any, key: str, claim_id: str) -> None:
    await redis.zadd(key, {claim_id: 1})


def test_any_history_keeps_every_payload_in_exactly_one_place(redis_url: str) -> None:
    class OfThisServer(History):
        url = redis_url

    run_state_machine_as_test(
        OfThisServer,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            phases=[Phase.generate],  # shrinking against a real Redis takes minutes
        ),
    )
