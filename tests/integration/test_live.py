"""The live state over real servers: it shows what is in the database, and never more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import redis as sync_redis

from pepi_stream.announcements import Announcer
from pepi_stream.claims import clock_ms, new_claim_id
from pepi_stream.claims.claim import first_claim_key
from pepi_stream.live import live as live_module
from pepi_stream.live import snapshot as snapshot_module
from pepi_stream.live.merge import claim_keys
from pepi_stream.live.queries import Queries
from pepi_stream.live.snapshot import read_snapshot
from pepi_stream.sink import connect
from tests.living import QUEUE, Stand, payload, seeded, total
from tests.waiting import wait_until


@pytest.fixture
def admin(redis_url: str) -> Iterator[Any]:
    with closing(sync_redis.Redis.from_url(redis_url)) as client:
        yield client


def batch(first: int, count: int, **fields: Any) -> list[bytes]:
    return [payload(n, **fields) for n in range(first, first + count)]


async def test_what_was_there_is_shown_and_what_comes_is_added(
    here: Stand, never_by_itself: None
) -> None:
    one, other = await here.committer(), await here.committer()
    await one.commit(batch(0, 500))
    first, second = here.live(), here.live()
    await seeded(first, second)
    assert await here.equal()

    for n in range(10):
        await one.commit(batch(n * 100, 100))
        await other.commit(batch(n * 100, 50, at=time.time() - 600))
    await wait_until(here.equal)
    assert total(first) == total(second) == 2000
    assert (first.reads, second.reads) == (1, 1)


async def test_seeding_during_load_never_shows_more_than_was_committed_and_ends_equal(
    here: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "RESEED_SECONDS", 0.0)
    monkeypatch.setattr(live_module, "_LEAST_SECONDS", 0.0)
    monkeypatch.setattr(live_module, "_HURRIED", 1.0)
    monkeypatch.setattr(live_module, "_UNHURRIED", 1.0)
    lives = [here.live(), here.live()]
    await seeded(*lives)
    committers = [await here.committer() for _ in range(3)]
    done = asyncio.Event()
    highest = [0, 0]

    async def commit(committer: Any) -> None:
        held = []
        for n in range(60):
            # Committed and not acked for a while: in the database, and to be heard of later.
            held.append(await committer.write(await committer.claim(batch(n * 20, 20))))
            if len(held) == 1 + n % 3:
                await committer.ack(*held)
                held = []
        await committer.ack(*held)

    async def watch() -> None:
        while not done.is_set():
            for i, live in enumerate(lives):
                count = total(live)
                assert count >= highest[i], "what was shown is gone"
                highest[i] = count
            committed = await here.rows()
            assert max(highest) <= committed

    watching = asyncio.ensure_future(watch())
    await asyncio.gather(*(commit(committer) for committer in committers))
    await wait_until(here.equal)
    done.set()
    await watching
    reads = [live.reads for live in lives]
    await wait_until(lambda: all(live.reads > r for live, r in zip(lives, reads, strict=True)))
    assert await here.equal()
    assert total(lives[0]) == await here.rows() == 3600
    assert min(reads) > 5


async def test_a_lost_connection_is_made_good(
    here: Stand, admin: Any, never_by_itself: None
) -> None:
    live = here.live()
    committer = await here.committer()
    await seeded(live)
    await committer.commit(batch(0, 10))
    await wait_until(here.equal)

    admin.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    await committer.commit(batch(0, 10))  # nobody hears it
    await wait_until(here.equal)
    assert live.reads > 1


async def test_a_connection_that_is_lost_while_nothing_is_to_do_is_made_good_soon(
    here: Stand, admin: Any, never_by_itself: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No snapshot is begun before Redis has confirmed: its marker would not be heard."""
    monkeypatch.setattr(live_module, "_LEAST_SECONDS", 0.0)
    monkeypatch.setattr(live_module, "_HURRIED", 1e9)
    monkeypatch.setattr(live_module, "_MARKER_SECONDS", 3600.0)
    live = here.live()
    committer = await here.committer()
    await seeded(live)
    await committer.commit(batch(0, 10))
    await wait_until(here.equal)
    admin.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    await committer.commit(batch(0, 10))
    await wait_until(here.equal)
    assert live.reads == 2


