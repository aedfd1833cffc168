"""The workers that were heard of: pure, the clock is an argument."""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from pepi_stream.announcements import Announcement, WorkerState

#: A worker that said nothing for so many seconds is forgotten.
FORGET_SECONDS: Final = 60.0
#: A worker says every second that it is alive; after so many it is not counted any more.
SILENT_SECONDS: Final = 5.0

_RATE_MS = 5_000
_MOST_BEHIND_MS = 3_600_000


class _Heard:
    def __init__(self, number: int) -> None:
        self.number = number
        self.seen = 0
        self.behind = 0
        self.state: WorkerState | None = None
        self.totals: deque[tuple[int, int]] = deque()


class Workers:
    """Who said what, and when: by the names that announcements give."""

    def __init__(self) -> None:
        self._heard: dict[str, _Heard] = {}

    def hear(self, said: Announcement, now_ms: int) -> bool:
        """Take note of an announcement; return whether one before it was missed.

        Nothing was missed of a worker that was not heard of before: it has just begun, or we have.
        """
        heard = self._heard.get(said.worker)
        missed = heard is not None and said.number != heard.number + 1
        if heard is None:
            heard = self._heard[said.worker] = _Heard(said.number)
        heard.number, heard.seen = said.number, now_ms
        heard.behind = now_ms - said.at
        if said.leaves:
            del self._heard[said.worker]
        if said.state is not None:
            heard.state = said.state
            heard.totals.append((said.at, said.state.rows))
            # Not in order if its clock was set back.
            while not 0 <= said.at - heard.totals[0][0] <= _RATE_MS:
                heard.totals.popleft()
        return missed

    def forget(self, now_ms: int) -> None:
        """Forget those that were silent for too long."""
        for name, heard in list(self._heard.items()):
            if now_ms - heard.seen > FORGET_SECONDS * 1000:
                del self._heard[name]

    def behind_ms(self) -> int:
        """Return by how much the clock of some worker is behind ours, an hour at most."""
        most = max((heard.behind for heard in self._heard.values()), default=0)
        return max(0, min(_MOST_BEHIND_MS, most))

    def alive(self, now_ms: int) -> int:
        """Return how many were heard of in the last seconds."""
        return sum(now_ms - h.seen <= SILENT_SECONDS * 1000 for h in self._heard.values())

    def silent(self, now_ms: int) -> list[tuple[str, float]]:
        """Return (name, seconds since it was heard of) of those that fell silent."""
        return [
            (_name(h.state, name), (now_ms - h.seen) / 1000)
            for name, h in self._heard.items()
            if now_ms - h.seen > SILENT_SECONDS * 1000
        ]

    def listed(self) -> list[dict[str, Any]]:
        """Return them as ``docs/live.md`` has them; of one id only the one that started last."""
        by_id: dict[str, dict[str, Any]] = {}
        for h in sorted(
            (h for h in self._heard.values() if h.state),
            key=lambda h: h.state.since if h.state else 0,
        ):
            state = h.state
            assert state is not None
            (first_at, first), (last_at, last) = h.totals[0], h.totals[-1]
            name = _name(state, "")
            by_id[name] = {
                "id": name,
                "host": state.host,
                "pid": state.pid,
                "rate": round((last - first) * 1000 / (last_at - first_at), 1)
                if last_at > first_at
                else 0.0,
                "rows": state.rows,
                "dead": state.dead,
                "held": state.held,
                "since": state.since,
                "seen": h.seen,
            }
        return [by_id[name] for name in sorted(by_id)]


def _name(state: WorkerState | None, worker: str) -> str:
    return f"{state.host}:{state.pid}" if state else worker.rpartition(":")[0]
