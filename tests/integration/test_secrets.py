"""Planted passwords are in nothing that can be seen: logs, tracebacks, output, pages, `ps`.

Each password holds characters that have to be percent-encoded, and words of plain letters before
and after each, which every spelling of it (raw, encoded, quoted, cut at an @) would still hold.
"""

from __future__ import annotations

import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from pepi_stream.local.servers import MariaDBServer, RedisServer
from tests.flow import Flow, MakeFlow, Worker, plain, wait_for
from tests.mysql_admin import administer

WORDS = ("PLANTEDONE", "PLANTEDTWO", "PLANTEDTHREE")
REDIS_PASSWORD = "PLANTEDONE/@:%PLANTEDTWO#?€PLANTEDTHREE-redis"
MYSQL_PASSWORD = "PLANTEDONE:/@%PLANTEDTWO?#€PLANTEDTHREE-mysql"
PATHS = [
    *("/", "/healthz", "/readyz", "/metrics", "/live/", "/live/snapshot", "/live/events"),
    *("/graph", "/graph/", "/stats", "/stats/", "/table/", "/table/x/", "/tables/"),
    *("/router/", "/router/topics", "/router/x/", "/performance", "/performance/", "/assigned/"),
    *("/no/such/page", "/static/", "/agents/", "/schedule/", "/docs/"),
]
EXTENSION = """
import os

class Panic(BaseException):
    pass

def enrich(batch):
    try:
        raise ValueError("first")
    except ValueError as exc:
        raise Panic("second") from exc
"""


@pytest.fixture
def planted(make_flow: MakeFlow, own_redis: RedisServer, own_mariadb: MariaDBServer) -> Flow:
    """A migrated flow whose two users have the planted passwords; it is watched over sockets."""
    flow = make_flow(own_redis.url, own_mariadb.url)
    flow.make_tables()
    flow.redis.acl_setuser(
        "planted",
        enabled=True,
        passwords=[f"+{REDIS_PASSWORD}"],
        keys=["*"],
        channels=["*"],
        commands=["+@all"],
    )
    administer(
        own_mariadb,
        f"CREATE USER 'planted'@'%' IDENTIFIED BY '{MYSQL_PASSWORD}'",
        "GRANT ALL PRIVILEGES ON pepi.* TO 'planted'@'%'",
    )
    flow.env |= urls(own_redis.port, own_mariadb.port)
    return flow


def urls(redis_port: int, mysql_port: int, *, wrong: str = "") -> dict[str, str]:
    redis_password, mysql_password = quote(REDIS_PASSWORD, safe=""), quote(MYSQL_PASSWORD, safe="")
    return {
        "REDIS_URL": f"redis://planted:{redis_password}{wrong}@127.0.0.1:{redis_port}/0",
        "DATABASE_URL": f"mysql://planted:{mysql_password}{wrong}@127.0.0.1:{mysql_port}/pepi",
    }


def assert_clean(text: str, where: str) -> None:
    for line in text.splitlines():
        assert not any(word in line.upper() for word in WORDS), f"{where}: {line}"


def debugging(flow: Flow, *args: str) -> Worker:
    """Start a worker that logs all it can."""
    return flow.worker(*(args or ("--without-web",)), "-l", "debug")


def each_alone(flow: Flow, wrong: dict[str, str]) -> dict[str, Worker]:
    """Start a worker with each of the wrong URLs; the other one is right."""
    good, workers = flow.env, {}
    for name, url in wrong.items():
        flow.env = good | {name: url}
        workers[name] = debugging(flow)
    return workers


