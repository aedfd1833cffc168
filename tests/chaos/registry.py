"""Every fault by its name: what a run draws from.

A fault is a named action that leaves everything running again when it returns. One that does not
see its effect raises TimeoutError or AssertionError: the run then does not count it. Sources of the
kinds: issues of other Redis list consumers, the design's list, and what reviewers did by hand.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import Final

from tests.chaos.cluster import Cluster

Fault = Callable[[Cluster, Random], Awaitable[None]]

#: By the names of their functions.
FAULTS: Final[dict[str, Fault]] = {}


def fault(function: Fault) -> Fault:
    """Register a fault under its function's name."""
    FAULTS[function.__name__] = function
    return function
