"""Bulk execution: the same rows as by text, whatever the column, and what if it is not there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from pepi_stream.columns import ColumnSpec
from pepi_stream.errors import TransientError
from pepi_stream.events import Batch, Column
from pepi_stream.local.servers import MariaDBServer
from pepi_stream.sink import Sink
from pepi_stream.sink.bulk import BulkConnection, NoBulkError, is_sound
from pepi_stream.sink.connection import execute_bulk
from pepi_stream.sink.rows import RowRenderer
from tests.sinking import Database, Statements, claim_of, database, event, events, global_variable


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    async with database(database_url) as opened:
        yield opened


WORDS = ["1", "0", "-1", "007", " 7", "7 ", "1e3", "1.5", "2.5", "", "a", "\u00e9", "A" * 40]
TIMES = ["2024-02-29 12:00:01.25", "2024-02-30", "0000-00-00", "12:30:00", "20240229", "x"]
NUMBERS = [0, 1, -1, 5, 127, 128, 255, 256, 65_536, 2**31, 2**32, 2**53 + 1, 2**63 - 1, -(2**63)]
CASES: list[tuple[str, Sequence[Any]]] = [
    ("VARCHAR(20) NOT NULL", [*WORDS, *NUMBERS, True, None]),
    ("VARCHAR(20) CHARACTER SET latin1", [*WORDS, "\u8ba2"]),
    ("TEXT", [*WORDS, True, 5]),
    ("BINARY(4)", [*WORDS, 5]),
    ("BLOB", [*WORDS, 5, False]),
    ("BIT(8)", [True, False, 5, 300, "1", "a"]),
    ("TINYINT(1)", [True, False, *NUMBERS, *WORDS]),
    ("INT", [*NUMBERS, *WORDS, True]),
    ("BIGINT UNSIGNED", [*NUMBERS, *WORDS, "18446744073709551615"]),
    ("DECIMAL(6,2)", [*NUMBERS, *WORDS, "1234.567"]),
    ("DOUBLE", [*NUMBERS, *WORDS]),
    ("FLOAT", [2**24 + 1, "0.1", "1e39"]),
    ("YEAR", [1999, 99, 0, "1999", "0"]),
    ("DATE", [*TIMES, 20_240_229, 5]),
    ("DATETIME(3)", [*TIMES, 20_240_229, 5]),
    ("TIMESTAMP(3) NULL", [*TIMES, 20_240_229]),
    ("TIME", [*TIMES, 123_000, 5]),
    ("ENUM('a', '1', 'b')", [*WORDS, 1, 2, 9, True]),
    ("SET('a', 'b')", [*WORDS, 1, 3, 9]),
    ("JSON", ['{"a": 1}', "1", "x", 5, True]),
    ("UUID", ["123e4567-e89b-12d3-a456-426614174000", "x"]),
    ("INET6", ["::1", "10.0.0.1", "x"]),
]


@pytest.mark.parametrize(("sql_type", "values"), CASES, ids=[name for name, _ in CASES])
async def test_a_column_of_any_type_gets_what_an_insert_gives_it(
    db: Database, sql_type: str, values: Sequence[Any]
) -> None:
    conn = await db.connect()
    kept: list[dict[int, tuple[str, str]]] = []
    refused: list[dict[int, str]] = []
    for bulk in (True, False):
        await conn.query(f"CREATE OR REPLACE TABLE typed (n INT, v {sql_type})")
        kept.append({})
        refused.append({})
        for number, value in enumerate(values):
            batch = Batch(claim_of([b"x"]), format="f", size=1, columns={})
            specs = [
                ColumnSpec("n", "INT", lambda batch, n=number: [n]),  # type: ignore[misc]
                ColumnSpec("v", sql_type, lambda batch, v=value: [v]),  # type: ignore[misc]
            ]
            renderer = RowRenderer(specs)
            renderer.bulk = bulk
            rendered = renderer.render(batch)
            assert rendered.body is not None
            try:
                if rendered.types is None:
                    assert not bulk
                    await conn.query(b"INSERT INTO typed VALUES (%s)" % rendered.body)
                else:
                    sql = "INSERT INTO typed VALUES (?,?)"
                    await execute_bulk(conn, sql, rendered.types, [rendered.body])
            except Exception as exc:
                refused[-1][number] = str(exc.args[0])
        rows = await db.query("SELECT n, HEX(v), CAST(v AS CHAR) FROM typed")
        kept[-1] = {n: (as_hex, as_text) for n, as_hex, as_text in rows}
    assert kept[0] == kept[1]
    assert refused[0] == refused[1]
    assert len(kept[0]) + len(refused[0]) == len(values)
    assert kept[0]


async def test_one_statement_takes_the_rows_of_a_flush(db: Database) -> None:
    """Whether or not any of a batch has a verdict: NULL goes with any type."""
    transaction = await db.transaction()
    statements = Statements(transaction.conn)
    flush = [
        db.rendered([event(1), event(2)]),
        db.rendered([event(3, EVENT="bounced", BOUNCE_TYPE="HARDBOUNCE"), event(4)]),
        db.rendered(events(2, first=5)),
    ]
    assert len({rendered.types for rendered in flush}) == 2
    await transaction.write(flush)
    assert len(statements.starting("INSERT INTO `pepi_event`")) == 1
    assert await db.ids() == list("123456")
    classes = await db.query("SELECT id, bounce_class FROM pepi_event WHERE bounce_class <> ''")
    assert classes == [("3", "hard")]


async def test_rows_that_have_to_be_text_share_a_flush_with_others(database_url: str) -> None:
    columns = (
        f'["seq", "id", "event_name", "occurred_at", "mailbox_provider", "campaign", '
        f'{{"name": "half", "value": "{__name__}:sometimes_float", "type": "DOUBLE"}}]'
    )
    async with database(database_url, PEPI_SINK__COLUMNS=columns) as db:
        transaction = await db.transaction()
        flush = [db.rendered(events(2)), db.rendered(events(2, 3)), db.rendered(events(1, 5))]
        assert [rendered.types is None for rendered in flush] == [False, True, False]
        await transaction.write(flush)
        assert dict(await db.query("SELECT id, half FROM pepi_event")) == {
            **{"1": 1.0, "2": 2.0, "5": 5.0},
            **{"3": 3.5, "4": 4.5},
        }


def sometimes_float(batch: Batch) -> Column:
    """A user's column: of another type in claims that hold the event 3."""
    numbers = list(map(int, batch.column("id")))
    return [n + 0.5 for n in numbers] if 3 in numbers else numbers


