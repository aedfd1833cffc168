"""When to flush, and what: pure, the clock is an argument."""

from __future__ import annotations

from collections import deque

from pepi_stream.sink.rows import Rendered


class SinkBuffer:
    """Whole claims that wait for a flush.

    Args:
        max_rows: a flush is due with so many rows, and takes no more than it must to
            reach them.
        max_bytes: a flush is due with so many bytes.
        max_age_seconds: a flush is due when the oldest claim has waited so long.
    """

    def __init__(self, *, max_rows: int, max_bytes: int, max_age_seconds: float) -> None:
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._max_age = max_age_seconds
        self._waiting: deque[tuple[float, Rendered]] = deque()
        self.rows = 0
        self.bytes = 0

    def __len__(self) -> int:
        """How many claims wait."""
        return len(self._waiting)

    def add(self, rendered: Rendered, now: float) -> None:
        """Take a claim's batch in; ``now`` in seconds of any monotonic clock."""
        self._waiting.append((now, rendered))
        self.rows += rendered.size
        self.bytes += rendered.weight

    def due_in(self, now: float) -> float | None:
        """Return in how many seconds a flush is due: 0 for now, None while empty."""
        if not self._waiting:
            return None
        if self.rows >= self._max_rows or self.bytes >= self._max_bytes:
            return 0.0
        return max(0.0, self._waiting[0][0] + self._max_age - now)

    def take(self) -> list[Rendered]:
        """Return the claims of one flush, oldest first: at least one, unless empty."""
        taken: list[Rendered] = []
        rows = weight = 0
        while self._waiting and (not taken or (rows < self._max_rows and weight < self._max_bytes)):
            _, rendered = self._waiting.popleft()
            taken.append(rendered)
            rows += rendered.size
            weight += rendered.weight
        self.rows -= rows
        self.bytes -= weight
        return taken
