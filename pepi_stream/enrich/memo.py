"""A bounded memo: what was worked out for a value is kept, until there are too many values."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Memo(dict[K, V]):
    """A mapping that makes a missing value, and forgets all of them when it is full.

    A look-up that hits costs what a dict's costs. Forgetting all at once is cheap and blunt:
    what is used often is soon made again, and a stream of made-up values never holds more than
    ``size`` of them, not even within one batch.

    Args:
        make: key -> value; keys should be short, or cut before they get here.
        size: entries at most.
    """

    __slots__ = ("_make", "_size")

    def __init__(self, make: Callable[[K], V], size: int) -> None:
        super().__init__()
        self._make = make
        self._size = size

    def __missing__(self, key: K) -> V:
        value = self._make(key)
        if len(self) >= self._size:
            self.clear()
        self[key] = value
        return value
