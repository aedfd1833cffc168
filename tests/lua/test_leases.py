"""renew.lua, recover.lua and release.lua: who holds a claim, and for how long."""

import pytest
from redis.exceptions import ResponseError

from pepi_stream.claims import Claim
from tests.claiming import Bench, assert_empty, full_memory, open_claims, store_of

LEASE_MS = 30_000


async def claims(bench: Bench, count: int) -> list[Claim]:
    """Claims of two payloads each, in queue order."""
    await bench.push(*(b"%d" % n for n in range(2 * count)))
    return [await bench.claim(2) for _ in range(count)]


def held(*claims: Claim) -> list[tuple[str, int]]:
    return [(c.id, c.delivery) for c in claims]


# renew


async def test_renew_extends_every_lease_in_the_time_of_the_server(bench: Bench) -> None:
    first, second = await claims(bench, 2)
    await bench.expire(first)
    await bench.expire(second)

    before = await bench.now()
    assert await bench.store.renew(held(first, second)) == []
    after = await bench.now()

    for claim in (first, second):
        assert before + LEASE_MS <= await bench.deadline(claim) <= after + LEASE_MS
        assert await bench.delivery(claim) == 1


async def test_renew_touches_only_the_claims_it_names(bench: Bench) -> None:
    first, second = await claims(bench, 2)
    await bench.expire(second)

    await bench.store.renew(held(first))

    assert await bench.deadline(second) == 1


async def test_renew_reports_what_was_acked_and_never_revives_it(bench: Bench) -> None:
    gone, kept = await claims(bench, 2)
    await bench.ack(gone)

    assert await bench.store.renew(held(gone, kept)) == [gone.id]

    assert (await open_claims(bench.store)).keys() == {kept.id}


async def test_renew_does_not_touch_what_another_worker_recovered(bench: Bench) -> None:
    lost, kept = await claims(bench, 2)
    await bench.expire(lost)
    recovered = await bench.recover(lost.id)
    await bench.redis.zadd(bench.store.claims_key, {lost.id: 5})

    assert await bench.store.renew(held(lost, kept)) == [lost.id]
    assert await bench.deadline(lost) == 5
    assert await bench.store.renew(held(recovered)) == []
    assert await bench.deadline(lost) > 5


async def test_renew_of_nothing_does_nothing(bench: Bench) -> None:
    assert await bench.store.renew([]) == []
    assert await bench.store.renew([("never was", 1)]) == ["never was"]
    await assert_empty(bench.redis)


# recover


async def test_recover_refuses_a_running_lease(bench: Bench) -> None:
    (claim,) = await claims(bench, 1)
    deadline = await bench.deadline(claim)

    assert await bench.store.expired() == []
    assert await bench.store.recover([claim.id]) is None
    assert await bench.deadline(claim) == deadline
    assert await bench.delivery(claim) == 1


async def test_recover_keeps_id_and_order_and_counts_deliveries(bench: Bench) -> None:
    pushed = await bench.push(*(b"%d" % n for n in range(50)))
    claim = await bench.claim()

    for delivery in range(2, 6):
        await bench.expire(claim)
        before = await bench.now()
        recovered = await bench.recover(claim.id)
        after = await bench.now()

        assert (recovered.id, recovered.payloads) == (claim.id, pushed)
        assert recovered.delivery == delivery == await bench.delivery(claim)
        assert recovered.digest == claim.digest
        assert before + LEASE_MS <= await bench.deadline(claim) <= after + LEASE_MS

    assert await bench.queued() == []


async def test_recover_takes_one_claim_the_first_that_is_expired(bench: Bench) -> None:
    running, second, third = await claims(bench, 3)
    await bench.expire(second)
    await bench.expire(third)

    recovered = await bench.recover("unknown", running.id, third.id, second.id)

    assert recovered.id == third.id
    assert await bench.deadline(second) == 1
    assert await bench.delivery(second) == await bench.delivery(running) == 1


async def test_two_workers_that_see_the_same_expired_claim_do_not_both_get_it(
    bench: Bench,
) -> None:
    (claim,) = await claims(bench, 1)
    await bench.expire(claim)
    seen = await bench.store.expired()

    recovered = [await bench.store.recover(seen) for _ in range(2)]

    assert [c and c.delivery for c in recovered] == [2, None]


async def test_expired_leaves_out_what_the_worker_holds(bench: Bench) -> None:
    first, second = await claims(bench, 2)
    await bench.expire(first)
    await bench.expire(second)

    assert set(await bench.store.expired()) == {first.id, second.id}
    assert await bench.store.expired(skip=lambda claim_id, _: claim_id == first.id) == [second.id]


async def test_recover_of_a_vanished_list_says_so_and_can_be_acked(bench: Bench) -> None:
    await bench.push(b"a")
    claim = await bench.claim()
    await bench.expire(claim)
    await bench.redis.delete(bench.store.claim_key(claim.id))
    bench.expected.clear()

    recovered = await bench.recover(claim.id)

    assert (recovered.id, recovered.payloads, recovered.delivery) == (claim.id, [], 2)
    assert await bench.ack(recovered) == 1
    await assert_empty(bench.redis)


async def test_recover_of_nothing_does_nothing(bench: Bench) -> None:
    assert await bench.store.recover([]) is None
    assert await bench.store.recover(["never was"]) is None
    await assert_empty(bench.redis)


# release


