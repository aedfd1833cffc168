"""Connections: none is held for good by who says nothing, reads nothing or comes in crowds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pepi_stream.web import server
from tests.waiting import wait_until
from tests.web_pages import TOKEN, Site, site

PROBE = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
SLOW_FORM = (
    b"POST /live/login HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\ntoken="
)


class Connection:
    """A connection of somebody who may read, or not."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, request: bytes = PROBE) -> bytes:
        """Return the first line of the answer; b"" when the connection has ended."""
        try:
            self.writer.write(request)
            line = await self.reader.readuntil(b"\r\n")
            await self.reader.readuntil(b"\r\n\r\n")
        except (ConnectionError, asyncio.IncompleteReadError):
            return b""
        return line.strip()

    async def end(self) -> None:
        """Wait for the end of the connection."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65_536):
                pass


Connect = Callable[..., Awaitable[Connection]]


@contextlib.asynccontextmanager
async def connecting(pages: Site) -> AsyncIterator[Connect]:
    """Give what opens connections, and closes them in the end."""
    opened: list[Connection] = []

    async def connect(request: bytes = b"") -> Connection:
        one = Connection(*await asyncio.open_connection("127.0.0.1", pages.port))
        opened.append(one)
        one.writer.write(request)
        return one

    try:
        yield connect
    finally:
        for one in opened:
            one.writer.transport.abort()


def connections(pages: Site) -> list[Any]:
    running = pages.runner.server
    assert running is not None
    return running.connections


def stuck(pages: Site) -> int:
    """Return how many connections wait for their client to take what was sent."""
    return sum(one._paused and one.counts for one in connections(pages))


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A folder with a file that no buffer of the system holds."""
    (tmp_path / "large.js").write_bytes(b" " * 2**26)
    return tmp_path


async def test_an_idle_connection_does_not_hold_up_the_end() -> None:
    async with site() as pages:
        _, writer = await asyncio.open_connection("127.0.0.1", pages.port)
        writer.write(b"GET /live/snapshot HTTP/1.1\r\n")
        await writer.drain()
    writer.close()


