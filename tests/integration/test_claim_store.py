"""ClaimStore against a Redis that forgets its scripts, dies, fills up or loses replies."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from redis.crc import key_slot
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from pepi_stream.claims import ClaimStore
from pepi_stream.local.servers import RedisServer
from tests.claiming import (
    MANY,
    QUEUE,
    Bench,
    assert_empty,
    checked_bench,
    client_of,
    full_memory,
    open_claims,
    store_of,
    times_run,
)
from tests.cutting_proxy import CuttingProxy, Link, cutting_proxy
from tests.waiting import wait_until


@pytest.fixture
async def bench(redis_url: str) -> AsyncIterator[Bench]:
    async with checked_bench(redis_url) as bench:
        yield bench


@pytest.fixture
async def proxy(redis_server: RedisServer) -> AsyncIterator[CuttingProxy]:
    async with cutting_proxy(redis_server.socket_path) as proxy:
        yield proxy


@pytest.fixture
async def behind_proxy(proxy: CuttingProxy) -> AsyncIterator[ClaimStore]:
    store = store_of(client_of(proxy.url))
    yield store
    await store.close()


def sha_of(store: ClaimStore, script: str) -> bytes:
    sha: str = getattr(store._scripts, script).sha
    return sha.encode()


async def blocked_clients(redis: Redis) -> int:
    return int((await redis.info("clients"))["blocked_clients"])


# scripts


async def test_every_call_works_when_redis_has_forgotten_the_scripts(bench: Bench) -> None:
    store, flush = bench.store, bench.redis.script_flush
    pushed = await bench.push(b"a", b"b")

    await flush()
    claim = await bench.claim(1)
    await flush()
    assert await bench.again(claim.id) == pushed[:1]
    await flush()
    assert await store.renew([(claim.id, 1)]) == []
    await bench.expire(claim)
    await flush()
    claim = await bench.recover(claim.id)
    await flush()
    assert await store.release([(claim.id, 2)]) == 1
    await flush()
    fresh = await store.reissue(claim)
    assert fresh is not None
    await flush()
    assert await bench.ack(fresh, await bench.claim()) == 2
    await assert_empty(bench.redis)


async def test_a_script_flush_right_after_the_script_was_brought_along(
    bench: Bench, behind_proxy: ClaimStore, proxy: CuttingProxy
) -> None:
    pushed = await bench.push(b"a", b"b")
    flushed = 0

    async def flush(link: Link) -> bool:
        nonlocal flushed
        flushed += 1
        await bench.redis.script_flush()
        return True

    await bench.redis.script_flush()
    proxy.set_trap(b"-- Purpose", "reply", flush)
    claim = await behind_proxy.claim(behind_proxy.new_id(), max_payloads=9, max_bytes=MANY)
    assert flushed == 1
    assert claim is not None
    assert claim.payloads == pushed


async def test_the_keys_hash_to_one_cluster_slot(bench: Bench) -> None:
    store = bench.store
    keys = [QUEUE, store.claims_key, store.deliveries_key, store.claim_key("x"), store.channel]

    assert len({key_slot(key.encode()) for key in keys}) == 1


# a Redis that dies


async def test_a_killed_redis_is_an_error_and_then_works_with_everything_it_answered(
    own_redis: RedisServer,
) -> None:
    redis = client_of(own_redis.url)
    bench = Bench(redis)
    pushed = await bench.push(b"a", b"b", b"c")
    claim = await bench.claim(2)

    own_redis.kill()
    with pytest.raises(RedisConnectionError):
        await bench.again(claim.id)
    with pytest.raises(RedisConnectionError):
        await bench.store.renew([(claim.id, 1)])
    own_redis.start()

    assert await bench.again(claim.id) == pushed[:2]
    assert await bench.store.renew([(claim.id, 1)]) == []
    assert (await bench.claim()).payloads == pushed[2:]
    await bench.check()
    await redis.aclose()


# lost replies


async def test_a_lost_reply_is_not_asked_for_by_the_client_itself(
    bench: Bench, behind_proxy: ClaimStore, proxy: CuttingProxy
) -> None:
    pushed = await bench.push(*(b"%d" % n for n in range(10)))
    sha = sha_of(behind_proxy, "claim")
    await behind_proxy.redis.script_load(behind_proxy._scripts.claim.text.decode())
    claim_id = behind_proxy.new_id()
    proxy.lose_reply_to(sha)

    with pytest.raises(RedisConnectionError):
        await behind_proxy.claim(claim_id, max_payloads=4, max_bytes=MANY)

    assert (proxy.lost, proxy.asked(sha)) == (1, 1)
    assert await open_claims(bench.store) == {claim_id: pushed[:4]}
    assert await bench.queued() == pushed[4:]
    for _ in range(2):
        claim = await behind_proxy.claim(claim_id, max_payloads=4, max_bytes=MANY, again=True)
        assert claim is not None
        assert claim.payloads == pushed[:4]
    assert await bench.queued() == pushed[4:]


async def test_a_reply_that_does_not_come_is_not_asked_for_by_the_client_itself(
    bench: Bench, proxy: CuttingProxy
) -> None:
    pushed = await bench.push(b"a", b"b")
    store = store_of(client_of(proxy.url, PEPI_REDIS__TIMEOUT_SECONDS="0.2"))
    try:
        claim_id = store.new_id()
        sha = sha_of(store, "claim")
        await store.redis.script_load(store._scripts.claim.text.decode())
        proxy.lose_reply_to(sha, silently=True)

        with pytest.raises(RedisTimeoutError):
            await store.claim(claim_id, max_payloads=1, max_bytes=MANY)

        assert (proxy.lost, proxy.asked(sha)) == (1, 1)
        claim = await store.claim(claim_id, max_payloads=1, max_bytes=MANY, again=True)
        assert claim is not None
        assert claim.payloads == pushed[:1]
        assert await bench.queued() == pushed[1:]
    finally:
        await store.close()


async def test_a_lost_reply_to_an_ack_does_not_publish_twice(
    bench: Bench, behind_proxy: ClaimStore, proxy: CuttingProxy
) -> None:
    await bench.push(b"a")
    claim = await bench.claim()
    published = await times_run(bench.redis, "publish")
    await behind_proxy.redis.script_load(behind_proxy._scripts.ack.text.decode())
    proxy.lose_reply_to(sha_of(behind_proxy, "ack"))

    with pytest.raises(RedisConnectionError):
        await behind_proxy.ack([claim.id], b"told")
    assert await behind_proxy.ack([claim.id], b"told") == 0

    bench.expected.clear()
    assert await times_run(bench.redis, "publish") == published + 1
    await assert_empty(bench.redis)


async def test_two_calls_at_once_do_not_mix_their_replies(bench: Bench) -> None:
    pushed = await bench.push(*(b"%d" % n for n in range(100)))

    claims = await asyncio.gather(*(bench.claim(5) for _ in range(20)))

    assert sorted(p for c in claims for p in c.payloads) == sorted(pushed)
    assert all(
        payloads == next(c.payloads for c in claims if c.id == claim_id)
        for claim_id, payloads in (await open_claims(bench.store)).items()
    )


# wait


async def test_wait_returns_at_once_when_there_is_something_and_changes_nothing(
    bench: Bench,
) -> None:
    pushed = await bench.push(b"a", b"b\x00", b"c")

    async with asyncio.timeout(5):
        assert await bench.store.wait(60) is True

    assert await bench.queued() == pushed


async def test_wait_says_when_nothing_came(bench: Bench) -> None:
    assert await bench.store.wait(0.02) is False
    await assert_empty(bench.redis)


async def test_one_payload_wakes_every_waiting_worker_and_stays(
    bench: Bench, redis_url: str
) -> None:
    stores = [store_of(client_of(redis_url)) for _ in range(3)]
    waiting = [asyncio.ensure_future(s.wait(4)) for s in stores]

    async def all_wait() -> bool:
        return await blocked_clients(bench.redis) == 3

    await wait_until(all_wait)
    pushed = await bench.push(b"first", b"second")
    async with asyncio.timeout(3):
        assert await asyncio.gather(*waiting) == [True] * 3

    assert await bench.queued() == pushed
    for store in stores:
        await store.close()


async def test_a_cancelled_wait_leaves_the_store_usable(bench: Bench) -> None:
    waiting = asyncio.ensure_future(bench.store.wait(4))

    async def one_waits() -> bool:
        return await blocked_clients(other) == 1

    other = client_of_same(bench)
    await wait_until(one_waits)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    pushed = await bench.push(b"a", b"b")
    assert (await bench.claim()).payloads == pushed
    await other.aclose()


def client_of_same(bench: Bench) -> Redis:
    """Another client of the same Redis."""
    path = bench.redis.connection_pool.connection_kwargs["path"]
    return client_of(f"unix://{path}?db=0")


async def test_wait_on_a_full_redis_tells_whether_there_is_something(bench: Bench) -> None:
    async with full_memory(bench.redis):
        assert await bench.store.wait(0.01) is False
    pushed = await bench.push(b"a")
    async with full_memory(bench.redis):
        assert await bench.store.wait(0.01) is True

    assert await bench.queued() == pushed


async def test_wait_on_another_kind_of_key_is_an_error(bench: Bench) -> None:
    await bench.redis.set(QUEUE, "not ours")

    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await bench.store.wait(0.01)

    await bench.redis.delete(QUEUE)


async def test_depth_counts_payloads_and_open_claims(bench: Bench) -> None:
    assert await bench.store.depth() == (0, 0)
    await bench.push(b"a", b"b", b"c")
    await bench.claim(1)

    assert await bench.store.depth() == (2, 1)
