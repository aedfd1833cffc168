"""Payloads and arguments that servers and libraries quote are in no log, probe or command's output.

A dead letter's reason may quote the payload that it lies beside; `peek` shows payloads on purpose,
but nothing in them does anything to a terminal.
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flow import Flow, MakeFlow, wait_for

MARKER = "PLANTED"
ESCAPE = "\x1b]0;PLANTED\x07\u202e\n2026 [CRITICAL] PLANTED"
EXTENSION = """
import asyncio

async def never_awaited_by_anybody(text):
    raise ValueError(text)

def enrich(batch):
    recipients = batch.column("recipient")
    asyncio.ensure_future(never_awaited_by_anybody(str(recipients)))
    asyncio.get_running_loop().call_soon(int, str(recipients))
    if any("raise" in str(r) for r in recipients):
        try:
            {}[recipients[0]]
        except KeyError as exc:
            raise ValueError(recipients) from exc
    return {}
"""


class EchoingRedis:
    """Refuses all that it is told, and repeats it, as Redis and proxies do."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        # A blocked accept() is woken by this, and not by a close.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            while said := client.recv(65536):
                # One command or several: each gets the whole of it.
                words = b" ".join(w for w in said.split(b"\r\n") if w[:1] not in (b"*", b"$"))
                refusal = b"-ERR unknown command, with args beginning with: " + words + b"\r\n"
                client.sendall(refusal * sum(w[:1] == b"*" for w in said.split(b"\r\n")))


@pytest.fixture
def echoing() -> Iterator[EchoingRedis]:
    server = EchoingRedis()
    yield server
    server.close()


def test_a_redis_that_repeats_what_it_is_told(flow: Flow, echoing: EchoingRedis) -> None:
    flow.env["REDIS_URL"] = f"redis://u:{MARKER}@127.0.0.1:{echoing.port}/0"
    worker = flow.worker("--without-web", "-l", "debug")
    done = flow.commands(("check",), ("peek",), ("simulate", "--count", "5"), ("migrate",))
    assert worker.process.wait(30) == 70, worker.log
    assert "unknown command" not in worker.log
    for text in (worker.log, *(d.stdout + d.stderr for d in done)):
        assert MARKER not in text
        assert "example" not in text  # of simulated recipients
    assert [d.returncode for d in done] == [1, 70, 70, 0]


def event(number: int, **fields: object) -> bytes:
    record = {"id": number, "event_name": "sent", "ts": 1_700_000_000 + number, **fields}
    return json.dumps(record).encode()


PAYLOADS = [
    event(1, email=f"{MARKER}@a.example", url=f"u {MARKER}"),
    event(2, email="twice@a.example", url=f"u {MARKER}"),  # a duplicate key
    event(3, email=f"raise-{MARKER}@a.example"),
    event(4, campaign=ESCAPE, email=f"signal-{MARKER}@a.example"),
    event(5, campaign=MARKER * 100),  # too long
    event(6, ts=MARKER),
    event(7, event_name=[MARKER]),
    MARKER.encode(),
    b'{"PLANTED\x1b[2J": ' + b"\xff" + ESCAPE.encode(),
    json.dumps({ESCAPE: 1}).encode(),
    b"[" * 2000,
]


@pytest.mark.parametrize("on_error", ["dead_letter", "skip"])
def test_payloads_that_make_everything_complain(
    make_flow: MakeFlow, redis_url: str, database_url: str, tmp_path: Path, on_error: str
) -> None:
    (tmp_path / "complaining.py").write_text(EXTENSION)
    flow = make_flow(
        redis_url,
        database_url,
        PYTHONPATH=str(tmp_path),
        PEPI_ENRICH__ENRICHERS='["mailbox_provider", "complaining:enrich"]',
        PEPI_ENRICH__ON_ERROR=on_error,
    )
    flow.make_tables()
    flow.sql("ALTER TABLE pepi_event ADD UNIQUE (url(100))")
    flow.sql(
        "CREATE TRIGGER t BEFORE INSERT ON pepi_event FOR EACH ROW "
        "IF NEW.recipient LIKE 'signal%' THEN "
        "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'PLANTED by a trigger'; END IF"
    )
    pushed = flow.push(PAYLOADS)
    peek, peek_json = flow.commands(("peek", "--count", "20"), ("peek", "--count", "20", "--json"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    worker = flow.worker("--web-port", str(port), "-l", "debug")
    flow.wait_drained()
    worker.process.send_signal(signal.SIGUSR1)
    wait_for(lambda: "stacks of process" in worker.log)
    probes = [page(port, path) for path in ("/readyz", "/healthz", "/metrics")]
    done = flow.commands(("check",), ("migrate",))
    assert worker.stop() == 0
    flow.check_books(pushed)
    assert "Traceback" in worker.log
    assert "asyncio: Task exception was never retrieved" in worker.log
    assert "asyncio: Exception in callback" in worker.log
    for text in (worker.log, *probes, *(d.stdout + d.stderr for d in done)):
        assert MARKER not in text
        assert unprintable(text) == set()
    for text in (peek.stdout, peek_json.stdout, peek.stderr, peek_json.stderr):
        assert unprintable(text) == set()
    reasons = [reason for (reason,) in flow.sql("SELECT reason FROM pepi_dead_letter")]
    assert any(MARKER in reason for reason in reasons)
    assert unprintable("".join(reasons)) == set()


def unprintable(text: str) -> set[str]:
    return {c for c in text if not c.isprintable()} - {"\n"}


def page(port: int, path: str) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.read().decode()
