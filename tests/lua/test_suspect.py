"""suspect.lua: who may note which record it is about to try."""

from tests.claiming import Bench, full_memory


async def test_a_note_is_kept_with_the_claim_and_goes_with_it(bench: Bench) -> None:
    await bench.push(b"a", b"b", b"c")
    claim = await bench.claim()
    assert await bench.store.suspects(claim.id) == []
    assert await bench.store.note_suspects(claim, [2, 2, 0])
    assert await bench.store.suspects(claim.id) == [2, 2, 0]
    assert await bench.store.note_suspects(claim, [])
    assert await bench.store.suspects(claim.id) == []
    await bench.check()
    await bench.ack(claim)
    assert not await bench.store.note_suspects(claim, [1])


async def test_who_lost_the_claim_notes_nothing(bench: Bench) -> None:
    await bench.push(b"a", b"b")
    lost = await bench.claim()
    await bench.expire(lost)
    holder = await bench.recover(lost.id)
    assert await bench.store.note_suspects(holder, [1])
    assert not await bench.store.note_suspects(lost, [0])
    assert await bench.store.suspects(lost.id) == [1]


async def test_a_full_redis_takes_the_note(bench: Bench) -> None:
    await bench.push(b"a", b"b")
    claim = await bench.claim()
    async with full_memory(bench.redis):
        assert await bench.store.note_suspects(claim, [1])
    assert await bench.store.suspects(claim.id) == [1]
