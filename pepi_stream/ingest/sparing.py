"""A log that nobody can fill: one line a minute of each kind. Pure but for the logger."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

_SECONDS = 60.0


class Sparing:
    """Logs warnings.

    Args:
        logger: where they go.
        clock: seconds, of a clock that never goes back.
    """

    def __init__(self, logger: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._logger = logger
        self._clock = clock
        self._logged: dict[str, tuple[float, int]] = {}  # kind -> (when, how many since)

    def warn(self, kind: str, message: str) -> None:
        """Log the message, unless one of its kind was logged within a minute.

        Args:
            kind: one of few: they are remembered.
            message: for a person; no payload, no secret.
        """
        now = self._clock()
        at, more = self._logged.get(kind, (float("-inf"), 0))
        if now - at < _SECONDS:
            self._logged[kind] = (at, more + 1)
            return
        self._logged[kind] = (now, 0)
        since = f"; {more} more since that was last said" if more else ""
        self._logger.warning("%s (said once a minute at most%s)", message, since)
