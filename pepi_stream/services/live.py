"""The live page's state as a service, and its tables as Faust tables."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import faust
from mode import Service

from pepi_stream.announcements import Announcement
from pepi_stream.errors import message_of
from pepi_stream.live import Live
from pepi_stream.services.tasks import end

logger = logging.getLogger(__name__)

_AGAIN_SECONDS = 5.0


class LiveTable(faust.Table[Any, Any]):
    """A table of this process, without a changelog: MySQL has all of it.

    A stock table sends each change to a Kafka topic; without Kafka the records pile up, and the
    worker does not stop. What is old is dropped by :mod:`pepi_stream.live`, not by Faust.
    """

    def on_key_get(self, key: Any) -> None:
        """Tell no sensor."""

    def on_key_set(self, key: Any, value: Any) -> None:
        """Send no changelog."""

    def on_key_del(self, key: Any) -> None:
        """Send no changelog."""


def live_table(app: faust.App, name: str) -> LiveTable:
    """Add a table to the app."""
    table = LiveTable(app, name=name)
    app.tables.add(table)
    return table


class LiveService(Service):
    """Feeds the agent of the live page; whatever happens here, the worker goes on.

    Args:
        live: the state.
        deliver: puts an announcement on the agent's channel.
        subscribed: waits until the agent listens to it.
    """

    mundane_level = "debug"  # that it starts and stops

    def __init__(
        self,
        live: Live,
        *,
        deliver: Callable[[Announcement], Awaitable[None]],
        subscribed: Callable[[], Awaitable[None]],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.live = live
        self._deliver = deliver
        self._subscribed = subscribed
        self._running: list[asyncio.Task[None]] = []

    async def on_start(self) -> None:
        """Listen to the workers, and read the tables."""
        live = self.live
        for work in (
            lambda: live.listen_forever(self._deliver),
            live.seed_forever,
            live.sample_forever,
        ):
            self._running.append(asyncio.ensure_future(self._keep(work)))

    async def on_stop(self) -> None:
        """Stop at once: there is nothing to keep."""
        await end(self._running)
        try:
            async with asyncio.timeout(1):
                await self.live.close()
        except Exception as exc:
            logger.info("closing the live page's connections: %s", message_of(exc))

    async def _keep(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Run a task for ever, also after a bug."""
        await self._subscribed()
        told = False
        while True:
            try:
                await work()
            except Exception as exc:
                if not told:
                    logger.exception("a bug in the live page; the worker goes on", exc_info=exc)
                told = True
            await asyncio.sleep(_AGAIN_SECONDS)
