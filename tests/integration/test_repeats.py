"""`sink.dedupe`: a repeat takes no effect, whoever writes it, and nothing else is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from random import Random
from typing import Any

import pytest

from pepi_stream.errors import TransientError
from pepi_stream.events import Event
from pepi_stream.local.servers import MariaDBServer
from pepi_stream.sink import Sink
from pepi_stream.sink.repeats import uid_hash
from pepi_stream.sink.transaction import Transaction
from tests.flow import MakeFlow
from tests.sinking import Database, Statements, database, event, global_variable, intercept

LONG = "c" * 256


def speaking(payload: bytes) -> Iterable[Event]:
    """A user's format: ``uid number campaign``, and - for no uid."""
    uid, number, campaign = payload.decode().split()
    yield Event(
        event_name="sent",
        id=number,
        campaign=campaign,
        occurred_at=1_700_000_000_000 + int(number) % 3 * 60_000,
        event_uid=None if uid == "-" else uid,
    )


ENVIRON = {"PEPI_SINK__DEDUPE": "event_uid", "PEPI_SOURCE__FORMAT": f"{__name__}:speaking"}


@pytest.fixture(params=["true", "false"], ids=["bulk", "text"])
async def db(database_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    async with database(database_url, **ENVIRON, PEPI_SINK__BULK=request.param) as opened:
        yield opened


def say(*events: str) -> list[bytes]:
    return [event.encode() for event in events]


async def transaction_of(db: Database) -> Transaction:
    transaction = await db.transaction()
    transaction.conn.bulk = db.settings.sink.bulk
    return transaction


async def seen(db: Database) -> int:
    return int(await db.value("SELECT COUNT(*) FROM pepi_seen"))


async def test_an_event_takes_effect_once_within_a_claim_a_flush_and_later(db: Database) -> None:
    transaction = await transaction_of(db)
    flush = [
        db.rendered(say("a 1 x", "b 2 x", "a 3 x", "- 4 x", "- 5 x")),
        db.rendered(say("b 6 x", "c 7 x")),
    ]
    first = await transaction.write(flush)
    assert (first.rows, first.repeats, len(first.committed)) == (5, 2, 2)
    second = await transaction.write([db.rendered(say("c 8 x", "d 9 x", "- 10 x"))])
    assert (second.rows, second.repeats) == (2, 1)
    assert await db.ids() == sorted(["1", "2", "4", "5", "7", "9", "10"])
    assert sum(second.counts["minute"].values()) == 2
    assert await seen(db) == 4
    # A claim that has taken effect is none that is seen again.
    again = await transaction.write(flush)
    assert (again.rows, again.repeats, len(again.repeated)) == (0, 0, 2)


async def test_a_claim_of_repeats_alone_is_acked(db: Database) -> None:
    transaction = await transaction_of(db)
    await transaction.write([db.rendered(say("a 1 x", "b 2 x"))])
    outcome = await transaction.write([db.rendered(say("b 3 x", "a 4 x"))])
    assert (outcome.rows, outcome.repeats, len(outcome.committed)) == (0, 2, 1)
    assert await db.ids() == ["1", "2"]


async def test_uids_are_entered_in_order_whatever_the_order_of_the_events(db: Database) -> None:
    """So that two transactions with the same events wait for each other, and do not deadlock."""
    transaction = await transaction_of(db)
    statements = Statements(transaction.conn)
    payloads = say(*(f"u{n} {n} x" for n in range(100)))
    await transaction.write([db.rendered(payloads)])
    [entered] = statements.starting("INSERT IGNORE INTO `pepi_seen`")
    uids = [uid for n in range(100) if (uid := uid_hash(f"u{n}"))]
    written = uids if transaction.conn.bulk else [uid.hex().encode() for uid in uids]
    places = [entered.index(uid) for uid in sorted(written)]
    assert places == sorted(places)


async def test_a_flush_that_is_rolled_back_has_seen_nothing(db: Database) -> None:
    transaction = await transaction_of(db)
    flush = [db.rendered(say("a 1 x", "a 2 x", "b 3 x"))]
    failing = True

    async def fail(sql: bytes) -> None:
        if failing and sql.startswith(b"COMMIT"):
            raise TransientError("planted")

    intercept(transaction.conn, fail)
    with pytest.raises(TransientError, match="planted"):
        await transaction.write(flush)
    assert await seen(db) == 0
    failing = False
    assert (await transaction.write(flush)).repeats == 1
    assert await db.ids() == ["1", "3"]


async def test_a_refused_event_is_not_seen_and_its_repeats_are_kept(db: Database) -> None:
    transaction = await transaction_of(db)
    bad, repeat, fine = f"a 1 {LONG}".encode(), b"a 2 x", b"b 3 x"
    outcome = await transaction.write([db.rendered([fine, bad]), db.rendered([repeat])])
    assert (outcome.rows, outcome.dead, outcome.repeats) == (1, 2, 0)
    letters = {payload: reason for _, _, payload, reason in await db.dead()}
    assert letters.keys() == {bad, repeat}
    assert letters[repeat].startswith("repeat of an event that was refused: MySQL error 1406")
    assert await seen(db) == 1
    later = await transaction.write([db.rendered(say("a 4 x"))])
    assert (later.rows, later.repeats) == (1, 0)


async def test_writing_again_after_a_failure_keeps_one_letter_a_repeat(db: Database) -> None:
    transaction = await transaction_of(db)
    flush = [db.rendered([f"a 1 {LONG}".encode(), b"b 2 x"]), db.rendered([b"a 3 x"])]
    failing = True

    async def fail(sql: bytes) -> None:
        if failing and sql.startswith(b"COMMIT"):
            raise TransientError("planted")

    intercept(transaction.conn, fail)
    with pytest.raises(TransientError):
        await transaction.write(flush)
    failing = False
    await transaction.write(flush)
    assert len(await db.dead()) == 2


async def test_workers_with_the_same_events_at_once_write_them_once_though_some_fail(
    db: Database,
) -> None:
    random = Random(1)
    numbers = list(range(200))
    transactions = [await transaction_of(db) for _ in range(4)]

    async def fail(sql: bytes) -> None:
        """Roll back what another transaction waits for."""
        if sql.startswith(b"COMMIT") and random.random() < 0.3:
            raise TransientError("planted")

    for transaction in transactions:
        intercept(transaction.conn, fail)

    async def work(transaction: Transaction) -> int:
        repeats = 0
        for _ in range(5):
            mine = random.sample(numbers, 100)
            flush = [db.rendered(say(*(f"u{n} {n} x" for n in mine)))]
            while True:
                try:
                    repeats += (await transaction.write(flush)).repeats
                    break
                except TransientError:  # planted, or a deadlock: again
                    pass
        return repeats

    repeats = await asyncio.gather(*map(work, transactions))
    ids = await db.ids()
    assert len(ids) == len(set(ids))
    assert len(ids) + sum(repeats) == 4 * 5 * 100
    assert await seen(db) == len(ids)


async def test_what_a_bulk_lost_is_no_repeat(database_url: str) -> None:
    """A proxy in between that mangles the command must not make events vanish as repeats."""
    async with database(database_url, **ENVIRON) as db:
        transaction = await db.transaction()
        execute_bulk = transaction.conn.execute_bulk

        async def lose(sql: str, types: bytes, rows: Sequence[bytes]) -> int:
            half = [part[: len(part) // 2] for part in rows] if "pepi_seen" in sql else rows
            return await execute_bulk(sql, types, half)

        transaction.conn.execute_bulk = lose  # type: ignore[method-assign]
        flush = [db.rendered(say("a 1 x", "b 2 x", "c 3 x", "d 4 x"))]
        with pytest.raises(TransientError, match="of 4 uids only 2 are in pepi_seen"):
            await transaction.write(flush)
        assert (await db.ids(), await seen(db)) == ([], 0)
        outcome = await transaction.write(flush)
        assert (outcome.rows, outcome.repeats) == (4, 0)


async def test_repeats_are_known_when_the_uid_is_no_column(database_url: str) -> None:
    """A format leaves out what nobody reads: this is read."""
    environ = {
        "PEPI_SINK__DEDUPE": "event_uid",
        "PEPI_SINK__COLUMNS": '["id", "event_name"]',
        "PEPI_ENRICH__ENRICHERS": "[]",
        "PEPI_WINDOWS": "{}",
    }
    for format, payload in (
        ("pepipost", event(1)),
        ("plain", b'{"event_uid": "a", "event": "sent"}'),
    ):
        async with database(database_url, **environ, PEPI_SOURCE__FORMAT=format) as db:
            outcome = await (await db.transaction()).write([db.rendered([payload, payload])])
            assert (outcome.rows, outcome.repeats) == (1, 1), format


async def test_old_events_are_forgotten_and_only_they(db: Database) -> None:
    transaction = await transaction_of(db)
    await transaction.write([db.rendered(say(*(f"u{n} {n} x" for n in range(2500))))])
    hours = db.settings.sink.dedupe_hours
    await db.query(f"UPDATE pepi_seen SET seen_at = NOW() - INTERVAL {hours * 60 - 1} MINUTE")
    await db.query(
        f"UPDATE pepi_seen SET seen_at = NOW() - INTERVAL {hours * 60 + 1} MINUTE "
        "ORDER BY uid LIMIT 2400"
    )
    await Sink(db.settings, db.pipeline, on_commit=lambda outcome: None).prune()
    assert await seen(db) == 100


async def test_without_it_every_event_is_written(database_url: str) -> None:
    environ: dict[str, Any] = ENVIRON | {"PEPI_SINK__DEDUPE": "off"}
    async with database(database_url, **environ) as db:
        transaction = await db.transaction()
        outcome = await transaction.write([db.rendered(say("a 1 x", "a 2 x"))])
        assert (outcome.rows, outcome.repeats) == (2, 0)
        assert await db.query("SHOW TABLES LIKE 'pepi_seen'") == []


async def test_an_event_with_another_uid_is_a_repeat_by_the_fields_that_are_listed(
    database_url: str,
) -> None:
    environ: dict[str, Any] = ENVIRON | {"PEPI_SINK__DEDUPE": '["id", "campaign"]'}
    async with database(database_url, **environ) as db:
        transaction = await transaction_of(db)
        await transaction.write([db.rendered(say("a 1 c", "b 1 c", "a 1 d", f"e 2 {LONG}"))])
        await transaction.write([db.rendered(say("f 1 c", "g 3 c", "h 2 c"))])
        rows = await db.value("SELECT GROUP_CONCAT(event_uid ORDER BY event_uid) FROM pepi_event")
        assert rows == "a,a,g,h"
        assert await db.value("SELECT SUM(n) FROM pepi_window_minute") == 4
        assert await seen(db) == 4


async def test_a_server_without_prepared_statements_enters_them_as_text(
    database_url: str, mariadb_server: MariaDBServer
) -> None:
    async with database(database_url, **ENVIRON) as db:
        transaction = await db.transaction()
        async with global_variable(mariadb_server.socket_path, "max_prepared_stmt_count", 0):
            outcome = await transaction.write([db.rendered(say("a 1 x", "a 2 x", "b 3 x"))])
        assert (outcome.rows, outcome.repeats) == (2, 1)
        assert await seen(db) == 2


def test_two_workers_and_a_producer_that_repeats_itself(
    make_flow: MakeFlow, redis_url: str, database_url: str
) -> None:
    flow = make_flow(redis_url, database_url, **ENVIRON, PEPI_SOURCE__CLAIM_MAX="50")
    flow.migrate()
    events = say(*(f"u{n} {n} x" for n in range(2000)))
    pushed = flow.push([*events, *events[::2], *events])
    for _ in range(2):
        flow.worker().wait_claiming()
    flow.wait_drained()
    assert (pushed, flow.rows(), flow.dead()) == (5000, 2000, 0)
    assert all(worker.stop() == 0 for worker in flow.workers)
    left_out = [
        int(line.split(" committed, ")[1].split()[0])
        for worker in flow.workers
        for line in worker.log.splitlines()
        if "dead letters committed" in line
    ]
    assert sum(left_out) == 3000
    assert flow.sql("SELECT SUM(n) FROM pepi_window_minute") == [(2000,)]
