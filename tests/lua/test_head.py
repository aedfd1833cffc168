"""head.lua, and what is seen of open claims: looking changes nothing."""

from pepi_stream.announcements import marker
from tests.claiming import Bench


async def test_the_head_is_seen_and_stays(bench: Bench) -> None:
    assert await bench.store.head(10) is None
    await bench.push(b"\x00first", b"second")
    assert await bench.store.head(10) == b"\x00first"
    assert await bench.store.head(5) == 6
    assert await bench.queued() == [b"\x00first", b"second"]


async def test_open_claims_are_seen_and_the_marker_is_published_at_the_same_moment(
    bench: Bench,
) -> None:
    await bench.push(b"a", b"b")
    one, other = await bench.claim(1), await bench.claim(1)
    assert set(await bench.store.open_ids()) == {one.id, other.id}
    assert len(await bench.store.open_ids(1)) == 1
    assert set(await bench.store.open_ids_and_publish(marker("m", 0))) == {one.id, other.id}