async def test_a_worker_whose_clock_is_behind_does_not_have_the_tables_read_again_and_again(
    here: Stand, never_by_itself: None
) -> None:
    """Its claims look too old for the snapshot's ledger to have been asked about them."""
    live = here.live()
    committer = await here.committer()
    await seeded(live)
    committer.store._clock = lambda: clock_ms() - 600_000
    behind = committer.announcer.alive(clock_ms() - 600_000, rows=0, dead=0, held=0)
    await committer.store.publish(behind)
    await wait_until(lambda: live._merger.workers.behind_ms() > 500_000)
    live._merger.wanted = "the test wants it"
    live._stirred.set()
    await wait_until(lambda: live.reads == 2)
    for n in range(5):
        outcome = await committer.write(await committer.claim(batch(n, 10)))
        message = committer.announcer.committed([outcome], clock_ms() - 600_000)
        await committer.store.ack([c.id for c in outcome.committed], message)
    await wait_until(here.equal)
    assert (total(live), live.reads, live._merger.wanted) == (50, 2, "")


async def test_the_ledger_is_read_page_by_page(
    here: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_module, "_PAGE", 3)
    monkeypatch.setattr(snapshot_module, "_CHUNK", 2)
    committer = await here.committer()
    young = [(await committer.commit(batch(n, 1))).committed[0].id for n in range(7)]
    committer.store._clock = lambda: clock_ms() - 600_000
    old = [(await committer.commit(batch(n, 1))).committed[0].id for n in range(5)]
    conn = await connect(here.settings.database)
    try:
        _, ledger = await read_snapshot(
            conn,
            Queries(here.database.schema.names),
            here.database.pipeline.windows,
            limit=10,
            now=time.time(),
            asked=claim_keys([*old, new_claim_id(0)]),
            since=first_claim_key(clock_ms() - 60_000),
            sizes={},
        )
    finally:
        conn.close()
    assert ledger.known == claim_keys([*young, *old])


async def test_a_queue_of_the_same_name_in_another_database_of_redis_is_not_ours(
    here: Stand, never_by_itself: None
) -> None:
    """Its workers publish on the same channel."""
    live = here.live()
    ours, theirs = await here.committer(), await here.committer()
    theirs.announcer = Announcer(clock_ms(), theirs.store.db + 1)
    await seeded(live)
    await theirs.alive()
    await theirs.commit(batch(0, 10))
    theirs.announcer.alive(0, rows=0, dead=0, held=0)  # a gap
    await theirs.alive()
    await ours.alive()
    await ours.commit(batch(0, 5))
    await wait_until(lambda: total(live) >= 5)
    assert total(live) == 5
    live._page.judge()
    assert live.snapshot()["figures"]["workers"]["value"] == 1
    assert live.reads == 1


async def test_a_missing_number_is_noticed(here: Stand, never_by_itself: None) -> None:
    live = here.live()
    committer = await here.committer()
    await seeded(live)
    await committer.alive()
    outcome = await committer.write(await committer.claim(batch(0, 10)))
    committer.announcer.committed([outcome], 0)  # made, and lost
    await committer.store.ack([c.id for c in outcome.committed])
    assert total(live) == 0
    await committer.alive()
    await wait_until(here.equal)
    assert total(live) == 10


async def test_a_worker_that_died_between_commit_and_ack_raises_a_doubt(
    here: Stand, never_by_itself: None
) -> None:
    live = here.live()
    dead, heir = await here.committer(), await here.committer()
    await seeded(live)
    await heir.alive()
    claim = await dead.claim(batch(0, 10))
    await dead.write(claim)  # and dies

    again = await heir.write(claim)
    assert again.repeated
    await heir.ack(again)
    await wait_until(here.equal)
    assert total(live) == 10


async def test_a_commit_that_another_worker_acked_first_does_not_count_twice(
    here: Stand, never_by_itself: None
) -> None:
    """The claim's id is old, so the snapshot's ledger is not asked about it."""
    slow, heir = await here.committer(), await here.committer()
    slow.store._clock = lambda: int(time.time() * 1000) - 600_000
    old = await slow.claim(batch(0, 10))
    first = await slow.write(old)
    await heir.ack(await heir.write(old))
    live = here.live()
    await seeded(live)
    assert total(live) == 10

    second = await slow.write(await slow.claim(batch(0, 5)))
    reads = live.reads
    await slow.ack(first, second)
    assert total(live) <= 15
    await wait_until(lambda: live.reads > reads)
    await wait_until(here.equal)
    assert total(live) == 15


