"""A long list of records of which every hundredth is poison that only MySQL sees.

100,000 records here; `POISON_RECORDS=1000000 make test PYTEST_ARGS="-k at_scale"` takes a million.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest

from tests.flow import MakeFlow
from tests.sinking import Database, Statements, database, event

RECORDS = int(os.environ.get("POISON_RECORDS", "100000"))
LONG = b"c" * 256  # one character more than pepi_event.campaign holds


@pytest.fixture(params=["true", "false"], ids=["bulk", "text"])
async def db(database_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    async with database(database_url, PEPI_SINK__BULK=request.param) as opened:
        yield opened


def record(number: int) -> bytes:
    campaign = LONG if number % 100 == 50 else b"c%d" % (number % 7)
    return b'{"id":%d,"event":"sent","ts":%d,"campaign":"%s"}' % (
        number,
        1_700_000_000 + number // 1000,
        campaign,
    )


@pytest.mark.parametrize(
    ("claim_max", "growth"),
    # A worker's memory goes with what it claims at once, not with what is queued. Measured, in
    # MiB: 22, and 630 for a claim of a million.
    [(1000, 100), (RECORDS, 100 + RECORDS // 1000)],
    ids=["claims of 1,000", "one claim"],
)
def test_every_hundredth_record_of_a_long_list_is_poison(
    make_flow: MakeFlow, redis_url: str, database_url: str, claim_max: int, growth: float
) -> None:
    flow = make_flow(
        redis_url,
        database_url,
        PEPI_SOURCE__CLAIM_MAX=str(claim_max),
        PEPI_SOURCE__CLAIM_MAX_BYTES=str(512 << 20),
        PEPI_REDIS__TIMEOUT_SECONDS="60",
    )
    flow.make_tables()
    pushed = flow.push(map(record, range(RECORDS)))
    worker = flow.worker()
    worker.wait_claiming()
    before = worker.rss_mb()
    flow.wait_drained(60 + RECORDS / 2000)
    assert worker.peak_mb() - before < growth
    assert worker.stop() == 0
    assert flow.sql("SELECT COUNT(*) FROM pepi_claim") == [(-(-RECORDS // claim_max),)]
    assert (flow.rows(), flow.dead()) == (RECORDS - RECORDS // 100, RECORDS // 100)
    letters = flow.sql("SELECT payload, reason FROM pepi_dead_letter")
    assert {bytes(raw) for raw, _ in letters} == {record(n) for n in range(50, RECORDS, 100)}
    assert {reason for _, reason in letters} == {
        "MySQL error 1406: Data too long for column 'campaign' at row 1"
    }
    flow.check_books(pushed)


async def test_it_costs_three_statements_a_poison_row(db: Database) -> None:
    payloads = [event(n, TAGS="c" * 256) if n % 100 == 50 else event(n) for n in range(10_000)]
    transaction = await db.transaction()
    statements = Statements(transaction.conn)
    rendered = db.rendered(payloads)
    outcome = await transaction.write([rendered])
    assert (outcome.rows, outcome.dead) == (9900, 100)
    inserts = statements.starting("INSERT INTO `pepi_event`")
    assert len(inserts) <= 3 * 100 + 10  # bisection alone took 1,545
    # What is sent again, is so a few times and not at every level.
    assert sum(map(len, inserts)) < 4 * sum(map(len, rendered.rows()))


@pytest.mark.parametrize("row", [1, 4000, 10**9])
async def test_a_message_that_names_the_wrong_row_costs_little(db: Database, row: int) -> None:
    """As a trigger's own does: it tells of another statement's row."""
    await db.query(
        "CREATE TRIGGER no_2500 BEFORE INSERT ON pepi_event FOR EACH ROW IF NEW.id = '2500' THEN "
        f"SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'Data too long for column x at row {row}'; "
        "END IF"
    )
    transaction = await db.transaction()
    statements = Statements(transaction.conn)
    outcome = await transaction.write([db.rendered([event(n) for n in range(4096)])])
    assert (outcome.rows, outcome.dead) == (4095, 1)
    assert [letter[0] for letter in await db.dead()] == [2500]
    assert len(statements.starting("INSERT INTO `pepi_event`")) <= 3 + 2 * 12
    assert await db.value("SELECT COUNT(DISTINCT id) FROM pepi_event") == 4095
