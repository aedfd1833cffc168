"""Hears what workers announce, over one Redis connection at a time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

import msgspec

from pepi_stream import announcements
from pepi_stream.announcements import Announcement
from pepi_stream.claims import ClaimStore, clock_ms
from pepi_stream.errors import TransientError
from pepi_stream.upstream import Upstream

#: A worker speaks every second. After so much silence the channel is spoken on, and after twice as
#: much the connection is given up: it may be dead without knowing.
SILENCE_SECONDS: Final = 5.0

#: Stands for a message that was not understood, in its place among the others.
GARBLED: Final = Announcement(v=-1, worker="", number=0, at=0)


async def listen(
    store: ClaimStore,
    upstream: Upstream,
    deliver: Callable[[Announcement], Awaitable[None]],
    subscribed: Callable[[], None],
) -> NoReturn:
    """Subscribe and deliver messages in order, until the connection is lost.

    Those of a queue of the same name in another of Redis' databases are left out.

    Args:
        store: of the queue.
        upstream: knows when Redis may be another server: a subscription to a demoted one lasts, and
            brings nothing, or what the new one hands on to it.
        deliver: takes a message.
        subscribed: called when Redis has confirmed: nothing is missed from now on.

    Raises:
        Exception: what redis-py raises, or TransientError.
    """
    pubsub, turn = store.redis.pubsub(), upstream.turn
    try:
        await pubsub.subscribe(store.channel)
        heard, asked = time.monotonic(), False
        while True:
            if upstream.turn != turn and upstream.works:
                raise TransientError("Redis may be another server now")
            message = await pubsub.get_message(timeout=SILENCE_SECONDS / 5)
            now = time.monotonic()
            if message is None:
                if now - heard > 2 * SILENCE_SECONDS:
                    raise TransientError(f"nothing was heard for {now - heard:.0f} s")
                if now - heard > SILENCE_SECONDS and not asked:
                    asked = True
                    await store.publish(announcements.marker("is anybody there?", clock_ms()))
                continue
            heard, asked = now, False
            if message["type"] == "subscribe":
                subscribed()
            elif message["type"] == "message":
                try:
                    said = announcements.decode(message["data"])
                except msgspec.MsgspecError:
                    said = GARBLED
                if said is GARBLED or said.marker or said.db == store.db:
                    await deliver(said)
    finally:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(1):
                await pubsub.aclose()  # type: ignore[no-untyped-call]
