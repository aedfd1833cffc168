"""Tables that are not as `migrate` makes them: refused at start with the remedy, or taken."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator

import pytest

from pepi_stream.errors import FatalError
from pepi_stream.local.servers import MariaDBServer
from pepi_stream.sink import Sink
from tests.sinking import Database, database, event, events, global_variable


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    columns = '["seq", "id", "event_name", "recipient", "recipient_domain", "campaign", "url", '
    columns += '"occurred_at", "received_at", "ip", "bounce_class", "is_machine", "asn", "reason"]'
    async with database(
        database_url, PEPI_SINK__COLUMNS=columns, PEPI_SINK__DEDUPE="event_uid"
    ) as opened:
        yield opened


async def start(db: Database) -> None:
    """Do what a worker does at start."""
    await Sink(db.settings, db.pipeline, on_commit=lambda outcome: None).ready()


@pytest.mark.parametrize(
    ("table", "change", "says"),
    [
        ("claim", "DROP PRIMARY KEY", "ADD PRIMARY KEY (`claim_id`)"),
        ("claim", "DROP PRIMARY KEY, ADD KEY (claim_id)", "ADD PRIMARY KEY (`claim_id`)"),
        ("claim", "DROP PRIMARY KEY, ADD PRIMARY KEY (claim_id(8))", "DROP PRIMARY KEY, ADD PRIM"),
        ("claim", "DROP PRIMARY KEY, ADD PRIMARY KEY (claim_id, digest)", "DROP PRIMARY KEY, ADD"),
        ("claim", "DROP PRIMARY KEY, ADD UNIQUE one (digest)", "ADD PRIMARY KEY (`claim_id`), DR"),
        ("claim", "ADD UNIQUE one (digest)", "has a unique key, one, by which"),
        (
            "claim",
            "DROP PRIMARY KEY, ADD COLUMN i INT AUTO_INCREMENT PRIMARY KEY",
            "ADD UNIQUE KEY (`claim_id`)",
        ),
        ("claim", "MODIFY claim_id BINARY(20)", "claim_id is binary(20), and has to be BINARY(16)"),
        ("claim", "MODIFY digest BINARY(8) NOT NULL", "MODIFY COLUMN `digest` BINARY(16) NOT NULL"),
        ("claim", "MODIFY claim_id VARCHAR(16)", "claim_id is varchar(16), and has to be BINARY"),
        ("claim", "MODIFY payloads TINYINT", "payloads is tinyint(4), and has to be INT UNSIGNED"),
        ("claim", "MODIFY committed_at DATETIME(3) NULL", "has not the default CURRENT_TIMESTAMP"),
        ("dead_letter", "MODIFY seq BIGINT UNSIGNED NOT NULL", "seq is not AUTO_INCREMENT"),
        ("dead_letter", "MODIFY payload BLOB NOT NULL", "payload is blob, and has to be LONGBLOB"),
        ("dead_letter", "MODIFY payload LONGTEXT NOT NULL", "payload is longtext, and has to be"),
        ("dead_letter", "MODIFY reason VARCHAR(100)", "MODIFY COLUMN `reason` TEXT CHARACTER SET"),
        ("dead_letter", "MODIFY element INT UNSIGNED NOT NULL", "element is NOT NULL, and has to"),
        ("dead_letter", "CONVERT TO CHARACTER SET latin1", "reason is latin1, which lacks"),
        ("seen", "DROP PRIMARY KEY", "ADD PRIMARY KEY (`uid`)"),
        ("seen", "ADD UNIQUE (claim_id)", "has a unique key, claim_id, by which"),
        ("window_minute", "DROP PRIMARY KEY", "ADD PRIMARY KEY (`window_start`, `dimensions`)"),
        (
            "window_minute",
            "DROP PRIMARY KEY, ADD PRIMARY KEY (window_start)",
            "no primary or unique key of exactly window_start, dimensions",
        ),
        ("window_minute", "DROP PRIMARY KEY, ADD KEY (window_start, dimensions)", "ADD PRIMARY"),
        ("window_hour", "CONVERT TO CHARACTER SET latin1", "CONVERT TO CHARACTER SET utf8mb4"),
        ("window_hour", "CONVERT TO CHARACTER SET utf8mb3", "is utf8mb3, which lacks"),
        ("window_hour", "MODIFY campaign VARCHAR(50)", "campaign is varchar(50), and has to be"),
        ("window_hour", "MODIFY n INT UNSIGNED NOT NULL", "n is int(10) unsigned, and has to be"),
        ("window_hour", "MODIFY window_start DATE NOT NULL", "window_start is date, and has to be"),
        ("event", "MODIFY event_name INT", "event_name is int(11), which cannot hold"),
        ("event", "MODIFY event_name VARCHAR(3) NOT NULL", "event_name is varchar(3), which can"),
        ("event", "MODIFY event_name DATETIME", "event_name is datetime, which cannot hold"),
        ("event", "MODIFY occurred_at INT NOT NULL", "occurred_at is int(11), which cannot hold"),
        ("event", "MODIFY occurred_at BIGINT", "occurred_at is bigint(20), which cannot hold"),
        ("event", "MODIFY received_at TIME(3)", "received_at is time(3), which cannot hold"),
        ("event", "MODIFY received_at VARCHAR(10)", "received_at is varchar(10), which cannot"),
        ("event", "MODIFY recipient DOUBLE", "recipient is double, which cannot hold"),
        ("event", "MODIFY ip VARCHAR(7)", "ip is varchar(7), which cannot hold"),
        ("event", "MODIFY is_machine DATE", "is_machine is date, which cannot hold"),
        ("event", "MODIFY asn TINYINT", "asn is tinyint(4), which cannot hold"),
        ("event", "MODIFY bounce_class VARCHAR(32) NOT NULL", "NOT NULL, and most events have no"),
        ("event", "CONVERT TO CHARACTER SET latin1", "is latin1, which lacks"),
        ("event", "DROP campaign, ADD campaign CHAR AS ('c')", "campaign is a generated column"),
        ("event", "MODIFY seq BIGINT UNSIGNED NOT NULL", "seq has neither a default nor AUTO_INC"),
        ("event", "ADD tenant INT NOT NULL", "has a column without default that nothing fills"),
    ],
)
async def test_a_table_that_cannot_be_written_to_is_refused_with_the_remedy(
    db: Database, table: str, change: str, says: str
) -> None:
    await start(db)
    await db.query(f"ALTER TABLE pepi_{table} {change}")
    with pytest.raises(FatalError) as caught:
        await start(db)
    assert f"table pepi_{table} has a" in str(caught.value) or "has no" in str(caught.value)
    assert says in str(caught.value)
    if "ALTER TABLE" in (remedy := str(caught.value)):
        statement = remedy[remedy.index("ALTER TABLE") :].partition(";")[0]
        await db.query(statement)
        await start(db)


async def test_a_copy_of_a_table_by_create_table_as_select_is_refused(db: Database) -> None:
    for table in ("pepi_claim", "pepi_dead_letter", "pepi_seen", "pepi_window_minute"):
        await db.query(f"RENAME TABLE {table} TO original")
        await db.query(f"CREATE TABLE {table} AS SELECT * FROM original")
        with pytest.raises(FatalError, match=f"table {table} has "):
            await start(db)
        await db.query(f"DROP TABLE {table}")
        await db.query(f"RENAME TABLE original TO {table}")
    await db.query("RENAME TABLE pepi_event TO original")
    await db.query("CREATE VIEW pepi_event AS SELECT * FROM original")
    with pytest.raises(FatalError, match="table pepi_event is a view"):
        await start(db)
    await db.query("DROP VIEW pepi_event")
    await db.query("RENAME TABLE original TO pepi_event")


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("claim", "DROP PRIMARY KEY, ADD UNIQUE one (claim_id)"),
        ("claim", "ADD UNIQUE more (claim_id, digest), ADD KEY (committed_at)"),
        ("claim", "MODIFY payloads BIGINT NOT NULL, MODIFY claim_id VARBINARY(16)"),
        ("claim", "PARTITION BY KEY (claim_id) PARTITIONS 4"),
        ("dead_letter", "MODIFY payload MEDIUMBLOB NOT NULL, MODIFY reason LONGTEXT NOT NULL"),
        ("dead_letter", "ADD INDEX (claim_id), ADD COLUMN note TEXT"),
        ("window_minute", "ADD COLUMN i BIGINT AUTO_INCREMENT UNIQUE"),
        ("window_minute", "DROP PRIMARY KEY, ADD PRIMARY KEY (dimensions, window_start)"),
        ("window_hour", "MODIFY campaign TEXT NOT NULL, MODIFY event_name VARCHAR(300) NOT NULL"),
        ("window_hour", "MODIFY campaign VARCHAR(255) COLLATE utf8mb4_unicode_ci NOT NULL"),
        ("event", "DROP PRIMARY KEY, MODIFY seq INT"),
        ("event", "MODIFY id BIGINT"),
        ("event", "MODIFY id VARBINARY(255), MODIFY campaign BLOB"),
        ("event", "MODIFY event_name VARCHAR(50), MODIFY url VARCHAR(2000)"),
        ("event", "MODIFY event_name ENUM('sent', 'opened', 'clicked')"),
        ("event", "MODIFY event_name CHAR(12), MODIFY recipient VARCHAR(320) NOT NULL"),
        ("event", "MODIFY occurred_at DATETIME NOT NULL, MODIFY received_at TIMESTAMP(6) NULL"),
        ("event", "MODIFY occurred_at VARCHAR(30), MODIFY received_at DATE"),
        ("event", "MODIFY is_machine INT, MODIFY asn BIGINT"),
        ("event", "MODIFY is_machine BIT(1), MODIFY asn VARCHAR(20)"),
        ("event", "MODIFY ip INET6"),
        ("event", "ADD KEY (campaign), ADD UNIQUE (id, occurred_at), ADD note TEXT"),
        ("event", "ADD tenant INT NOT NULL DEFAULT 1, ADD day DATE AS (DATE(occurred_at))"),
    ],
)
async def test_a_table_that_can_hold_what_is_written_is_taken(
    db: Database, table: str, change: str
) -> None:
    await db.query(f"ALTER TABLE pepi_{table} {change}")
    await start(db)
    outcome = await (await db.transaction()).write([db.rendered([*events(6), b"none"])])
    assert (outcome.rows, outcome.dead) == (6, 1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("MODIFY campaign VARCHAR(20)", "campaign is varchar(20), where `migrate` makes VARCHAR(2"),
        ("MODIFY asn INT", "asn is int(11), where `migrate` makes INT UNSIGNED"),
        ("CONVERT TO CHARACTER SET latin1, COMMENT = 'the shop''s'", "is latin1, which lacks"),
        (
            "DROP PRIMARY KEY, MODIFY seq INT PARTITION BY RANGE COLUMNS (occurred_at) "
            "(PARTITION p VALUES LESS THAN ('2030-01-01'))",
            "is partitioned, and a row beyond its last partition ends the worker",
        ),
    ],
)
async def test_a_table_that_can_hold_some_of_it_is_taken_with_a_warning(
    db: Database, change: str, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    await db.query(f"ALTER TABLE pepi_event {change}")
    with caplog.at_level(logging.WARNING):
        await start(db)
    assert says in caplog.text


async def test_a_type_that_the_user_has_stated_is_the_users_word(database_url: str) -> None:
    columns = [
        {"name": "name", "value": "event_name", "type": "VARCHAR(8) CHARACTER SET latin1"},
        {"name": "number", "value": "recipient", "type": "INT"},
        {"name": "own", "value": "tests.sinking:null_or_text", "type": "POINT"},
    ]
    async with database(database_url, PEPI_SINK__COLUMNS=json.dumps(columns)) as db:
        await start(db)
        await db.query("ALTER TABLE pepi_event MODIFY name INT")
        with pytest.raises(FatalError, match=r"name is int\(11\), which cannot hold"):
            await start(db)


@pytest.mark.parametrize("packet", [1024, 3072, 4096, 15_360])
async def test_a_packet_of_less_than_16_kib_is_fatal(
    db: Database, mariadb_server: MariaDBServer, packet: int
) -> None:
    """At start, and when a running worker connects anew."""
    sink = Sink(db.settings, db.pipeline, on_commit=lambda outcome: None)
    await sink.ready()
    remedy = f"max_allowed_packet is {packet} bytes.*SET GLOBAL max_allowed_packet = 67108864"
    async with global_variable(mariadb_server.socket_path, "max_allowed_packet", packet):
        with pytest.raises(FatalError, match=remedy):
            await sink.ready()
        sink.accept(db.batch([event(1)]))
        with pytest.raises(FatalError, match=remedy):
            await sink.write_forever()


async def test_16_kib_are_enough_for_rows_windows_repeats_and_letters(
    db: Database, mariadb_server: MariaDBServer
) -> None:
    async with global_variable(mariadb_server.socket_path, "max_allowed_packet", 16_384):
        await start(db)
        payloads = [event(n, TAGS="😀" * 250) for n in range(300)]
        bad = [b"'" * size for size in (0, 1, 4095, 4096, 4097, 100_000)]
        transaction = await db.transaction()
        outcome = await transaction.write([db.rendered([*payloads, *bad])])
    assert (outcome.rows, outcome.dead) == (300, len(bad))
    assert [payload for _, _, payload, _ in await db.dead()] == bad
    assert await db.value("SELECT COUNT(*) FROM pepi_seen") == 300
