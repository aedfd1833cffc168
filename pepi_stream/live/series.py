"""Events by name for each minute of the last hour: pure."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping, Sequence
from typing import Any, Final, NamedTuple

MINUTE: Final = 60
HOUR: Final = 3600

#: Names that are told apart; the format ``plain`` keeps whatever names its producers think of.
MAX_NAMES: Final = 50
#: What all other names count as.
OTHER: Final = "other"
#: Minutes that lie further ahead are not kept, and those further than this not shown.
_AHEAD = HOUR
_SHOWN_AHEAD = MINUTE

#: Start of the minute in seconds since 1970 UTC -> event name -> events.
SeriesTable = MutableMapping[int, dict[str, int]]


class SeriesSeed(NamedTuple):
    """What the table of a window of one minute holds, summed by event name.

    Attributes:
        floor: the first minute that was read.
        ceiling: the last one.
        rows: (start of the minute, event name, events).
    """

    floor: int
    ceiling: int
    rows: Sequence[tuple[int, str, int]]


def span(now: float) -> tuple[int, int]:
    """Return (floor, ceiling) of what to read at ``now``, in seconds since 1970."""
    minute = int(now) // MINUTE * MINUTE
    return minute - HOUR, minute + _AHEAD


class Series:
    """Counts by minute and name, for the last hour.

    Args:
        table: where they are kept.
    """

    def __init__(self, table: SeriesTable) -> None:
        self._table = table
        self._names: set[str] = set()
        self._floor = 0
        self._ceiling = -1
        self._changed: set[int] = set()

    @classmethod
    def of(cls, seed: SeriesSeed) -> Series:
        """Return a series as it was read, in a table of its own."""
        series = cls({})
        series._floor, series._ceiling = seed.floor, seed.ceiling
        series.add(seed.rows)
        return series

    def add(self, rows: Iterable[tuple[int, str, int]]) -> None:
        """Add to the counts: (start of the minute, event name, events)."""
        floor, ceiling = self._floor, self._ceiling
        for start, name, n in rows:
            if not floor <= start <= ceiling:
                continue
            if name not in self._names:
                if len(self._names) < MAX_NAMES:
                    self._names.add(name)
                else:
                    name = OTHER
            point = self._table.get(start)
            if point is None:
                point = self._table[start] = {}
            point[name] = point.get(name, 0) + n
            self._changed.add(start)

    def expire(self, now: float) -> None:
        """Forget what is no longer of the last hour."""
        floor, _ = span(now)
        if floor > self._floor:
            self._floor = floor
            for start in [start for start in self._table if start < floor]:
                self._drop(start)

    def become(self, fresh: Series) -> bool:
        """Take over another series; return whether a point of the last hour is gone."""
        gone = False
        for start in [start for start in self._table if start not in fresh._table]:
            gone |= start >= fresh._floor
            self._drop(start)
        for start, point in fresh._table.items():
            if self._table.get(start) != point:
                self._changed.add(start)
            self._table[start] = point
        self._names, self._floor, self._ceiling = fresh._names, fresh._floor, fresh._ceiling
        return gone

    def points(self, now: float) -> list[list[Any]]:
        """Return [start, {name: events}], the oldest first."""
        self.expire(now)
        return [
            [start, dict(point)]
            for start, point in sorted(self._table.items())
            if start <= now + _SHOWN_AHEAD
        ]

    def changes(self, now: float) -> list[list[Any]]:
        """Return the points that changed since the last call."""
        self.expire(now)
        due = sorted(start for start in self._changed if start <= now + _SHOWN_AHEAD)
        self._changed.difference_update(due)
        return [[start, dict(self._table[start])] for start in due]

    def _drop(self, start: int) -> None:
        del self._table[start]
        self._changed.discard(start)
