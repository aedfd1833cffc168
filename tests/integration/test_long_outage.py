"""A MySQL that cannot be reached for an hour: the worker neither dies nor grows, and all lands.

An hour at the default sink.retry_max_seconds (10 s, and on average half of that is waited) is some
650 tries. Here as many are made within seconds.
"""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pepi_stream.local.servers import MariaDBServer
from tests.flow import Flow, MakeFlow, Worker, plain, wait_for

SETTINGS = {
    "PEPI_SINK__CONNECTIONS": "1",  # so that the tries are those of one writer
    "PEPI_SINK__RETRY_MAX_SECONDS": "0.05",
    "PEPI_SOURCE__LEASE_SECONDS": "3",
}
BEFORE, DURING = 5_000, 60_000


class Size(NamedTuple):
    """What could grow: memory in MiB, open files, lines of log."""

    memory: float
    files: int
    lines: int


def size(worker: Worker) -> Size:
    files = Path(f"/proc/{worker.process.pid}/fd")
    lines = sum("DEBUG" not in line for line in worker.log.splitlines())
    return Size(worker.rss_mb(), len(list(files.iterdir())), lines)


def running(flow: Flow) -> Worker:
    """A worker that has written rows, so that it has its connections and caches."""
    flow.make_tables()
    worker = flow.worker("--without-web", "-l", "debug")  # which counts the tries
    flow.push(plain(range(BEFORE)))
    flow.wait_drained()
    return worker


def wait_for_try(worker: Worker, number: int) -> Size:
    wait_for(lambda: f"(try {number})" in worker.log, 60)
    return size(worker)


def check(flow: Flow, worker: Worker, early: Size, late: Size) -> None:
    """All lands, and between the two sizes hardly anything has grown."""
    flow.wait_drained()
    assert worker.process.poll() is None
    assert flow.rows() == BEFORE + DURING
    flow.check_books(BEFORE + DURING)
    # Each failure is about 10 KiB of cyclic garbage, which is collected after some 900 of them.
    assert late.memory - early.memory < 10
    assert abs(late.files - early.files) <= 2
    assert late.lines - early.lines <= 2
    assert "lost the lease" not in worker.log
    assert "MySQL works again, after " in worker.log
    assert worker.stop() == 0


def test_an_hour_without_mysql(
    make_flow: MakeFlow,
    redis_url: str,
    database_url: str,
    own_mariadb: MariaDBServer,
    mariadb_server: MariaDBServer,
) -> None:
    """One server is down; the other accepts connections and never answers, as a hung host does."""
    down = make_flow(redis_url, own_mariadb.url, **SETTINGS)
    hung = make_flow(
        redis_url.replace("db=0", "db=1"),
        database_url,
        PEPI_DATABASE__TIMEOUT_SECONDS="0.1",
        **SETTINGS,
    )
    # Over TCP: a Unix socket refuses at once when too many connections wait to be accepted.
    name = hung.settings.database.connect_args()["db"]
    hung.env["DATABASE_URL"] = mariadb_server.tcp_url.removesuffix("pepi") + name
    of_down, of_hung = running(down), running(hung)
    for (connection,) in hung.sql(
        "SELECT ID FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() "
        "AND DB = DATABASE()"
    ):
        hung.sql(f"KILL {connection}")
    own_mariadb.stop()
    os.kill(mariadb_server.pid, signal.SIGSTOP)
    try:
        for flow in (down, hung):
            flow.push(plain(range(BEFORE, BEFORE + DURING)))
        for flow in (down, hung):
            wait_for(partial(holds_all_it_may, flow))
        early_hung, early_down = wait_for_try(of_hung, 10), wait_for_try(of_down, 100)
        late_down, late_hung = wait_for_try(of_down, 700), wait_for_try(of_hung, 100)
        assert holds_all_it_may(down)
        assert holds_all_it_may(hung)
    finally:
        os.kill(mariadb_server.pid, signal.SIGCONT)
    own_mariadb.start()
    check(down, of_down, early_down, late_down)
    check(hung, of_hung, early_hung, late_hung)


def holds_all_it_may(flow: Flow) -> bool:
    return len(flow.claimed()) == flow.settings.source.max_in_flight
