"""A connection that has fallen silent: asked once whether anybody is there, then given up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pepi_stream.announcements import Announcement
from pepi_stream.errors import TransientError
from pepi_stream.live import listener
from pepi_stream.upstream import Upstream
from tests.waiting import wait_until


class Silent:
    """A store, its client and its subscription, of a Redis that says nothing by itself."""

    channel = "{q}:windows"
    db = 0

    def __init__(self, *, echoes: bool) -> None:
        self.redis = self
        self.published: list[bytes] = []
        self.closed = False
        self._echoes = echoes
        self._messages: list[dict[str, Any]] = []

    def pubsub(self) -> Silent:
        return self

    async def subscribe(self, channel: str) -> None:
        self._messages.append({"type": "subscribe", "data": 1})

    async def publish(self, message: bytes) -> None:
        self.published.append(message)
        if self._echoes:
            self._messages.append({"type": "message", "data": message})

    async def get_message(self, timeout: float) -> dict[str, Any] | None:  # noqa: ASYNC109
        if not self._messages:
            await asyncio.sleep(timeout)
            return None
        return self._messages.pop(0)

    async def aclose(self) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "SILENCE_SECONDS", 0.05)


async def _deliver(said: Announcement) -> None: ...


async def test_a_connection_that_does_not_even_echo_is_given_up() -> None:
    store: Any = Silent(echoes=False)
    subscribed: list[bool] = []
    with pytest.raises(TransientError, match="nothing was heard"):
        async with asyncio.timeout(10):
            await listener.listen(
                store, Upstream("Redis"), _deliver, lambda: subscribed.append(True)
            )
    assert (subscribed, len(store.published), store.closed) == ([True], 1, True)


async def test_a_channel_on_which_nobody_speaks_is_kept() -> None:
    store: Any = Silent(echoes=True)
    listening = asyncio.ensure_future(
        listener.listen(store, Upstream("Redis"), _deliver, lambda: None)
    )
    await wait_until(lambda: len(store.published) >= 4)
    assert not listening.done()
    listening.cancel()
    await asyncio.wait([listening])
    assert store.closed


async def test_it_subscribes_anew_once_redis_may_be_another_server_that_takes_writes() -> None:
    """A subscription to a server that was demoted lasts."""
    store: Any = Silent(echoes=True)
    redis, writer = Upstream("Redis"), object()
    listening = asyncio.ensure_future(listener.listen(store, redis, _deliver, lambda: None))
    await wait_until(lambda: bool(store.published))
    redis.failed(writer, TransientError("READONLY"))
    redis.distrust(redis.turn)
    asked = len(store.published)
    await wait_until(lambda: len(store.published) > asked)
    assert not listening.done()  # as long as there is no other server, this one will do
    redis.succeeded(writer)
    with pytest.raises(TransientError, match="another server"):
        async with asyncio.timeout(5):
            await listening
    assert store.closed
