"""The sink: when it flushes, what it does while MySQL is away, and values no SQL can hold."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiomysql
import pytest

from pepi_stream.claims.claim import Claim, new_claim_id
from pepi_stream.errors import FatalError
from pepi_stream.events import Event
from pepi_stream.local.servers import MariaDBServer
from pepi_stream.outcome import Outcome
from pepi_stream.services.tasks import end
from pepi_stream.settings import DatabaseSettings
from pepi_stream.sink import Sink, writer
from pepi_stream.sink.connection import connect
from tests.sinking import Database, Statements, database, event, events
from tests.waiting import wait_until

NEVER = {"PEPI_SINK__MAX_AGE_SECONDS": "60", "PEPI_SINK__MAX_ROWS": "1000000"}
SOON = {"PEPI_SINK__MAX_AGE_SECONDS": "0", "PEPI_SINK__RETRY_MAX_SECONDS": "0.05"}


class RunningSink:
    """A sink with its writers at work, and what it committed."""

    def __init__(self, db: Database, starved: Callable[[int], bool]) -> None:
        self.outcomes: list[Outcome] = []
        self.sink = Sink(db.settings, db.pipeline, on_commit=self.outcomes.append, starved=starved)
        count = db.settings.sink.connections
        self.writers = [asyncio.ensure_future(self.sink.write_forever()) for _ in range(count)]

    def committed(self) -> list[Claim]:
        return [claim for outcome in self.outcomes for claim in outcome.committed]

    async def wait_for(self, claims: int) -> None:
        await wait_until(
            lambda: len(self.committed()) >= claims or any(w.done() for w in self.writers),
            seconds=30,
        )
        for task in self.writers:
            if task.done():
                task.result()
        assert len(self.committed()) == claims


@asynccontextmanager
async def running(
    db: Database, starved: Callable[[int], bool] = lambda claims: False
) -> AsyncIterator[RunningSink]:
    running = RunningSink(db, starved)
    try:
        yield running
    finally:
        await end(running.writers)


async def test_a_flush_when_the_oldest_claim_is_old_enough(database_url: str) -> None:
    async with database(database_url, PEPI_SINK__MAX_AGE_SECONDS="0.02") as db, running(db) as run:
        begun = time.monotonic()
        run.sink.accept(db.batch(events(3)))
        await run.wait_for(1)
        assert time.monotonic() - begun >= 0.02
        assert len(await db.ids()) == 3


async def test_a_flush_when_there_are_enough_rows(database_url: str) -> None:
    environ = NEVER | {"PEPI_SINK__MAX_ROWS": "10", "PEPI_SINK__CONNECTIONS": "1"}
    async with database(database_url, **environ) as db, running(db) as run:
        for first in (1, 5, 9):
            run.sink.accept(db.batch(events(4, first)))
        await run.wait_for(3)
        assert [outcome.rows for outcome in run.outcomes] == [12]  # one transaction


async def test_a_flush_when_there_are_enough_bytes(database_url: str) -> None:
    async with (
        database(database_url, **NEVER, PEPI_SINK__MAX_BYTES="2000") as db,
        running(db) as run,
    ):
        run.sink.accept(db.batch(events(40)))
        await run.wait_for(1)


async def test_a_flush_when_the_source_is_starved(database_url: str) -> None:
    async with (
        database(database_url, **NEVER) as db,
        running(db, starved=lambda claims: claims >= 2) as run,
    ):
        run.sink.accept(db.batch(events(3)))
        run.sink.accept(db.batch(events(3, 4)))
        await run.wait_for(2)


async def test_many_claims_over_several_connections_land_once(database_url: str) -> None:
    environ = SOON | {"PEPI_SINK__CONNECTIONS": "4", "PEPI_SINK__MAX_ROWS": "100"}
    async with database(database_url, **environ) as db, running(db) as run:
        for first in range(0, 4000, 40):
            run.sink.accept(db.batch(events(40, first)))
        await run.wait_for(100)
        assert len(set(await db.ids())) == len(await db.ids()) == 4000


async def test_batches_that_wait_while_mysql_is_away_all_land(own_mariadb: MariaDBServer) -> None:
    async with database(own_mariadb.url, **SOON) as db:
        async with running(db) as run:
            await run.sink.ready()
            run.sink.accept(db.batch(events(10)))
            await run.wait_for(1)
            await asyncio.to_thread(own_mariadb.stop)
            for first in range(11, 101, 10):
                run.sink.accept(db.batch(events(10, first)))
            await asyncio.to_thread(own_mariadb.start)
            await run.wait_for(10)
            os.kill(own_mariadb.pid, signal.SIGSTOP)
            try:
                for first in range(101, 201, 10):
                    run.sink.accept(db.batch(events(10, first)))
                await wait_until(lambda: run.sink._writing > 0)
            finally:
                os.kill(own_mariadb.pid, signal.SIGCONT)
            await run.wait_for(20)
        await db.look_again()
        assert len(set(await db.ids())) == len(await db.ids()) == 200


async def test_ready_waits_for_a_server_that_is_down(own_mariadb: MariaDBServer) -> None:
    async with database(own_mariadb.url, **SOON) as db:
        await asyncio.to_thread(own_mariadb.stop)
        sink = Sink(db.settings, db.pipeline, on_commit=lambda outcome: None)
        waiting = asyncio.ensure_future(sink.ready())
        await asyncio.to_thread(own_mariadb.start)
        await waiting
        await db.look_again()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("DROP TABLE pepi_window_hour", "table pepi_window_hour does not exist; .* migrate"),
        ("DROP TABLE pepi_claim", "table pepi_claim does not exist; run `faust -A .* migrate"),
        ("ALTER TABLE pepi_event DROP COLUMN os", "pepi_event has no column os; run `faust"),
        ("ALTER TABLE pepi_dead_letter DROP COLUMN part", "pepi_dead_letter has no column part"),
        ("ALTER TABLE pepi_event ADD tenant INT NOT NULL", "nothing fills: tenant; give it a"),
        ("ALTER TABLE pepi_event ENGINE=MyISAM", "MyISAM, which has no transactions"),
    ],
)
async def test_a_missing_table_or_column_is_fatal_at_start(
    database_url: str, change: str, message: str
) -> None:
    async with database(database_url) as db:
        sink = Sink(db.settings, db.pipeline, on_commit=lambda outcome: None)
        await sink.ready()
        await db.query(change)
        with pytest.raises(FatalError, match=message):
            await sink.ready()
        await db.make_tables()  # for the check at the end


async def test_columns_that_fill_themselves_are_no_obstacle(database_url: str) -> None:
    async with database(database_url) as db:
        await db.query(
            "ALTER TABLE pepi_event ADD a INT NULL, ADD b INT NOT NULL DEFAULT 3, "
            "ADD c INT AS (a + 1) STORED, ADD d TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP"
        )
        await Sink(db.settings, db.pipeline, on_commit=lambda outcome: None).ready()


async def test_a_fatal_error_ends_the_writer(database_url: str) -> None:
    async with database(database_url, **SOON) as db, running(db) as run:
        await db.query("DROP TABLE pepi_dead_letter")
        run.sink.accept(db.batch([b"bad"]))
        done, _ = await asyncio.wait(run.writers, return_when=asyncio.FIRST_COMPLETED, timeout=10)
        [failed] = done
        with pytest.raises(FatalError, match="run `faust -A pepi_stream migrate`"):
            failed.result()
        assert run.outcomes == []


async def test_prune_deletes_old_entries_only_and_in_chunks(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Statements] = []

    async def watched(settings: DatabaseSettings) -> aiomysql.Connection:
        conn = await connect(settings)
        asked.append(Statements(conn))
        return conn

    day = 86_400_000
    now = int(time.time() * 1000)
    old = [now - 31 * day - n for n in range(2500)]
    young = [now - 29 * day, now]
    async with database(database_url, PEPI_SINK__LEDGER_RETENTION_DAYS="30") as db:
        sink = Sink(db.settings, db.pipeline, on_commit=lambda outcome: None)
        ids = [new_claim_id(ms).replace("-", "") for ms in (*old, *young)]
        await db.query(
            "INSERT INTO pepi_claim (claim_id, payloads, digest) VALUES "
            + ",".join(f"(X'{i}', 1, X'{i}')" for i in ids)
        )
        # Old ids, but committed now: a clock is wrong somewhere, and nothing is forgotten.
        assert await sink.prune() == 0
        await db.query("UPDATE pepi_claim SET committed_at = NOW() - INTERVAL 31 DAY")
        monkeypatch.setattr(writer, "connect", watched)
        assert await sink.prune() == 2500
        left = {row[0].hex() for row in await db.query("SELECT claim_id FROM pepi_claim")}
        assert left == set(ids[-2:])
        [statements] = asked
        assert len(statements.starting("DELETE")) >= 3
        assert await sink.prune() == 0


def columns(function: str, sql_type: str = "VARCHAR(320) NULL") -> str:
    own = {"name": "who", "value": f"tests.sinking:{function}", "type": sql_type}
    return json.dumps(["seq", "id", own])


@pytest.mark.parametrize(
    ("function", "reader", "reason"),
    [
        ("object_or_text", "object@b.c", "a column value of type object cannot be written"),
        ("raising", "raise@b.c", "no such reader"),
    ],
)
async def test_a_value_that_sql_cannot_hold_is_a_dead_letter(
    database_url: str, function: str, reader: str, reason: str
) -> None:
    environ = SOON | {"PEPI_SINK__COLUMNS": columns(function)}
    async with database(database_url, **environ) as db, running(db) as run:
        payloads = [event(1), event(2, EMAIL=reader), b"bad", event(4)]
        run.sink.accept(db.batch(payloads))
        run.sink.accept(db.batch([event(5)]))
        await run.wait_for(2)
        assert await db.ids() == ["1", "4", "5"]
        letters = await db.dead()
        assert [letter[:3] for letter in letters] == [
            (1, None, payloads[1]),
            (2, None, b"bad"),
        ]
        assert reason in letters[0][3]


def speaking(payload: bytes) -> list[Event]:
    """A user's format that lets a lone surrogate through."""
    number, _, text = payload.decode("utf-8", "surrogateescape").partition(" ")
    return [Event(event_name="sent", id=number, campaign=text, occurred_at=int(number))]