async def test_a_claim_that_was_held_for_long_counts_once_wherever_its_commit_falls(
    here: Stand, never_by_itself: None
) -> None:
    committer = await here.committer()
    committer.store._clock = lambda: int(time.time() * 1000) - 600_000
    before, after = await committer.claim(batch(0, 10)), await committer.claim(batch(0, 5))
    outcome = await committer.write(before)
    live = here.live()
    await seeded(live)
    assert total(live) == 10
    await committer.ack(outcome)
    await committer.ack(await committer.write(after))
    await wait_until(here.equal)
    assert total(live) == 15
    assert live.reads == 1


async def test_nothing_is_made_up_after_redis_was_emptied(
    here: Stand, admin: Any, never_by_itself: None
) -> None:
    live = here.live()
    committer = await here.committer()
    await seeded(live)
    await committer.alive()
    outcome = await committer.write(await committer.claim(batch(0, 10)))
    admin.flushdb()
    await committer.ack(outcome)  # drops nothing, so nobody is told
    await committer.commit(batch(0, 10))
    await wait_until(here.equal)
    assert total(live) == 20


@pytest.mark.parametrize("message", [b"not JSON", b'{"v":3,"worker":"w","number":1,"at":0}'])
async def test_a_message_that_is_not_understood_is_taken_for_a_missed_commit(
    here: Stand, message: bytes, never_by_itself: None
) -> None:
    live = here.live()
    committer = await here.committer()
    await seeded(live)
    outcome = await committer.write(await committer.claim(batch(0, 10)))
    await committer.store.ack([c.id for c in outcome.committed], message)
    await wait_until(here.equal)
    assert total(live) == 10


async def test_tables_that_somebody_emptied_ask_for_a_new_snapshot(
    here: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "RESEED_SECONDS", 0.0)
    live = here.live()
    committer = await here.committer()
    await committer.commit(batch(0, 10))
    await seeded(live)
    await wait_until(here.equal)
    assert (live.changes() or {}).get("snapshot")
    assert "snapshot" not in (live.changes() or {})

    for table in ("pepi_event", "pepi_window_minute", "pepi_window_hour"):
        await here.database.query(f"DELETE FROM {table}")
    await wait_until(here.equal)
    assert (live.changes() or {}).get("snapshot")


async def test_figures_are_sampled_while_somebody_looks(here: Stand) -> None:
    live = here.live()
    committer = await here.committer()
    await seeded(live)
    await committer.alive()
    assert live.snapshot()["figures"]["backlog"]["value"] is None

    await here.store().redis.rpush(QUEUE, payload(1, at=time.time() - 120), payload(2))
    await live.look()
    snapshot = live.snapshot()
    figures = snapshot["figures"]
    assert figures["backlog"]["value"] == 2
    assert 119 <= figures["oldest"]["value"] <= 180
    assert figures["oldest"]["level"] == "warn"
    assert figures["claims"]["value"] == 0
    assert figures["workers"]["value"] == 1
    assert [w["pid"] for w in snapshot["workers"]] == [committer.announcer.pid]
    assert await live.ready() == []


async def test_a_seed_keeps_whole_windows_within_the_limit(
    here: Stand, never_by_itself: None
) -> None:
    committer = await here.committer()
    now = int(time.time()) // 60 * 60
    for minute in range(5):  # 12 rows each
        await committer.commit(batch(0, 24, at=now - 60 * minute))
    live = here.live(rows=30)
    await seeded(live)
    minute = live.snapshot()["windows"]["minute"]
    assert {row[0] for row in minute["rows"]} == {now, now - 60}
    assert minute["floor"] == now - 60
    assert sum(row[2] for row in minute["rows"]) == 48

    await committer.commit(batch(0, 24, at=now + 60))
    await wait_until(lambda: live.snapshot()["windows"]["minute"]["floor"] == now)
    minute = live.snapshot()["windows"]["minute"]
    assert {row[0] for row in minute["rows"]} == {now, now + 60}
