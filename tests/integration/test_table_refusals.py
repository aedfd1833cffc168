"""Refusals while a worker runs: for a producer's value a dead letter, for a table the end."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiomysql import OperationalError

from pepi_stream.errors import FatalError, TransientError
from tests.sinking import NOW_MS, Database, database, event, events

LONG = "c" * 256


@pytest.fixture(params=["true", "false"], ids=["bulk", "text"])
async def db(database_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    async with database(database_url, PEPI_SINK__BULK=request.param) as opened:
        yield opened


async def refused(db: Database, *says: str, count: int = 50) -> None:
    """Write events; see that the worker would end, and that nothing is kept but the claims."""
    before = await db.value("SELECT COUNT(*) FROM pepi_event")
    transaction = await db.transaction()
    for size in (count, 1):
        with pytest.raises(FatalError) as caught:
            await transaction.write([db.rendered(events(size, first=1000))])
        for part in says:
            assert part in str(caught.value)
    assert await db.value("SELECT COUNT(*) FROM pepi_dead_letter") == 0
    assert await db.value("SELECT COUNT(*) FROM pepi_event") == before


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("MODIFY event_name INT", "MODIFY COLUMN `event_name` VARCHAR(64)"),
        ("MODIFY event_name VARCHAR(3)", "event_name is varchar(3), which cannot hold"),
        ("MODIFY occurred_at INT", "MODIFY COLUMN `occurred_at` DATETIME(3) NOT NULL"),
        ("MODIFY is_machine TINYINT NOT NULL", "is_machine is NOT NULL, and most events"),
        ("MODIFY received_at BIGINT", "received_at is bigint(20), which cannot hold"),
    ],
)
async def test_a_column_whose_type_no_longer_fits_keeps_the_claims(
    db: Database, change: str, says: str
) -> None:
    """Its refusals look like those of values: 1366, 1406, 1265, 1048."""
    await db.query(f"ALTER TABLE pepi_event {change}")
    await refused(db, "MySQL error 1", says, "the claims are kept")


@pytest.mark.parametrize("foreign", [False, True], ids=["our table", "a user's table"])
async def test_a_character_that_the_tables_charset_lacks_keeps_the_claims(
    db: Database, foreign: bool
) -> None:
    comment = ", COMMENT = 'the shop''s'" if foreign else ""
    await db.query(f"ALTER TABLE pepi_event CONVERT TO CHARACTER SET latin1{comment}")
    transaction = await db.transaction()
    assert (await transaction.write([db.rendered(events(3))])).rows == 3
    if foreign:  # that is of a value, whatever the character set
        assert (await transaction.write([db.rendered([event(9, TAGS=LONG)])])).dead == 1
        await db.query("DELETE FROM pepi_dead_letter")
    with pytest.raises(FatalError, match="CONVERT TO CHARACTER SET utf8mb4"):
        await transaction.write([db.rendered([event(1), event(2, TAGS="\u8ba2")])])
    assert await db.value("SELECT COUNT(*) FROM pepi_dead_letter") == 0


async def test_numbers_of_the_table_that_are_used_up_keep_the_claims(db: Database) -> None:
    await db.query("ALTER TABLE pepi_event MODIFY seq TINYINT NOT NULL AUTO_INCREMENT")
    await (await db.transaction()).write([db.rendered(events(120))])
    await refused(db, "MySQL error", "give it a larger type")


async def test_a_duplicate_in_the_tables_own_key_keeps_the_claims(db: Database) -> None:
    """A key that is filled by a default, and not by an event."""
    await db.query("ALTER TABLE pepi_event ADD tenant INT NOT NULL DEFAULT 7, ADD UNIQUE (tenant)")
    await (await db.transaction()).write([db.rendered(events(1))])
    await refused(db, "MySQL error 1062", "no event has a value in the key ten")


@pytest.mark.parametrize(
    "key",
    [
        "ADD UNIQUE (id)",
        "ADD tenant INT NOT NULL DEFAULT 7, ADD UNIQUE (tenant, id)",
        "ADD h BINARY(16) AS (UNHEX(MD5(id))) STORED, ADD UNIQUE (h)",
    ],
)
async def test_a_duplicate_of_the_events_own_is_a_dead_letter(db: Database, key: str) -> None:
    await db.query(f"ALTER TABLE pepi_event {key}")
    outcome = await (await db.transaction()).write([db.rendered([event(1), event(2), event(1)])])
    assert (outcome.rows, outcome.dead) == (2, 1)


async def test_a_duplicate_in_what_a_trigger_fills_is_a_dead_letter(db: Database) -> None:
    await db.query("ALTER TABLE pepi_event ADD copy VARCHAR(99), ADD UNIQUE (copy)")
    await db.query(
        "CREATE TRIGGER copies BEFORE INSERT ON pepi_event FOR EACH ROW SET NEW.copy = NEW.id"
    )
    outcome = await (await db.transaction()).write([db.rendered([event(1), event(2), event(1)])])
    assert (outcome.rows, outcome.dead) == (2, 1)


PARTITIONS = (
    "ALTER TABLE pepi_event DROP PRIMARY KEY, MODIFY seq INT PARTITION BY RANGE COLUMNS "
    "(occurred_at) (PARTITION p VALUES LESS THAN ('{}'))"
)


async def test_a_row_without_a_partition_keeps_the_claims(db: Database) -> None:
    await db.query(PARTITIONS.format("2018-01-01"))
    await refused(db, "MySQL error 1526", "add a partition for the row")


async def test_an_event_of_the_far_future_without_a_partition_is_a_dead_letter(
    db: Database,
) -> None:
    await db.query(PARTITIONS.format("2030-01-01"))
    future = event(2, TIMESTAMP=NOW_MS // 1000 + 3600 * 24 * 365 * 50)
    outcome = await (await db.transaction()).write([db.rendered([event(1), future])])
    assert (outcome.rows, outcome.dead) == (1, 1)


async def test_a_producers_bad_values_are_dead_letters_however_many(db: Database) -> None:
    transaction = await db.transaction()
    bad = [event(n, TAGS=LONG) for n in range(300)]
    outcome = await transaction.write([db.rendered(bad), db.rendered([event(1, EMAIL="e" * 321)])])
    assert (outcome.rows, outcome.dead) == (0, 301)


@pytest.mark.parametrize(
    ("table", "change", "says"),
    [
        ("window_hour", "CONVERT TO CHARACTER SET latin1", "CONVERT TO CHARACTER SET utf8mb4"),
        ("window_hour", "MODIFY campaign VARCHAR(2) NOT NULL", "MODIFY COLUMN `campaign` VARCHAR"),
        ("window_minute", "ADD CHECK (n < 1)", "compare it with what `migrate --dry-run` prints"),
        ("dead_letter", "MODIFY reason VARCHAR(9) NOT NULL", "MODIFY COLUMN `reason` TEXT"),
        ("dead_letter", "MODIFY seq TINYINT NOT NULL AUTO_INCREMENT", "larger type"),
        ("claim", "MODIFY digest BINARY(8) NOT NULL", "MODIFY COLUMN `digest` BINARY(16)"),
    ],
)
async def test_what_a_table_of_our_own_refuses_is_named_with_table_and_remedy(
    db: Database, table: str, change: str, says: str
) -> None:
    await db.query(f"ALTER TABLE pepi_{table} {change}")
    transaction = await db.transaction()
    dead = [b"no event"] * 130  # more than a TINYINT counts
    with pytest.raises(FatalError) as caught:
        await transaction.write([db.rendered([event(1, TAGS="\u8ba2" * 9), *dead])])
    assert f"pepi_{table}" in str(caught.value)
    assert says in str(caught.value)


async def test_a_key_of_the_ledgers_by_which_claims_are_alike_is_named(db: Database) -> None:
    await db.query("ALTER TABLE pepi_claim ADD UNIQUE (payloads)")
    transaction = await db.transaction()
    await transaction.write([db.rendered([event(1)])])
    with pytest.raises(FatalError, match=r"table pepi_claim has a unique key.*DROP KEY `payloads`"):
        await transaction.write([db.rendered([event(2)])])


async def test_dead_letters_that_make_no_row_are_an_alarm(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of whatever cause: a letter that is not there must not be taken for kept."""
    transaction = await db.transaction()
    monkeypatch.setattr("pepi_stream.sink.statements.insert_dead", lambda *arguments: [])
    with pytest.raises(FatalError, match="of 2 dead letters only 0 rows landed"):
        await transaction.write([db.rendered([event(1), b"one", b"two"])])
    assert await db.ids() == []


async def test_a_lock_on_the_numbers_is_no_reason_to_end(db: Database) -> None:
    """The same number, 1467, is of a counter at its end: there it is one."""
    transaction = await db.transaction()
    failure = await transaction._refusals.of_transaction(
        OperationalError(1467, "no value"), "writing", "pepi_event"
    )
    assert isinstance(failure, TransientError)