async def test_a_bulk_of_more_than_16_mib_is_several_packets(
    db: Database, mariadb_server: MariaDBServer
) -> None:
    payloads = [event(n, URL="u" * 60_000) for n in range(600)]
    async with global_variable(mariadb_server.socket_path, "max_allowed_packet", 64 << 20):
        transaction = await db.transaction(max_bytes=48 << 20)
        statements = Statements(transaction.conn)
        outcome = await transaction.write([db.rendered(payloads)])
    [bulk] = statements.starting("INSERT INTO `pepi_event`")
    assert len(bulk) > 2 * (16 << 20)
    assert outcome.rows == 600
    assert await db.query("SELECT COUNT(*), SUM(LENGTH(url)) FROM pepi_event") == [
        (600, 600 * 60_000)
    ]


async def test_a_table_may_change_between_flushes(db: Database) -> None:
    transaction = await db.transaction()
    await transaction.write([db.rendered(events(2))])
    await db.query("ALTER TABLE pepi_event ADD COLUMN note VARCHAR(10) DEFAULT 'new' FIRST")
    await transaction.write([db.rendered(events(2, first=3))])
    assert await db.ids() == list("1234")
    assert await db.value("SELECT COUNT(*) FROM pepi_event WHERE note = 'new'") == 4


async def test_a_server_that_prepares_no_more_statements_gets_text(
    db: Database, mariadb_server: MariaDBServer
) -> None:
    flush = [db.rendered(events(3))]
    transaction = await db.transaction()
    statements = Statements(transaction.conn)
    async with global_variable(mariadb_server.socket_path, "max_prepared_stmt_count", 0):
        assert (await transaction.write(flush)).rows == 3
    assert [head[:50] for head in statements.starting("INSERT INTO `pepi_event`")] == [
        b"INSERT INTO `pepi_event` (`id`, `event_name`, `rec"
    ] * 2
    assert not transaction.conn.bulk
    assert await db.ids() == ["1", "2", "3"]
    with pytest.raises(NoBulkError):
        async with global_variable(mariadb_server.socket_path, "max_prepared_stmt_count", 0):
            await execute_bulk(await db.connect(), "INSERT INTO t VALUES (?)", b"\xfd", [b"\1"])


