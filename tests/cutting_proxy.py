"""A TCP proxy in front of a server that can hold up, cut or swallow what it is told to.

It can also lead to another server, as a name or an address does after a fail-over: for new
connections only, those that are there live on.

It knows no protocol: a *trap* waits for a request that holds certain bytes, and springs either
before the server gets the request, or when the server has acted and its reply is on its way.
"""

import asyncio
import contextlib
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal, NamedTuple

_CHUNK = 1 << 16
_REMEMBERED = 10_000  # requests

#: What a trap does with the request or reply in its hand; True sends it on, False swallows it.
Act = Callable[["Link"], Awaitable[bool]]


class Link:
    """One client's connection through the proxy."""

    def __init__(
        self, client: asyncio.StreamWriter, server: asyncio.StreamWriter, upstream: Path
    ) -> None:
        self._client = client
        self._server = server
        self.upstream = upstream
        self.pending: Trap | None = None  # springs on the next reply

    def cut(self) -> None:
        """Close both ends."""
        self._client.close()
        self._server.close()

    def send_on(self, request: bytes) -> None:
        """Give the server a request."""
        self._server.write(request)


class Trap(NamedTuple):
    """Waits for one request.

    Attributes:
        part: bytes that the request holds.
        at: springs before the request is sent on, or before the reply to it is.
        act: what happens then.
    """

    part: bytes
    at: Literal["request", "reply"]
    act: Act


class CuttingProxy:
    """Forwards to the server at a Unix socket; see :meth:`switch`.

    Args:
        upstream: the server's socket.
        listen_at: where clients connect; a TCP port of 127.0.0.1 when left out.
        password: of a Redis that has one, for :attr:`url`.

    Attributes:
        port: that TCP port.
        requests: what clients sent, as it came; the last few thousand.
        lost: how many replies were withheld by :meth:`lose_reply_to`.
    """

    def __init__(
        self, upstream: Path, listen_at: Path | None = None, *, password: str | None = None
    ) -> None:
        self._password = password
        self._upstream = upstream
        self._listen_at = listen_at
        self._traps: list[Trap] = []
        self._links: dict[asyncio.Task[None], Link] = {}
        self._server: asyncio.Server | None = None
        self.port = 0
        self.requests: deque[bytes] = deque(maxlen=_REMEMBERED)
        self.lost = 0

    @property
    def url(self) -> str:
        """`REDIS_URL` through the proxy."""
        login = f":{self._password}@" if self._password else ""
        return f"redis://{login}127.0.0.1:{self.port}/0"

    async def start(self) -> None:
        """Listen."""
        if self._listen_at is not None:
            self._server = await asyncio.start_unix_server(self._serve, self._listen_at)
            return
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Cut every link and listen no more."""
        assert self._server is not None
        self._server.close()
        for link in self._links.values():
            link.cut()
        await asyncio.gather(*self._links)

    def set_trap(self, part: bytes, at: Literal["request", "reply"], act: Act) -> Trap:
        """Set a trap, which springs once."""
        trap = Trap(part, at, act)
        self._traps.append(trap)
        return trap

    def lose_reply_to(self, part: bytes, *, silently: bool = False) -> None:
        """Lose the next reply to a request that holds ``part``, unless it is NOSCRIPT.

        The client is cut off then, or with ``silently`` left waiting.
        """

        async def lose(link: Link) -> bool:
            self.lost += 1
            if not silently:
                link.cut()
            return False

        self.set_trap(part, "reply", lose)

    @asynccontextmanager
    async def held_up(
        self, part: bytes, at: Literal["request", "reply"], *, seconds: float
    ) -> AsyncIterator[Link]:
        """Wait for such a request, and hold it or its reply up while the block runs.

        Raises:
            TimeoutError: There was none in so many seconds.
        """
        sprung: asyncio.Future[Link] = asyncio.get_running_loop().create_future()
        go_on = asyncio.Event()

        async def hold_up(link: Link) -> bool:
            if not sprung.done():
                sprung.set_result(link)
                await go_on.wait()
            return True

        trap = self.set_trap(part, at, hold_up)
        try:
            yield await asyncio.wait_for(sprung, seconds)
        finally:
            go_on.set()
            with contextlib.suppress(ValueError):
                self._traps.remove(trap)

    def switch(self, upstream: Path) -> None:
        """Lead connections that are made from now on to another server; the others stay."""
        self._upstream = upstream

    def links_to(self, upstream: Path) -> int:
        """How many connections lead to a server now."""
        return sum(link.upstream == upstream for link in self._links.values())

    def reset_links(self) -> None:
        """Reset every client's connection (RST), as a rebooted host or a firewall does."""
        for link in self._links.values():
            client = link._client.get_extra_info("socket")
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            link._client.transport.abort()

    def asked(self, part: bytes) -> int:
        """How many requests held ``part``."""
        return sum(part in request for request in self.requests)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        upstream = self._upstream
        try:
            server_reader, server_writer = await asyncio.open_unix_connection(str(upstream))
        except OSError:  # the server is down: nobody listens here either
            writer.close()
            return
        link = self._links[task] = Link(writer, server_writer, upstream)
        pump = asyncio.ensure_future(self._requests(link, reader))
        try:
            with contextlib.suppress(OSError, RuntimeError):
                await self._replies(link, server_reader)
        finally:
            link.cut()
            with contextlib.suppress(OSError, RuntimeError):  # uvloop's word for a closed pipe
                await pump
            for end in (writer, server_writer):
                with contextlib.suppress(OSError):
                    await end.wait_closed()
            del self._links[task]

    async def _requests(self, link: Link, reader: asyncio.StreamReader) -> None:
        try:
            while request := await reader.read(_CHUNK):
                self.requests.append(request)
                trap = self._sprung_by(request)
                if trap is not None and trap.at == "reply":
                    link.pending = trap
                elif trap is not None and not await trap.act(link):
                    continue
                link._server.write(request)
                await link._server.drain()
        finally:
            link._server.close()

    async def _replies(self, link: Link, reader: asyncio.StreamReader) -> None:
        while reply := await reader.read(_CHUNK):
            trap, link.pending = link.pending, None
            if trap is not None and reply.startswith(b"-NOSCRIPT"):
                self._traps.append(trap)
            elif trap is not None and not await trap.act(link):
                continue
            link._client.write(reply)
            await link._client.drain()

    def _sprung_by(self, request: bytes) -> Trap | None:
        for trap in self._traps:
            if trap.part in request:
                self._traps.remove(trap)
                return trap
        return None


@asynccontextmanager
async def cutting_proxy(
    upstream: Path, *, password: str | None = None
) -> AsyncIterator[CuttingProxy]:
    """Run a proxy in front of the server at the Unix socket ``upstream``."""
    proxy = CuttingProxy(upstream, password=password)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