async def test_a_lone_surrogate_of_a_users_format_is_a_dead_letter(database_url: str) -> None:
    environ = SOON | {"PEPI_SOURCE__FORMAT": f"{__name__}:speaking"}
    async with database(database_url, **environ) as db, running(db) as run:
        run.sink.accept(db.batch([b"1 fine", b"2 \xff'\\", b"3 fine"]))
        await run.wait_for(1)
        assert await db.ids() == ["1", "3"]
        [(position, _, payload, reason)] = await db.dead()
        assert (position, payload) == (1, b"2 \xff'\\")
        assert "not valid Unicode (a lone surrogate)" in reason


async def test_an_idle_sink_closes_its_connections_and_opens_them_again(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    environ = SOON | {"PEPI_DATABASE__IDLE_SECONDS": "1", "PEPI_SINK__CONNECTIONS": "1"}
    async with database(database_url, **environ) as db, running(db) as run:
        for first in (1, 4):
            run.sink.accept(db.batch(events(3, first)))
            await run.wait_for(first // 3 + 1)
            await wait_until(lambda: alone(db))
        assert len(await db.ids()) == 6
    assert not caplog.records


async def alone(db: Database) -> bool:
    """Tell whether nobody else is connected to the database."""
    others = await db.value(
        "SELECT COUNT(*) FROM information_schema.PROCESSLIST "
        "WHERE DB = DATABASE() AND ID <> CONNECTION_ID()"
    )
    return int(others) == 0


async def test_a_column_with_a_default_of_the_users_is_still_sent_as_null(
    database_url: str,
) -> None:
    async with database(database_url, **SOON, PEPI_SINK__BULK="false") as db:
        conn = await db.connect()
        await conn.query("ALTER TABLE pepi_event MODIFY client VARCHAR(64) NULL DEFAULT 'none'")
        async with running(db) as run:
            await run.sink.ready()
            run.sink.accept(db.batch(events(2)))
            await run.wait_for(1)
            assert await db.query("SELECT client, os FROM pepi_event") == [(None, None)] * 2
            # Only what MySQL fills in by itself is left out.
            [rendered] = [run.sink.render(db.batch(events(1)))]
            assert "client" in rendered.names
            assert "os" not in rendered.names


async def test_batches_that_fill_different_columns_share_a_flush(database_url: str) -> None:
    """And the poison rows among them are the only ones that the table does not get."""
    environ = NEVER | {
        "PEPI_SINK__MAX_ROWS": "6",
        "PEPI_SINK__CONNECTIONS": "1",
        "PEPI_SINK__BULK": "false",
    }
    async with database(database_url, **environ) as db, running(db) as run:
        await run.sink.ready()
        flush = [
            db.batch([event(1), event(2)]),
            db.batch([event(3, TAGS="t" * 300), event(4)]),  # longer than the column
            db.batch(
                [
                    event(5, EVENT="bounced", BOUNCE_TYPE="HARDBOUNCE"),
                    event(6),
                    event(7, TAGS="u" * 300),
                ]
            ),
        ]
        assert len({run.sink.render(batch).names for batch in flush}) == 2
        for batch in flush:
            run.sink.accept(batch)
        await run.wait_for(3)
        assert [(outcome.rows, outcome.dead) for outcome in run.outcomes] == [(5, 2)]
        assert await db.ids() == ["1", "2", "4", "5", "6"]
        dead = await db.dead()
        assert [(position, payload) for position, _, payload, _ in dead] == [
            (0, event(3, TAGS="t" * 300)),
            (2, event(7, TAGS="u" * 300)),
        ]
        assert all("campaign" in reason for *_, reason in dead)
        classes = await db.query("SELECT id, bounce_class FROM pepi_event ORDER BY id")
        assert dict(classes) == {"1": None, "2": None, "4": None, "5": "hard", "6": None}
