"""One flush is one transaction, and a claim takes effect once, against a real MariaDB."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from pepi_stream.claims.protocol import PROTOCOL
from pepi_stream.errors import FatalError
from pepi_stream.local.servers import MariaDBServer
from pepi_stream.settings import load_settings
from pepi_stream.sink import connect
from tests.sinking import (
    Database,
    Statements,
    administrator,
    claim_of,
    database,
    event,
    events,
    global_variable,
)


@pytest.fixture(params=["true", "false"], ids=["bulk", "text"])
async def db(database_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    async with database(database_url, PEPI_SINK__BULK=request.param) as opened:
        yield opened


async def test_rows_windows_ledger_and_dead_letters_commit_together(db: Database) -> None:
    transaction = await db.transaction()
    statements = Statements(transaction.conn)
    flush = db.rendered([event(1), b"not json", event(2), event(3)])
    outcome = await transaction.write([flush])
    assert (outcome.rows, outcome.dead) == (3, 1)
    assert outcome.committed == [flush.batch.claim]
    assert (outcome.repeated, outcome.conflicts) == ([], [])
    assert outcome.counts == flush.batch.counts
    assert await db.ids() == ["1", "2", "3"]
    assert await db.dead() == [(1, None, b"not json", "not JSON: invalid character (byte 4)")]
    claim = flush.batch.claim
    assert await db.query("SELECT claim_id, payloads, digest, version FROM pepi_claim") == [
        (claim.key, 4, claim.digest, PROTOCOL)
    ]
    # The ledger comes first; the hot window rows are locked last and briefest.
    assert [sql.split(b"(")[0].strip() for sql in statements.sent] == [
        b"BEGIN",
        b"INSERT INTO `pepi_claim`",
        b"INSERT INTO `pepi_event`",
        b"INSERT INTO `pepi_dead_letter`",
        b"INSERT INTO `pepi_window_minute`",
        b"INSERT INTO `pepi_window_hour`",
        b"COMMIT",
    ]


async def test_values_of_a_row_land_in_their_columns(db: Database) -> None:
    transaction = await db.transaction()
    payload = event(
        7, EVENT="Bounced", BOUNCE_REASON="550 no such user", URL="https://x.example/", TIMESTAMP=1
    )
    await transaction.write([db.rendered([payload])])
    row = await db.query(
        "SELECT id, event_name, recipient, recipient_domain, mailbox_provider, campaign, "
        "CAST(occurred_at AS CHAR), CAST(received_at AS CHAR), url, reason, esp, client "
        "FROM pepi_event"
    )
    assert row == [
        (
            *("7", "bounced", "reader7@gmail.com", "gmail.com", "Google", "campaign 1"),
            *("1970-01-01 00:00:01.000", "2023-11-14 22:13:20.000"),
            *("https://x.example/", "550 no such user", "pepipost", None),
        )
    ]


async def test_counts_of_later_flushes_add_up_in_the_same_window_rows(db: Database) -> None:
    transaction = await db.transaction()
    for first in (1, 31):
        await transaction.write([db.rendered(events(30, first))])
    assert await db.query(
        "SELECT CAST(window_start AS CHAR), event_name, mailbox_provider, n "
        "FROM pepi_window_minute ORDER BY 1"
    ) == [
        ("2019-04-04 11:04:00", "sent", "Google", 20),
        ("2019-04-04 11:05:00", "opened", "Google", 20),
        ("2019-04-04 11:06:00", "clicked", "Google", 20),
    ]


async def test_a_repeated_claim_changes_nothing_and_is_reported(db: Database) -> None:
    transaction = await db.transaction()
    flush = db.rendered([*events(5), b"bad"])
    await transaction.write([flush])
    again = await transaction.write([db.rendered([*events(5), b"bad"], flush.batch.claim.id)])
    assert [claim.id for claim in again.repeated] == [flush.batch.claim.id]
    assert (again.committed, again.conflicts, again.rows, again.dead) == ([], [], 0, 0)
    assert not any(again.counts.values())
    assert await db.ids() == list("12345")
    assert len(await db.dead()) == 1


async def test_the_same_id_with_other_payloads_is_a_conflict_and_writes_nothing(
    db: Database,
) -> None:
    transaction = await db.transaction()
    first = db.rendered(events(2))
    await transaction.write([first])
    others = [
        [event(8), event(9)],  # as many, but others
        [event(1)],  # fewer
        [event(1) + event(2), b""],  # the same bytes, cut elsewhere
    ]
    for number, payloads in enumerate(others):
        other = db.rendered(payloads, first.batch.claim.id)
        neighbour = db.rendered([event(100 + number)])
        outcome = await transaction.write([other, neighbour])
        assert outcome.conflicts == [other.batch.claim]
        assert outcome.committed == [neighbour.batch.claim]
        assert (outcome.repeated, outcome.rows, outcome.dead) == ([], 1, 0)
    assert await db.ids() == ["1", "100", "101", "102", "2"]
    assert await db.dead() == []


@pytest.mark.parametrize("digest", ["as it was", "of another version"])
async def test_an_entry_of_a_newer_version_is_neither_dropped_nor_counted_twice(
    db: Database, digest: str
) -> None:
    transaction = await db.transaction()
    known, fresh = db.rendered(events(2)), db.rendered(events(3, first=10))
    await transaction.write([known])
    await db.query("UPDATE pepi_claim SET version = 2")
    if digest != "as it was":
        await db.query("UPDATE pepi_claim SET digest = X'00112233445566778899AABBCCDDEEFF'")
    with pytest.raises(
        FatalError,
        match=r"the ledger has entries of a newer pepi_stream \(version 2\); upgrade this worker",
    ):
        await transaction.write([fresh, known])
    assert await db.ids() == ["1", "2"]  # and nothing of the claim beside it, which can wait
    assert (await transaction.write([fresh])).rows == 3


async def test_entries_of_other_versions_do_not_matter_to_other_claims(db: Database) -> None:
    transaction = await db.transaction()
    await transaction.write([db.rendered(events(2))])
    await db.query("UPDATE pepi_claim SET version = 255")
    assert (await transaction.write([db.rendered(events(2, first=10))])).rows == 2


async def test_a_mixed_flush_takes_each_claim_as_it_is(db: Database) -> None:
    transaction = await db.transaction()
    known, reused = db.rendered(events(3)), db.rendered(events(3, 11))
    await transaction.write([known, reused])
    conflict = db.rendered(events(3, 21), reused.batch.claim.id)
    fresh, dead_only, empty = db.rendered(events(3, 31)), db.rendered([b"x"]), db.rendered([])
    outcome = await transaction.write([known, fresh, conflict, dead_only, empty])
    assert outcome.repeated == [known.batch.claim]
    assert outcome.conflicts == [conflict.batch.claim]
    assert outcome.committed == [r.batch.claim for r in (fresh, dead_only, empty)]
    assert (outcome.rows, outcome.dead) == (3, 1)
    assert await db.value("SELECT COUNT(*) FROM pepi_claim") == 5
    assert len(await db.ids()) == 9


async def test_a_claim_that_is_twice_in_one_flush_takes_effect_once(db: Database) -> None:
    transaction = await db.transaction()
    flush = db.rendered(events(3))
    again = db.rendered(events(3), flush.batch.claim.id)
    outcome = await transaction.write([flush, again])
    assert outcome.committed == [flush.batch.claim]
    assert outcome.repeated == [again.batch.claim]
    assert await db.ids() == ["1", "2", "3"]
    # When the ledger knows other payloads under that id, neither may be acked as repeated.
    others = [db.rendered(events(3, 11), flush.batch.claim.id) for _ in range(2)]
    outcome = await transaction.write(others)
    assert (outcome.committed, outcome.repeated) == ([], [])
    assert outcome.conflicts == [r.batch.claim for r in others]


async def test_two_connections_that_write_the_same_claims_write_them_once(db: Database) -> None:
    transactions = [await db.transaction() for _ in range(4)]
    flush = [db.rendered(events(50, 1 + 50 * n)) for n in range(4)]
    outcomes = await asyncio.gather(*(t.write(flush) for t in transactions))
    claims = {r.batch.claim.id for r in flush}
    assert sorted(len(o.committed) for o in outcomes) == [0, 0, 0, 4]
    for outcome in outcomes:
        assert {c.id for c in (*outcome.committed, *outcome.repeated)} == claims
    assert len(await db.ids()) == 200


async def test_a_statement_is_split_by_max_bytes(db: Database) -> None:
    transaction = await db.transaction(max_bytes=10_000)
    statements = Statements(transaction.conn)
    await transaction.write([db.rendered(events(1000))])
    inserts = statements.starting("INSERT INTO `pepi_event`")
    assert len(inserts) > 10
    assert max(map(len, inserts)) <= 10_000
    assert len(set(await db.ids())) == 1000


async def test_one_row_above_max_bytes_but_within_the_packet_is_a_row(db: Database) -> None:
    transaction = await db.transaction(max_bytes=2_000)
    await transaction.write([db.rendered([event(1), event(2, URL="u" * 50_000), event(3)])])
    assert await db.value("SELECT LENGTH(url) FROM pepi_event WHERE id = '2'") == 50_000
    assert len(await db.ids()) == 3


async def test_max_allowed_packet_splits_rows_windows_and_dead_letters(
    db: Database, mariadb_server: MariaDBServer
) -> None:
    packet = 32_768
    tricky = bytes(range(256)) * 400  # 102,400 bytes, which escaping makes longer
    quotes = b"'" * 40_000  # doubled by escaping
    big = event(2, URL="é" * 30_000)  # a row of more bytes than a packet takes
    payloads = [event(n, TAGS=f"tag {n}") for n in range(1000, 1600)]
    async with global_variable(mariadb_server.socket_path, "max_allowed_packet", packet):
        transaction = await db.transaction()
        statements = Statements(transaction.conn)
        outcome = await transaction.write([db.rendered([*payloads, tricky, big, quotes])])
    assert (outcome.rows, outcome.dead) == (600, 3)
    assert max(map(len, statements.sent)) < packet
    assert len(statements.starting("INSERT INTO `pepi_window_hour`")) > 1
    letters = {position: (payload, reason) for position, _, payload, reason in await db.dead()}
    assert {p: payload for p, (payload, _) in letters.items()} == {
        600: tricky,
        601: big,
        602: quotes,
    }
    assert "max_allowed_packet of 32768 bytes" in letters[601][1]
    assert await db.value("SELECT COUNT(*) FROM pepi_window_hour") == 600


@pytest.mark.parametrize("mode", ["NO_BACKSLASH_ESCAPES", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES", ""])
async def test_the_servers_own_sql_mode_does_not_matter(
    db: Database, mariadb_server: MariaDBServer, mode: str
) -> None:
    reason = "\\'); DROP TABLE pepi_event; -- \\"
    async with global_variable(mariadb_server.socket_path, "sql_mode", mode):
        transaction = await db.transaction()
        await transaction.write(
            [db.rendered([event(1, RESPONSE=reason), event(2, TAGS="t" * 256)])]
        )
    assert await db.query("SELECT id, reason FROM pepi_event") == [("1", reason)]
    [(position, _, _, why)] = await db.dead()  # strict: an error, not a silent cut
    assert position == 1
    assert "Data too long for column 'campaign'" in why


@pytest.mark.parametrize("table", ["pepi_event", "pepi_claim", "pepi_window_hour"])
async def test_a_missing_table_is_fatal_and_says_what_to_run(db: Database, table: str) -> None:
    transaction = await db.transaction()
    await db.query(f"RENAME TABLE {table} TO elsewhere")
    with pytest.raises(FatalError, match=f"{table}.*run `faust -A pepi_stream migrate`"):
        await transaction.write([db.rendered(events(3))])
    await db.query(f"RENAME TABLE elsewhere TO {table}")
    assert await db.ids() == []
    assert await db.value("SELECT COUNT(*) FROM pepi_claim") == 0


async def test_a_missing_column_is_fatal(db: Database) -> None:
    transaction = await db.transaction()
    await db.query("ALTER TABLE pepi_event DROP COLUMN campaign")
    with pytest.raises(FatalError, match=r"campaign.*configured column is not in the table"):
        await transaction.write([db.rendered(events(3))])


async def test_a_column_of_the_users_that_nobody_fills_is_fatal(db: Database) -> None:
    await db.query("ALTER TABLE pepi_event ADD COLUMN tenant INT NOT NULL")
    transaction = await db.transaction()
    with pytest.raises(FatalError, match=r"tenant.*without default that sink.columns"):
        await transaction.write([db.rendered(events(3))])


async def test_a_wrong_password_is_fatal(db: Database, mariadb_server: MariaDBServer) -> None:
    url = mariadb_server.tcp_url.replace(mariadb_server.password, "wrong")
    with pytest.raises(FatalError, match=r"Access denied.*check user and password in DATABASE_URL"):
        await connect(load_settings({"DATABASE_URL": url}).database)


async def test_a_user_who_may_not_insert_is_fatal(
    db: Database, mariadb_server: MariaDBServer
) -> None:
    name = db.settings.database.connect_args()["db"]
    url = f"mysql://reader:pw@127.0.0.1:{mariadb_server.port}/{name}"
    async with administrator(mariadb_server.socket_path) as admin:
        await admin.query("CREATE USER 'reader'@'127.0.0.1' IDENTIFIED BY 'pw'")
        try:
            await admin.query(f"GRANT SELECT ON `{name}`.* TO 'reader'@'127.0.0.1'")
            transaction = await db.transaction(settings=load_settings({"DATABASE_URL": url}))
            with pytest.raises(FatalError, match=r"grant the user what README\.md lists"):
                await transaction.write([db.rendered(events(3))])
        finally:
            await admin.query("DROP USER 'reader'@'127.0.0.1'")


async def test_an_array_payload_is_a_row_per_element(db: Database) -> None:
    transaction = await db.transaction()
    array = b"[" + b",".join([event(1), b'{"EVENT": 5}', event(2)]) + b"]"
    outcome = await transaction.write([db.rendered([array, event(3)])])
    assert (outcome.rows, outcome.dead) == (3, 1)
    assert await db.dead() == [(0, 1, b'{"EVENT": 5}', "field EVENT must be str, not int")]


async def test_a_claim_of_nothing_is_entered_in_the_ledger(db: Database) -> None:
    transaction = await db.transaction()
    claim = claim_of([])
    outcome = await transaction.write(
        [db.renderer.render(db.pipeline.count(db.pipeline.enrich(claim)))]
    )
    assert outcome.committed == [claim]
    assert await db.value("SELECT COUNT(*) FROM pepi_claim") == 1


async def test_a_large_dead_letter_goes_in_statements_of_max_bytes(db: Database) -> None:
    transaction = await db.transaction(max_bytes=100_000)
    statements = Statements(transaction.conn)
    large = bytes(range(256)) * 2000
    await transaction.write([db.rendered([event(1), large, b"small", event(2)])])
    assert max(map(len, statements.sent)) <= 100_000
    assert [letter[:3] for letter in await db.dead()] == [(1, None, large), (2, None, b"small")]
