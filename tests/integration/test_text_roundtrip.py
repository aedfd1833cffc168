"""Any text and any bytes come back from MariaDB as they went in, on each path of the renderer."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pepi_stream.events import MAX_EPOCH_MS, Batch, Column, Constant, DeadLetter
from pepi_stream.local.servers import MariaDBServer
from pepi_stream.printable import printable
from pepi_stream.sink.literals import is_clean_text
from tests.sinking import NOW_MS, Database, claim_of, database, event, global_variable

TEXT_COLUMNS = (
    *("id", "event_name", "recipient", "recipient_domain", "mailbox_provider", "campaign"),
    *("ip", "client", "os", "device", "url", "bounce_class", "reason", "esp", "event_uid"),
)
AWKWARD = "'\\\"\0%\n\r\t\x1a`;#-/*(), \u00df\u0130\u2028\ufeff\ufffd\uffff😀\U0010ffff{}"

characters = st.sampled_from(AWKWARD) | st.characters(exclude_categories=["Cs"])
texts = st.text(characters, max_size=32) | st.sampled_from(
    ["", "\\", "'", "\\'", "''", "\\\\", "%s", "%(a)s", "NULL", "');DROP TABLE pepi_event;-- ", " "]
)
#: Texts that some comparison takes for one another: by case, by a space, by accent, by form.
ALIKE = (
    "a",
    "A",
    "a ",
    " a",
    "\u00e4",
    "a\u0308",
    "\u00c4",
    "ss",
    "\u00df",
    "",
    "\0",
    "'a",
    "'A",
    "1",
    "01",
)
columns_of_text = st.lists(texts, min_size=1, max_size=12) | st.lists(
    st.sampled_from(ALIKE), min_size=6, max_size=12
)
#: Longer than a dimension holds (255 characters), and alike up to there, or nearly.
long_texts = st.builds(
    lambda start, fill, size, end: (start + fill * 300)[:size] + end,
    st.sampled_from(["", "'", "\\"]),
    st.sampled_from(["x", "X", "\u00e9", "\U0001f600", "'", "\\"]),
    st.integers(253, 256),
    st.sampled_from(["", "y", "'", "\U0001f600"]),
)

# One database for all examples of a test: each has its own claim, and finds its rows by it.
examples = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(params=["true", "false"], ids=["bulk", "text"])
async def db(database_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    async with database(database_url, PEPI_SINK__BULK=request.param) as opened:
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


@given(values=columns_of_text | st.lists(long_texts, min_size=1, max_size=12))
@examples
async def test_any_text_as_a_window_dimension(db: Database, values: list[str]) -> None:
    for table in ("pepi_window_hour", "pepi_window_minute", "pepi_event"):
        await db.query(f"DELETE FROM {table}")
    texts: dict[str, Column] = {"event_name": ["sent"] * len(values), "campaign": values}
    batch = db.pipeline.count(
        Batch(
            claim_of([b""] * len(values)),
            format="made up",
            size=len(values),
            columns={"occurred_at": Constant(NOW_MS, len(values)), **texts},
        )
    )
    batch.columns["campaign"] = Constant(None, len(values))  # the row's own column is shorter
    transaction = await db.transaction()
    for _ in range(2):  # the second time adds to the first
        await transaction.write([db.renderer.render(batch)])
        batch.claim = claim_of([b""] * len(values))
    transaction.conn.close()
    found = await db.query("SELECT CAST(campaign AS BINARY), n FROM pepi_window_hour")
    expected = Counter(value[:255].encode() for value in values * 2)
    assert dict(found) == expected
    assert len(found) == len(expected)


@given(
    times=st.lists(st.integers(0, MAX_EPOCH_MS) | st.sampled_from([0, MAX_EPOCH_MS]), min_size=1),
    received=st.integers(0, MAX_EPOCH_MS),
)
@examples
async def test_any_time_in_its_column(db: Database, times: list[int], received: int) -> None:
    claim = claim_of([b""] * len(times))
    claim.received_at = received
    await db.query("DELETE FROM pepi_event")
    columns: dict[str, Column] = {"occurred_at": times, "event_name": ["sent"] * len(times)}
    batch = Batch(claim, format="made up", size=len(times), columns=columns)
    transaction = await db.transaction()
    await transaction.write([db.renderer.render(db.pipeline.count(batch))])
    transaction.conn.close()
    assert await db.query(
        "SELECT CAST(occurred_at AS CHAR), CAST(received_at AS CHAR) FROM pepi_event ORDER BY seq"
    ) == [(as_text(ms), as_text(received)) for ms in times]
    for table in ("pepi_window_hour", "pepi_window_minute", "pepi_event"):
        await db.query(f"DELETE FROM {table}")


def as_text(ms: int) -> str:
    at = datetime(1970, 1, 1) + timedelta(milliseconds=ms)
    return at.isoformat(" ", "milliseconds")


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
    ) == [(n, payload, printable(reason).encode()) for n, payload in enumerate(payloads)]


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
    assert await db.dead() == [(0, None, b"x", "not \\ud800 text")]


@pytest.mark.parametrize("names", ["latin1", "gbk", "utf8mb3"])
async def test_a_server_that_sets_another_character_set(
    database_url: str, mariadb_server: MariaDBServer, names: str
) -> None:
    """init_connect, and skip-character-set-client-handshake, overrule what a client greets with."""
    async with global_variable(mariadb_server.socket_path, "init_connect", f"SET NAMES {names}"):
        for bulk in ("true", "false"):
            async with database(database_url, PEPI_SINK__BULK=bulk) as db:
                transaction = await db.transaction()
                await transaction.write([db.rendered([event(1, TAGS="\u00e9\U0001f600\u8a02'")])])
                assert await db.query("SELECT HEX(campaign) FROM pepi_event") == [
                    ("C3A9F09F9880E8A88227",)
                ]
                await db.query("DROP TABLE pepi_event, pepi_window_minute, pepi_window_hour")
                await db.make_tables()