def page(port: int, path: str) -> Iterator[str]:
    """Yield all that the worker answers: status, headers, body."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            yield from (str(answer.status), str(answer.headers))
            # A stream has no end; its first message has all there is.
            events = answer.headers.get_content_type() == "text/event-stream"
            lines = [answer.readline() for _ in range(5)] if events else [answer.read()]
            yield b"".join(lines).decode()
    except urllib.error.HTTPError as refusal:
        with refusal:
            yield from (str(refusal.code), str(refusal.headers), refusal.read().decode())


def test_a_good_start_at_debug_level_and_every_page(planted: Flow, own_redis: RedisServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    worker = debugging(planted, "--web-port", str(port))
    pushed = planted.push([*plain(range(100)), b"no JSON"])
    worker.wait_claiming()
    planted.wait_drained()
    assert "[DEBUG]" in worker.log
    command_line = Path(f"/proc/{worker.process.pid}/cmdline").read_text()
    assert_clean(command_line, "ps")
    for path in PATHS:
        for part in page(port, path):
            assert_clean(part, path)
    assert next(page(port, "/live/snapshot")) == "200"
    worker.process.send_signal(signal.SIGUSR1)  # Faust then logs what every task is doing
    planted.check_books(pushed)
    own_redis.stop()
    for path in ("/live/", "/live/snapshot"):
        for part in page(port, path):
            assert_clean(part, path)
    wait_for(lambda: "; trying on" in worker.log)
    worker.stop()
    assert_clean(worker.log, "log")


def test_wrong_passwords(planted: Flow, own_redis: RedisServer, own_mariadb: MariaDBServer) -> None:
    good, wrong = dict(planted.env), urls(own_redis.port, own_mariadb.port, wrong="x")
    for name, worker in each_alone(planted, wrong).items():
        assert worker.process.wait(30) == 70
        assert name in worker.log
        assert_clean(worker.log, f"log, {name}")
    planted.env = good | wrong
    run_commands(planted, code=70)


def test_unreachable_servers(planted: Flow) -> None:
    good, nowhere = dict(planted.env), urls(1, 1)
    for name, worker in each_alone(planted, nowhere).items():
        wait_for(lambda worker=worker: "; trying on" in worker.log)  # type: ignore[misc]
        assert worker.stop() == 0
        assert_clean(worker.log, f"log, {name}")
    planted.env = good | nowhere
    run_commands(planted, code=75)


def test_commands_that_succeed(planted: Flow) -> None:
    run_commands(planted, code=0)


def run_commands(flow: Flow, *, code: int) -> None:
    """Run every command; ``code`` is what `migrate` and `simulate` should exit with."""
    expected = {
        ("check",): 1 if code else 0,
        ("migrate",): code,
        ("migrate", "--dry-run"): 0,
        ("simulate", "--rate", "0", "--count", "5"): code,
        ("agents",): 0,
        ("tables",): 0,
    }
    for args, done in zip(expected, flow.commands(*expected), strict=True):
        assert done.returncode == expected[args], done.stdout + done.stderr
        assert_clean(done.stdout + done.stderr, " ".join(args))


def test_a_bug_in_an_extension(
    planted: Flow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "buggy.py").write_text(EXTENSION)
    planted.env |= {"PYTHONPATH": str(tmp_path), "PEPI_ENRICH__ENRICHERS": '["buggy:enrich"]'}
    planted.push(plain(range(10)))
    worker = debugging(planted)
    assert worker.process.wait(30) == 1
    assert "Traceback" in worker.log
    assert "direct cause" in worker.log
    assert_clean(worker.log, "log")


def test_urls_that_are_wrong(planted: Flow) -> None:
    """Not percent-encoded, or with parameters that nobody knows."""
    good = dict(planted.env)
    for name, url in {
        "REDIS_URL": f"redis://planted:{REDIS_PASSWORD}@127.0.0.1:1/0",
        "DATABASE_URL": f"mysql://planted:{MYSQL_PASSWORD}@127.0.0.1:1/pepi",
    }.items():
        for wrong in (url, f"{good[name]}?password=PLANTEDONE&ssl_x=PLANTEDTWO"):
            planted.env = good | {name: wrong}
            for done in planted.commands(("check",), ("worker", "--without-web")):
                assert done.returncode == 78, done.stdout + done.stderr
                assert_clean(done.stdout + done.stderr, name)
