"""Transient, poison, fatal: each kind of error on a real worker, with its line and exit code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from pepi_stream.local.servers import MariaDBServer
from tests.faults import (
    FATAL_MYSQL,
    FATAL_REDIS,
    PASSWORD,
    TRANSIENT_MYSQL,
    TRANSIENT_REDIS,
    Fatal,
    Stage,
    Transient,
)
from tests.flow import MakeFlow, Worker, wait_for

SETTINGS = {
    "PEPI_DATABASE__LOCK_WAIT_SECONDS": "1",
    "PEPI_SINK__RETRY_MAX_SECONDS": "0.05",
    "PEPI_SOURCE__RECOVER_SECONDS": "0.2",
    # Several claims of a push are on their way at the same time, over several connections.
    "PEPI_SOURCE__CLAIM_MAX": "100",
    "PEPI_SINK__MAX_ROWS": "200",
}


@pytest.fixture
def stage(
    make_flow: MakeFlow, redis_url: str, database_url: str, mariadb_server: MariaDBServer
) -> Iterator[Stage]:
    flow = make_flow(redis_url, database_url, **SETTINGS)
    flow.make_tables()
    stage = Stage(flow, mariadb_server)
    try:
        yield stage
    finally:
        flow.stop()
        stage.close()


def survives(stage: Stage, worker: Worker, name: str, fault: Transient) -> None:
    """Let a fault come and go: a warning, and then everything lands."""
    before = len(worker.log)

    def warnings(tries: int) -> list[str]:
        lines = worker.log[before:].splitlines()
        return [line for line in lines if "WARNING" in line and f"(try {tries};" in line]

    with fault.lasting(stage, worker):
        wait_for(lambda: len(warnings(fault.tries)) > 0)
    stage.flow.wait_drained()
    assert any(re.search(fault.says, line) for line in warnings(1) + warnings(10)), name
    assert len(warnings(1)) <= 1, name
    assert worker.process.poll() is None, name
    new = worker.log[before:]
    assert "CRITICAL" not in new, name
    assert "Traceback" not in new, name
    assert "takes flushes again" in new or "Redis answers again" in new, name


@pytest.mark.parametrize("faults", [TRANSIENT_MYSQL, TRANSIENT_REDIS], ids=["mysql", "redis"])
def test_a_worker_outlives_what_passes(stage: Stage, faults: dict[str, Transient]) -> None:
    stage.flow.env["PEPI_SINK__CONNECTIONS"] = "1"  # each would warn once
    worker = stage.flow.worker()
    stage.push(20_000)
    stage.flow.wait_drained()
    memory = worker.rss_mb()
    for name, fault in faults.items():
        survives(stage, worker, name, fault)
    assert worker.rss_mb() - memory < 20
    assert worker.stop() == 0
    assert stage.flow.rows() == stage.pushed
    stage.flow.check_books(stage.pushed)


def ends(worker: Worker, says: list[str]) -> None:
    """Wait until the worker has ended with exit code 70 and one line that says why."""
    assert worker.process.wait(15) == 70
    [line] = [line for line in worker.log.splitlines() if "CRITICAL" in line]
    assert re.search(".*".join(map(re.escape, says)), line), line
    assert "Traceback" not in worker.log
    assert PASSWORD not in worker.log


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(fault, id=f"{server}: {name}")
        for server, faults in (("mysql", FATAL_MYSQL), ("redis", FATAL_REDIS))
        for name, fault in faults.items()
    ],
)
def test_a_worker_ends_at_once_when_retrying_cannot_help(stage: Stage, fault: Fatal) -> None:
    flow = stage.flow
    # Long, so that a claim that was not released would not be taken over in time.
    flow.env["PEPI_SOURCE__LEASE_SECONDS"] = "300" if fault.released else "3"
    running = flow.worker()
    if fault.rows_first:
        stage.push()
        flow.wait_drained()
    running.wait_claiming()
    try:
        with stage.locked() if fault.held else nullcontext():
            if fault.held:
                stage.hold_claims()
            fault.make(stage)
            if not fault.held:
                stage.push()
            started = flow.worker()
            ends(running, fault.says)
            ends(started, fault.at_start or fault.says)
        if fault.released:
            assert stage.leases_ended()
    finally:
        fault.mend(stage)
    flow.worker()
    flow.wait_drained(20)
    assert flow.rows() == stage.pushed
    flow.check_books(stage.pushed)
