"""Any text and any bytes come back from MariaDB as they went in, on each path of the renderer."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pepi_stream.events import Batch, Column, Constant, DeadLetter
from pepi_stream.sink.literals import is_clean_text
from tests.sinking import NOW_MS, Database, claim_of, database

TEXT_COLUMNS = (
    *("id", "event_name", "recipient", "recipient_domain", "mailbox_provider", "campaign"),
    *("ip", "client", "os", "device", "url", "bounce_class", "reason", "esp", "event_uid"),
)
AWKWARD = "'\\\"\0%\n\r\t\x1a`;#-/*(), \u00df\u0130\u2028\ufeff\ufffd\uffff😀\U0010ffff{}"

characters = st.sampled_from(AWKWARD) | st.characters(exclude_categories=["Cs"])
texts = st.text(characters, max_size=32) | st.sampled_from(
    ["", "\\", "'", "\\'", "''", "\\\\", "%s", "%(a)s", "NULL", "');DROP TABLE pepi_event;-- ", " "]
)
columns_of_text = st.lists(texts, min_size=1, max_size=12)

# One database for all examples of a test: each has its own claim, and finds its rows by it.
examples = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    async with database(database_url) as opened:
        yield opened


async def written(db: Database, columns: dict[str, Column], size: int) -> list[tuple[bytes, ...]]:
    """Write one batch and return its rows' text as the bytes that the server keeps."""
    batch = Batch(
        claim_of([b""] * size),
        format="made up",
        size=size,
        columns={"occurred_at": Constant(NOW_MS, size), **columns},
    )
    transaction = await db.transaction()
    last = await db.value("SELECT COALESCE(MAX(seq), 0) FROM pepi_event")
    outcome = await transaction.write([db.renderer.render(db.pipeline.count(batch))])
    assert (outcome.rows, outcome.dead) == (size, 0)
    transaction.conn.close()
    names = ", ".join(f"CAST({name} AS BINARY)" for name in TEXT_COLUMNS)
    return await db.query(f"SELECT {names} FROM pepi_event WHERE seq > {last} ORDER BY seq")


def expected(values: Sequence[str]) -> list[tuple[bytes, ...]]:
    return [(value.encode(),) * len(TEXT_COLUMNS) for value in values]


@given(values=columns_of_text)
@examples
async def test_any_text_in_any_text_column(db: Database, values: list[str]) -> None:
    rows = await written(db, dict.fromkeys(TEXT_COLUMNS, values), len(values))
    assert rows == expected(values)


@given(values=columns_of_text)
@examples
async def test_text_that_needs_no_escaping(db: Database, values: list[str]) -> None:
    clean = [value.replace("'", "").replace("\\", "") for value in values]
    assert is_clean_text(clean)
    rows = await written(db, dict.fromkeys(TEXT_COLUMNS, clean), len(clean))
    assert rows == expected(clean)


@given(values=columns_of_text, times=st.integers(2, 4))
@examples
async def test_text_that_repeats_beside_null(db: Database, values: list[str], times: int) -> None:
    repeated: list[str | None] = [*(values * times), None]
    columns: dict[str, Column] = dict.fromkeys(TEXT_COLUMNS, repeated)
    columns["event_name"] = [value or "" for value in repeated]  # NOT NULL
    rows = await written(db, columns, len(repeated))
    assert rows[:-1] == expected(values * times)
    assert set(rows[-1]) == {None, b""}


@given(value=texts, other=texts, size=st.integers(1, 3))
@examples
async def test_constant_text_beside_varying_text(
    db: Database, value: str, other: str, size: int
) -> None:
    varying = dict.fromkeys(TEXT_COLUMNS[1::2], [other] * size)
    columns: dict[str, Column] = dict.fromkeys(TEXT_COLUMNS, Constant(value, size))
    rows = await written(db, columns | varying, size)
    row = tuple((other if n in varying else value).encode() for n in TEXT_COLUMNS)
    assert rows == [row] * size


@given(values=columns_of_text)
@examples
async def test_any_text_as_a_window_dimension(db: Database, values: list[str]) -> None:
    await db.query("TRUNCATE pepi_window_hour")
    await db.query("TRUNCATE pepi_window_minute")
    await db.query("TRUNCATE pepi_event")
    await written(db, dict.fromkeys(("event_name", "campaign"), values), len(values))
    found = await db.query("SELECT CAST(campaign AS BINARY), n FROM pepi_window_hour")
    assert dict(found) == Counter(value.encode() for value in values)
    assert len(found) == len(set(values))


@given(payloads=st.lists(st.binary(max_size=300), min_size=1, max_size=6), reason=texts)
@examples
async def test_any_bytes_in_a_dead_letter(db: Database, payloads: list[bytes], reason: str) -> None:
    claim = claim_of(payloads)
    dead = [DeadLetter(n, None, payload, reason) for n, payload in enumerate(payloads)]
    batch = Batch(claim, format="made up", size=0, columns={}, dead=dead)
    transaction = await db.transaction()
    await transaction.write([db.renderer.render(db.pipeline.count(batch))])
    transaction.conn.close()
    assert await db.query(
        "SELECT position, payload, CAST(reason AS BINARY) FROM pepi_dead_letter "
        f"WHERE claim_id = X'{claim.key.hex()}' ORDER BY position"
    ) == [(n, payload, reason.encode()) for n, payload in enumerate(payloads)]


async def test_every_byte_and_every_plane_in_one_go(db: Database) -> None:
    points = [*range(0xD800), *range(0xE000, 0x110000, 61)]
    lines = ["".join(map(chr, points[n : n + 32])) for n in range(0, len(points), 32)]
    rows = await written(db, dict.fromkeys(TEXT_COLUMNS, lines), len(lines))
    assert rows == expected(lines)


async def test_a_lone_surrogate_reaches_a_dead_letters_reason_as_a_mark(db: Database) -> None:
    batch = Batch(
        claim_of([b"x"]),
        format="made up",
        size=0,
        columns={},
        dead=[DeadLetter(0, None, b"x", "not \ud800 text")],
    )
    await (await db.transaction()).write([db.renderer.render(db.pipeline.count(batch))])
    assert await db.dead() == [(0, None, b"x", "not ? text")]
