"""``/live/events``: one reader's connection to the hub."""

from __future__ import annotations

import contextlib
import socket
from typing import Final

from aiohttp import ClientConnectionError, hdrs, web

from pepi_stream.web.headers import NO_STORE, refusal
from pepi_stream.web.hub import PATIENCE_SECONDS, Hub, HubFullError

_RETRY: Final = b"retry: 2000\n\n"
_HEADERS: Final = {
    hdrs.CONTENT_TYPE: "text/event-stream; charset=utf-8",
    hdrs.CACHE_CONTROL: NO_STORE,
    "X-Accel-Buffering": "no",
}
# What lies in buffers is old when it arrives: a slow reader had better get a snapshot.
_SEND_BUFFER_BYTES: Final = 65_536


class Events:
    """Answers with the stream.

    Args:
        hub: where the messages come from.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        """Send events until the client goes, or the worker stops."""
        response = web.StreamResponse(headers=_HEADERS)
        transport = request.transport
        if request.method == hdrs.METH_HEAD or transport is None:
            return response
        try:
            client = self._hub.join(transport.abort)
        except HubFullError:
            return refusal(
                request, 503, "too many look at this worker's page (web.clients)",
                {hdrs.RETRY_AFTER: "5"},
            )  # fmt: skip
        try:
            _limit_buffers(transport.get_extra_info("socket"))
            await response.prepare(request)
            await response.write(_RETRY)
            while message := await client.next():
                await response.write(message)
        except (ClientConnectionError, ConnectionError, RuntimeError):
            # The reader has gone; uvloop says so with a RuntimeError.
            if not transport.is_closing():
                raise
        finally:
            self._hub.leave(client)
        return response


def _limit_buffers(sock: socket.socket | None) -> None:
    """Let the system hold little, and give up a reader that is silent as long as we would."""
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
            milliseconds = int(PATIENCE_SECONDS * 1000)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
