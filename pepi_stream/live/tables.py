"""The live tables: every window, the series, the number of dead letters. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from pepi_stream.announcements import Commit
from pepi_stream.live.rows import RowTable, WindowRows, WindowSeed
from pepi_stream.live.series import MINUTE, Series, SeriesSeed, SeriesTable
from pepi_stream.windows import Window

_EVENT_NAME = "event_name"


class Snapshot(NamedTuple):
    """What the database held at one moment.

    Attributes:
        windows: by name.
        series: None when no window has it.
        dead: dead letters; None when that could not be read.
        dead_words: why it could not.
        dead_hour: dead letters of the last hour.
        letters: the newest dead letters, as ``docs/live.md`` has them.
    """

    windows: dict[str, WindowSeed]
    series: SeriesSeed | None = None
    dead: int | None = None
    dead_words: str = ""
    dead_hour: int = 0
    letters: Sequence[dict[str, Any]] = ()


def series_window(windows: Sequence[Window]) -> Window | None:
    """Return the first window that a series of minutes can be made of."""
    return next((w for w in windows if w.seconds == MINUTE and _EVENT_NAME in w.by), None)


class Tables:
    """State that commits are added to.

    Args:
        windows: the configured ones.
        limit: rows of a window to keep, at most.
        rows: where window rows are kept.
        series: where the series is kept.
    """

    def __init__(
        self, windows: Sequence[Window], limit: int, rows: RowTable, series: SeriesTable
    ) -> None:
        self._specs = windows
        self._limit = limit
        self.windows = {w.name: WindowRows(w.name, w.seconds, limit, rows) for w in windows}
        self.series_window = series_window(windows)
        self._name_at = self.series_window.by.index(_EVENT_NAME) if self.series_window else 0
        self.series = Series(series)
        self.dead: int | None = None
        self.dead_words = "not counted yet"
        self.dead_hour = 0

    def by_window(self) -> Iterator[tuple[Window, WindowRows]]:
        """Yield the windows and their rows."""
        for window in self._specs:
            yield window, self.windows[window.name]

    def read(self, snapshot: Snapshot) -> Tables:
        """Return tables of the same windows as they were read."""
        fresh = Tables(self._specs, self._limit, {}, {})
        for w in self._specs:
            fresh.windows[w.name] = WindowRows.of(
                w.name, w.seconds, self._limit, snapshot.windows[w.name]
            )
        if snapshot.series is not None:
            fresh.series = Series.of(snapshot.series)
        fresh.dead, fresh.dead_words = snapshot.dead, snapshot.dead_words
        fresh.dead_hour = snapshot.dead_hour
        return fresh

    def add(self, commit: Commit) -> None:
        """Add what a transaction added."""
        for name, deltas in commit.windows.items():
            rows = self.windows.get(name)
            if rows is not None:  # another worker may count windows that this one does not
                rows.add(deltas)
        if self.series_window is not None:
            at = self._name_at
            deltas = commit.windows.get(self.series_window.name, [])
            self.series.add((start, values[at], n) for start, values, n in deltas)
        if self.dead is not None:
            self.dead += commit.dead
        self.dead_hour += commit.dead

    def become(self, fresh: Tables) -> bool:
        """Take over other tables; return whether a reader needs all of them anew."""
        gone = [self.windows[name].become(rows) for name, rows in fresh.windows.items()]
        gone.append(self.series.become(fresh.series))
        self.dead, self.dead_words = fresh.dead, fresh.dead_words
        self.dead_hour = fresh.dead_hour
        return any(gone)
