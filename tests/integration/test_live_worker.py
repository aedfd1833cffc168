"""The live state inside real workers."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from pepi_stream.local.books import connect, select
from tests.flow import Flow, Worker, plain, wait_for
from tests.live import differences, snapshot
from tests.waiting import wait_until
from tests.web_pages import events

SHOWS = "the live page shows the tables"


def _port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def web_worker(flow: Flow) -> Worker:
    return flow.worker("--web-port", str(_port()))


def test_a_worker_with_the_web_starts_and_stops_cleanly_and_quickly(
    flow: Flow, web_worker: Worker
) -> None:
    web_worker.wait_claiming()
    wait_for(lambda: SHOWS in web_worker.log)
    pushed = flow.push(plain(range(20_000), at=int(time.time())))
    flow.wait_drained()

    began = time.monotonic()
    assert web_worker.stop() == 0
    assert time.monotonic() - began < 5
    assert "Traceback" not in web_worker.log, web_worker.log
    assert "WARN" not in web_worker.log, web_worker.log
    flow.check_books(pushed)


def test_a_worker_without_the_web_keeps_no_live_tables(flow: Flow) -> None:
    worker = flow.worker()
    worker.wait_claiming()
    pushed = flow.push(plain(range(1000)))
    flow.wait_drained()
    [(_, listeners)] = flow.redis.pubsub_numsub("{pepi_queue}:windows")
    assert listeners == 0
    assert worker.stop() == 0
    assert SHOWS not in worker.log
    flow.check_books(pushed)


def test_a_worker_stops_cleanly_while_redis_refuses_to_let_it_listen(flow: Flow) -> None:
    flow.redis.execute_command("ACL", "SETUSER", "default", "-subscribe")
    try:
        worker = flow.worker("--web-port", str(_port()))
        worker.wait_claiming()
        pushed = flow.push(plain(range(1000)))
        flow.wait_drained()
        wait_for(lambda: "hears no worker" in worker.log)
        assert worker.stop() == 0
        assert worker.log.count("hears no worker") == 1
        assert "Traceback" not in worker.log
        flow.check_books(pushed)
    finally:
        flow.redis.execute_command("ACL", "SETUSER", "default", "+subscribe")


@dataclass
class Browser:
    """What a page that is open has after each message: as static/store.js merges them."""

    page: dict[str, Any] = field(default_factory=dict)

    async def watch(self, port: int) -> None:
        async with (
            aiohttp.ClientSession(read_bufsize=1 << 20) as client,
            client.get(f"http://127.0.0.1:{port}/live/events") as response,
        ):
            async for event in events(response):
                if event.event == "snapshot":
                    self.page = event.data
                else:
                    self._merge(event.data)

    def _merge(self, change: dict[str, Any]) -> None:
        assert change["id"] == self.page["id"] + 1
        windows = change.pop("windows", {})
        self.page |= change
        for name, new in windows.items():
            window = self.page["windows"][name]
            rows = {(start, *values): n for start, values, n in window["rows"]}
            rows |= {(start, *values): n for start, values, n in new.get("rows", [])}
            window["floor"] = new.get("floor", window["floor"])
            window["rows"] = [
                [start, values, n]
                for (start, *values), n in rows.items()
                if start >= window["floor"]
            ]


async def test_the_pages_of_two_workers_are_the_tables_within_two_seconds_of_the_last_commit(
    flow: Flow, capsys: pytest.CaptureFixture[str]
) -> None:
    """Promise P6, as a browser at either worker sees it, and a program that asks."""
    flow.env["PEPI_SOURCE__CLAIM_MAX"] = "200"  # so that neither can take all of the load
    ports = [_port(), _port()]
    workers = [flow.worker("--web-port", str(port)) for port in ports]
    for worker in workers:
        worker.wait_claiming()
        wait_for(lambda worker=worker: SHOWS in worker.log)  # type: ignore[misc]
    browsers = [Browser(), Browser()]
    now = int(time.time())
    pushed = 0
    with closing(connect(flow.settings)) as mysql:

        def differing() -> list[str]:
            asked = [snapshot(port) for port in ports]
            seen = [browser.page for browser in browsers]
            return [
                f"worker {i % 2}: {wrong}"
                for i, page in enumerate(asked + seen)
                for wrong in differences(page, mysql, flow.settings)
            ]

        async with asyncio.TaskGroup() as watching:
            watches = [
                watching.create_task(browser.watch(port))
                for browser, port in zip(browsers, ports, strict=True)
            ]
            await wait_until(lambda: all(browser.page for browser in browsers))
            for first in range(0, 40_000, 2000):
                some = plain(range(first, first + 2000), at=now - 60 * (first // 2000))
                pushed += await asyncio.to_thread(flow.push, [*some, b"not JSON"])
            await wait_until(flow.drained, seconds=60)
            # No later than the COMMIT: when its transaction wrote to the ledger.
            [(last,)] = select(mysql, "SELECT UNIX_TIMESTAMP(MAX(committed_at)) FROM pepi_claim")
            committed = float(last)
            while wrong := await asyncio.to_thread(differing):
                assert time.time() - committed <= 2.0, wrong
            delay = time.time() - committed
            for watch in watches:
                watch.cancel()
    with capsys.disabled():
        print(f"[pages equal the tables {delay:.2f} s after the last commit]", end=" ")
    assert delay <= 2.0
    assert flow.dead() == 20

    def shares() -> list[int]:
        return [worker["rows"] for worker in snapshot(ports[1])["workers"]]

    wait_for(lambda: sum(shares()) == 40_000)  # they say so once a second
    assert min(shares()) >= 4000, f"the load was not split: {shares()}"
    for worker in workers:
        assert worker.stop() == 0
    flow.check_books(pushed)
