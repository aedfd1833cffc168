"""Server-sent events over real sockets: the framing, the slow, the vanished, the limit, the end."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

import aiohttp
import pytest

from pepi_stream.web import hub
from tests.waiting import wait_until
from tests.web_pages import BEARER, TOKEN, Site, events, site

BIG = 300_000


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "TICK_SECONDS", 0.01)
    monkeypatch.setattr(hub, "SILENCE_SECONDS", 0.02)


def slow_reader(pages: Site) -> socket.socket:
    """Connect, ask for events and read nothing; its system takes little for it."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", pages.port))
    sock.sendall(b"GET /live/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return sock


async def test_a_stream_as_the_contract_has_it() -> None:
    async with (
        site(token=TOKEN) as pages,
        aiohttp.ClientSession(pages.url, headers=BEARER) as client,
        client.get("/live/events") as response,
    ):
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Accel-Buffering"] == "no"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        stream = events(response)
        first = await anext(stream)
        assert (first.event, first.data["id"]) == ("snapshot", first.id)
        assert first.data["windows"]["minute"]["rows"][0] == [60, ["sent", "j•••@example.com"], 2]
        second = await anext(stream)
        assert (second.event, second.id) == ("change", first.id + 1)
        assert second.data["figures"] == first.data["figures"]
        pages.live.next.append({"snapshot": True})
        last = second.id
        async for event in stream:
            assert event.id == event.data["id"] == last + 1
            last = event.id
            if event.event == "snapshot":
                break


async def test_nothing_ticks_when_nobody_looks() -> None:
    async with site() as pages, aiohttp.ClientSession(pages.url) as client:
        async with client.head("/live/events") as head:
            assert head.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert pages.hub.clients == pages.live.ticks == pages.live.watched == 0
        async with client.get("/live/events") as response:
            await anext(events(response))
            assert pages.hub.clients == 1
        await wait_until(lambda: pages.hub.clients == 0)
        assert pages.hub._producer is None


async def test_one_too_many_is_asked_to_come_later() -> None:
    async with (
        site(clients="2") as pages,
        aiohttp.ClientSession(pages.url) as client,
        client.get("/live/events") as first,
        client.get("/live/events"),
    ):
        async with client.get("/live/events") as refused:
            assert refused.status == 503
            assert int(refused.headers["Retry-After"]) > 0
            assert "web.clients" in (await refused.json())["error"]
        first.close()
        await wait_until(lambda: pages.hub.clients == 1)
        async with client.get("/live/events") as third:
            assert third.status == 200


async def test_a_slow_reader_gets_a_snapshot_later_and_the_others_everything() -> None:
    async with site() as pages, aiohttp.ClientSession(pages.url) as client:
        loop = asyncio.get_running_loop()
        with slow_reader(pages) as slow:
            slow.setblocking(False)
            async with client.get("/live/events") as response:
                stream = events(response)
                last = await anext(stream)
                await wait_until(lambda: pages.hub.clients == 2)
                payload: dict[str, Any] = {"dead": ["x" * BIG]}
                while not any(c.behind for c in pages.hub._clients):
                    pages.live.next.append(payload)
                    event = await anext(stream)
                    assert event.id == last.id + 1  # nothing is lost here
                    last = event
                pages.live.next.clear()
                # It takes again: whole messages, then a snapshot, with an id further on.
                received = b""
                while received.count(b"event: snapshot") < 2:
                    received += await loop.sock_recv(slow, 1 << 20)
                assert pages.hub.clients == 2


async def test_who_takes_nothing_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "PATIENCE_SECONDS", 0.2)
    async with site() as pages:
        pages.live.data["queue"] = "x" * 10_000_000
        with slow_reader(pages):
            await wait_until(lambda: pages.hub.clients == 1)
            await wait_until(lambda: pages.hub.clients == 0)
            assert pages.live.snapshots == 1


@pytest.mark.parametrize("abruptly", [False, True])
async def test_who_vanishes_is_noticed(abruptly: bool) -> None:
    async with site() as pages:
        sock = slow_reader(pages)
        await wait_until(lambda: pages.hub.clients == 1)
        if abruptly:
            linger = b"\x01\0\0\0\0\0\0\0"
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        sock.close()
        await wait_until(lambda: pages.hub.clients == 0)


async def test_the_server_stops_at_once_with_streams_open_and_one_of_them_stuck() -> None:
    async with site() as pages, aiohttp.ClientSession(pages.url) as client:
        responses = [await client.get("/live/events") for _ in range(3)]
        streams = [events(response) for response in responses]
        for stream in streams:
            await anext(stream)
        pages.live.data["queue"] = "x" * 10_000_000
        with slow_reader(pages):
            await wait_until(lambda: pages.hub.clients == 4)
            await wait_until(lambda: any(c.busy_seconds > 0.1 for c in pages.hub._clients))
            start = time.monotonic()
            await pages.runner.cleanup()
            assert time.monotonic() - start < 1.5
        assert pages.hub.clients == 0
        for response in responses:
            await response.content.read()  # to the end of the chunks: nothing is cut off
            response.close()
