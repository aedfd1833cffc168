"""Back-off with jitter, pure: it says how long to wait, the caller waits."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Waits that double from ``first`` to ``cap`` seconds, each with full jitter.

    Full jitter (a uniform draw up to the wait) keeps many workers from coming back at
    the same moment. Source: M. Brooker, "Exponential Backoff And Jitter", AWS, 2015.

    Args:
        first: upper bound of the first wait, in seconds.
        cap: upper bound of any wait, in seconds.
        uniform: draws from [a, b]; replaced in tests.
    """

    def __init__(
        self,
        first: float,
        cap: float,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._first = first
        self._cap = cap
        self._uniform = uniform
        self.failures = 0

    def next(self) -> float:
        """Count a failure; return the seconds to wait before the next try."""
        bound = min(self._cap, self._first * 2.0 ** min(self.failures, 30))
        self.failures += 1
        return self._uniform(bound / 10, bound)

    def reset(self) -> None:
        """A try succeeded."""
        self.failures = 0