@pytest.mark.parametrize("said", [b"", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"])
async def test_who_asks_for_nothing_is_sent_away(
    said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "FIRST_REQUEST_SECONDS", 0.05)
    async with (
        site() as pages,
        aiohttp.ClientSession(pages.url) as client,
        client.get("/live/events") as stream,
        asyncio.timeout(10),
    ):
        assert await pages.raw(said) == b""
        for _ in range(3):  # who has asked for something stays
            await stream.content.readuntil(b"\n\n")


@pytest.mark.parametrize("more", [b"", b"Connection: close\r\n"])
async def test_who_reads_nothing_is_given_up(
    more: bytes, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "WRITE_STALL_SECONDS", 0.05)
    async with site(large) as pages, connecting(pages) as connect, asyncio.timeout(30):
        request = b"GET /live/static/large.js HTTP/1.1\r\nHost: localhost\r\n"
        one = await connect(request + more + b"\r\n")
        one.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await wait_until(lambda: pages.asked > 0)
        await wait_until(lambda: not connections(pages))


async def test_what_little_is_left_to_send_is_not_kept_for_good_either(
    large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that fits in our own buffer pauses nothing, and yet it keeps a closed one open."""
    monkeypatch.setattr(server, "WRITE_STALL_SECONDS", 0.05)
    async with site(large) as pages, connecting(pages) as connect, asyncio.timeout(30):
        one = await connect(PROBE)
        await wait_until(lambda: pages.asked > 0)
        [connection] = connections(pages)
        transport = connection.transport
        transport.set_write_buffer_limits(high=2**30)
        transport.write(b" " * 2**26)
        one.writer.transport.pause_reading()  # type: ignore[attr-defined]
        connection.force_close()
        await wait_until(lambda: not connections(pages))


async def test_who_reads_slowly_is_served(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "WRITE_STALL_SECONDS", 10.0)
    async with site(large) as pages, aiohttp.ClientSession(pages.url) as client:
        async with client.get("/live/static/large.js") as answer:
            read = 0
            async for part in answer.content.iter_chunked(2**20):
                read += len(part)
        assert read == 2**26


async def test_between_two_requests_a_connection_is_kept_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "KEEP_ALIVE_SECONDS", 0.2)
    async with site() as pages, connecting(pages) as connect, asyncio.timeout(10):
        one = await connect()
        for _ in range(3):
            assert await one.ask() == b"HTTP/1.1 200 OK"
            assert await one.reader.readexactly(3) == b"ok\n"
        await one.end()


async def test_when_all_places_are_taken_who_kept_us_waiting_longest_makes_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "OTHER_CONNECTIONS", 3)
    async with site(clients="1") as pages, connecting(pages) as connect, asyncio.timeout(10):
        first, second, third, fourth = [await connect() for _ in range(4)]
        await wait_until(lambda: len(connections(pages)) == 4)
        for one in (second, fourth, first, third):
            assert await one.ask() == b"HTTP/1.1 200 OK"
            await one.reader.readexactly(3)
        fifth = await connect()
        assert await fifth.ask() == b"HTTP/1.1 200 OK"  # and not as one of the probes' places
        await second.end()
        sixth = await connect()
        assert await sixth.ask(PROBE.replace(b"/healthz", b"/live/")) == b"HTTP/1.1 200 OK"
        await fourth.end()
        assert await first.ask() == b"HTTP/1.1 200 OK"


async def test_bodies_that_do_not_come_keep_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "OTHER_CONNECTIONS", 3)
    async with (
        site(clients="1", token=TOKEN) as pages,
        connecting(pages) as connect,
        asyncio.timeout(8),  # under the ten seconds that a form has
    ):
        slow = [await connect(SLOW_FORM) for _ in range(4)]
        await wait_until(lambda: pages.giving_way == 4)
        one = await connect()
        assert await one.ask(PROBE.replace(b"/healthz", b"/live/login")) == b"HTTP/1.1 200 OK"
        await slow[0].end()
        assert pages.giving_way == 3


REST_OF_A_BODY = PROBE[:-2] + b"Content-Length: 100000\r\n\r\n"
CHUNK_WITHOUT_END = PROBE[:-2] + b"Transfer-Encoding: chunked\r\n\r\nff\r\n"


@pytest.mark.parametrize("request_", [REST_OF_A_BODY, CHUNK_WITHOUT_END])
async def test_who_has_an_answer_and_owes_the_rest_of_a_body_makes_room(
    request_: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "OTHER_CONNECTIONS", 3)
    monkeypatch.setattr(server, "PROBE_CONNECTIONS", 2)
    monkeypatch.setattr(server, "LINGERING_SECONDS", 60.0)
    async with site(clients="1") as pages, connecting(pages) as connect, asyncio.timeout(10):
        for _ in range(8):
            assert await (await connect()).ask(request_) == b"HTTP/1.1 200 OK"
        one = await connect()
        assert await one.ask(PROBE.replace(b"/healthz", b"/live/")) == b"HTTP/1.1 200 OK"
        # They are gone, and do not only no longer count.
        await wait_until(lambda: len(connections(pages)) == 4)


async def test_who_takes_nothing_of_what_is_sent_makes_room(
    large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "OTHER_CONNECTIONS", 2)
    monkeypatch.setattr(server, "PROBE_CONNECTIONS", 1)
    request = PROBE.replace(b"/healthz", b"/live/static/large.js")
    async with (
        site(large, clients="1") as pages,
        connecting(pages) as connect,
        asyncio.timeout(20),
    ):
        for number in range(5):
            one = await connect(request)
            one.writer.transport.pause_reading()  # type: ignore[attr-defined]
            most = min(number + 1, 3)
            await wait_until(lambda most=most: stuck(pages) == most)  # type: ignore[misc]
        assert await (await connect()).ask() == b"HTTP/1.1 200 OK"  # not as one of probes' places
        assert stuck(pages) == 2


async def test_when_all_are_busy_probes_are_answered_and_others_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server, "OTHER_CONNECTIONS", 0)
    monkeypatch.setattr(server, "PROBE_CONNECTIONS", 2)
    async with site(clients="3") as pages, connecting(pages) as connect, asyncio.timeout(10):
        stream = b"GET /live/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
        busy = [await connect() for _ in range(3)]
        for one in busy:
            assert await one.ask(stream) == b"HTTP/1.1 200 OK"
        for path in (b"/healthz", b"/readyz"):
            line = await (await connect()).ask(PROBE.replace(b"/healthz", path))
            assert line == b"HTTP/1.1 200 OK"
        for _ in range(2):
            one = await connect()
            line = await one.ask(PROBE.replace(b"/healthz", b"/live/snapshot"))
            assert line == b"HTTP/1.1 503 Service Unavailable"
            await one.end()
        # Who asks for nothing there makes room for the next, too.
        for _ in range(5):
            await connect()
        assert await (await connect()).ask() == b"HTTP/1.1 200 OK"
        assert len([one for one in connections(pages) if one.counts]) == 4
    [message] = [record.getMessage() for record in caplog.records]
    assert "only probes are answered" in message


async def test_who_asks_for_what_takes_long_keeps_no_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither the workers' files, nor those of others; and each server is asked once."""
    monkeypatch.setattr(server, "OTHER_CONNECTIONS", 0)
    monkeypatch.setattr(server, "PROBE_CONNECTIONS", 2)
    async with site(clients="2") as pages, connecting(pages) as connect, asyncio.timeout(10):
        asked = 0
        answer = asyncio.Event()

        async def ready() -> list[str]:
            nonlocal asked
            asked += 1
            await answer.wait()
            return []

        monkeypatch.setattr(pages.live, "ready", ready)
        probes = []
        for number in range(5):
            probes.append(await connect(PROBE.replace(b"/healthz", b"/readyz")))
            most = min(number + 1, 2)
            await wait_until(lambda most=most: pages.giving_way == most)  # type: ignore[misc]
            for gone in probes[:-2]:
                await gone.end()
        one = await connect()
        assert await one.ask(PROBE.replace(b"/healthz", b"/live/")) == b"HTTP/1.1 200 OK"
        await wait_until(lambda: len(connections(pages)) == 2)
        answer.set()
        assert await probes[-1].ask(b"") == b"HTTP/1.1 200 OK"
        assert asked == 1
