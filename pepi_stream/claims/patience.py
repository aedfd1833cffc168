"""How long a reply is waited for that may be large: twice as long after each time-out. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import TimeoutError as RedisTimeoutError


class Patience:
    """A factor of the usual time-out.

    A reply that did not come in time may have been on its way: a large payload, a slow line.
    Asked for with the same time-out again and again it would never arrive.

    Args:
        most: the largest factor.
    """

    def __init__(self, most: int) -> None:
        self._most = max(1, most)
        self._factor = 1

    @contextmanager
    def waiting(self) -> Iterator[int]:
        """Give the factor for one call; learn from how the call ends."""
        try:
            yield self._factor
        except RedisTimeoutError:
            self._factor = min(2 * self._factor, self._most)
            raise
        self._factor = 1
