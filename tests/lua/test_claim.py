"""claim.lua: payloads move to a claim in order, within bounds, once for each id."""

import hashlib
import os

import pytest
from redis.exceptions import ResponseError

from pepi_stream.claims import ClaimStore, new_claim_id
from tests.claiming import (
    MANY,
    QUEUE,
    Bench,
    assert_empty,
    configured,
    full_memory,
    list_at,
    open_claims,
)

ODD_PAYLOADS = [b"a\x00b", b"\xff\xfe\x80", b"", b"\r\n$-1\r\n", b"\xc3", b"", os.urandom(4096)]


async def test_a_claim_takes_the_head_of_the_queue_in_order(bench: Bench) -> None:
    pushed = await bench.push(*(b"%d" % n for n in range(10)))

    claim = await bench.claim(4)

    assert claim.payloads == pushed[:4]
    assert claim.delivery == 1
    assert await list_at(bench.redis, bench.store.claim_key(claim.id)) == pushed[:4]
    assert await bench.queued() == pushed[4:]


async def test_the_next_claim_goes_on_where_the_last_one_ended(bench: Bench) -> None:
    pushed = await bench.push(*(b"%d" % n for n in range(10)))

    claims = [await bench.claim(4) for _ in range(3)]

    assert [p for c in claims for p in c.payloads] == pushed
    assert [len(c.payloads) for c in claims] == [4, 4, 2]


@pytest.mark.parametrize("count", [1, 999, 1000, 1001, 2000, 20_001])
async def test_a_claim_of_any_size_comes_whole_and_in_order(bench: Bench, count: int) -> None:
    """More than about 8,000 would overflow the Lua stack if they were unpacked at once."""
    pushed = await bench.push(*(b"%d" % n for n in range(count + 1)))

    claim = await bench.claim(count)

    assert claim.payloads == pushed[:count]
    assert await list_at(bench.redis, bench.store.claim_key(claim.id)) == pushed[:count]
    assert await bench.queued() == pushed[count:]
    assert await bench.again(claim.id) == pushed[:count]
    await bench.expire(claim)
    assert (await bench.recover(claim.id)).payloads == pushed[:count]


@pytest.mark.parametrize(
    ("sizes", "max_bytes", "least"),
    [
        ([300] * 5000, 100_000, 0.8),
        ([3000] * 500, 200_000, 0.7),
        ([20_000] * 100, 500_000, 0.7),
        ([5] * 20_000, 50_000, 0.6),  # Redis needs two or three bytes for each
        ([100] * 300 + [50_000] * 300, 1_000_000, 0.003),
        ([50_000] * 20 + [100] * 5000, 1_000_000, 0.7),
        ([100_000, 1, 1], 50, None),
        ([50, 100_000, 1], 60, None),
        ([10, 10, 10], 1, None),
        ([0, 0, 5], 1, None),
    ],
)
async def test_max_bytes_bounds_a_claim_of_at_least_one_payload(
    bench: Bench, sizes: list[int], max_bytes: int, least: float | None
) -> None:
    """``least``: how full the claim is at least; None for one that holds a single payload."""
    pushed = await bench.push(*(b"x" * size for size in sizes))

    claim = await bench.claim(max_bytes=max_bytes)

    taken = len(claim.payloads)
    assert claim.payloads == pushed[:taken]
    assert await bench.queued() == pushed[taken:]
    assert claim.left == len(sizes) - taken > 0
    if least is None:
        assert taken == 1
    else:
        assert least * max_bytes <= sum(sizes[:taken]) <= max_bytes


async def test_both_bounds_hold_together(bench: Bench) -> None:
    await bench.push(*[b"1234567890" * 100] * 100)

    assert len((await bench.claim(3, max_bytes=50_000)).payloads) == 3
    assert 30 < len((await bench.claim(1000, max_bytes=50_000)).payloads) < 50


async def test_a_claim_says_how_many_it_left(bench: Bench) -> None:
    await bench.push(b"a", b"b", b"c")

    first = await bench.claim(2)
    second = await bench.claim(2)

    assert (first.left, second.left) == (1, 0)
    await bench.expire(first)
    assert (await bench.recover(first.id)).left is None


