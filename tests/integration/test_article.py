"""config/article.toml: the article's own table and statement, with this project's promises."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from pepi_stream.resources import config_dir
from pepi_stream.sink import Sink
from tests.sinking import Database, Statements, database

ARTICLE = {"PEPI_CONFIG": str(config_dir() / "article.toml")}
BEFOREHAND = "CREATE TABLE pepi_event (id INT, event_name VARCHAR(50))"


@pytest.fixture(params=["made by migrate", "there beforehand"])
async def db(database_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    async with database(database_url, False, **ARTICLE) as opened:
        if request.param == "there beforehand":
            await opened.query(BEFOREHAND)
        await opened.make_tables()
        yield opened


async def rows(db: Database) -> list[tuple[int, str]]:
    found = await db.query("SELECT id, event_name FROM pepi_event ORDER BY id")
    return [(number, name) for number, name in found]


async def test_the_articles_events_land_by_the_articles_statement(db: Database) -> None:
    transaction = await db.transaction()
    statements = Statements(transaction.conn)
    payloads = [
        b'{"id": 1, "event_name": "sent"}',
        b'{"id":2,"event_name":"clicked"}',
        b'{"id": 3, "event_name": "open"}',
        b'{"id":"4","event_name":"bounce"}',
    ]
    outcome = await transaction.write([db.rendered(payloads)])
    assert (outcome.rows, outcome.dead, outcome.counts) == (4, 0, {})
    assert await rows(db) == [(1, "sent"), (2, "clicked"), (3, "open"), (4, "bounce")]
    [insert] = [sql.replace(b"`", b"") for sql in statements.starting("INSERT INTO `pepi_event`")]
    assert insert.startswith(b"INSERT INTO pepi_event (id, event_name) VALUES ")


async def test_a_claim_of_it_counts_once(db: Database) -> None:
    transaction = await db.transaction()
    flush = db.rendered([b'{"id": %d, "event_name": "sent"}' % n for n in range(1000)])
    await transaction.write([flush])
    assert (await transaction.write([flush])).repeated == [flush.batch.claim]
    assert await rows(db) == [(n, "sent") for n in range(1000)]


async def test_what_the_articles_table_cannot_hold_is_a_dead_letter(db: Database) -> None:
    bad = [
        b'{"id": 99999999999999999999, "event_name": "sent"}',
        b'{"id": "one", "event_name": "sent"}',
        b'{"id": 1, "event_name": "%s"}' % (b"n" * 51),
        b'{"id": 1}',
        b"id=1",
    ]
    good = [b'{"id": %d, "event_name": "it\'s \\\\ sent"}' % n for n in range(6)]
    payloads = [good[0], *(p for pair in zip(bad, good[1:], strict=True) for p in pair)]
    outcome = await (await db.transaction()).write([db.rendered(payloads)])
    assert (outcome.rows, outcome.dead) == (6, 5)
    assert await rows(db) == [(n, "it's \\ sent") for n in range(6)]
    letters = await db.dead()
    assert [letter[2] for letter in letters] == bad
    assert [letter[3].split(":")[0] for letter in letters] == [
        "MySQL error 1264",
        "MySQL error 1366",
        "MySQL error 1406",
        "field event_name (or event) is missing",
        "not JSON",
    ]


async def test_the_sink_finds_the_articles_table_ready(db: Database) -> None:
    await Sink(db.settings, db.pipeline, on_commit=lambda outcome: None).ready()


async def test_the_shipped_columns_are_the_articles(database_url: str) -> None:
    async with database(database_url, **ARTICLE) as db:
        described = await db.query("DESCRIBE pepi_event")
        assert [(name, kind) for name, kind, *_ in described] == [
            ("id", "bigint(20) unsigned"),
            ("event_name", "varchar(50)"),
        ]
        assert sorted(name for (name,) in await db.query("SHOW TABLES")) == [
            *("pepi_claim", "pepi_dead_letter", "pepi_event")
        ]
