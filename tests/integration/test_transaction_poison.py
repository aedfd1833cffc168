"""Rows that only MySQL can refuse: found by bisection, kept whole, and their neighbours land."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest

from tests.sinking import Database, Statements, database, event, events

LONG = "c" * 256  # one character more than pepi_event.campaign holds


@pytest.fixture(params=["true", "false"], ids=["bulk", "text"])
async def db(database_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    async with database(database_url, PEPI_SINK__BULK=request.param) as opened:
        yield opened


async def test_a_poison_row_is_a_dead_letter_and_its_neighbours_are_rows(db: Database) -> None:
    transaction = await db.transaction()
    poison = event(3, TAGS=LONG)
    flush = [db.rendered([event(1), event(2), poison, event(4)]), db.rendered(events(3, 5))]
    outcome = await transaction.write(flush)
    assert (outcome.rows, outcome.dead) == (6, 1)
    assert outcome.committed == [r.batch.claim for r in flush]
    [(position, element, payload, reason)] = await db.dead()
    assert (position, element, payload) == (2, None, poison)
    assert reason == "MySQL error 1406: Data too long for column 'campaign' at row 1"
    [(claim_id, format)] = await db.query("SELECT claim_id, format FROM pepi_dead_letter")
    assert (claim_id, format) == (flush[0].batch.claim.key, "pepipost")
    assert await db.ids() == list("124567")


async def test_windows_count_the_rows_that_stayed(db: Database) -> None:
    transaction = await db.transaction()
    outcome = await transaction.write(
        [db.rendered([event(3), event(3, EMAIL="e" * 321), event(6), event(1)])]
    )
    counted = await db.query("SELECT event_name, mailbox_provider, n FROM pepi_window_minute")
    assert sorted(counted) == [("opened", "Google", 1), ("sent", "Google", 2)]
    assert {name: sum(counts.values()) for name, counts in outcome.counts.items()} == {
        "minute": 3,
        "hour": 3,
    }


async def test_a_poison_element_is_kept_alone(db: Database) -> None:
    transaction = await db.transaction()
    poison = b' { "EVENT" : "sent", "TRANSID":2,"EMAIL":"a@b.c","TIMESTAMP":3,"TAGS":"%s"} ' % (
        LONG.encode()
    )
    payload = b"[" + b", ".join([event(1), poison, event(3)]) + b"]"
    await transaction.write([db.rendered([event(9), payload])])
    [(position, element, kept, _)] = await db.dead()
    assert (position, element) == (1, 1)
    assert kept == poison.strip()
    assert await db.ids() == ["1", "3", "9"]


@pytest.mark.parametrize("place", [0, 1, 2047, 2048, 4095])
async def test_one_poison_row_among_4096_costs_a_logarithm(db: Database, place: int) -> None:
    transaction = await db.transaction()
    payloads = events(4096)
    payloads[place] = event(place + 1, TAGS=LONG)
    statements = Statements(transaction.conn)
    outcome = await transaction.write([db.rendered(payloads)])
    assert (outcome.rows, outcome.dead) == (4095, 1)
    assert len(statements.starting("INSERT INTO `pepi_event`")) <= 1 + 2 * math.log2(4096)
    assert [letter[2] for letter in await db.dead()] == [payloads[place]]
    assert await db.value("SELECT COUNT(DISTINCT id) FROM pepi_event") == 4095


async def test_poison_rows_of_several_claims_go_back_to_their_own_claims(db: Database) -> None:
    transaction = await db.transaction()
    flush = []
    poison: dict[tuple[bytes, int], bytes] = {}
    for number in range(5):
        payloads = events(40, 1 + 40 * number)
        for place in range(number, 40, 7 + number):
            payloads[place] = event(40 * number + place + 1, TAGS=LONG)
        rendered = db.rendered(payloads)
        flush.append(rendered)
        for place, payload in enumerate(payloads):
            if LONG.encode() in payload:
                poison[rendered.batch.claim.key, place] = payload
    outcome = await transaction.write(flush)
    assert (outcome.rows, outcome.dead) == (200 - len(poison), len(poison))
    dead = await db.query("SELECT claim_id, position, payload FROM pepi_dead_letter")
    assert {(claim_id, position): payload for claim_id, position, payload in dead} == poison
    assert len(dead) == len(poison)
    assert len(set(await db.ids())) == 200 - len(poison)


async def test_all_rows_poison(db: Database) -> None:
    transaction = await db.transaction()
    payloads = [event(n, TAGS=LONG) for n in range(100)]
    outcome = await transaction.write([db.rendered(payloads)])
    assert (outcome.rows, outcome.dead) == (0, 100)
    assert [letter[2] for letter in await db.dead()] == payloads
    assert await db.value("SELECT COUNT(*) FROM pepi_claim") == 1


async def test_records_refused_before_and_by_mysql_are_kept_together(db: Database) -> None:
    transaction = await db.transaction()
    await transaction.write([db.rendered([b"bad", event(1, TAGS=LONG), event(2), b""])])
    assert [(letter[0], letter[2]) for letter in await db.dead()] == [
        (0, b"bad"),
        (1, event(1, TAGS=LONG)),
        (3, b""),
    ]


async def test_a_check_constraint_of_the_users(db: Database) -> None:
    await db.query("ALTER TABLE pepi_event ADD CONSTRAINT no_seven CHECK (id <> '7')")
    transaction = await db.transaction()
    await transaction.write([db.rendered(events(10))])
    [(position, _, payload, reason)] = await db.dead()
    assert (position, payload) == (6, event(7))
    assert reason.startswith("MySQL error 4025: CONSTRAINT `no_seven` failed")
    assert len(await db.ids()) == 9


async def test_a_unique_index_of_the_users(db: Database) -> None:
    await db.query("CREATE UNIQUE INDEX one_id ON pepi_event (id)")
    transaction = await db.transaction()
    await transaction.write([db.rendered([event(1), event(2), event(1), event(3)])])
    await transaction.write([db.rendered([event(3), event(4)])])
    assert await db.ids() == ["1", "2", "3", "4"]
    letters = await db.dead()
    assert [(letter[0], letter[2]) for letter in letters] == [(2, event(1)), (0, event(3))]
    assert all("1062: Duplicate entry" in letter[3] for letter in letters)
    assert await db.value("SELECT COUNT(*) FROM pepi_claim") == 2


async def test_a_null_in_a_custom_column_that_may_not_be_null(database_url: str) -> None:
    columns = [
        "seq",
        "id",
        {"name": "who", "value": "tests.sinking:null_or_text", "type": "VARCHAR(99) NOT NULL"},
    ]
    async with database(database_url, PEPI_SINK__COLUMNS=json.dumps(columns)) as db:
        transaction = await db.transaction()
        payloads = [event(1), event(2, EMAIL="null@b.c"), event(3)]
        await transaction.write([db.rendered(payloads)])
        assert await db.ids() == ["1", "3"]
        [(position, _, payload, reason)] = await db.dead()
        assert (position, payload) == (1, payloads[1])
        assert reason == "MySQL error 1048: Column 'who' cannot be null"


@pytest.mark.parametrize(
    ("sql_type", "poison", "number"),
    [
        ("TINYINT", "300", 1264),
        ("TINYINT", "many", 1366),
        ("VARCHAR(20) CHARACTER SET latin1", "😀", 1366),
        ("ENUM('a', '1', '3')", "b", 1265),
        ("DATE", "2024-02-31", 1292),
    ],
)
async def test_values_that_the_type_of_a_column_refuses(
    database_url: str, sql_type: str, poison: str, number: int
) -> None:
    good = ("2024-02-28", "2024-02-29") if sql_type == "DATE" else ("1", "3")
    columns = [{"name": "id", "value": "campaign", "type": f"{sql_type} NOT NULL"}]
    async with database(database_url, PEPI_SINK__COLUMNS=json.dumps(columns)) as db:
        transaction = await db.transaction()
        payloads = [event(1, TAGS=good[0]), event(2, TAGS=poison), event(3, TAGS=good[1])]
        await transaction.write([db.rendered(payloads)])
        assert await db.ids() == list(good)
        [(_, _, payload, reason)] = await db.dead()
        assert payload == payloads[1]
        assert reason.startswith(f"MySQL error {number}: ")


async def test_poison_is_found_in_a_flush_that_several_statements_carry(db: Database) -> None:
    transaction = await db.transaction(max_bytes=5_000)
    payloads = events(500)
    payloads[250] = event(251, TAGS=LONG)
    outcome = await transaction.write([db.rendered(payloads)])
    assert (outcome.rows, outcome.dead) == (499, 1)
    assert len(set(await db.ids())) == 499


async def test_a_repeat_of_a_claim_with_poison_adds_no_dead_letter(db: Database) -> None:
    transaction = await db.transaction()
    flush = db.rendered([event(1), event(2, TAGS=LONG)])
    await transaction.write([flush])
    assert (await transaction.write([flush])).repeated == [flush.batch.claim]
    assert len(await db.dead()) == 1


async def test_a_trigger_that_refuses_a_row(db: Database) -> None:
    await db.query(
        "CREATE TRIGGER no_five BEFORE INSERT ON pepi_event FOR EACH ROW "
        "IF NEW.id = '5' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no fives'; END IF"
    )
    transaction = await db.transaction()
    await transaction.write([db.rendered(events(8))])
    [(position, _, _, reason)] = await db.dead()
    assert (position, reason) == (4, "MySQL error 1644: no fives")
    assert len(await db.ids()) == 7


async def test_a_node_of_a_cluster_is_told_to_undo_what_it_refused(db: Database) -> None:
    """Galera sends the rows before a refused one to the other nodes; see `make compat`."""
    transaction = await db.transaction()
    assert not transaction.conn.clustered
    transaction.conn.clustered = True
    statements = Statements(transaction.conn)
    first = db.rendered([event(1), event(2, TAGS=LONG), event(3)])
    again = db.rendered(events(2, 5))
    await transaction.write([first])
    outcome = await transaction.write([first, again])

    assert (outcome.rows, len(outcome.repeated)) == (2, 1)
    assert await db.ids() == ["1", "3", "5", "6"]
    inserts = (b"INSERT INTO `pepi_event`", b"INSERT INTO `pepi_claim`")
    before = [a for a, b in pairwise(statements.sent) if b.startswith(inserts)]
    assert len(before) > 5
    assert set(before) == {b"SAVEPOINT pepi_statement"}
    # Of the first flush: the whole, what the search sent with the refused row, and that row; of the
    # second: the ledger's.
    undone = statements.starting("ROLLBACK TO SAVEPOINT pepi_statement")
    assert len(undone) >= 3
    assert statements.sent[statements.sent.index(undone[0]) - 1].startswith(inserts)
