"""What the default worker does over time: long backlogs, several processes, and CPU."""

from __future__ import annotations

from dataclasses import dataclass

from bench.arena import Arena, Result
from bench.contest import Contender, ours, run

_PART = 1_000_000


@dataclass(frozen=True)
class Scale:
    """A long backlog.

    Attributes:
        result: of the run.
        part: events of a part.
        rates: events a second in each part.
    """

    result: Result
    part: int
    rates: list[float]

    @property
    def flatness(self) -> float:
        """Rate of the last part, as a ratio of the first's."""
        return self.rates[-1] / self.rates[0]


def scale(arena: Arena, events: int) -> Scale:
    """Drain a long backlog with one worker; ten parts, or a million events each if that is less."""
    result = run(arena, Contender("scale", "", ours(arena, config=None), events, None))
    part = min(_PART, events // 10)
    return Scale(result, part, part_rates(result.marks, part, events))


def part_rates(marks: list[tuple[float, int]], part: int, events: int) -> list[float]:
    """Return the rate of each part, from what was seen on the way.

    Args:
        marks: (seconds, events so far), rising.
        part: events of a part.
        events: all of them.
    """
    rates = []
    before = 0.0
    for end in range(part, events + 1, part):
        at = _when(marks, end)
        rates.append(part / (at - before))
        before = at
    return rates


def _when(marks: list[tuple[float, int]], count: int) -> float:
    """Return when the count was reached, on a straight line between two looks."""
    last = (0.0, 0)
    for mark in marks:
        if mark[1] >= count:
            (from_seconds, from_count), (to_seconds, to_count) = last, mark
            share = (count - from_count) / (to_count - from_count)
            return from_seconds + share * (to_seconds - from_seconds)
        last = mark
    raise ValueError(f"only {last[1]} of {count} events were seen")


def workers(arena: Arena, events: int, count: int) -> Result:
    """Drain a list with several worker processes."""
    start = ours(arena, config=None, count=count)
    return run(arena, Contender(f"workers-{count}", "", start, events, None))
