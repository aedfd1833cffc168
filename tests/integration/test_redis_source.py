"""RedisSource with a real Redis: what it delivers, keeps alive, gives back and acks."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from pepi_stream.claims import Claim, ClaimStore, new_claim_id
from pepi_stream.claims.store import clock_ms
from pepi_stream.errors import FatalError
from pepi_stream.events import WindowKey
from pepi_stream.local.servers import RedisServer
from pepi_stream.outcome import Outcome
from pepi_stream.settings import load_settings
from pepi_stream.source import RedisSource
from tests.claims_bench import (
    QUEUE,
    Bench,
    assert_empty,
    client_of,
    open_claims,
    store_of,
    times_run,
)
from tests.cutting_proxy import cutting_proxy
from tests.waiting import wait_until

DAY_MS = 86_400_000


class Worker:
    """A source whose pipeline only records what it is given."""

    def __init__(self, url: str, **settings: str) -> None:
        names = {
            "CLAIM_MAX": "2",
            "MAX_IN_FLIGHT": "3",
            "LEASE_SECONDS": "3",
            "RECOVER_SECONDS": "0.05",
            **settings,
        }
        environment = {f"PEPI_SOURCE__{name}": value for name, value in names.items()}
        loaded = load_settings({"REDIS_URL": url, **environment})
        self.delivered: list[Claim] = []
        self.store: ClaimStore = store_of(client_of(url))
        self.source = RedisSource(self.store, loaded, deliver=self._deliver)

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
    """Run the source's three loops; an error that none of them should raise fails the test."""
    source = worker.source
    loops: list[Callable[[], Awaitable[None]]] = [
        source.claim_forever,
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


Start = Callable[..., AbstractAsyncContextManager[Worker]]


@pytest.fixture
def start(redis_url: str) -> Start:
    """Start a worker on the test's Redis; settings of [source] by name."""
    return lambda **settings: running(Worker(redis_url, **settings))


@pytest.fixture
async def bench(redis_url: str) -> AsyncIterator[Bench]:
    redis = client_of(redis_url)
    try:
        bench = Bench(redis)
        yield bench
        await bench.check()
    finally:
        await redis.aclose()


async def rounds(bench: Bench, count: int) -> None:
    """Wait until the worker has looked for expired claims so many times more."""
    name = "zrangebyscore"
    until = await times_run(bench.redis, name) + count

    async def looked() -> bool:
        return await times_run(bench.redis, name) >= until

    await wait_until(looked)


def errors(caplog: pytest.LogCaptureFixture, part: str, level: int = logging.ERROR) -> int:
    return sum(r.levelno == level and part in r.getMessage() for r in caplog.records)


async def test_it_claims_up_to_max_in_flight_and_goes_on_as_claims_are_settled(
    bench: Bench, start: Start
) -> None:
    pushed = await bench.push(*(b"%d" % n for n in range(12)))

    async with start() as worker:
        first, second, third = await worker.delivers(3)
        assert worker.source.held.full
        assert await bench.queued() == pushed[6:]
        assert worker.payloads == pushed[:6]

        worker.commit(first, third)
        await worker.delivers(5)
        assert worker.payloads == pushed[:10]
        assert await bench.queued() == pushed[10:]

        bench.expected.subtract([*first.payloads, *third.payloads])
        assert worker.source.held.open_ids() == {second.id, *(c.id for c in worker.delivered[3:])}


async def test_it_drains_what_comes_and_leaves_no_key(bench: Bench, start: Start) -> None:
    async with start() as worker:
        for n in range(20):
            await bench.push(b"%d" % n)
            await wait_until(lambda n=n: len(worker.payloads) == n + 1)  # type: ignore[misc]
            worker.commit(worker.delivered[-1])
            bench.expected.clear()
        worker.source.quiet()
        async with asyncio.timeout(5):
            await worker.source.drained()

    assert worker.payloads == [b"%d" % n for n in range(20)]
    await assert_empty(bench.redis)


async def test_it_takes_over_the_claim_of_a_dead_worker_at_its_start(
    bench: Bench, start: Start
) -> None:
    pushed = await bench.push(b"a", b"b", b"c")
    dead = await bench.claim(2)
    await bench.expire(dead)

    async with start() as worker:
        recovered, fresh = await worker.delivers(2)

    assert (recovered.id, recovered.delivery, recovered.payloads) == (dead.id, 2, pushed[:2])
    assert (fresh.delivery, fresh.payloads) == (1, pushed[2:])


async def test_it_leaves_the_running_claim_of_another_worker_alone(
    bench: Bench, start: Start
) -> None:
    await bench.push(b"a")
    other = await bench.claim()

    async with start() as worker:
        await rounds(bench, 4)

    assert worker.delivered == []
    assert await bench.delivery(other) == 1


async def test_it_does_not_take_over_what_it_holds_itself(bench: Bench, start: Start) -> None:
    await bench.push(b"a")

    async with start(LEASE_SECONDS="3600") as worker:
        (claim,) = await worker.delivers(1)
        await bench.expire(claim)
        await rounds(bench, 4)
        await worker.delivers(1)


async def test_after_a_lost_reply_it_asks_again_and_neither_loses_nor_doubles(
    bench: Bench, redis_server: RedisServer
) -> None:
    pushed = await bench.push(b"a", b"b", b"c")

    async with cutting_proxy(redis_server.socket_path) as proxy:
        worker = Worker(proxy.url)
        proxy.lose_reply_to(worker.store._scripts.claim.sha.encode())
        async with running(worker):
            await worker.delivers(2)
        assert proxy.cuts == 1
        assert proxy.asked(b"\r\nagain\r\n") >= 1

    assert worker.payloads == pushed
    assert [c.delivery for c in worker.delivered] == [1, 1]
    assert await open_claims(bench.store) == {c.id: c.payloads for c in worker.delivered}


async def test_after_a_lost_reply_a_claim_that_another_worker_took_is_not_delivered_here(
    bench: Bench, redis_server: RedisServer
) -> None:
    await bench.push(b"old")

    async with cutting_proxy(redis_server.socket_path) as proxy:
        worker = Worker(proxy.url, RECOVER_SECONDS="3600")
        proxy.lose_reply_to(worker.store._scripts.claim.sha.encode())
        async with running(worker):
            await wait_until(lambda: proxy.cuts == 1)
            # At least 10 ms until it asks again, all of it without a turn of its loop.
            (claim_id,) = await open_claims(bench.store)
            await bench.redis.zadd(bench.store.claims_key, {claim_id: 1})
            recovered = await bench.recover(claim_id)
            await bench.ack(recovered)
            fresh = await bench.push(b"fresh")
            (claim,) = await worker.delivers(1)

    assert claim.payloads == fresh
    assert claim.id != claim_id


async def test_a_conflict_goes_on_under_a_new_id_with_the_same_payloads(
    bench: Bench, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    pushed = await bench.push(b"a", b"b")

    async with start() as worker:
        (claim,) = await worker.delivers(1)
        worker.source.settled(Outcome([], [], [claim], 0, 0, {}))
        _, fresh = await worker.delivers(2)

        assert (fresh.id != claim.id, fresh.payloads, fresh.delivery) == (True, pushed, 1)
        assert await open_claims(bench.store) == {fresh.id: pushed}
        assert worker.source.held.leases() == [(fresh.id, 1)]
        assert errors(caplog, claim.id, logging.CRITICAL) == 1


async def test_what_took_no_effect_is_released_on_shutdown(bench: Bench, start: Start) -> None:
    pushed = await bench.push(b"a", b"b", b"c", b"d")

    async with start() as worker:
        first, second = await worker.delivers(2)
        worker.source.held.committed([first.id])
        worker.source.quiet()
        assert await worker.source.release() == 1
        assert await worker.source.release() == 0

    assert await bench.store.expired(held=()) == [second.id]
    async with start() as next_worker:
        (taken,) = await next_worker.delivers(1)
    assert (taken.id, taken.payloads, taken.delivery) == (second.id, pushed[2:], 1)


async def test_a_claim_older_than_the_ledger_remembers_is_left_alone_and_reported_once(
    bench: Bench, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    await bench.push(b"old", b"other", b"just young enough")
    retention = load_settings({}).sink.ledger_retention_days * DAY_MS
    old = await bench.claim(1, claim_id=new_claim_id(clock_ms() - retention - 60_000))
    strange = await bench.claim(1, claim_id="not-a-uuid")
    young = await bench.claim(1, claim_id=new_claim_id(clock_ms() - retention + 60_000))
    for claim in (old, strange, young):
        await bench.expire(claim)

    async with start() as worker:
        await rounds(bench, 4)

    assert [c.id for c in worker.delivered] == [young.id]
    assert await bench.deadline(old) == await bench.deadline(strange) == 1
    assert errors(caplog, old.id) == errors(caplog, strange.id) == 1


async def test_an_expired_claim_without_its_list_is_dropped_with_an_error(
    bench: Bench, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    await bench.push(b"a")
    claim = await bench.claim()
    await bench.expire(claim)
    await bench.redis.delete(bench.store.claim_key(claim.id))
    bench.expected.clear()

    async with start() as worker:

        async def gone() -> bool:
            return bool(await bench.redis.dbsize() == 0)

        await wait_until(gone)
        await wait_until(lambda: not worker.source.held)

    assert worker.delivered == []
    assert errors(caplog, claim.id) == 1


async def test_it_keeps_the_leases_of_what_it_holds_alive(bench: Bench, start: Start) -> None:
    await bench.push(b"a")

    async with start() as worker:
        (claim,) = await worker.delivers(1)
        await bench.redis.zadd(bench.store.claims_key, {claim.id: await bench.now() + 100})
        first = await bench.deadline(claim)

        async def renewed() -> bool:
            return await bench.deadline(claim) > first

        await wait_until(renewed, seconds=2)  # a third of the shortest lease is 1 s

    assert await bench.delivery(claim) == 1


async def test_a_lost_lease_is_reported_and_left_to_the_other_worker(
    bench: Bench, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    await bench.push(b"a")

    async with start() as worker:
        (claim,) = await worker.delivers(1)
        await bench.expire(claim)
        await bench.recover(claim.id)
        deadline = await bench.deadline(claim)
        await wait_until(lambda: errors(caplog, claim.id, logging.WARNING) > 0)

        assert await bench.deadline(claim) == deadline
        assert await bench.delivery(claim) == 2
        await worker.source.release()

    assert await bench.deadline(claim) == deadline


async def test_a_commit_is_acked_and_its_counts_are_published_once(
    bench: Bench, start: Start
) -> None:
    await bench.push(b"a", b"b", b"c", b"d")
    pubsub = bench.redis.pubsub(ignore_subscribe_messages=True)
    await pubsub.subscribe(bench.store.channel)
    await pubsub.get_message(ignore_subscribe_messages=True, timeout=1)

    async with start() as worker:
        first, second = await worker.delivers(2)
        worker.commit(first, rows=2)
        worker.commit(second, rows=2)
        message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=5)
        worker.source.settled(Outcome([], [first, second], [], 0, 0, {}))  # acked again
        await wait_until(lambda: not worker.source.held)
        assert await pubsub.get_message(ignore_subscribe_messages=True, timeout=0.05) is None

    assert message is not None
    assert b'"rows":4' in message["data"]
    assert b'"minute":[[60,["opened"],4]]' in message["data"]
    bench.expected.clear()
    await assert_empty(bench.redis)
    await pubsub.aclose()  # type: ignore[no-untyped-call]


async def test_a_queue_that_is_another_kind_of_key_is_fatal(bench: Bench, redis_url: str) -> None:
    await bench.redis.set(QUEUE, "not ours")
    worker = Worker(redis_url)

    async with asyncio.timeout(5):
        with pytest.raises(FatalError, match=r"claiming from pepi_queue.*another kind of key"):
            await worker.source.claim_forever()

    assert await bench.redis.get(QUEUE) == b"not ours"
    await bench.redis.delete(QUEUE)
    await worker.store.close()


async def test_while_redis_is_down_it_waits_and_then_goes_on(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    bench = Bench(client_of(own_redis.url))
    pushed = await bench.push(b"a", b"b")

    async with running(Worker(own_redis.url)) as worker:
        (first,) = await worker.delivers(1)
        own_redis.kill()
        await wait_until(lambda: errors(caplog, "claiming from", logging.WARNING) > 0)
        worker.commit(first)
        await wait_until(lambda: errors(caplog, "acking claims", logging.WARNING) > 0)
        own_redis.start()
        bench.expected.clear()
        pushed += await bench.push(b"c")
        await worker.delivers(2)
        await wait_until(lambda: len(worker.source.held) == 1)

    assert worker.payloads == pushed
    await bench.check()
    await bench.redis.aclose()


async def test_it_says_that_redis_answers_again_though_the_queue_is_empty(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """And the next failure, hours later, starts with a short wait and a warning."""
    caplog.set_level(logging.INFO)

    async with running(Worker(own_redis.url)):
        own_redis.kill()
        await wait_until(lambda: errors(caplog, "claiming from", logging.WARNING) > 0)
        own_redis.start()
        await wait_until(lambda: errors(caplog, "Redis answers again", logging.INFO) > 0, seconds=3)


async def test_quiet_ends_a_wait_for_payloads_at_once(bench: Bench, redis_url: str) -> None:
    worker = Worker(redis_url, RECOVER_SECONDS="3600")
    claiming = asyncio.ensure_future(worker.source.claim_forever())

    async def waits() -> bool:
        return int((await bench.redis.info("clients"))["blocked_clients"]) == 1

    await wait_until(waits)
    worker.source.quiet()
    async with asyncio.timeout(1):
        await claiming
    await worker.store.close()


async def test_the_walk_over_a_suspect_notes_positions_and_names_the_killer_next_time(
    bench: Bench, redis_url: str
) -> None:
    await bench.push(*(b"%d" % n for n in range(5)))
    claim = await bench.claim()
    worker = Worker(redis_url)

    async def noted() -> bytes | None:
        value: Any = await bench.redis.hget(bench.store.deliveries_key, f"{claim.id}:at")
        return bytes(value) if value is not None else None

    async def walk(until: int | None = None) -> list[int]:
        """Walk; die over the record ``until``. Returns the positions said to have killed."""
        killers = []
        steps = worker.source.suspects(claim)
        alive.append(steps)
        async for position, killer in steps:
            if killer:
                killers.append(position)
                continue
            assert str(position).encode() in (await noted() or b"").split(b",")
            if position == until:
                break
        return killers

    # A dead process never closes its generators, so these are kept from being closed.
    alive: list[object] = []
    assert await walk(until=2) == []
    assert await noted() == b"2"
    assert await walk(until=4) == [2]
    assert await noted() == b"2,4"
    assert await walk() == [2, 4]
    assert await noted() == b"2,4"
    await bench.ack(claim)
    await assert_empty(bench.redis)
    await worker.store.close()


async def test_a_walk_that_ends_well_accuses_nobody(bench: Bench, redis_url: str) -> None:
    await bench.push(*(b"%d" % n for n in range(3)))
    claim = await bench.claim()
    worker = Worker(redis_url)

    for _ in range(2):
        walked = [step async for step in worker.source.suspects(claim)]
        assert walked == [(0, False), (1, False), (2, False)]
    await worker.store.close()
