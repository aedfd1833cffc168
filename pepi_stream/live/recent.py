"""What was heard in the last seconds and minutes: rates and lags. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

RATE_SECONDS: Final = 5.0
LAG_SECONDS: Final = 10.0
DEAD_SECONDS: Final = 300.0
#: Announcements whose lags are kept, at most: they are a sample anyway.
_LAG_MESSAGES = 128


class Recent:
    """Sums of what was committed, by second.

    Args:
        now: seconds of a monotonic clock, as in every call.
    """

    def __init__(self, now: float) -> None:
        self._began = now
        self._seconds: deque[tuple[int, int, int]] = deque()  # second, rows, dead
        self._lags: deque[tuple[float, Sequence[float]]] = deque(maxlen=_LAG_MESSAGES)
        self.committed_at: float | None = None

    def committed(self, rows: int, dead: int, now: float) -> None:
        """Take note of a commit."""
        self.committed_at = now
        second = int(now)
        if self._seconds and self._seconds[-1][0] >= second:
            last, r, d = self._seconds.pop()
            self._seconds.append((last, r + rows, d + dead))
        else:
            self._seconds.append((second, rows, dead))
            while self._seconds[0][0] < second - DEAD_SECONDS:
                self._seconds.popleft()

    def lagged(self, lags: Sequence[float], now: float) -> None:
        """Take note of lags, in seconds."""
        if lags:
            self._lags.append((now, lags))

    def idle(self, now: float) -> float:
        """Return for how many seconds nothing was committed."""
        return now - (self._began if self.committed_at is None else self.committed_at)

    def rate(self, now: float) -> float:
        """Return rows a second over the last whole seconds."""
        last = int(now)
        first = max(last - RATE_SECONDS, int(self._began))
        rows = sum(rows for second, rows, _ in self._seconds if first <= second < last)
        return rows / max(1.0, last - first)

    def dead_share(self, now: float) -> tuple[int, int]:
        """Return (dead letters, events) of the last five minutes."""
        since = now - DEAD_SECONDS
        recent = [(rows, dead) for second, rows, dead in self._seconds if second >= since]
        dead = sum(d for _, d in recent)
        return dead, dead + sum(r for r, _ in recent)

    def lags(self, now: float) -> tuple[float, float] | None:
        """Return (median, 99th percentile) in seconds; None when nothing was committed."""
        while self._lags and self._lags[0][0] < now - LAG_SECONDS:
            self._lags.popleft()
        lags = sorted(lag for _, some in self._lags for lag in some)
        if not lags:
            return None
        return lags[len(lags) // 2], lags[min(len(lags) - 1, len(lags) * 99 // 100)]
