"""Tumbling windows by event time: how many events, by some columns, in each span of time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pepi_stream.errors import ConfigError
from pepi_stream.events import Batch, WindowKey
from pepi_stream.memo import look_up
from pepi_stream.settings import WindowSettings

#: Longest dimension value that a window keeps, in characters; the rest is cut off.
MAX_DIMENSION = 255

#: Columns that every window table has.
RESERVED = frozenset({"window_start", "dimensions", "n"})


class Window:
    """Counts events per span of ``seconds`` and combination of the columns ``by``.

    A late event counts in the window of its own time, however old. None counts as ''.

    Args:
        name: as in the settings.
        settings: span and columns.
    """

    def __init__(self, name: str, settings: WindowSettings) -> None:
        self.name = name
        self.seconds = settings.seconds
        self.by = tuple(settings.by)
        # Compared as MySQL compares column names: without regard to case.
        if taken := {name for name in self.by if name.lower() in RESERVED}:
            raise ConfigError(
                f"windows.{name}.by: {', '.join(sorted(taken))} is the window table's own"
            )

    def count(self, batch: Batch) -> Counter[WindowKey]:
        """Count a batch's events; the sum of the counts is the number of events."""
        counts: Counter[WindowKey] = Counter()
        if not batch.size:
            return counts
        span = self.seconds * 1000
        occurred = batch.column("occurred_at")
        by = [batch.column(name) for name in self.by]
        spans = {ms: ms // span for ms in set(occurred)}
        number, *more = set(spans.values())
        if by and not more:  # as in most claims: then it need not be counted by
            for values, n in Counter(zip(*by, strict=True)).items():
                counts[self._key(number, values)] += n
            return counts
        for (number, *rest), n in Counter(zip(look_up(spans, occurred), *by, strict=True)).items():
            counts[self._key(number, rest)] += n
        return counts

    def _key(self, number: int, values: Iterable[object]) -> WindowKey:
        return WindowKey(number * self.seconds, tuple(map(_dimension, values)))


def count_windows(windows: Iterable[Window], batch: Batch) -> None:
    """Set ``batch.counts`` for all windows."""
    batch.counts = {window.name: window.count(batch) for window in windows}


def _dimension(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    # As in the row: of an Enum's member that is a str, its text and not its name.
    text = str.__str__(value) if isinstance(value, str) else str(value)
    # A lone surrogate, which no table holds, becomes a question mark.
    return text[:MAX_DIMENSION].encode("utf-8", "replace").decode()
