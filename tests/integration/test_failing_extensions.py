"""Records that kill workers, extensions that raise: no claim is harmed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flow import QUEUE, Flow, MakeFlow, plain, wait_for

EXTENSION = """
import os
import time
from pathlib import Path
from pepi_stream.formats import FormatError
from pepi_stream.formats.plain import PlainFormat

class Deadly(PlainFormat):
    name = "deadly"
    def decode(self, payloads):
        if any(b"bomb" in payload for payload in payloads):
            os._exit(9)
        return super().decode(payloads)

def deadly(batch):
    if b"bomb" in [c.encode() for c in batch.column("campaign")]:
        os._exit(9)
    return ["x"] * len(batch)

def touchy(batch):
    if "touchy" in batch.column("campaign"):
        raise RuntimeError("cannot look at this campaign")
    return {}

def stalling(batch):
    here = Path(__file__).parent
    try:
        (here / "stalled").touch(exist_ok=False)  # by the first worker that gets here
    except FileExistsError:
        return {}
    while not (here / "go").exists():
        time.sleep(0.01)
    return {}

def unwritable(batch):
    return [object() if c == "unwritable" else "x" for c in batch.column("campaign")]

def timeless(batch):
    return {"occurred_at": [
        "never" if c == "timeless" else ms
        for c, ms in zip(batch.column("campaign"), batch.column("occurred_at"))
    ]}
"""


@pytest.fixture
def extended(
    make_flow: MakeFlow,
    redis_url: str,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[MakeFlow]:
    """Make migrated flows that can import the extension above as ``my_extension``."""
    (tmp_path / "my_extension.py").write_text(EXTENSION)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)  # the tables may have a column of it

    def make(**settings: str) -> Flow:
        flow = make_flow(redis_url, database_url, **settings)
        flow.make_tables()
        return flow

    yield make
    sys.modules.pop("my_extension", None)


def expire_leases(flow: Flow) -> None:
    """Let every lease have run out."""
    for claim_id in flow.claimed():
        flow.redis.zadd(f"{{{QUEUE}}}:claims", {claim_id: 0})


def test_a_record_that_kills_workers_is_found_and_its_neighbours_are_rows(
    extended: MakeFlow,
) -> None:
    flow = extended(
        PEPI_SOURCE__FORMAT="my_extension:Deadly",
        PEPI_SOURCE__MAX_DELIVERIES="1",
        PEPI_SOURCE__RECOVER_SECONDS="0.1",
    )
    payloads = list(plain(range(50)))
    payloads.insert(20, b"bomb 1")
    payloads.insert(40, b"bomb 2")
    pushed = flow.push(payloads)
    for _ in range(5):  # the whole claim, then each bomb twice: one death is no proof
        worker = flow.worker()
        assert worker.process.wait(30) == 9
        expire_leases(flow)
    survivor = flow.worker()
    flow.wait_drained()
    assert survivor.stop() == 0
    assert flow.rows() == 50
    letters = flow.sql("SELECT payload, reason FROM pepi_dead_letter ORDER BY position")
    assert [bytes(raw) for raw, _ in letters] == [b"bomb 1", b"bomb 2"]
    assert all("workers died over this record" in reason for _, reason in letters)
    flow.check_books(pushed)


def test_a_record_that_kills_workers_in_a_column_is_found_too(extended: MakeFlow) -> None:
    flow = extended(
        PEPI_SOURCE__MAX_DELIVERIES="1",
        PEPI_SOURCE__RECOVER_SECONDS="0.1",
        PEPI_SINK__COLUMNS='["seq", "id", "event_name", "campaign", "occurred_at", '
        '"mailbox_provider", {"name": "own", "value": "my_extension:deadly", '
        '"type": "VARCHAR(9)"}]',
    )
    bomb = b'{"id": 9, "event_name": "sent", "campaign": "bomb", "ts": 1}'
    pushed = flow.push([*plain(range(10)), bomb, *plain(range(10, 20))])
    for _ in range(3):  # the whole claim, and the bomb alone, twice
        assert flow.worker().process.wait(30) == 9
        expire_leases(flow)
    survivor = flow.worker()
    flow.wait_drained()
    assert survivor.stop() == 0
    assert flow.rows() == 20
    assert flow.dead() == 1
    flow.check_books(pushed)


def test_a_batch_goes_on_without_an_enricher_that_raises(extended: MakeFlow) -> None:
    flow = extended(
        PEPI_ENRICH__ENRICHERS='["mailbox_provider", "my_extension:touchy", "machine"]',
        PEPI_ENRICH__ON_ERROR="skip",
    )
    touchy = b'{"id": 9, "event_name": "sent", "campaign": "touchy", "ts": 1}'
    pushed = flow.push([*plain(range(10)), touchy, *plain(range(10, 20))])
    worker = flow.worker()
    flow.wait_drained()
    assert worker.stop() == 0
    assert (flow.rows(), flow.dead()) == (21, 0)
    assert "enricher my_extension:touchy raised RuntimeError, twice" in worker.log
    flow.check_books(pushed)


def test_a_worker_whose_enricher_stalls_loses_its_claim_to_another_and_all_counts_once(
    extended: MakeFlow, tmp_path: Path
) -> None:
    flow = extended(
        PEPI_ENRICH__ENRICHERS='["mailbox_provider", "my_extension:stalling"]',
        PEPI_ENRICH__SLOW_SECONDS="0.01",
        PEPI_SOURCE__RECOVER_SECONDS="0.1",
    )
    pushed = flow.push(plain(range(50)))
    stalled = flow.worker()
    wait_for((tmp_path / "stalled").exists, 30)
    expire_leases(flow)
    heir = flow.worker()
    flow.wait_drained()
    (tmp_path / "go").touch()
    assert (stalled.stop(), heir.stop()) == (0, 0)
    assert (flow.rows(), flow.dead()) == (50, 0)
    assert "enricher my_extension:stalling took" in stalled.log
    flow.check_books(pushed)


@pytest.mark.parametrize(
    ("campaign", "settings", "says"),
    [
        (
            "touchy",
            {"PEPI_ENRICH__ENRICHERS": '["mailbox_provider", "my_extension:touchy"]'},
            "cannot look at this campaign",
        ),
        (
            "unwritable",
            {
                "PEPI_SINK__COLUMNS": '["seq", "id", "event_name", "campaign", "occurred_at", '
                '"mailbox_provider", {"name": "own", "value": "my_extension:unwritable", '
                '"type": "VARCHAR(9)"}]'
            },
            "type object cannot be written",
        ),
        (
            "timeless",
            {"PEPI_ENRICH__ENRICHERS": '["mailbox_provider", "my_extension:timeless"]'},
            "TypeError",
        ),
    ],
)
def test_an_extension_that_fails_on_one_record_costs_that_record(
    extended: MakeFlow, campaign: str, settings: dict[str, str], says: str
) -> None:
    flow = extended(**settings)
    bad = b'{"id": 9, "event_name": "sent", "campaign": "%s", "ts": 1}' % campaign.encode()
    pushed = flow.push([*plain(range(10)), bad, *plain(range(10, 20))])
    worker = flow.worker()
    flow.wait_drained()
    assert worker.stop() == 0
    assert flow.rows() == 20
    [(raw, reason)] = flow.sql("SELECT payload, reason FROM pepi_dead_letter")
    assert bytes(raw) == bad
    assert says in reason
    flow.check_books(pushed)
