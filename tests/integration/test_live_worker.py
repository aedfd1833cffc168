"""The live state inside real workers."""

from __future__ import annotations

import socket
import time

import pytest

from tests.flow import Flow, Worker, plain


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
    pushed = flow.push(plain(range(20_000), at=int(time.time())))
    flow.wait_drained()

    began = time.monotonic()
    assert web_worker.stop() == 0
    assert time.monotonic() - began < 5
    assert "Traceback" not in web_worker.log, web_worker.log
    assert "WARN" not in web_worker.log, web_worker.log
    flow.check_books(pushed)
