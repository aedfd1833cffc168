"""Real workers on real servers: drains, crashes, stops; the books balance after each."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

from pepi_stream.local.servers import MariaDBServer, RedisServer
from tests.flow import Flow, MakeFlow, plain, wait_for

ROOT = Path(__file__).parents[2]


def test_one_worker_drains_and_stops_clean(flow: Flow) -> None:
    pushed = flow.push(plain(range(20_000)))
    worker = flow.worker()
    flow.wait_drained()
    assert worker.stop() == 0
    assert flow.rows() == pushed
    flow.check_books(pushed)


def test_three_workers_one_killed_mid_drain(flow: Flow) -> None:
    """P1 to P3 over a SIGKILL: each id once, and the other workers take the claims over."""
    pushed = 300_000
    workers = [flow.worker() for _ in range(3)]
    for worker in workers:
        worker.wait_claiming()
    flow.push(plain(range(pushed)))
    # Stopped while it holds claims, then killed: its claims are certainly open.
    victim = workers[0]

    def stopped_with_claims() -> bool:
        victim.process.send_signal(signal.SIGSTOP)
        if len(flow.claimed()) >= 1 and flow.queued() < pushed - 50_000:
            return True
        victim.process.send_signal(signal.SIGCONT)
        return False

    wait_for(stopped_with_claims)
    victim.kill()
    flow.wait_drained(120)
    assert [worker.stop() for worker in workers[1:]] == [0, 0]
    assert flow.sql(
        "SELECT COUNT(*), COUNT(DISTINCT id), MIN(id + 0), MAX(id + 0) FROM pepi_event"
    ) == [(pushed, pushed, 0, pushed - 1)]
    flow.check_books(pushed)


def test_sigterm_mid_drain_releases_or_commits_every_claim(flow: Flow) -> None:
    pushed = flow.push(plain(range(100_000)))
    worker = flow.worker()
    wait_for(lambda: flow.queued() < pushed)
    assert worker.stop() == 0
    assert "stopped:" in worker.log
    flow.check_books(pushed)
    assert flow.claimed() == {}


def test_claims_that_cannot_be_committed_are_released_under_their_id(
    make_flow: MakeFlow, redis_url: str, own_mariadb: MariaDBServer
) -> None:
    flow = make_flow(redis_url, own_mariadb.url, PEPI_WORKER__DRAIN_SECONDS="0.5")
    flow.make_tables()
    worker = flow.worker()
    worker.wait_claiming()
    os.kill(own_mariadb.pid, signal.SIGSTOP)
    try:
        pushed = flow.push(plain(range(5_000)))
        wait_for(lambda: flow.queued() == 0)
        held = flow.claimed()
        # Half a second of drain, and a second or two of Faust's own.
        assert worker.stop(within=8) == 0
    finally:
        os.kill(own_mariadb.pid, signal.SIGCONT)
    assert flow.claimed() == held
    seconds, _ = flow.redis.time()
    deadlines = flow.redis.zrange("{pepi_queue}:claims", 0, -1, withscores=True)
    assert all(deadline <= (seconds + 1) * 1000 for _, deadline in deadlines)
    flow.worker()
    flow.wait_drained()
    flow.check_books(pushed)
    assert flow.rows() == pushed


def test_without_mysql_claims_and_memory_are_bounded_and_all_lands_after(
    make_flow: MakeFlow, redis_url: str, own_mariadb: MariaDBServer
) -> None:
    """P5: a MySQL that is away stops claiming, nothing else."""
    flow = make_flow(redis_url, own_mariadb.url, PEPI_SINK__RETRY_MAX_SECONDS="0.2")
    flow.make_tables()
    worker = flow.worker()
    flow.push(plain(range(50_000)))
    flow.wait_drained()
    before = worker.rss_mb()
    own_mariadb.stop()
    in_flight = flow.settings.source.max_in_flight
    pushed = 50_000 + flow.push(plain(range(50_000, 400_000)))
    wait_for(lambda: len(flow.claimed()) == in_flight)

    def tried_on() -> bool:
        assert len(flow.claimed()) <= in_flight
        return "; trying on" in worker.log

    wait_for(tried_on)
    assert worker.rss_mb() - before < 60  # the claims it holds, not the backlog of 350,000
    assert worker.process.poll() is None
    own_mariadb.start()
    flow.wait_drained()
    flow.check_books(pushed)
    assert flow.rows() == pushed
    assert worker.stop() == 0


def test_redis_restart_and_script_flush(
    make_flow: MakeFlow, own_redis: RedisServer, database_url: str
) -> None:
    flow = make_flow(
        own_redis.url,
        database_url,
        PEPI_SOURCE__LEASE_SECONDS="3",
        PEPI_SOURCE__RECOVER_SECONDS="0.2",
    )
    flow.make_tables()
    worker = flow.worker()
    worker.wait_claiming()
    pushed = flow.push(plain(range(30_000)))
    flow.redis.script_flush()
    own_redis.kill()
    own_redis.start()
    pushed += flow.push(plain(range(30_000, 60_000)))
    flow.wait_drained()
    assert worker.stop() == 0
    assert flow.rows() == pushed
    flow.check_books(pushed)


def test_honcho_runs_a_web_and_three_workers_on_one_queue(flow: Flow) -> None:
    """The Procfile, with four processes; the counts come out exact."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    pushed = flow.push(plain(range(60_000)))
    log = flow.directory / "honcho.log"
    with log.open("wb") as out:
        honcho = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "honcho",
                "start",
                "-p",
                str(port),
                "-c",
                "web=1,worker=3",
                *("web", "worker"),
            ],
            cwd=ROOT,
            env={**flow.env, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
    try:
        wait_for(lambda: log.read_text().count("draining the list") == 4)
        flow.wait_drained()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz") as answer:
            assert answer.read() == b"ok\n"
    finally:
        honcho.send_signal(signal.SIGTERM)
        honcho.wait(40)
    assert flow.rows() == pushed
    flow.check_books(pushed)


def test_an_event_arrives_soon_and_an_idle_worker_rests(flow: Flow) -> None:
    worker = flow.worker()
    worker.wait_claiming()
    for i in range(5):
        flow.push(plain([i]))
        wait_for(flow.drained, 2)
    ticks = os.sysconf("SC_CLK_TCK")

    def cpu_seconds() -> float:
        fields = Path(f"/proc/{worker.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / ticks

    # Idle for as long as twenty waits for a payload take; polling would take a third of that.
    calls = "cmdstat_blmove"
    start_calls = flow.redis.info("commandstats")[calls]["calls"]
    start_cpu, start_time = cpu_seconds(), flow.redis.time()[0]
    wait_for(lambda: flow.redis.info("commandstats")[calls]["calls"] >= start_calls + 20, 30)
    spent, passed = cpu_seconds() - start_cpu, flow.redis.time()[0] - start_time
    assert spent < max(0.05 * passed, 0.1)
    flow.check_books(5)
