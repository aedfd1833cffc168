"""Finds the rows that only the server can refuse, in few statements: pure, it sends nothing."""

from __future__ import annotations

import re

# How the server ends the message of a value that does not fit. Anchored: values are quoted in
# some messages, and a value may say anything.
_AT_ROW = re.compile(r" at row (\d{1,9})$")


class PoisonSearch:
    """Says which rows to send next, until each row is accepted or refused alone.

    The rows of a statement land together or not at all. So a range that is refused holds a
    poison row, and is cut until a row is refused that was sent alone: only that makes it a
    dead letter. Where to cut: before the row that the message names (``... at row 7``), or in
    the middle when it names none. The server's word for the row is never believed, only
    tried; once it was wrong, the next poison row is searched without it.

    What follows a poison row is sent in ranges that begin with the distance between the last
    two poison rows and double as long as they are accepted. So one poison row in n costs at
    most 2 log2 n + 1 statements (2 more when the server misleads us), and when every
    hundredth is poison, each costs three or four, and rows are sent a few times, not log n
    times.

    Args:
        count: rows to be sent; they are numbered from 0.
    """

    def __init__(self, count: int) -> None:
        self.refused: dict[int, str] = {}
        self._count = count
        self._first = 0  # rows before it are settled
        self._bad_stop: int | None = None  # a range from _first to here holds a poison row
        self._named: int | None = None  # the row that the server named
        self._believes = True
        self._step = max(1, count)
        self._after_last = 0

    def probe(self) -> tuple[int, int] | None:
        """Return (first, stop) of the rows to send now, or None when all are settled."""
        first = self._first
        if first >= self._count:
            return None
        if self._bad_stop is None:
            return first, min(first + self._step, self._count)
        if self._named is not None:
            return first, max(self._named, first + 1)
        return first, max((first + self._bad_stop) // 2, first + 1)

    def accept(self, stop: int) -> None:
        """Note that the rows from the probe's first to ``stop`` landed.

        Args:
            stop: the probe's, or an earlier one when a statement could not hold all of it.
        """
        if self._named is not None and stop > self._named:  # it was not that row
            self._named = None
            self._believes = False
        self._first = stop
        if self._bad_stop is None:
            self._step *= 2
        elif stop >= self._bad_stop:  # together refused, one by one accepted
            self._bad_stop = None
            self._named = None

    def refuse(self, stop: int, reason: str) -> None:
        """Note that the rows from the probe's first to ``stop`` were refused.

        Args:
            stop: as in :meth:`accept`.
            reason: the server's message.
        """
        first = self._first
        if stop - first == 1:
            self.refused[first] = reason
            self._step = stop - self._after_last
            self._first = self._after_last = stop
            self._bad_stop = self._named = None
            self._believes = True
            return
        if self._named is not None:  # rows before the named one were refused
            self._believes = False
        self._bad_stop = stop
        self._named = None
        if self._believes and (found := _AT_ROW.search(reason)):
            named = first + int(found[1]) - 1
            if first <= named < stop:
                self._named = named
