"""The pages on a real server on a free port, over a state that a test sets by hand."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from pepi_stream.ingest import Receiver
from pepi_stream.settings import load_settings
from pepi_stream.web.files import Files
from pepi_stream.web.hub import Hub
from pepi_stream.web.pages import add_pages
from pepi_stream.web.server import Runner

TOKEN = "0123456789abcdef-planted"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
SNAPSHOT: dict[str, Any] = {
    "v": 1,
    "at": 1_700_000_000_000,
    "queue": "pepi_queue",
    "health": {"level": "ok", "words": "All is well."},
    "figures": {"rate": {"value": 1.5, "level": "ok", "words": ""}},
    "workers": [],
    "series": {"window": "minute", "seconds": 60, "words": "", "points": [[60, {"sent": 3}]]},
    "windows": {
        "minute": {
            "seconds": 60,
            "by": ["event_name", "recipient"],
            "floor": 0,
            "rows": [[60, ["sent", "john@example.com"], 2], [60, ["sent", "jane@example.com"], 1]],
        }
    },
    "dead": [{"seq": 7, "at": 1, "format": "plain", "reason": "no name: bob@a.b", "bytes": 3}],
}


class FakeLive:
    """The state, by hand."""

    def __init__(self) -> None:
        self.data = copy.deepcopy(SNAPSHOT)
        self.next: list[dict[str, Any]] = []
        """What `changes` returns, one by one; then nothing."""
        self.letters: dict[int, dict[str, Any]] = {}
        self.reasons: list[str] = []
        self.snapshots = 0
        self.ticks = 0
        self.watched = 0
        self.error: Exception | None = None

    def snapshot(self) -> dict[str, Any]:
        self.snapshots += 1
        if self.error:
            raise self.error
        return copy.deepcopy(self.data)

    def changes(self) -> dict[str, Any] | None:
        self.ticks += 1
        if self.error:
            raise self.error
        return self.next.pop(0) if self.next else None

    def watch(self) -> None:
        self.watched += 1

    async def look(self) -> None:
        self.watch()

    async def dead_letter(self, seq: int) -> dict[str, Any] | None:
        if self.error:
            raise self.error
        return self.letters.get(seq)

    async def ready(self) -> list[str]:
        return self.reasons


@dataclass
class Site:
    """A server that runs, and what is behind it."""

    port: int
    live: FakeLive
    hub: Hub
    runner: Runner

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def asked(self) -> int:
        """Requests so far."""
        return self.runner.server.requests_count if self.runner.server else 0

    @property
    def giving_way(self) -> int:
        """Connections that make room for others while they are answered."""
        running: Any = self.runner.server
        return sum(one.gives_way_since is not None for one in running.connections)

    async def raw(self, request: bytes) -> bytes:
        """Send bytes; return all that comes until the server closes the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request)
            await writer.drain()
            return await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()


async def _somebody_elses_page(request: web.Request) -> web.Response:
    return web.Response(text="internals")


@asynccontextmanager
async def site(
    folder: Path | None = None,
    *,
    bind: str = "127.0.0.1",
    receiver: Receiver | None = None,
    **settings: str,
) -> AsyncIterator[Site]:
    """Run the pages, and beside them one that is not ours, as Faust would add.

    Args:
        folder: of the static files; the package's own when left out.
        bind: what the settings say; the server always listens on 127.0.0.1.
        receiver: takes webhooks in.
        settings: of the section [web], by name.
    """
    environment = {f"PEPI_WEB__{name.upper()}": value for name, value in settings.items()}
    loaded = load_settings({"PEPI_WEB__BIND": bind, **environment})
    live, application = FakeLive(), web.Application()
    hub = add_pages(
        application,
        loaded.web,
        live,
        bind=lambda: bind,
        files=None if folder is None else Files(folder),
        receiver=receiver,
    )
    application.router.add_get("/stats/", _somebody_elses_page)
    runner = Runner(application, loaded.web.clients)
    await runner.setup()
    try:
        tcp = web.TCPSite(runner, "127.0.0.1", 0)
        await tcp.start()
        yield Site(runner.addresses[0][1], live, hub, runner)
    finally:
        await runner.cleanup()


@dataclass
class Event:
    """One server-sent event."""

    id: int
    event: str
    data: dict[str, Any]


async def events(response: aiohttp.ClientResponse) -> AsyncIterator[Event]:
    """Read a stream, strictly: what is not as docs/live.md says fails the test."""
    assert await response.content.readuntil(b"\n\n") == b"retry: 2000\n\n"
    while block := await response.content.readuntil(b"\n\n"):
        number, event, data, *rest = block.decode().split("\n")
        assert rest == ["", ""]
        assert number.startswith("id: ")
        assert event.startswith("event: ")
        assert data.startswith("data: ")
        yield Event(int(number[4:]), event[7:], json.loads(data[6:]))
