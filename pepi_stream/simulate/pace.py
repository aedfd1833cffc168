"""How many events are due by when: an hour of ups and downs at once, and then a steady rate.

All of it is integers, or one product that IEEE 754 rounds alike everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import accumulate
from typing import Final

HISTORY_EVENTS: Final = 360_000
"""Most events of a past that nobody gave a number for: what a worker drains in seconds."""

Pace = Callable[[int], int]
"""From whole seconds of event time since the start to the events that are due by then."""

# Events in each minute, in percent of the mean: campaigns go out and trail off, the large ones half
# as often as the small ones. It ends near the mean, from where the steady rate goes on.
_TIDE: Final = (70, 60, 95, 140, 150, 140, 125, 110, 95, 85, 75, 75, 95, 95, 90)
_MINUTE: Final = 60


def steady(rate: float) -> Pace:
    """Return the pace of ``rate`` events a second, without end.

    Raises:
        ValueError: if ``rate`` is not a positive number.
    """
    if not (math.isfinite(rate) and rate > 0):
        raise ValueError(f"rate is {rate!r}; give a positive number of events a second")
    return lambda seconds: int(seconds * rate)


def after_history(span: int, events: int, rate: float) -> Pace:
    """Return the pace of a past of ``span`` seconds with ``events`` events, and then ``rate``.

    Args:
        span: seconds, 1 or more.
        events: how many, 0 or more; spread over all of the span, with ups and downs.
        rate: events a second after the span.

    Raises:
        ValueError: if an argument is out of its range.
    """
    if span < 1 or events < 0:
        raise ValueError(
            f"span is {span!r} and events {events!r}; give 1 second or more, and 0 events or more"
        )
    onward = steady(rate)
    minutes = range(span // _MINUTE + 1)
    weights = [_TIDE[m % len(_TIDE)] + _TIDE[m // 2 % len(_TIDE)] for m in minutes]
    before = list(accumulate(weights, initial=0))

    def weight(seconds: int) -> int:
        minute, rest = divmod(seconds, _MINUTE)
        return before[minute] * _MINUTE + weights[minute] * rest

    whole = weight(span)

    def pace(seconds: int) -> int:
        if seconds >= span:
            return events + onward(seconds - span)
        return events * weight(seconds) // whole

    return pace
