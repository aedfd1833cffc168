"""aiohttp's server as we run it: it stops soon, logs no request, and has our headers everywhere."""

from __future__ import annotations

import logging
from typing import Any

from aiohttp import web

from pepi_stream.web.headers import add_headers

# aiohttp logs a traceback for each request that is no HTTP; anybody could fill the disk.
_SILENT = logging.Logger("pepi_stream.web.silent")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


class _RequestHandler(web.RequestHandler):
    """A connection whose errors that no middleware sees have our headers, too."""

    __slots__ = ()

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
    def __call__(self) -> web.RequestHandler:
        return _RequestHandler(self, loop=self._loop, **self._kwargs)


class Runner(web.AppRunner):
    """Runs the application of the pages.

    Args:
        application: the application.
    """

    __slots__ = ()

    def __init__(self, application: web.Application) -> None:
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
        made: web.Server = server
        return made