@pytest.mark.parametrize("small", [0, 80])
async def test_redis_does_not_copy_many_huge_payloads_to_find_that_few_fit(
    bench: Bench, small: int
) -> None:
    await bench.push(*[b"x" * 100] * small, *[b"x" * 100_000] * 200)

    async with bench.redis.monitor() as monitor:
        claim = await bench.claim(1000, max_bytes=500_000)
        copied = None
        async for command in monitor.listen():
            if command["command"].lower().startswith("sort "):
                copied = int(command["command"].split()[6])
                break

    assert copied is not None
    assert 3 <= len(claim.payloads) <= copied <= 7


async def test_a_redis_that_compresses_its_lists_exceeds_the_bytes_once(bench: Bench) -> None:
    """With list-compress-depth, new releases count a claim's bytes compressed; here, a fourth."""
    script = bench.store._scripts.claim
    script.text = script.text.replace(b"tonumber(ARGV[3])", b"4 * tonumber(ARGV[3])")
    script.sha = hashlib.sha1(script.text, usedforsecurity=False).hexdigest()
    await bench.push(*(b"%0300d" % n for n in range(3000)))

    sizes = [sum(map(len, (await bench.claim(max_bytes=50_000)).payloads)) for _ in range(4)]

    assert sizes[0] > 150_000
    assert all(30_000 < size <= 50_000 for size in sizes[1:])


async def test_lists_of_a_redis_that_compresses_them_come_whole(bench: Bench) -> None:
    async with configured(bench.redis, list_compress_depth=1):
        pushed = await bench.push(*(b"%0300d" % n for n in range(3000)))
        claims = [await bench.claim(1000, max_bytes=200_000) for _ in range(3)]

    assert [p for claim in claims for p in claim.payloads] + await bench.queued() == pushed
    assert all(sum(map(len, claim.payloads)) <= 200_000 for claim in claims)


async def test_payloads_are_bytes_and_stay_as_they_are(bench: Bench) -> None:
    await bench.push(*ODD_PAYLOADS)

    claim = await bench.claim()

    assert claim.payloads == ODD_PAYLOADS
    assert await bench.again(claim.id) == ODD_PAYLOADS
    await bench.expire(claim)
    assert (await bench.recover(claim.id)).payloads == ODD_PAYLOADS


async def test_a_claim_on_an_empty_queue_leaves_no_key(bench: Bench) -> None:
    claim_id = bench.store.new_id()

    assert await bench.store.claim(claim_id, max_payloads=5, max_bytes=MANY) is None
    await assert_empty(bench.redis)


async def test_an_empty_claim_does_not_use_up_its_id(bench: Bench) -> None:
    claim_id = bench.store.new_id()
    await bench.store.claim(claim_id, max_payloads=5, max_bytes=MANY)
    await bench.push(b"a")

    assert (await bench.claim(claim_id=claim_id)).payloads == [b"a"]


async def test_the_lease_is_in_the_time_of_the_server(bench: Bench) -> None:
    """The worker's own clock is an hour slow and must not matter."""
    wrong = await bench.now() - 3_600_000
    slow = ClaimStore(bench.redis, queue=QUEUE, lease_seconds=7.5, clock=lambda: wrong)
    await bench.push(b"a")

    before = await bench.now()
    claim = await slow.claim(slow.new_id(), max_payloads=1, max_bytes=1)
    after = await bench.now()

    assert claim is not None
    assert before + 7500 <= await bench.deadline(claim) <= after + 7500
    assert claim.received_at == wrong


async def test_again_returns_the_same_payloads_however_often(bench: Bench) -> None:
    pushed = await bench.push(b"a", b"b", b"c")
    claim = await bench.claim(2)

    assert await bench.again(claim.id) == pushed[:2]
    assert await bench.again(claim.id) == pushed[:2]
    assert await bench.queued() == pushed[2:]
    assert await bench.delivery(claim) == 1


async def test_again_extends_the_lease(bench: Bench) -> None:
    await bench.push(b"a")
    claim = await bench.claim()
    await bench.expire(claim)

    before = await bench.now()
    await bench.again(claim.id)

    assert await bench.deadline(claim) >= before + 30_000
    assert await bench.store.recover([claim.id]) is None


async def test_again_never_creates(bench: Bench) -> None:
    pushed = await bench.push(b"a")

    assert await bench.again(bench.store.new_id()) is None

    assert await bench.queued() == pushed
    assert await open_claims(bench.store) == {}


async def test_again_returns_nothing_after_an_ack(bench: Bench) -> None:
    await bench.push(b"a")
    claim = await bench.claim()
    await bench.ack(claim)
    fresh = await bench.push(b"fresh")

    assert await bench.again(claim.id) is None
    assert await bench.queued() == fresh


