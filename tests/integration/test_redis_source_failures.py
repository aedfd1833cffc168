"""RedisSource when Redis fails, replies get lost, or a record kills workers."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pepi_stream.errors import FatalError
from pepi_stream.local.servers import RedisServer
from pepi_stream.source import ClaimLostError
from tests.claiming import QUEUE, Bench, assert_empty, checked_bench, client_of, open_claims
from tests.cutting_proxy import Link, cutting_proxy
from tests.source_worker import Worker, errors, running
from tests.waiting import wait_until


@pytest.fixture
async def bench(redis_url: str) -> AsyncIterator[Bench]:
    async with checked_bench(redis_url) as bench:
        yield bench


async def test_after_a_lost_reply_a_claim_that_another_worker_took_is_not_delivered_here(
    bench: Bench, redis_server: RedisServer
) -> None:
    await bench.push(b"old")

    async with cutting_proxy(redis_server.socket_path) as proxy:
        worker = Worker(proxy.url, RECOVER_SECONDS="3600")
        script = worker.store._scripts.claim
        await bench.redis.script_load(script.text.decode())
        proxy.lose_reply_to(script.sha.encode())
        async with running(worker):
            async with proxy.held_up(b"\r\nagain\r\n", "request", seconds=10):
                assert proxy.lost == 1
                (claim_id,) = await open_claims(bench.store)
                await bench.redis.zadd(bench.store.claims_key, {claim_id: 1})
                recovered = await bench.recover(claim_id)
                await bench.ack(recovered)
                fresh = await bench.push(b"fresh")
            (claim,) = await worker.delivers(1)

    assert claim.payloads == fresh
    assert claim.id != claim_id


async def test_after_a_lost_reply_it_asks_again_and_neither_loses_nor_doubles(
    bench: Bench, redis_server: RedisServer
) -> None:
    pushed = await bench.push(b"a", b"b", b"c")

    async with cutting_proxy(redis_server.socket_path) as proxy:
        worker = Worker(proxy.url)
        script = worker.store._scripts.claim
        await bench.redis.script_load(script.text.decode())
        proxy.lose_reply_to(script.sha.encode())
        async with running(worker):
            await worker.delivers(2)
        assert proxy.lost == 1
        assert proxy.asked(b"\r\nagain\r\n") >= 1

    assert worker.payloads == pushed
    assert [c.delivery for c in worker.delivered] == [1, 1]
    assert await open_claims(bench.store) == {c.id: c.payloads for c in worker.delivered}


async def test_a_reply_that_takes_longer_than_the_timeout_arrives_all_the_same(
    bench: Bench, redis_server: RedisServer
) -> None:
    """A large payload over a slow line: asked for with the same time-out it would block all."""
    pushed = await bench.push(b"large", b"small")

    async with cutting_proxy(redis_server.socket_path) as proxy:
        worker = Worker(proxy.url, redis_timeout="0.2")
        sha = worker.store._scripts.claim.sha.encode()
        await worker.store.redis.script_load(worker.store._scripts.claim.text.decode())

        async def slowly(link: Link) -> bool:
            proxy.set_trap(sha, "reply", slowly)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.Event().wait(), 0.5)
            return True

        proxy.set_trap(sha, "reply", slowly)
        async with running(worker):
            await worker.delivers(1)

    assert worker.payloads == pushed
    assert [c.delivery for c in worker.delivered] == [1]


async def test_a_recovery_that_takes_longer_than_the_timeout_arrives_all_the_same(
    bench: Bench, redis_server: RedisServer
) -> None:
    """Although other claims succeed meanwhile, and each try renews the lease."""
    pushed = await bench.push(b"large")
    large = await bench.claim()
    await bench.expire(large)

    async with cutting_proxy(redis_server.socket_path) as proxy:
        worker = Worker(proxy.url, redis_timeout="0.2")
        script = worker.store._scripts.recover
        await bench.redis.script_load(script.text.decode())

        async def slowly(link: Link) -> bool:
            proxy.set_trap(script.sha.encode(), "reply", slowly)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.Event().wait(), 0.5)
            if await bench.delivery(large) == 2:  # the first try: its lease is over soon
                await bench.push(b"small")
                pushed.append(b"small")
            await bench.redis.zadd(bench.store.claims_key, {large.id: 1}, xx=True)
            return True

        proxy.set_trap(script.sha.encode(), "reply", slowly)
        async with running(worker):
            await wait_until(lambda: large.id in {c.id for c in worker.delivered})

    assert sorted(worker.payloads) == sorted(pushed)


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
    caplog.set_level(logging.DEBUG, logger="pepi_stream")
    bench = Bench(client_of(own_redis.url))
    pushed = await bench.push(b"a", b"b")

    async with running(Worker(own_redis.url)) as worker:
        (first,) = await worker.delivers(1)
        own_redis.kill()
        await wait_until(lambda: errors(caplog, "claiming from", logging.WARNING) > 0)
        worker.commit(first)
        await wait_until(lambda: errors(caplog, "acking claims", logging.DEBUG) > 0)
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
        await wait_until(lambda: errors(caplog, "Redis works again", logging.INFO) > 0, seconds=3)


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


async def test_a_record_over_which_two_workers_died_is_named(bench: Bench, redis_url: str) -> None:
    await bench.push(*(b"%d" % n for n in range(5)))
    claim = await bench.claim()
    worker = Worker(redis_url)

    async def noted() -> bytes | None:
        value: Any = await bench.redis.hget(bench.store.deliveries_key, f"{claim.id}:at")
        return bytes(value) if value is not None else None

    async def walk(until: int | None = None) -> list[int]:
        """Walk; die over the record ``until``. Returns the positions said to have killed."""
        killers = []
        steps = worker.source.walk(claim)
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
    assert await walk(until=2) == []
    assert await noted() == b"2,2"
    assert await walk(until=4) == [2]
    assert await noted() == b"2,2,4"
    assert await walk(until=4) == [2]
    assert await noted() == b"2,2,4,4"
    assert await walk() == [2, 4]
    assert await noted() == b"2,2,4,4"
    await bench.ack(claim)
    await assert_empty(bench.redis)
    await worker.store.close()


async def test_a_record_that_is_survived_is_innocent(bench: Bench, redis_url: str) -> None:
    """Workers die for many reasons; one death over a record is no proof."""
    await bench.push(*(b"%d" % n for n in range(3)))
    claim = await bench.claim()
    worker = Worker(redis_url)

    for _ in range(2):
        assert await worker.store.note_suspects(claim, [1])
        walked = [step async for step in worker.source.walk(claim)]
        assert walked == [(0, False), (1, False), (2, False)]
        assert await worker.store.suspects(claim.id) == []
    await worker.store.close()


async def test_a_walk_ends_when_another_worker_has_the_claim(bench: Bench, redis_url: str) -> None:
    """And the zombie's note does not outlive the claim."""
    await bench.push(*(b"%d" % n for n in range(3)))
    claim = await bench.claim()
    worker = Worker(redis_url)
    worker.source.held.add(claim)

    walk = worker.source.walk(claim)
    assert await anext(walk) == (0, False)
    await bench.expire(claim)
    recovered = await bench.recover(claim.id)
    with pytest.raises(ClaimLostError, match="taken over by another worker"):
        await anext(walk)
    assert claim.id not in worker.source.held
    assert await worker.store.suspects(claim.id) == [0]
    await bench.ack(recovered)
    assert not await worker.store.note_suspects(claim, [2])
    await assert_empty(bench.redis)
    await worker.store.close()


