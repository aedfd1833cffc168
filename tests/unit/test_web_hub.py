"""The hub, tick by tick: one encoding for all, snapshots for who fell behind, and an end."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

from pepi_stream.web.hub import PENDING, TICK_SECONDS, Client, Hub, HubFullError
from pepi_stream.web.masking import Masker
from tests.waiting import wait_until
from tests.web_pages import FakeLive

CHANGE: dict[str, Any] = {
    "v": 1,
    "at": 5,
    "figures": {"rate": {"value": 2.5, "level": "ok", "words": ""}},
    "health": {"level": "ok", "words": "All is well."},
}


class Bench:
    """A hub with a clock that stands still, and a producer that a test plays."""

    def __init__(self, limit: int = 10) -> None:
        self.live = FakeLive()
        self.time = 100.0
        self.masker = Masker()
        self.hub = Hub(
            self.live, self.masker, limit=limit, now=lambda: self.time, wall=lambda: 1_700_000_000.0
        )
        self.hub._produce = self._stand_still  # type: ignore[method-assign]
        self.dropped: list[str] = []

    async def _stand_still(self) -> None:
        await asyncio.get_running_loop().create_future()

    def join(self, name: str = "client") -> Client:
        return self.hub.join(lambda: self.dropped.append(name))

    def tick(self, change: dict[str, Any] | None = None, *, after: float = 0.4) -> None:
        self.time += after
        if change is not None:
            self.live.next.append(change)
        self.hub.tick()


async def taken(client: Client) -> list[tuple[int, str, dict[str, Any]]]:
    """Take what is pending now, without saying that it has been taken: the client is then busy."""
    assert not client.idle
    blocks = (await client.next()).decode().split("\n\n")
    assert blocks.pop() == ""
    messages = []
    for block in blocks:
        number, event, data = block.split("\n")
        messages.append((int(number[4:]), event[7:], json.loads(data[6:])))
    return messages


async def ask(client: Client) -> asyncio.Task[bytes]:
    """Say that all has been taken, and wait for more."""
    task = asyncio.ensure_future(client.next())
    await asyncio.sleep(0)
    return task


def parse(message: bytes) -> tuple[int, str]:
    number, event, _ = message.decode().split("\n", 2)
    return int(number[4:]), event[7:]


async def test_a_client_gets_a_snapshot_and_then_changes_with_ids_that_grow_by_one() -> None:
    bench = Bench()
    client = bench.join()
    bench.tick()
    [(first, event, data)] = await taken(client)
    assert event == "snapshot"
    assert data["id"] == first
    assert data["queue"] == "pepi_queue"
    for number in range(1, 4):
        waiting = await ask(client)
        bench.tick(CHANGE)
        assert parse(await waiting) == (first + number, "change")


async def test_a_change_holds_what_changed_masked_and_its_id() -> None:
    bench = Bench()
    client = bench.join()
    bench.tick()
    await taken(client)
    waiting = await ask(client)
    rows = [[60, ["sent", "jane@example.com"], 5]]
    bench.tick(CHANGE | {"windows": {"minute": {"rows": rows}}})
    data = json.loads((await waiting).decode().partition("data: ")[2])
    assert data == CHANGE | {
        "id": 2,
        "windows": {"minute": {"rows": [[60, ["sent", "j•••@example.com (2)"], 5]]}},
    }


async def test_nothing_new_is_said_once_a_second_with_the_figures_that_are_known() -> None:
    bench = Bench()
    client = bench.join()
    bench.tick()
    await taken(client)
    waiting = await ask(client)
    bench.tick()
    bench.tick()
    await asyncio.sleep(0)
    assert not waiting.done()
    bench.tick()
    data = json.loads((await waiting).decode().partition("data: ")[2])
    assert (data["id"], data["v"], data["at"]) == (2, 1, 1_700_000_000_000)
    assert data["figures"]["rate"]["value"] == 1.5
    assert data["health"]["level"] == "ok"
    waiting = await ask(client)
    bench.tick(CHANGE)
    assert (
        json.loads((await waiting).decode().partition("data: ")[2])["figures"]
        == (CHANGE["figures"])
    )


async def test_one_snapshot_and_one_change_are_encoded_for_all() -> None:
    bench = Bench()
    old = [bench.join() for _ in range(3)]
    bench.tick()
    messages = [await client.next() for client in old]
    assert messages[0] is messages[1] is messages[2]
    waiting = [await ask(client) for client in old]
    new = [bench.join() for _ in range(3)]
    bench.tick(CHANGE)
    assert bench.live.snapshots == 2
    changes = [await task for task in waiting]
    assert changes[0] is changes[1] is changes[2]
    snapshots = [await client.next() for client in new]
    assert snapshots[0] is snapshots[1] is snapshots[2]
    assert (parse(changes[0]), parse(snapshots[0])) == ((2, "change"), (2, "snapshot"))


async def test_a_slow_client_loses_messages_and_gets_a_snapshot_when_it_takes_again() -> None:
    bench = Bench()
    slow, fast = bench.join("slow"), bench.join("fast")
    bench.tick()
    await taken(slow)  # and is now busy with it
    await taken(fast)
    for _ in range(PENDING + 5):
        waiting = await ask(fast)
        bench.tick(CHANGE)
        assert (await waiting).count(b"\n\n") == 1
    assert slow.behind
    assert slow._pending == []
    assert bench.live.snapshots == 1
    asking = await ask(slow)
    bench.tick(CHANGE)
    assert parse(await asking) == (PENDING + 7, "snapshot")
    assert bench.live.snapshots == 2
    asking = await ask(slow)
    bench.tick(CHANGE)
    assert parse(await asking) == (PENDING + 8, "change")
    assert bench.dropped == []


async def test_a_client_that_is_a_little_slow_loses_nothing() -> None:
    bench = Bench()
    client = bench.join()
    bench.tick()
    await taken(client)
    for _ in range(PENDING):
        bench.tick(CHANGE)
    assert [number for number, _, _ in await taken(client)] == [*range(2, PENDING + 2)]


async def test_who_takes_nothing_for_thirty_seconds_is_dropped() -> None:
    bench = Bench()
    slow, fast = bench.join("slow"), bench.join("fast")
    bench.tick()
    await taken(slow)
    await taken(fast)
    for _ in range(30):
        waiting = await ask(fast)
        bench.tick(CHANGE, after=1.0)
        await waiting
    assert bench.dropped == []
    bench.tick(after=1.0)
    assert bench.dropped == ["slow"]


async def test_a_change_that_asks_for_a_snapshot_replaces_all_that_is_pending() -> None:
    bench = Bench()
    idle, busy = bench.join("idle"), bench.join("busy")
    bench.tick()
    await taken(idle)
    await taken(busy)
    asking = await ask(idle)
    bench.tick(CHANGE)
    await asking
    asking = await ask(idle)
    bench.tick({"snapshot": True})
    assert parse(await asking)[1] == "snapshot"
    asking = await ask(busy)
    bench.tick(CHANGE)
    assert parse(await asking)[1] == "snapshot"


async def test_names_that_were_forgotten_mean_a_snapshot_for_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    client = bench.join()
    bench.tick()
    await taken(client)
    asking = await ask(client)
    monkeypatch.setattr("pepi_stream.web.masking._NAMES_AT_ONCE", 1)
    bench.tick(CHANGE)
    assert parse(await asking)[1] == "snapshot"
    assert bench.live.snapshots == 2


async def test_the_limit_and_a_place_that_becomes_free() -> None:
    bench = Bench(limit=2)
    first, _ = bench.join(), bench.join()
    with pytest.raises(HubFullError):
        bench.join()
    bench.hub.leave(first)
    bench.join()


async def test_nobody_is_watched_by_nobody() -> None:
    bench = Bench()
    client = bench.join()
    producer = bench.hub._producer
    assert producer is not None
    bench.hub.leave(client)
    await asyncio.wait([producer])
    assert producer.cancelled()
    assert (bench.live.ticks, bench.live.watched) == (0, 0)
    bench.join()
    assert bench.hub._producer is not None


async def test_the_end_is_at_once_for_all() -> None:
    bench = Bench()
    idle, busy, new = bench.join("idle"), bench.join("busy"), bench.join("new")
    bench.tick()
    for client in (idle, busy):
        await taken(client)
    asking = await ask(idle)
    await bench.hub.close()
    assert await asking == b""
    assert await new.next() == b""
    assert bench.dropped == ["busy"]
    with pytest.raises(HubFullError):
        bench.join()


async def test_a_state_that_fails_is_logged_once_and_tried_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pepi_stream.web.hub.TICK_SECONDS", 0.0)
    live = FakeLive()
    live.error = LookupError("oops")
    hub = Hub(live, Masker(), limit=1)
    client = hub.join(lambda: None)
    with caplog.at_level(logging.DEBUG, "pepi_stream"):
        await wait_until(lambda: live.ticks >= 5)
    live.error = None
    assert parse(await client.next())[1] == "snapshot"
    await hub.close()
    assert len(caplog.records) == 1


async def test_changes_that_were_lost_to_a_failure_are_made_good_by_a_snapshot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pepi_stream.web.hub.TICK_SECONDS", 0.0)
    live, masker = FakeLive(), Masker()
    hub = Hub(live, masker, limit=1)
    client = hub.join(lambda: None)
    assert parse(await client.next())[1] == "snapshot"
    waiting = await ask(client)
    live.next.append({"windows": 1})  # nothing that can be masked
    live.data["queue"] = "another"
    message = await waiting
    assert parse(message)[1] == "snapshot"
    assert b'"queue":"another"' in message
    await hub.close()


async def test_names_are_forgotten_also_while_only_programs_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    client = bench.join()
    bench.tick()
    await taken(client)
    waiting = await ask(client)
    monkeypatch.setattr("pepi_stream.web.masking._NAMES_AT_ONCE", 3)
    for number in range(9):
        bench.time += TICK_SECONDS
        bench.live.data["windows"]["minute"]["rows"] = [[60, ["sent", f"{number}@example.com"], 1]]
        bench.hub.snapshot()
        assert len(bench.masker._names) <= 3
    bench.tick(CHANGE)
    assert parse(await waiting)[1] == "snapshot"


async def test_snapshots_for_programs_are_made_once_a_tick_and_say_that_somebody_looks() -> None:
    bench = Bench()
    first = bench.hub.snapshot()
    assert bench.hub.snapshot() is first
    assert (bench.live.snapshots, bench.live.watched, bench.live.ticks) == (1, 1, 0)
    bench.time += TICK_SECONDS
    assert bench.hub.snapshot() is not first
    assert json.loads(first)["id"] == 0
