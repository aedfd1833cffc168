"""What was heard in the last seconds and minutes: rates, ages of events, time taken. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

RATE_SECONDS: Final = 5.0
LAG_SECONDS: Final = 10.0
DEAD_SECONDS: Final = 300.0
#: Announcements whose samples are kept, at most: they are samples anyway.
_LAG_MESSAGES = 128
#: Providers that are told apart, at most; a producer may make up names.
_PROVIDERS = 64


class Samples:
    """Seconds that something took, of the last :data:`LAG_SECONDS`."""

    def __init__(self) -> None:
        self._some: deque[tuple[float, Sequence[float]]] = deque(maxlen=_LAG_MESSAGES)

    def add(self, seconds: Sequence[float], now: float) -> None:
        """Take note of some."""
        if seconds:
            self._some.append((now, seconds))

    def middle_and_high(self, now: float) -> tuple[float, float] | None:
        """Return (median, 99th percentile); None when there are none."""
        while self._some and self._some[0][0] < now - LAG_SECONDS:
            self._some.popleft()
        every = sorted(one for _, some in self._some for one in some)
        if not every:
            return None
        return every[len(every) // 2], every[min(len(every) - 1, len(every) * 99 // 100)]


class Recent:
    """Sums of what was committed, by second.

    Args:
        now: seconds of a monotonic clock, as in every call.
    """

    def __init__(self, now: float) -> None:
        self._began = now
        self._seconds: deque[tuple[int, int, int]] = deque()  # second, rows, dead
        self.ages = Samples()
        """Of events, at their commit."""
        self.took = Samples()
        """From claim to commit."""
        self._finer: dict[str, float] = {}  # provider -> when it last told parts of a second
        self._whole: dict[str, float] = {}  # provider -> when it last told whole seconds alone
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

    def told(self, whole: Mapping[str, bool], now: float) -> None:
        """Take note of whose times are whole seconds.

        Args:
            whole: provider -> whether all its times that were looked at are.
            now: as ever.
        """
        for provider, is_whole in whole.items():
            times = self._whole if is_whole else self._finer
            if provider in times or len(times) < _PROVIDERS:
                times[provider] = now

    def whole_seconds(self, now: float) -> list[str]:
        """Return the providers all of whose times were whole seconds lately, sorted."""
        since = now - DEAD_SECONDS
        return sorted(
            provider
            for provider, at in self._whole.items()
            if at >= since and self._finer.get(provider, float("-inf")) < since
        )

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
