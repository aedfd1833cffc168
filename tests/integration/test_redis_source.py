"""RedisSource with a real Redis: what it delivers, keeps alive, gives back and acks."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest

from pepi_stream import announcements
from pepi_stream.claims import new_claim_id
from pepi_stream.claims.store import clock_ms
from pepi_stream.outcome import Outcome
from pepi_stream.settings import load_settings
from tests.claiming import Bench, assert_empty, checked_bench, open_claims
from tests.source_worker import Worker, errors, rounds, running
from tests.waiting import wait_until

DAY_MS = 86_400_000

Start = Callable[..., AbstractAsyncContextManager[Worker]]


@pytest.fixture
def start(redis_url: str) -> Start:
    """Start a worker on the test's Redis; settings of [source] by name."""
    return lambda **settings: running(Worker(redis_url, **settings))


@pytest.fixture
async def bench(redis_url: str) -> AsyncIterator[Bench]:
    async with checked_bench(redis_url) as bench:
        yield bench


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

    assert await bench.store.expired() == [second.id]
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

        await wait_until(renewed, seconds=10)  # a third of the shortest lease is 1 s

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
    commits = announcements.decode(message["data"]).commits
    assert [(commit.claims, commit.rows) for commit in commits] == [
        ([first.id], 2),
        ([second.id], 2),
    ]
    assert [commit.windows for commit in commits] == [{"minute": [(60, ("opened",), 2)]}] * 2
    bench.expected.clear()
    await assert_empty(bench.redis)
    await pubsub.aclose()  # type: ignore[no-untyped-call]
