"""A state of this worker alone, until the one of all workers is there."""

from __future__ import annotations

import time
from typing import Any

from pepi_stream.claims.failures import redis_failure
from pepi_stream.errors import PepiError
from pepi_stream.services import Delivery


class DeliveryState:
    """Shows what one worker has committed.

    Args:
        delivery: the worker's.
    """

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery

    def snapshot(self) -> dict[str, Any]:
        """Return the rows and dead letters of this worker."""
        figures = {"rows": self._delivery.rows, "dead": self._delivery.dead}
        return {
            "v": 1,
            "at": int(time.time() * 1000),
            "queue": self._delivery.settings.source.queue,
            "figures": {
                name: {"value": value, "level": "ok", "words": ""}
                for name, value in figures.items()
            },
        }

    def changes(self) -> dict[str, Any] | None:
        """Return the same: there are but two numbers."""
        return self.snapshot()

    def watch(self) -> None:
        """Do nothing: the numbers are counted anyway."""

    async def dead_letter(self, seq: int) -> dict[str, Any] | None:
        """Return nothing."""
        return None

    async def ready(self) -> list[str]:
        """Say whether Redis answers."""
        try:
            await self._delivery.store.depth()
        except Exception as exc:
            failure: PepiError = redis_failure(exc, "looking at the queue")
            return [str(failure)]
        return []
