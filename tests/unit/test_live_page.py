"""What the page is told: the whole, and then only what is new."""

from __future__ import annotations

import uuid
from typing import Any

from pepi_stream.announcements import VERSION, Announcement, Commit, marker
from pepi_stream.announcements import decode as decoded
from pepi_stream.live.merge import Ledger, Merger
from pepi_stream.live.page import Page
from pepi_stream.live.recent import Recent
from pepi_stream.live.tables import Snapshot, Tables

NOW_MS = 1_700_000_000_000


def letter(seq: int) -> dict[str, Any]:
    return {"seq": seq, "at": NOW_MS, "format": "plain", "reason": "why", "bytes": 1}


class Bench:
    """A page over tables that were read, empty."""

    def __init__(self) -> None:
        self.merger = Merger(Tables([], 10, {}, {}))
        self.merger.expect("n")
        self.merger.hear(decoded(marker("n", NOW_MS)), NOW_MS)
        self.merger.complete(Snapshot({}, dead=0), Ledger())
        self.page = Page(self.merger, Recent(0.0), lease_seconds=30, head={})
        self.page.changes()

    def changes(self) -> dict[str, Any]:
        return self.page.changes() or {}


def test_dead_letters_are_told_once() -> None:
    bench = Bench()
    bench.page.set_letters([letter(1)])
    assert bench.changes()["dead"] == [letter(1)]
    bench.page.set_letters([letter(3), letter(1)])
    assert bench.changes()["dead"] == [letter(3)]
    assert "dead" not in bench.changes()


def test_dead_letters_that_were_deleted_ask_for_a_snapshot_and_those_pushed_out_do_not() -> None:
    bench = Bench()
    bench.page.set_letters([letter(3), letter(2), letter(1)])
    bench.changes()
    for left, asks in (([4, 3, 2], False), ([5, 4, 2], True), ([2], True), ([], True)):
        bench.page.set_letters([letter(seq) for seq in left])
        assert bench.changes().get("snapshot", False) is asks


def test_dead_letters_that_are_heard_of_are_of_this_hour() -> None:
    bench = Bench()
    commit = Commit([str(uuid.uuid4())], rows=1000, dead=3, windows={})
    bench.merger.hear(Announcement(VERSION, "w", 1, NOW_MS, commits=[commit]), NOW_MS)
    bench.page.judge()
    figure = bench.page.snapshot()["figures"]["dead"]
    assert figure == {"value": 3, "level": "warn", "words": "3 in the last hour"}