async def test_release_makes_a_claim_recoverable_at_once(bench: Bench) -> None:
    first, second = await claims(bench, 2)

    assert await bench.store.release(held(first)) == 1

    assert await bench.deadline(first) <= await bench.now()
    assert await bench.store.expired() == [first.id]
    recovered = await bench.recover(second.id, first.id)
    assert (recovered.id, recovered.payloads) == (first.id, first.payloads)


async def test_a_delivery_that_was_given_back_does_not_count(bench: Bench) -> None:
    (claim,) = await claims(bench, 1)

    for _ in range(4):  # four orderly restarts are not four crashes
        assert await bench.store.release(held(claim)) == 1
        claim = await bench.recover(claim.id)
        assert claim.delivery == 1
    await bench.expire(claim)
    assert (await bench.recover(claim.id)).delivery == 2


async def test_release_is_fenced_by_the_delivery(bench: Bench) -> None:
    lost, mine = await claims(bench, 2)
    await bench.expire(lost)
    recovered = await bench.recover(lost.id)
    deadline = await bench.deadline(recovered)

    assert await bench.store.release(held(lost, mine)) == 1

    assert await bench.deadline(recovered) == deadline
    assert await bench.delivery(recovered) == 2
    assert await bench.store.expired() == [mine.id]


async def test_a_repeated_release_does_nothing(bench: Bench) -> None:
    (claim,) = await claims(bench, 1)
    await bench.store.release(held(claim))

    assert await bench.store.release(held(claim)) == 0
    assert await bench.delivery(claim) == 0


async def test_release_of_what_is_gone_does_nothing(bench: Bench) -> None:
    (claim,) = await claims(bench, 1)
    await bench.ack(claim)

    assert await bench.store.release(held(claim)) == 0
    assert await bench.store.release([]) == 0
    await assert_empty(bench.redis)


# reissue


async def test_reissue_moves_the_payloads_to_a_fresh_id(bench: Bench) -> None:
    (claim,) = await claims(bench, 1)
    await bench.expire(claim)
    claim = await bench.recover(claim.id)
    await bench.redis.hset(bench.store.deliveries_key, f"{claim.id}:at", "1")

    before = await bench.now()
    fresh = await bench.store.reissue(claim)

    assert fresh is not None
    assert (fresh.id != claim.id, fresh.payloads, fresh.delivery) == (True, claim.payloads, 1)
    assert await open_claims(bench.store) == {fresh.id: claim.payloads}
    assert await bench.deadline(fresh) >= before + LEASE_MS
    assert await bench.delivery(fresh) == 1
    assert await bench.store.reissue(claim) is None  # the second time it is gone


async def test_reissue_never_joins_two_claims(bench: Bench) -> None:
    first, second = await claims(bench, 2)
    store = store_of(bench.redis)
    store.new_id = lambda: second.id  # type: ignore[method-assign]

    assert await store.reissue(first) is None

    assert await open_claims(store) == {first.id: first.payloads, second.id: second.payloads}


async def test_reissue_leaves_a_list_without_a_lease_and_the_old_claim_alone(
    bench: Bench,
) -> None:
    (claim,) = await claims(bench, 1)
    store = store_of(bench.redis)
    taken = store.new_id()
    store.new_id = lambda: taken  # type: ignore[method-assign]
    await bench.redis.rpush(store.claim_key(taken), b"left over")

    moved = await store.reissue(claim)
    left = await open_claims(store)
    await bench.redis.delete(store.claim_key(taken))

    assert left == {claim.id: claim.payloads}, "a claim has lost its payloads"
    assert moved is None


async def test_reissue_of_a_vanished_list_says_that_it_is_gone(bench: Bench) -> None:
    (claim,) = await claims(bench, 1)
    await bench.redis.delete(bench.store.claim_key(claim.id))
    bench.expected.clear()

    assert await bench.store.reissue(claim) is None


# all of them


async def test_leases_work_on_a_full_redis_and_lose_nothing(bench: Bench) -> None:
    first, second, third = await claims(bench, 3)
    await bench.expire(first)

    async with full_memory(bench.redis):
        assert await bench.store.renew(held(second, third)) == []
        recovered = await bench.recover(first.id)
        assert await bench.store.release(held(second, third)) == 2
        fresh = await bench.store.reissue(recovered)
        await bench.check()

    assert fresh is not None
    assert fresh.payloads == first.payloads
    assert set(await bench.store.expired()) == {second.id, third.id}


@pytest.mark.parametrize("spoiled", ["claims", "deliveries", "claim"])
async def test_a_key_of_another_type_loses_neither_queue_nor_claims(
    bench: Bench, spoiled: str
) -> None:
    await bench.push(b"a", b"b")
    claim = await bench.claim(1)
    await bench.expire(claim)
    store, redis = bench.store, bench.redis
    key = {
        "claims": store.claims_key,
        "deliveries": store.deliveries_key,
        "claim": store.claim_key(claim.id),
    }[spoiled]
    await redis.rename(key, "kept aside")
    await redis.set(key, "not ours")

    if spoiled != "claim":  # these two do not read the list
        with pytest.raises(ResponseError, match="WRONGTYPE"):
            await store.renew(held(claim))
        with pytest.raises(ResponseError, match="WRONGTYPE"):
            await store.release(held(claim))
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await store.recover([claim.id])

    await redis.rename("kept aside", key)
    await bench.check()
    assert await bench.queued() == [b"b"]
    await bench.expire(claim)
    assert (await bench.recover(claim.id)).payloads == [b"a"]
