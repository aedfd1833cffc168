"""Dead letters in the live state: counted, listed, shown whole."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from pepi_stream.live import live as live_module
from pepi_stream.live import look as look_module
from pepi_stream.live.snapshot import read_snapshot
from pepi_stream.sink import connect
from pepi_stream.sink.connection import disconnect
from tests.living import Stand, payload, seeded
from tests.waiting import wait_until


async def test_dead_letters_are_counted_listed_and_shown_whole(
    here: Stand, never_by_itself: None
) -> None:
    live = here.live()
    live.watch()
    committer = await here.committer()
    await seeded(live)
    large = b"\xff" + b"x" * (9 << 20)  # kept in several parts
    await committer.commit([b"not JSON at all", large, payload(1)])
    await wait_until(lambda: len(live.snapshot()["dead"]) == 2)

    newest, older = live.snapshot()["dead"]
    assert (newest["bytes"], older["bytes"]) == (len(large), 15)
    assert (newest["format"], older["reason"][:8]) == ("plain", "not JSON")
    assert abs(newest["at"] / 1000 - time.time()) < 60
    await live.look()
    live._page.judge()
    assert live.snapshot()["figures"]["dead"]["value"] == 2

    whole = await live.dead_letter(older["seq"])
    assert whole is not None
    assert (whole["payload"], whole["encoding"]) == ("not JSON at all", "utf-8")
    assert (whole["position"], whole["element"], whole["truncated"]) == (0, None, False)
    cut = await live.dead_letter(newest["seq"])
    assert cut is not None
    assert (cut["encoding"], cut["bytes"], cut["truncated"]) == ("hex", len(large), True)
    assert bytes.fromhex(cut["payload"]) == large[: 256 * 1024]
    assert await live.dead_letter(newest["seq"] + 1_000_000) is None
    assert await live.dead_letter(newest["seq"] + 1) is None  # a part, no letter


async def test_many_who_look_at_dead_letters_do_not_take_all_connections(
    here: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = here.live()
    await seeded(live)
    open_now, most = 0, 0

    async def counted(*args: Any) -> Any:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        return await connect(*args)

    async def counted_out(conn: Any) -> None:
        nonlocal open_now
        await disconnect(conn)
        open_now -= 1

    monkeypatch.setattr(live_module, "connect", counted)
    monkeypatch.setattr(live_module, "disconnect", counted_out)
    assert await asyncio.gather(*(live.dead_letter(n) for n in range(1, 50))) == [None] * 49
    assert (open_now, most) == (0, 4)


async def test_a_snapshot_that_is_read_for_long_does_not_hide_a_newer_dead_letter(
    here: Stand, never_by_itself: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(*args: Any, **kwargs: Any) -> Any:
        snapshot = await read_snapshot(*args, **kwargs)
        read.set()
        await go_on.wait()
        return snapshot

    monkeypatch.setattr(live_module, "_TICK_SECONDS", 0.01)
    monkeypatch.setattr(look_module, "_FRESH_SECONDS", 0.0)
    live = here.live()
    committer = await here.committer()
    await seeded(live)
    monkeypatch.setattr(live_module, "read_snapshot", slowly)
    live._merger.wanted = "the test wants it"
    live._stirred.set()
    await read.wait()
    await committer.commit([b"not JSON"])
    await wait_until(lambda: live._letters_due)
    live.watch()
    for _ in range(2):  # the first is over, and what comes after it, when the second is there
        last = live._lookout.last
        await wait_until(lambda last=last: live._lookout.last is not last)  # type: ignore[misc]
    go_on.set()
    await wait_until(lambda: live.reads == 2)
    await wait_until(lambda: len(live.snapshot()["dead"]) == 1)
