"""What a worker that waits for events costs."""

from __future__ import annotations

import time
from collections.abc import Sequence

from bench.arena import QUEUE, Arena, check_alive
from pepi_stream.local.child import Child
from pepi_stream.local.errors import LocalError

_SETTLE_SECONDS = 1.0  # acks, and what else the last events left to do
_STEP_SECONDS = 0.2


def idle_cost(arena: Arena, children: Sequence[Child], seconds: float) -> float:
    """Return the CPU that waiting consumers use together, in percent of one core.

    What it differs from the truth is 10 ms of CPU at most: 0.1 over ten seconds. A worker takes
    less than that, so give it a minute.

    Args:
        arena: nothing is queued.
        children: run already.
        seconds: how long to watch.

    Raises:
        LocalError: there were events after all, or a consumer ended.
    """
    _rest(arena, _SETTLE_SECONDS)
    _check_empty(arena)
    before, began = arena.usage(children), time.monotonic()
    _rest(arena, seconds)
    used, took = arena.usage(children) - before, time.monotonic() - began
    _check_empty(arena)
    check_alive(children)
    return 100 * used.consumer / took


def _rest(arena: Arena, seconds: float) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        arena.pause(min(_STEP_SECONDS, left))


def _check_empty(arena: Arena) -> None:
    if queued := arena.client.llen(QUEUE):
        raise LocalError(f"{queued:,} events are queued; an idle worker has none")
