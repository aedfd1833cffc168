"""aiohttp's server as we run it: it stops soon, logs no request, and has our headers everywhere.

Whoever reaches the port can open connections, with or without a token. The worker needs some of the
process's files for Redis and MySQL, so there is a limit, and who asks for nothing is sent away.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final, cast

from aiohttp import web

from pepi_stream.web.headers import add_headers

#: Within this a connection has to ask for something: aiohttp would wait for ever.
FIRST_REQUEST_SECONDS: Final = 15.0
#: Connections beside those of open pages (web.clients): requests, webhooks, probes.
OTHER_CONNECTIONS: Final = 250

# aiohttp logs a traceback for each request that is no HTTP; anybody could fill the disk.
_SILENT = logging.Logger("pepi_stream.web.silent")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


class _RequestHandler(web.RequestHandler):
    """A connection whose errors that no middleware sees have our headers, too.

    Args:
        server: that accepted it.
        limit: connections at a time, at most; one more is closed at once.
        options: of aiohttp's own.
    """

    __slots__ = ("_limit", "_server", "_silence")

    def __init__(self, server: web.Server, *, limit: int, **options: Any) -> None:
        super().__init__(server, **options)
        self._server = server
        self._limit = limit
        self._silence: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless there are too many already."""
        if len(self._server.connections) >= self._limit:
            cast("asyncio.Transport", transport).abort()
            return
        super().connection_made(transport)
        loop = asyncio.get_running_loop()
        self._silence = loop.call_later(FIRST_REQUEST_SECONDS, self._asked_for_nothing)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        if self._silence is not None:
            self._silence.cancel()
        super().connection_lost(exc)

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

    def __call__(self) -> web.RequestHandler:
        return _RequestHandler(self, limit=self.limit, loop=self._loop, **self._kwargs)


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
            keepalive_timeout=75.0,
            lingering_time=2.0,
            auto_decompress=False,  # a form of a few bytes needs no compression
        )

    async def _make_server(self) -> web.Server:
        server: Any = await super()._make_server()
        assert type(server) is web.Server
        server.__class__ = _Server  # Application makes it, of a class that cannot be chosen
        made = cast("_Server", server)
        made.limit = self._limit
        return made
