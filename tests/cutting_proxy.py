"""A TCP proxy in front of Redis that can lose a reply: the server acts, the client never hears."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path


class CuttingProxy:
    """Forwards to a Redis, and loses the replies that it is told to lose.

    Attributes:
        url: where clients connect.
        requests: what clients sent, as it came.
        lost: how many replies were withheld.
    """

    def __init__(self, upstream: Path) -> None:
        self._upstream = upstream
        self._lose: bytes | None = None
        self._silently = False
        self._links: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self.url = ""
        self.requests: list[bytes] = []
        self.lost = 0

    def lose_reply_to(self, part: bytes, *, silently: bool = False) -> None:
        """Lose the next reply to a request that holds ``part``, unless it is NOSCRIPT.

        The client is cut off then, or with ``silently`` left waiting.
        """
        self._lose, self._silently = part, silently

    def asked(self, part: bytes) -> int:
        """How many requests held ``part``."""
        return sum(part in request for request in self.requests)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        server_reader, server_writer = await asyncio.open_unix_connection(str(self._upstream))
        self._links[task] = server_writer
        pump = asyncio.ensure_future(self._requests(reader, server_writer))
        try:
            while reply := await server_reader.read(1 << 16):
                if (
                    self._lose is not None
                    and self._lose in self.requests[-1]
                    and not reply.startswith(b"-NOSCRIPT")
                ):
                    self._lose = None
                    self.lost += 1
                    if self._silently:
                        continue
                    break
                writer.write(reply)
                await writer.drain()
        finally:
            pump.cancel()
            for end in (writer, server_writer):
                end.close()
                with contextlib.suppress(OSError):
                    await end.wait_closed()
            del self._links[task]

    async def _requests(self, reader: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
        while request := await reader.read(1 << 16):
            self.requests.append(request)
            server.write(request)
            await server.drain()
        server.close()


@asynccontextmanager
async def cutting_proxy(upstream: Path) -> AsyncIterator[CuttingProxy]:
    """Run a proxy in front of the Redis at the Unix socket ``upstream``."""
    proxy = CuttingProxy(upstream)
    server = await asyncio.start_server(proxy._link, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    proxy.url = f"redis://{host}:{port}/0"
    try:
        yield proxy
    finally:
        server.close()
        for upstream_writer in proxy._links.values():
            upstream_writer.close()
        await asyncio.gather(*proxy._links)