async def test_again_returns_nothing_while_another_worker_has_the_claim(bench: Bench) -> None:
    await bench.push(b"a")
    claim = await bench.claim()
    await bench.expire(claim)
    recovered = await bench.recover(claim.id)
    deadline = await bench.deadline(recovered)

    assert await bench.again(claim.id) is None
    assert await bench.deadline(recovered) == deadline
    assert await bench.delivery(recovered) == 2


async def test_a_zombie_that_asks_again_after_others_committed_takes_no_fresh_payloads(
    bench: Bench,
) -> None:
    """Design, section 3: a worker stopped between sending `claim` and reading its reply."""
    await bench.push(b"old 1", b"old 2")
    zombie = await bench.claim()  # the reply that the zombie did not read
    await bench.expire(zombie)
    await bench.ack(await bench.recover(zombie.id))  # another worker: recovered, committed
    fresh = await bench.push(b"fresh 1", b"fresh 2")

    assert await bench.again(zombie.id) is None

    assert await bench.queued() == fresh
    assert await bench.redis.exists(bench.store.claim_key(zombie.id)) == 0
    assert (await bench.claim()).payloads == fresh  # under a new id the ledger does not know


@pytest.mark.parametrize("expired", [False, True])
async def test_a_new_claim_under_a_known_id_is_refused_and_changes_nothing(
    bench: Bench, expired: bool
) -> None:
    await bench.push(b"a", b"b")
    claim = await bench.claim(1)
    if expired:
        await bench.expire(claim)
    deadline = await bench.deadline(claim)

    with pytest.raises(ResponseError, match="PEPICLAIM"):
        await bench.claim(claim_id=claim.id)

    assert await bench.queued() == [b"b"]
    assert await open_claims(bench.store) == {claim.id: [b"a"]}
    assert await bench.deadline(claim) == deadline
    assert await bench.delivery(claim) == 1


async def test_a_new_claim_never_joins_a_list_that_has_lost_its_lease(bench: Bench) -> None:
    pushed = await bench.push(b"a")
    claim_id = bench.store.new_id()
    await bench.redis.rpush(bench.store.claim_key(claim_id), b"left over")

    with pytest.raises(ResponseError, match="PEPICLAIM"):
        await bench.claim(claim_id=claim_id)

    assert await bench.queued() == pushed
    await bench.redis.delete(bench.store.claim_key(claim_id))


@pytest.mark.parametrize("mode", ["new", "again"])
@pytest.mark.parametrize("spoiled", ["claims", "deliveries", "claim"])
async def test_a_key_of_another_type_leaves_the_queue_as_it_is(
    bench: Bench, spoiled: str, mode: str
) -> None:
    pushed = await bench.push(b"a", b"b", b"c")
    claim_id = new_claim_id(1)
    key = {
        "claims": bench.store.claims_key,
        "deliveries": bench.store.deliveries_key,
        "claim": bench.store.claim_key(claim_id),
    }[spoiled]
    await bench.redis.set(key, "not ours")

    with pytest.raises(ResponseError, match=r"WRONGTYPE|PEPICLAIM"):
        await bench.store.claim(claim_id, max_payloads=2, max_bytes=MANY, again=mode == "again")

    assert await bench.redis.get(key) == b"not ours"
    await bench.redis.delete(key)
    assert await bench.queued() == pushed


async def test_a_queue_of_another_type_is_refused_and_left_as_it_is(bench: Bench) -> None:
    await bench.redis.set(QUEUE, "not ours")

    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await bench.claim()

    assert await bench.redis.get(QUEUE) == b"not ours"
    await bench.redis.delete(QUEUE)


async def test_a_full_redis_can_be_drained(bench: Bench) -> None:
    pushed = await bench.push(*(b"%d" % n for n in range(3000)))

    async with full_memory(bench.redis):
        first = await bench.claim(1500)
        assert await bench.again(first.id) == pushed[:1500]
        second = await bench.claim()
        await bench.check()
        assert await bench.ack(first, second) == 2

    assert first.payloads + second.payloads == pushed
    await assert_empty(bench.redis)


async def test_a_full_redis_that_forgot_the_scripts_can_be_drained(bench: Bench) -> None:
    pushed = await bench.push(b"a", b"b")

    async with full_memory(bench.redis):
        await bench.redis.script_flush()
        claim = await bench.claim()
        await bench.ack(claim)

    assert claim.payloads == pushed
    await assert_empty(bench.redis)
