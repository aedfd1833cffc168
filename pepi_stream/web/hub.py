"""One producer of server-sent events for all who look, and a place for each of them in the stream.

A tick asks the state once what changed, encodes it once, and gives the same bytes to everybody. A
client that does not take its messages loses them, and gets a snapshot when it takes again: it costs
a few messages of memory, and never a moment of the others' time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec

from pepi_stream.web.masking import Masker
from pepi_stream.web.protocol import LiveState

logger = logging.getLogger(__name__)

TICK_SECONDS: Final = 0.5
SILENCE_SECONDS: Final = 1.0
PATIENCE_SECONDS: Final = 30.0
PENDING: Final = 8
"""Messages kept for a client that is busy with the one before; some four seconds of them."""

_LOG_SECONDS: Final = 60.0


class HubFullError(Exception):
    """As many look as may."""


class Client:
    """One reader's place in the stream.

    Args:
        drop: ends its connection at once.
        now: seconds, of a clock that never goes back.
    """

    def __init__(self, drop: Callable[[], None], now: Callable[[], float]) -> None:
        self.drop = drop
        self.behind = True
        """Whether it needs a snapshot before it can make sense of a change."""
        self._now = now
        self._pending: list[bytes] = []
        self._busy_since: float | None = None
        self._closed = False
        self._waiter: asyncio.Future[None] | None = None

    async def next(self) -> bytes:
        """Return what to send now, one message or several; b"" when the stream is over.

        To ask for more means that what was returned before has been taken.
        """
        self._busy_since = None
        while not self._pending and not self._closed:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self._closed:
            return b""
        self._busy_since = self._now()
        messages, self._pending = self._pending, []
        return messages[0] if len(messages) == 1 else b"".join(messages)

    @property
    def idle(self) -> bool:
        """Whether it has taken all that it was given."""
        return self._busy_since is None and not self._pending

    @property
    def busy_seconds(self) -> float:
        """Seconds since it was given what it has not taken yet; 0 if it has."""
        return 0.0 if self._busy_since is None else self._now() - self._busy_since

    def give(self, message: bytes) -> None:
        """Give it a message; one too many, and it loses all that are pending."""
        if len(self._pending) >= PENDING:
            self.fall_behind()
            return
        self._pending.append(message)
        self._wake()

    def fall_behind(self) -> None:
        """Take away what is pending: a snapshot will say it all."""
        self._pending.clear()
        self.behind = True

    def close(self) -> None:
        """End the stream; at once, if it is busy taking."""
        self._closed = True
        if self._busy_since is not None:
            self.drop()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Hub:
    """All who look at one worker's page.

    Args:
        live: the state.
        masker: masks what leaves.
        limit: clients at a time, at most.
        now: seconds, of a clock that never goes back.
        wall: seconds since 1970.
    """

    def __init__(
        self,
        live: LiveState,
        masker: Masker,
        *,
        limit: int,
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._live = live
        self._masker = masker
        self._limit = limit
        self._now = now
        self._wall = wall
        self._clients: set[Client] = set()
        self._id = 0
        self._sent_at = float("-inf")
        self._always: dict[str, Any] = {}
        self._snapshot = b""
        self._snapshot_at = float("-inf")
        self._producer: asyncio.Task[None] | None = None
        self._closed = False
        self._logged_at = float("-inf")

    @property
    def clients(self) -> int:
        """How many look."""
        return len(self._clients)

    def join(self, drop: Callable[[], None]) -> Client:
        """Let one more look; it begins with a snapshot.

        Args:
            drop: ends its connection at once.

        Raises:
            HubFullError: as many look as may, or the worker is stopping.
        """
        if self._closed or len(self._clients) >= self._limit:
            raise HubFullError
        client = Client(drop, self._now)
        self._clients.add(client)
        if self._producer is None or self._producer.done():
            self._producer = asyncio.ensure_future(self._produce())
        return client

    def leave(self, client: Client) -> None:
        """Let one go; with the last one the ticking ends."""
        self._clients.discard(client)
        if not self._clients and self._producer is not None:
            self._producer.cancel()
            self._producer = None

    async def close(self) -> None:
        """End all streams, for good."""
        self._closed = True
        producer, self._producer = self._producer, None
        for client in list(self._clients):
            client.close()
        if producer is not None:
            producer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await producer

    def snapshot(self) -> bytes:
        """Return the snapshot as JSON, at most a tick old; who asks for it looks, too."""
        if self._now() - self._snapshot_at >= TICK_SECONDS:
            self._live.watch()
            self._forget_names()
            self._encode_snapshot()
        return self._snapshot

    def tick(self) -> None:
        """Tell everybody what changed since the last tick."""
        for client in [c for c in self._clients if c.busy_seconds > PATIENCE_SECONDS]:
            client.close()
            self._clients.discard(client)
        self._live.watch()
        self._forget_names()
        changes = self._live.changes()
        if changes is not None and changes.get("snapshot"):
            self._fall_behind()
        behind = [client for client in self._clients if client.behind and client.idle]
        abreast = [client for client in self._clients if not client.behind]
        silent = self._now() - self._sent_at >= SILENCE_SECONDS
        if not behind and not (abreast and (changes is not None or silent)):
            return
        self._id += 1
        self._sent_at = self._now()
        if behind:
            self._encode_snapshot()
            message = _message(self._id, b"snapshot", self._snapshot)
            for client in behind:
                client.give(message)
                client.behind = False
        if abreast:
            message = _message(self._id, b"change", self._encode_changes(changes or {}))
            for client in abreast:
                client.give(message)

    def _forget_names(self) -> None:
        """Bound the masker's memory; all need a snapshot then, as names may be others."""
        if self._masker.full:
            self._masker.forget()
            self._fall_behind()

    def _fall_behind(self) -> None:
        for client in self._clients:
            client.fall_behind()

    def _encode_snapshot(self) -> None:
        data = self._masker.mask(self._live.snapshot()) | {"id": self._id}
        self._remember(data)
        self._snapshot = msgspec.json.encode(data)
        self._snapshot_at = self._now()

    def _encode_changes(self, changes: dict[str, Any]) -> bytes:
        data = self._masker.mask(changes)
        self._remember(data)
        return msgspec.json.encode(
            {"at": int(self._wall() * 1000)} | self._always | data | {"id": self._id}
        )

    def _remember(self, data: dict[str, Any]) -> None:
        """Keep what a change says even if nothing changed."""
        self._always |= {key: data[key] for key in ("v", "figures", "health") if key in data}

    async def _produce(self) -> None:
        while True:
            try:
                self.tick()
            except Exception:  # the page goes stale, the worker goes on
                self._fall_behind()  # the state does not tell the same changes again
                if self._now() - self._logged_at >= _LOG_SECONDS:
                    self._logged_at = self._now()
                    logger.exception("web: the live page cannot be brought up to date")
            await asyncio.sleep(TICK_SECONDS)


def _message(number: int, event: bytes, data: bytes) -> bytes:
    """Return one server-sent event; the data is JSON on one line."""
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (number, event, data)
