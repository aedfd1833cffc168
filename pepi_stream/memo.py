"""Bounded memos: what was worked out for a value is kept, until there are too many values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Generic, TypeVar

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


class ColumnMemo(Generic[V]):
    """Works out what the texts of a column become, once a distinct text.

    Made for columns of few distinct values, of which a batch costs one look-up a value.

    Args:
        make: a text, or None -> what it becomes.
        size: texts kept for the columns to come, at most.
        longest: characters of a text that is kept, at most.
    """

    def __init__(self, make: Callable[[str | None], V], *, size: int, longest: int) -> None:
        self._make = make
        self._size = size
        self._longest = longest
        self._known: dict[str | None, V] = {}

    def __len__(self) -> int:
        """How many texts are kept."""
        return len(self._known)

    def __call__(self, texts: Sequence[str | None]) -> Sequence[V]:
        """Return what the texts become; raises what ``make`` does."""
        known, make, longest = self._known, self._make, self._longest
        try:
            return look_up(known, texts)
        except KeyError:
            pass
        found = {text: known[text] if text in known else make(text) for text in set(texts)}
        short = {t: made for t, made in found.items() if t is None or len(t) <= longest}
        if len(known.keys() | short.keys()) > self._size:
            known.clear()
        if len(short) <= self._size:
            known.update(short)
        return look_up(found, texts)


def look_up(known: Mapping[K, V], keys: Sequence[K]) -> Sequence[V]:
    """Return the values of all keys, in a third of the time of a comprehension.

    Args:
        known: a dict, not of a subclass, or it is no quicker.
        keys: of it.

    Raises:
        KeyError: one is not in it.
    """
    if len(keys) < 2:  # for one key, itemgetter gives no tuple
        return [known[key] for key in keys]
    values: tuple[V, ...] = itemgetter(*keys)(known)
    return values
