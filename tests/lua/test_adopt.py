"""Claims that lost their lease with the index are adopted, under the same id."""

from __future__ import annotations

from tests.claiming import Bench


async def test_a_claim_whose_lease_is_gone_is_found_adopted_and_recovered(bench: Bench) -> None:
    pushed = await bench.push(*(b"%d" % n for n in range(7)))
    claims = [await bench.claim(3), await bench.claim(3)]
    await bench.redis.delete(bench.store.claims_key, bench.store.deliveries_key)
    leased = await bench.claim(1)

    assert await bench.store.unleased() == sorted(claim.id for claim in claims)
    assert await bench.store.adopt([*(claim.id for claim in claims), leased.id, "gone"]) == 2
    assert await bench.store.unleased() == []
    assert await bench.store.adopt([claim.id for claim in claims]) == 0
    found = [await bench.recover(*(claim.id for claim in claims)) for _ in claims]
    assert {claim.id for claim in found} == {claim.id for claim in claims}
    assert sorted(p for claim in found for p in claim.payloads) == pushed[:6]
    assert await bench.redis.zscore(bench.store.claims_key, "gone") is None


async def test_a_lease_that_is_there_is_left_alone(bench: Bench) -> None:
    await bench.push(b"a")
    claim = await bench.claim()
    before = await bench.deadline(claim)
    assert await bench.store.adopt([claim.id]) == 0
    assert await bench.deadline(claim) == before
    assert await bench.store.unleased() == []


async def test_other_queues_with_the_same_beginning_are_not_looked_at(bench: Bench) -> None:
    await bench.redis.rpush("{pepi_queue2}:claim:x", b"not ours")
    await bench.redis.rpush("{pepi_queue}:claims_of_mine", b"not ours")
    assert await bench.store.unleased() == []
    await bench.redis.delete("{pepi_queue2}:claim:x", "{pepi_queue}:claims_of_mine")
