"""Which fault comes when: pure, and all of it drawn from the seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random


def schedule(
    names: Sequence[str], *, seconds: float, every: float, random: Random
) -> Iterator[tuple[float, str]]:
    """Yield (seconds since the start, name of a fault), in order.

    The faults come in rounds of all of them, each round in an order of its own, so that each
    comes as often as any other.

    Args:
        names: of the faults.
        seconds: how long faults are injected.
        every: mean seconds between two.
        random: the source of order and times.
    """
    at = 0.0
    while True:
        for name in random.sample(names, len(names)):
            at += random.uniform(0.5, 1.5) * every
            if at > seconds:
                return
            yield at, name
