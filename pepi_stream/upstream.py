"""What this process knows of a server that it writes to. Pure but for the logger.

One :class:`Upstream` for Redis and one for MySQL, shared by all that use the server: tries report
to it, connections ask it whether they may lead to a server that was replaced, and ``/readyz`` asks
it for how long nothing could be written.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from typing import Final

from pepi_stream.backoff import Backoff
from pepi_stream.errors import message_of

logger = logging.getLogger(__name__)

#: A server that has taken nothing for longer than this is not one to work with: long enough for a
#: fail-over, a restart, a lock.
REFUSED_SECONDS: Final = 60.0


class Upstream:
    """A server, or the servers that take its place.

    Args:
        name: for people.
        clock: seconds, of a clock that never goes back.

    Attributes:
        turn: grows when the server may be another one. A connection that was made in an earlier
            turn is made anew before it is used again.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self.turn = 0
        self._clock = clock
        self._failing: dict[object, str] = {}  # what fails -> why
        self._since = 0.0
        self._tries = 0
        self._logged: set[str] = set()  # reasons, without their figures
        self._logged_at = 0.0
        self._written: float | None = None

    def distrust(self, turn: int) -> None:
        """Take note of a failure of a connection that was made in this turn."""
        if turn == self.turn:
            self.turn += 1

    def failed(self, what: object, failure: Exception) -> None:
        """Take note that something failed.

        The first failure is logged, and another reason when the one that was logged is a minute
        old: what ended a connection is soon followed by what keeps a new one away.
        """
        words, now = message_of(failure), self._clock()
        gist = re.sub(r"\d+", "", words.partition(": ")[2])  # not what was being done
        if not self._failing:
            self._since, self._tries, self._logged = now, 0, set()
        if not self._failing or (
            gist not in self._logged and now - self._logged_at > REFUSED_SECONDS
        ):
            self._logged.add(gist)
            self._logged_at = now
            logger.warning("%s; trying on, with a line when %s works again", words, self.name)
        self._failing.pop(what, None)  # so that it comes last
        self._failing[what] = words
        self._tries += 1
        logger.debug("%s (try %d)", words, self._tries)

    def succeeded(self, what: object, *, wrote: bool = True) -> None:
        """Take note that something succeeded; when all that had failed has, that is logged.

        Args:
            what: as in :meth:`failed`.
            wrote: whether it proves that the server takes writes.
        """
        if wrote:
            self._written = self._clock()
        if self._failing.pop(what, None) is not None and not self._failing:
            logger.info(
                "%s works again, after %.0f s and %d failed tries",
                self.name,
                self._clock() - self._since,
                self._tries,
            )

    @property
    def works(self) -> bool:
        """Whether nothing is failing."""
        return not self._failing

    @property
    def refusal(self) -> str:
        """What to say when nothing could be written for more than a minute; empty otherwise."""
        if not self._failing:
            return ""
        began = self._since if self._written is None else max(self._since, self._written)
        seconds = self._clock() - began
        if seconds <= REFUSED_SECONDS:
            return ""
        *_, why = self._failing.values()
        return f"{self.name} cannot be written to, for {seconds:.0f} s now: {why}"

    @property
    def unwritten_seconds(self) -> float:
        """Seconds since the last write."""
        return float("inf") if self._written is None else self._clock() - self._written


class Retry:
    """Tries of one thing: waits that grow until it succeeds.

    Args:
        upstream: of whom it is asked.
        first: upper bound of the first wait, in seconds.
        cap: upper bound of any wait, in seconds.
    """

    def __init__(self, upstream: Upstream, first: float, cap: float) -> None:
        self._upstream = upstream
        self._backoff = Backoff(first, cap)

    def failed(self, failure: Exception) -> float:
        """Take note of a failure; return the seconds to wait before the next try."""
        self._upstream.failed(self, failure)
        return self._backoff.next()

    def succeeded(self, *, wrote: bool = True) -> None:
        """Take note of a success; ``wrote`` as in :meth:`Upstream.succeeded`."""
        self._backoff.reset()
        self._upstream.succeeded(self, wrote=wrote)
