"""ack.lua: what is committed goes, once, and is told once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.exceptions import ResponseError

from tests.claiming import Bench, assert_empty, full_memory, list_at


@asynccontextmanager
async def listening(bench: Bench) -> AsyncIterator[list[bytes]]:
    """Collect what is published until the block ends."""
    heard: list[bytes] = []
    pubsub = bench.redis.pubsub(ignore_subscribe_messages=False)
    try:
        await pubsub.subscribe(bench.store.channel)
        assert (await pubsub.get_message(timeout=5)) is not None  # subscribed
        yield heard
        await bench.redis.publish(bench.store.channel, "end")
        async with asyncio.timeout(5):
            async for message in pubsub.listen():
                if message["data"] == b"end":
                    return
                heard.append(message["data"])
    finally:
        await pubsub.aclose()  # type: ignore[no-untyped-call]


async def test_an_ack_of_everything_leaves_no_key(bench: Bench) -> None:
    await bench.push(*(b"%d" % n for n in range(9)))
    claims = [await bench.claim(3) for _ in range(3)]

    assert await bench.ack(*claims) == 3

    await assert_empty(bench.redis)


async def test_an_ack_leaves_other_claims_alone(bench: Bench) -> None:
    await bench.push(b"a", b"b", b"c")
    first, second = await bench.claim(1), await bench.claim(1)
    deadline = await bench.deadline(second)

    assert await bench.ack(first) == 1

    assert await bench.again(second.id) == [b"b"]
    assert await bench.deadline(second) >= deadline
    assert await bench.queued() == [b"c"]


async def test_an_ack_is_idempotent(bench: Bench) -> None:
    await bench.push(b"a", b"b")
    first, second = await bench.claim(1), await bench.claim(1)

    assert await bench.ack(first) == 1
    assert await bench.ack(first) == 0
    assert await bench.ack(first, second) == 1
    assert await bench.ack(first, second) == 0
    assert await bench.store.ack([]) == 0
    await assert_empty(bench.redis)


async def test_an_ack_of_an_unknown_claim_drops_nothing(bench: Bench) -> None:
    await bench.push(b"a")
    await bench.claim()

    assert await bench.store.ack([bench.store.new_id()]) == 0


async def test_the_message_is_published_once(bench: Bench) -> None:
    message = b"\x00 any bytes \xff"
    await bench.push(b"a", b"b")
    claims = [await bench.claim(1), await bench.claim(1)]

    async with listening(bench) as heard:
        await bench.ack(*claims, message=message)
        await bench.ack(*claims, message=message)

    assert heard == [message]


async def test_an_ack_that_drops_only_some_still_publishes(bench: Bench) -> None:
    await bench.push(b"a", b"b")
    first, second = await bench.claim(1), await bench.claim(1)
    await bench.ack(first)

    async with listening(bench) as heard:
        await bench.ack(first, second, message=b"told")

    assert heard == [b"told"]


async def test_nothing_is_published_when_nothing_was_dropped_or_there_is_no_message(
    bench: Bench,
) -> None:
    await bench.push(b"a")
    claim = await bench.claim()

    async with listening(bench) as heard:
        await bench.store.ack([bench.store.new_id()], b"not dropped")
        await bench.ack(claim, message=b"")

    assert heard == []


async def test_an_ack_forgets_the_noted_positions_of_a_suspect(bench: Bench) -> None:
    await bench.push(b"a", b"b")
    claim, other = await bench.claim(1), await bench.claim(1)
    for noted in (claim, other):
        await bench.redis.hset(bench.store.deliveries_key, f"{noted.id}:at", "0,3")

    await bench.ack(claim)

    fields = await bench.redis.hkeys(bench.store.deliveries_key)
    assert set(fields) == {other.id.encode(), f"{other.id}:at".encode()}
    await bench.ack(other)
    await assert_empty(bench.redis)


async def test_a_worker_that_lost_its_lease_may_ack_what_it_committed(bench: Bench) -> None:
    """The ledger made it count once, whoever acks; the other worker's ack finds nothing."""
    await bench.push(b"a")
    claim = await bench.claim()
    await bench.expire(claim)
    recovered = await bench.recover(claim.id)

    assert await bench.ack(claim) == 1
    assert await bench.ack(recovered) == 0
    await assert_empty(bench.redis)


async def test_many_claims_are_acked_at_once(bench: Bench) -> None:
    await bench.push(*(b"%d" % n for n in range(300)))
    claims = [await bench.claim(1) for _ in range(300)]

    assert await bench.ack(*claims) == 300
    await assert_empty(bench.redis)


@pytest.mark.parametrize("spoiled", ["claims", "deliveries"])
async def test_a_key_of_another_type_leaves_the_queue_and_other_claims(
    bench: Bench, spoiled: str
) -> None:
    await bench.push(b"a", b"b", b"queued")
    claim, other = await bench.claim(1), await bench.claim(1)
    store = bench.store
    key = {"claims": store.claims_key, "deliveries": store.deliveries_key}[spoiled]
    await bench.redis.rename(key, "kept aside")
    await bench.redis.set(key, "not ours")

    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await store.ack([claim.id], b"told")

    assert await bench.queued() == [b"queued"]
    assert await list_at(bench.redis, store.claim_key(other.id)) == [b"b"]
    await bench.redis.rename("kept aside", key)
    await bench.ack(claim)


async def test_an_ack_works_on_a_full_redis(bench: Bench) -> None:
    await bench.push(b"a", b"b")
    claims = [await bench.claim(1), await bench.claim(1)]

    async with full_memory(bench.redis), listening(bench) as heard:
        assert await bench.ack(*claims, message=b"told") == 2

    assert heard == [b"told"]
    await assert_empty(bench.redis)
