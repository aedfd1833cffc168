"""Transient, poison, fatal: each kind of error on a real worker, with its line and exit code."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
import redis

from pepi_stream.local.servers import MariaDBServer, RedisServer
from tests.faults import (
    FATAL_MYSQL,
    FATAL_REDIS,
    PASSWORD,
    TRANSIENT_MYSQL,
    TRANSIENT_REDIS,
    Fatal,
    Stage,
    Transient,
    paused,
)
from tests.flow import QUEUE, MakeFlow, Worker, plain, wait_for

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

    def warnings() -> list[str]:
        lines = worker.log[before:].splitlines()
        return [line for line in lines if "WARNING" in line]

    with fault.lasting(stage, worker):
        wait_for(lambda: bool(re.search(fault.says, worker.log[before:])))
    stage.flow.wait_drained()
    assert len(warnings()) == 1, name
    assert re.search(fault.says, worker.log[before:]), name  # at the latest in a line of a try
    assert worker.process.poll() is None, name
    new = worker.log[before:]
    assert "CRITICAL" not in new, name
    assert "Traceback" not in new, name
    assert new.count(" works again, after ") == 1, name


@pytest.mark.parametrize("faults", [TRANSIENT_MYSQL, TRANSIENT_REDIS], ids=["mysql", "redis"])
def test_a_worker_outlives_what_passes(stage: Stage, faults: dict[str, Transient]) -> None:
    worker = stage.flow.worker("--without-web", "-l", "debug")
    stage.push(20_000)
    stage.flow.wait_drained()
    memory = worker.rss_mb()
    for name, fault in faults.items():
        survives(stage, worker, name, fault)
    assert worker.rss_mb() - memory < 20
    assert worker.stop() == 0
    assert stage.flow.rows() == stage.pushed
    stage.flow.check_books(stage.pushed)


class SlowRedis(RedisServer):
    """A Redis that takes a tenth of a millisecond for each command that it loads."""

    def _command(self) -> list[str]:
        return [*super()._command(), "--key-load-delay", "100"]


def test_a_worker_waits_for_a_redis_that_loads_and_drains_one_that_is_full(
    make_flow: MakeFlow, tmp_path: Path, database_url: str
) -> None:
    with SlowRedis(tmp_path / "redis") as server:
        flow = make_flow(server.url, database_url, **SETTINGS)
        flow.make_tables()
        pipe = flow.redis.pipeline(transaction=False)
        for payload in plain(range(20_000)):
            pipe.rpush(QUEUE, payload)
        pipe.execute()
        server.kill()
        worker = flow.worker("--without-web", "-l", "debug")
        wait_for(lambda: "; trying on" in worker.log)
        server.start()
        flow.wait_drained()
        assert "Redis says: Redis is loading the dataset in memory (try " in worker.log
        with paused(worker):
            flow.push(plain(range(20_000, 22_000)))
            flow.redis.config_set("maxmemory", 1)
        flow.wait_drained()
        with pytest.raises(redis.OutOfMemoryError):
            flow.push(plain([22_000]))
        flow.redis.config_set("maxmemory", 0)
        pushed = 22_000 + flow.push(plain(range(22_000, 22_500)))
        flow.wait_drained()
        assert worker.process.poll() is None
        assert flow.rows() == pushed
        flow.check_books(pushed)


POISON: dict[str, tuple[dict[str, object], str]] = {
    "too long": (
        {"campaign": "c" * 256},
        "MySQL error 1406: Data too long for column 'campaign' at row 1",
    ),
    "out of range": (
        {"id": 70_000},
        "MySQL error 1264: Out of range value for column 'number' at row 1",
    ),
    "no number": (
        {"id": "x7"},
        "MySQL error 1366: Incorrect integer value: 'x7' for column",
    ),
    "NULL": (
        {"email": None},
        "MySQL error 1048: Column 'recipient' cannot be null",
    ),
    "CHECK": (
        {"url": "ftp://a.example"},
        "MySQL error 4025: CONSTRAINT `web` failed for",
    ),
    "unique index": (
        {"event_uid": "unique 1"},
        "MySQL error 1062: Duplicate entry 'unique 1' for key",
    ),
    "division by zero": (
        {"reason": "0"},
        "MySQL error 1365: Division by 0",
    ),
    "a trigger of the user's": (
        {"campaign": "signal"},
        "MySQL error 1644: not this campaign",
    ),
}


def test_what_mysql_refuses_is_a_dead_letter_with_its_words_and_the_rest_are_rows(
    make_flow: MakeFlow, redis_url: str, database_url: str
) -> None:
    columns: list[object] = ["seq", "event_name", "recipient", "mailbox_provider", "campaign"]
    columns += ["occurred_at", "url", "event_uid", "reason"]
    columns += [{"name": "number", "value": "id", "type": "SMALLINT UNSIGNED NOT NULL"}]
    flow = make_flow(redis_url, database_url, PEPI_SINK__COLUMNS=json.dumps(columns))
    flow.make_tables()
    flow.sql(
        "ALTER TABLE pepi_event MODIFY recipient VARCHAR(320) NOT NULL, ADD UNIQUE (event_uid), "
        "ADD CONSTRAINT web CHECK (url LIKE 'http%'), "
        "ADD share INT AS (100 DIV CAST(reason AS INT)) STORED"
    )
    flow.sql(
        "CREATE TRIGGER campaigns BEFORE INSERT ON pepi_event FOR EACH ROW "
        "IF NEW.campaign = 'signal' THEN "
        "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not this campaign'; END IF"
    )
    good = [json.loads(payload) for payload in plain(range(200))]
    for record in good:
        record["event_uid"] = f"unique {record['id']}"
    bad = [good[0] | {"event_uid": f"bad {k}"} | fields for k, (fields, _) in POISON.items()]
    records = list(good)
    for i, record in enumerate(bad):
        records.insert(20 * (i + 1), record)
    payloads = [json.dumps(record).encode() for record in records]
    pushed = flow.push(payloads)
    worker = flow.worker()
    flow.wait_drained()
    assert worker.process.poll() is None
    assert "CRITICAL" not in worker.log
    letters = flow.sql("SELECT payload, reason FROM pepi_dead_letter ORDER BY position")
    assert [bytes(payload) for payload, _ in letters] == [json.dumps(r).encode() for r in bad]
    for (_, reason), (kind, (_, says)) in zip(letters, POISON.items(), strict=True):
        assert reason.startswith(says), kind
    assert [n for (n,) in flow.sql("SELECT number FROM pepi_event ORDER BY number")] == list(
        range(200)
    )
    flow.check_books(pushed)


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