async def test_a_release_in_mid_walk_accuses_nobody(bench: Bench, redis_url: str) -> None:
    await bench.push(*(b"%d" % n for n in range(3)))
    claim = await bench.claim()
    worker = Worker(redis_url)
    worker.source.held.add(claim)

    walk = worker.source.walk(claim)
    assert await anext(walk) == (0, False)
    assert await anext(walk) == (1, False)
    assert await worker.source.release() == 1
    assert await worker.store.suspects(claim.id) == []
    await worker.store.close()


async def test_a_release_waits_for_a_note_that_is_on_its_way(
    bench: Bench, redis_server: RedisServer
) -> None:
    await bench.push(*(b"%d" % n for n in range(2)))
    claim = await bench.claim()

    async with cutting_proxy(redis_server.socket_path) as proxy:
        worker = Worker(proxy.url)
        script = worker.store._scripts.suspect
        await bench.redis.script_load(script.text.decode())
        worker.source.held.add(claim)
        walk = worker.source.walk(claim)
        assert await anext(walk) == (0, False)
        step = asyncio.ensure_future(anext(walk))
        async with proxy.held_up(script.sha.encode(), "request", seconds=10):
            release = asyncio.ensure_future(worker.source.release())
            await wait_until(worker.source._noting.locked)
        assert await release == 1
        assert await step == (1, False)
        assert await worker.store.suspects(claim.id) == []
        await worker.store.close()


async def test_a_walk_waits_while_redis_is_down_and_then_goes_on(own_redis: RedisServer) -> None:
    """The walk runs in an agent, and an agent that raises loses the claim in its hand."""
    walked = []
    async with checked_bench(own_redis.url) as bench:
        pushed = await bench.push(*(b"%d" % n for n in range(4)))
        worker = Worker(own_redis.url)
        try:
            async for position, killer in worker.source.walk(await bench.claim()):
                walked.append((position, killer))
                if position == 1:
                    own_redis.kill()
                    asyncio.get_running_loop().call_later(0.05, own_redis.start)
        finally:
            await worker.store.close()

    assert walked == [(n, False) for n in range(len(pushed))]
