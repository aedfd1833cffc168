"""A whole worker with its pages: Faust's own are closed, and streams do not hold up its end."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from contextlib import ExitStack

import pytest

from tests.flow import Flow, Worker, plain

TOKEN = "planted-token-0123456789"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
FAUSTS = ("/router", "/router/", "/table", "/table/", "/tables/", "/graph", "/graph/", "/stats",
          "/stats/", "/performance/", "/docs/", "/agents/", "/assigned/")  # fmt: skip


def get(port: int, path: str, headers: dict[str, str]) -> int:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code


@pytest.fixture
def port() -> int:
    """A free port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        number: int = free.getsockname()[1]
    return number


def start(flow: Flow, port: int) -> Worker:
    """Start a worker on all addresses, with a token and all that it can log."""
    flow.env |= {"PEPI_WEB__TOKEN": TOKEN, "PEPI_WEB__BIND": "0.0.0.0"}
    worker = flow.worker("--web-port", str(port), "-l", "debug")
    worker.wait_claiming()
    return worker


def test_a_worker_stops_within_seconds_while_three_look(flow: Flow, port: int) -> None:
    worker = start(flow, port)
    pushed = flow.push(plain(range(100)))
    flow.wait_drained()
    with ExitStack() as stack:
        streams = []
        for _ in range(3):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", port), 10))
            request = f"GET /live/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
            sock.sendall(request.encode() + b"\r\n")
            stream = stack.enter_context(sock.makefile("rb"))
            while b"event: change" not in stream.readline():
                pass
            streams.append(stream)
        assert worker.stop(within=5) == 0
        for stream in streams:
            assert stream.read().endswith(b"\r\n0\r\n\r\n")
    assert TOKEN not in worker.log
    flow.check_books(pushed)


def test_fausts_own_pages_are_closed_and_everything_needs_the_token(flow: Flow, port: int) -> None:
    worker = start(flow, port)
    for path in FAUSTS:
        assert get(port, path, BEARER) == 404
        assert get(port, path, {}) == 401
    for path in ("/", "/live", "/live/", "/live/snapshot"):
        assert get(port, path, BEARER) == 200
        assert get(port, path, {}) == 401
    for path in ("/healthz", "/readyz", "/live/login"):
        assert get(port, path, {}) == 200
    assert worker.stop() == 0
    assert TOKEN not in worker.log
    assert worker.log.count("wrong token") == 0
