"""What the page is told: the whole state, and what changed of it. No I/O."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

from pepi_stream.live.judgement import Facts, judge
from pepi_stream.live.look import Look
from pepi_stream.live.merge import Merger
from pepi_stream.live.recent import Recent

VERSION: Final = 1

#: A look that is older says nothing about now.
_LOOK_SECONDS = 10.0
_FIGURES_SECONDS = 0.9
_NOT_READ = "not read yet"


class Page:
    """Tells the state as ``docs/live.md`` has it.

    Args:
        merger: the tables and the workers.
        recent: what was committed lately.
        lease_seconds: of the settings.
        head: what stays the same: queue, worker, version.
    """

    def __init__(
        self, merger: Merger, recent: Recent, *, lease_seconds: float, head: dict[str, str]
    ) -> None:
        self._merger = merger
        self._recent = recent
        self._lease_seconds = lease_seconds
        self._head = head
        self.look: Look | None = None
        self.refusals: Sequence[str] = ()
        self.stale_since: float | None = None
        self.stale_words = ""
        self.letters: list[dict[str, Any]] = []
        self._told_letters: set[int] = set()
        self._first_backlog: tuple[float | None, int] | None = None
        self._figures: dict[str, Any] = {}
        self._health: dict[str, str] = {}
        self._judged_at: float | None = None
        self._told: tuple[Any, ...] = ()

    def set_letters(self, letters: Sequence[dict[str, Any]]) -> None:
        """Take the newest dead letters as they were read."""
        there = {letter["seq"] for letter in letters}
        last = min(there, default=0)
        if any(old["seq"] not in there and old["seq"] >= last for old in self.letters):
            self._merger.replaced = True  # somebody deleted them
        self.letters = list(letters)

    def judge(self) -> None:
        """Work the figures out anew."""
        now, recent = time.monotonic(), self._recent
        workers = self._merger.workers
        tables = self._merger.tables
        now_ms = int(time.time() * 1000)
        look = self.look
        if look is None or now - look.at > _LOOK_SECONDS:
            look = Look(now)
        stale = 0.0 if self.stale_since is None else now - self.stale_since
        self._figures, self._health = judge(
            Facts(
                rate=recent.rate(now),
                idle=recent.idle(now),
                backlog=look.backlog,
                grew=self._grew(look.backlog),
                oldest=look.oldest,
                oldest_words=look.oldest_words,
                ages=recent.ages.middle_and_high(now),
                took=recent.took.middle_and_high(now),
                whole_seconds=recent.whole_seconds(now),
                claims=look.claims,
                claim_age=look.claim_age,
                lease_seconds=self._lease_seconds,
                dead=tables.dead,
                dead_words=tables.dead_words,
                dead_hour=tables.dead_hour,
                dead_share=recent.dead_share(now),
                workers=workers.alive(now_ms),
                silent=workers.silent(now_ms),
                redis=look.redis,
                mysql=look.mysql,
                refusals=self.refusals,
                stale=stale,
                stale_words=self.stale_words,
            )
        )
        self._judged_at = now

    def snapshot(self) -> dict[str, Any]:
        """Return the whole state."""
        now = time.time()
        tables = self._merger.tables
        words = "" if self._merger.seeded else _NOT_READ
        series = tables.series_window
        return {
            **self._beginning(now),
            **self._head,
            "workers": self._merger.workers.listed(),
            "series": {
                "window": series.name if series else None,
                "seconds": 60,
                "words": words
                if series
                else "no window of 60 s counts by event_name: configure one to see this",
                "points": tables.series.points(now),
            },
            "windows": {
                window.name: {
                    "seconds": window.seconds,
                    "by": list(window.by),
                    "floor": rows.floor,
                    "words": words or rows.words,
                    "rows": rows.rows(),
                }
                for window, rows in tables.by_window()
            },
            "dead": self.letters,
        }

    def changes(self) -> dict[str, Any] | None:
        """Return what changed since the last call; None when nothing did."""
        now = time.time()
        tables = self._merger.tables
        windows = {
            window.name: new for window, rows in tables.by_window() if (new := rows.changes())
        }
        points = tables.series.changes(now)
        letters = [letter for letter in self.letters if letter["seq"] not in self._told_letters]
        self._told_letters = {letter["seq"] for letter in self.letters}
        beginning = self._beginning(now)
        workers = self._merger.workers.listed()
        told, self._told = self._told, (self._figures, self._health, workers)
        if self._merger.replaced:
            self._merger.replaced = False
            return beginning | {"snapshot": True}
        changed: dict[str, Any] = {}
        if windows:
            changed["windows"] = windows
        if points:
            changed["series"] = {"points": points}
        if letters:
            changed["dead"] = letters
        if not told or told[2] != workers:
            changed["workers"] = workers
        return beginning | changed if changed or told != self._told else None

    def _beginning(self, now: float) -> dict[str, Any]:
        if self._judged_at is None or time.monotonic() - self._judged_at > _FIGURES_SECONDS:
            self.judge()
        return {
            "v": VERSION,
            "at": int(now * 1000),
            "health": self._health,
            "figures": self._figures,
        }

    def _grew(self, backlog: int | None) -> int:
        """Return by how much the backlog grew since the first look after the last commit."""
        if backlog is None:
            return 0
        committed = self._recent.committed_at
        if self._first_backlog is None or self._first_backlog[0] != committed:
            self._first_backlog = committed, backlog
        return backlog - self._first_backlog[1]