@pytest.mark.parametrize(
    ("version", "sound"),
    [
        *(("5.5.5-10.6.18-MariaDB-0ubuntu0.22.04.1", False), ("5.5.5-10.6.19-MariaDB", True)),
        *(("5.5.5-10.11.6-MariaDB-0+deb12u1", False), ("10.11.9-MariaDB-log", True)),
        *(("5.5.5-10.7.99-MariaDB", False), ("11.3.99-MariaDB", False), ("11.4.2-MariaDB", False)),
        *(("11.4.3-MariaDB-1", True), ("11.8.0-MariaDB", True), ("12.0.1-MariaDB", True)),
        *(("5.5.5-proxy", False), ("", False)),
    ],
)
async def test_a_server_whose_triggers_take_rows_of_a_bulk_gets_text(
    db: Database, monkeypatch: pytest.MonkeyPatch, version: str, sound: bool
) -> None:
    """MDEV-24411: a trigger's INSERT there takes the rows that are left; no error tells it."""
    assert is_sound(version) is sound
    hear = BulkConnection._get_server_information

    async def greeted(conn: BulkConnection) -> None:
        await hear(conn)
        conn.server_version = version or "5.x"

    monkeypatch.setattr(BulkConnection, "_get_server_information", greeted)
    transaction = await db.transaction()
    assert transaction.conn.bulk is sound
    assert (await transaction.write([db.rendered(events(3))])).rows == 3
    assert await db.ids() == ["1", "2", "3"]


async def test_a_bulk_of_which_rows_are_missing_is_undone_and_sent_as_text(db: Database) -> None:
    transaction = await db.transaction()
    execute_bulk = transaction.conn.execute_bulk

    async def lose(sql: str, types: bytes, rows: Sequence[bytes]) -> int:
        return await execute_bulk(sql, types, rows[:1])

    transaction.conn.execute_bulk = lose  # type: ignore[method-assign]
    flush = [db.rendered(events(2)), db.rendered(events(2, first=3))]
    with pytest.raises(TransientError, match="of a bulk of 4 rows only 2 landed"):
        await transaction.write(flush)
    assert await db.ids() == []
    assert (await transaction.write(flush)).rows == 4
    assert await db.ids() == list("1234")


async def test_triggers_that_write_elsewhere(db: Database) -> None:
    await db.query("CREATE TABLE noted (id VARCHAR(20)) ENGINE=InnoDB")
    await db.query("CREATE TABLE counted (n INT) ENGINE=InnoDB AS SELECT 0 AS n")
    await db.query(
        "CREATE TRIGGER before_row BEFORE INSERT ON pepi_event FOR EACH ROW "
        "INSERT INTO noted VALUES (NEW.id)"
    )
    await db.query(
        "CREATE TRIGGER after_row AFTER INSERT ON pepi_event FOR EACH ROW "
        "UPDATE counted SET n = n + 1"
    )
    transaction = await db.transaction()
    statements = Statements(transaction.conn)
    assert (await transaction.write([db.rendered(events(5))])).rows == 5
    assert len(statements.starting("INSERT INTO `pepi_event`")) == 1
    assert await db.ids() == list("12345")
    assert sorted(await db.query("SELECT id FROM noted")) == [(n,) for n in "12345"]
    assert await db.value("SELECT n FROM counted") == 5


@pytest.mark.parametrize("bulk", [True, False])
async def test_the_setting_decides(database_url: str, bulk: bool) -> None:
    async with database(database_url, PEPI_SINK__BULK=str(bulk)) as db:
        sink = Sink(db.settings, db.pipeline, on_commit=lambda outcome: None)
        await sink.ready()
        assert sink._renderer.bulk is bulk
