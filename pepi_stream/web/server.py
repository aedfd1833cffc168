"""aiohttp's server as we run it: it stops soon, logs no request, and has our headers everywhere.

Whoever reaches the port can open connections, with or without a token. The worker needs some of
the process's files for Redis and MySQL, so there is a limit. Who asks for nothing, or takes nothing
of what is sent, is sent away. When the limit is reached, the connection that has kept us waiting
longest makes room. A few places are kept for probes, so that a supervisor never takes a crowd for a
dead worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from typing import Any, Final, cast

from aiohttp import web

from pepi_stream.web.headers import add_headers

#: Within this a connection has to ask for something: aiohttp would wait for ever.
FIRST_REQUEST_SECONDS: Final = 15.0
#: Between two requests of one connection it may be idle so long.
KEEP_ALIVE_SECONDS: Final = 15.0
#: A connection that takes nothing of what is sent is given up after this.
WRITE_STALL_SECONDS: Final = 30.0
#: Who has an answer may send the rest of its body for so long: else a reset could take the answer.
LINGERING_SECONDS: Final = 2.0
#: Connections beside those of open pages (web.clients): requests and webhooks.
OTHER_CONNECTIONS: Final = 250
#: More connections, when all of those are busy, which are answered if they ask for a probe.
PROBE_CONNECTIONS: Final = 16

# aiohttp logs a traceback for each request that is no HTTP; anybody could fill the disk.
_SILENT = logging.Logger("pepi_stream.web.silent")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


class _RequestHandler(web.RequestHandler):
    """A connection whose errors that no middleware sees have our headers, too.

    Args:
        server: that accepted it.
        options: of aiohttp's own.
    """

    __slots__ = (
        "_answered_at",
        "_open",
        "_server",
        "_silence",
        "_stall",
        "crowded",
        "gives_way_since",
    )

    def __init__(self, server: _Server, **options: Any) -> None:
        super().__init__(server, **options)
        self._server = server
        self._open: asyncio.Transport | None = None
        self._silence: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._answered_at: float | None = None  # None while a request is answered
        self.crowded = False
        """Whether all places but those kept for probes were taken when it came."""
        self.gives_way_since: float | None = None
        """Since when somebody nobody knows is waited for, or waits for what may take long."""

    @property
    def counts(self) -> bool:
        """Whether it takes up a place: it has not been dropped."""
        return self._open is not None

    @property
    def waits_since(self) -> float | None:
        """Since when it waits for its client, in seconds of the loop's clock; None if it does not.

        For a request, that is, or for the body of one from nobody knows whom, or of one that has
        its answer; or that it takes what is sent. A probe's wait for a server counts as well.
        """
        if self._stall is not None:
            return self._stall.when() - WRITE_STALL_SECONDS
        if self._waiter is None or self._waiter.done():
            return self._answered_at or self.gives_way_since
        return self._next_keepalive_close_time - self._keepalive_timeout

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless there are too many already."""
        made = cast("asyncio.Transport", transport)
        room = self._server.make_room()
        if room <= -PROBE_CONNECTIONS:
            made.abort()
            return
        self.crowded = room <= 0
        self._open = made
        super().connection_made(transport)
        self._silence = self._loop.call_later(FIRST_REQUEST_SECONDS, self._asked_for_nothing)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        self._open = None
        for timer in (self._silence, self._stall):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    async def start(self) -> None:
        """Answer requests until there are no more; what was sent has to be taken then."""
        try:
            await super().start()
        finally:
            self._expect_taking()

    async def _handle_request(self, *request: Any) -> tuple[web.StreamResponse, bool]:
        """Answer one request; aiohttp then reads what is left of its body, for a while."""
        self._answered_at = None
        try:
            return await super()._handle_request(*request)
        finally:
            self._answered_at = self._loop.time()

    def force_close(self) -> None:
        """Send what is left, and end."""
        super().force_close()
        self._expect_taking()

    def pause_writing(self) -> None:
        """Wait for the other side to take what was sent, for a while."""
        super().pause_writing()
        self._expect_taking()

    def resume_writing(self) -> None:
        """Go on: the other side has taken most of what was sent."""
        super().resume_writing()
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
        if self._open is not None and self._open.is_closing():
            self._expect_taking()

    def abort(self) -> None:
        """End at once; what was not taken yet is lost."""
        if self._open is not None:
            self._open.abort()
            self._open = None  # it no longer counts
            self.force_close()
            gives_way = self._answered_at is not None or self.gives_way_since is not None
            if gives_way and self._task_handler is not None:
                self._task_handler.cancel()  # it may wait for the rest of a body

    def _expect_taking(self) -> None:
        """Give the connection up unless it takes what was sent, or ends, within a while."""
        if self._stall is None and self._open is not None:
            self._stall = self._loop.call_later(WRITE_STALL_SECONDS, self.abort)

    def _asked_for_nothing(self) -> None:
        if not self._request_count:
            self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP, without the parser's words: they quote what was sent."""
        response = super().handle_error(request, status, exc, "this is not HTTP as it should be\n")
        add_headers(response.headers)
        return response


class _Server(web.Server):
    limit: int
    """Connections at a time, at most, beside those of probes."""

    def __call__(self) -> web.RequestHandler:
        return _RequestHandler(self, loop=self._loop, **self._kwargs)

    def make_room(self) -> int:
        """Return how many more connections may come, 0 or less when it is crowded.

        When it is full, the connection that has waited longest for its client is dropped first.
        """
        if len(self.connections) < self.limit:
            return self.limit - len(self.connections)
        there = [one for one in cast("list[_RequestHandler]", self.connections) if one.counts]
        if len(there) >= self.limit:
            waiting = [(since, one) for one in there if (since := one.waits_since) is not None]
            if waiting:
                _, longest = min(waiting, key=lambda pair: pair[0])
                longest.abort()
                there.remove(longest)
        return self.limit - len(there)


class Runner(web.AppRunner):
    """Runs the application of the pages.

    Args:
        application: the application.
        clients: pages that may be open at the same time (web.clients).
    """

    __slots__ = ("_limit",)

    def __init__(self, application: web.Application, clients: int) -> None:
        self._limit = clients + OTHER_CONNECTIONS
        super().__init__(
            application,
            access_log=None,
            logger=_SILENT,
            # Our streams end when the server stops; aiohttp would give others a minute.
            shutdown_timeout=2.0,
            keepalive_timeout=KEEP_ALIVE_SECONDS,
            lingering_time=LINGERING_SECONDS,
            auto_decompress=False,  # a form of a few bytes needs no compression
        )

    async def _make_server(self) -> web.Server:
        server: Any = await super()._make_server()
        assert type(server) is web.Server
        server.__class__ = _Server  # Application makes it, of a class that cannot be chosen
        made = cast("_Server", server)
        made.limit = self._limit
        return made


@contextlib.contextmanager
def giving_way(request: web.BaseRequest) -> Iterator[None]:
    """Let the connection make room for others meanwhile; what it asked for is then cancelled."""
    protocol = request.protocol
    if not isinstance(protocol, _RequestHandler):
        yield
        return
    protocol.gives_way_since = asyncio.get_running_loop().time()
    try:
        yield
    finally:
        protocol.gives_way_since = None


def is_crowded(request: web.BaseRequest) -> bool:
    """Tell whether a request came by a place that is kept for probes."""
    protocol = request.protocol
    return isinstance(protocol, _RequestHandler) and protocol.crowded
