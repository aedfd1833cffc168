"""The live state inside real workers."""

from __future__ import annotations

import socket
import time

import pytest

from tests.flow import Flow, Worker, plain, wait_for

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
