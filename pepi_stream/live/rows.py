"""One window's newest counts, as many whole window starts as a number of rows allows: pure."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping, Sequence
from typing import Any, Final, NamedTuple

#: Counts by dimensions' values, of the windows that start at the same second.
Bucket = dict[tuple[str, ...], int]
#: (window's name, start in seconds since 1970 UTC) -> counts.
RowTable = MutableMapping[tuple[str, int], Bucket]
#: (start, dimensions' values, events).
Row = tuple[int, tuple[str, ...], int]

#: A single start may have so many times the limit before it is not shown at all.
WHOLE_START_FACTOR: Final = 10


class WindowSeed(NamedTuple):
    """What a window's table holds.

    Attributes:
        floor: every start from here on is complete.
        ceiling: starts after this were not read: a producer's clock is wrong.
        rows: all of them, from floor to ceiling.
        words: what is not shown, and why; empty when there is nothing to say.
    """

    floor: int
    ceiling: int
    rows: Sequence[Row]
    words: str = ""


class WindowRows:
    """The rows of one window.

    Args:
        name: of the window.
        seconds: its length.
        limit: rows to keep, at most; the newest start stays whole up to ten times that.
        table: where they are kept, beside those of other windows.
    """

    def __init__(self, name: str, seconds: int, limit: int, table: RowTable) -> None:
        self.name = name
        self.seconds = seconds
        self.limit = limit
        self.floor = 0
        self.words = ""
        self.size = 0
        self._ceiling = -1
        self._table = table
        self._starts: set[int] = set()
        # Of starts that are kept only: nobody may ask for changes for weeks.
        self._changed: dict[int, set[tuple[str, ...]]] = {}
        self._said: tuple[int, str] = (0, "")

    @classmethod
    def of(cls, name: str, seconds: int, limit: int, seed: WindowSeed) -> WindowRows:
        """Return rows as they were read, in a table of their own."""
        rows = cls(name, seconds, limit, {})
        rows.floor, rows._ceiling, rows.words = seed.floor, seed.ceiling, seed.words
        rows.add(seed.rows)
        return rows

    def add(self, rows: Iterable[Row]) -> None:
        """Add to the counts; what lies below the floor or above the ceiling is not kept."""
        floor, ceiling = self.floor, self._ceiling
        at: int | None = None
        bucket: Bucket = {}
        changed: set[tuple[str, ...]] = set()
        for start, values, n in rows:
            if not floor <= start <= ceiling:
                continue
            if start != at:
                at, bucket = start, self._bucket(start)
                changed = self._changed.setdefault(start, set())
            if values in bucket:
                bucket[values] += n
            else:
                bucket[values] = n
                self.size += 1
            changed.add(values)
        if self.size > self.limit:
            self._trim()

    def become(self, fresh: WindowRows) -> bool:
        """Take over other rows; return whether some are gone that were not below the floor."""
        gone = False
        for start in self._starts - fresh._starts:
            gone |= start >= fresh.floor
            del self._table[self.name, start]
            self._changed.pop(start, None)
        for start in fresh._starts:
            new = fresh._table[self.name, start]
            old: Bucket = self._table[self.name, start] if start in self._starts else {}
            gone |= not old.keys() <= new.keys()
            changed = self._changed.get(start, set()) & new.keys()
            changed.update(values for values, n in new.items() if old.get(values) != n)
            if changed:
                self._changed[start] = changed
            self._table[self.name, start] = new
        self._starts = set(fresh._starts)
        self.size, self.floor, self.words = fresh.size, fresh.floor, fresh.words
        self._ceiling = fresh._ceiling
        return gone

    def rows(self) -> list[list[Any]]:
        """Return [start, [values], count], the newest start and the largest count first."""
        return [
            [start, list(values), n]
            for start in sorted(self._starts, reverse=True)
            for values, n in sorted(
                self._table[self.name, start].items(), key=lambda item: (-item[1], item[0])
            )
        ]

    def changes(self) -> dict[str, Any]:
        """Return what is new since the last call: of rows, floor and words."""
        new: dict[str, Any] = {}
        rows = [
            [start, list(values), self._table[self.name, start][values]]
            for start, changed in self._changed.items()
            for values in changed
        ]
        self._changed.clear()
        if rows:
            new["rows"] = rows
        floor, words = self._said
        if self.floor != floor:
            new["floor"] = self.floor
        if self.words != words:
            new["words"] = self.words
        self._said = self.floor, self.words
        return new

    def _bucket(self, start: int) -> Bucket:
        if start in self._starts:
            return self._table[self.name, start]
        self._starts.add(start)
        bucket: Bucket = {}
        self._table[self.name, start] = bucket
        self.words = ""
        return bucket

    def _trim(self) -> None:
        while self.size > self.limit and len(self._starts) > 1:
            self._drop(min(self._starts))
        if self.size > self.limit * WHOLE_START_FACTOR:
            self.words = too_many(self.limit)
            self._drop(max(self._starts))

    def _drop(self, start: int) -> None:
        self._starts.remove(start)
        self._changed.pop(start, None)
        self.size -= len(self._table.pop((self.name, start)))
        self.floor = start + self.seconds


def too_many(limit: int) -> str:
    """Say why a window is not shown."""
    return (
        f"one window alone has more than {limit * WHOLE_START_FACTOR:,} rows, too many to show; "
        "its table has them all (web.rows; windows.<name>.by)"
    )
