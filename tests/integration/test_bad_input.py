"""Hostile payloads through a real worker: a row or a dead letter each, never a neighbour."""

from __future__ import annotations

import json
from datetime import datetime
from itertools import groupby
from typing import Any

import pytest

from tests.decoding import DEEP
from tests.flow import Flow, MakeFlow

GOOD: dict[str, Any] = {
    "TRANSID": 15543162084122748,
    "EMAIL": "someone@example.com",
    "TIMESTAMP": 1554375863,
    "EVENT": "opened",
    "TAGS": "tag1",
}


def payload(**changes: Any) -> bytes:
    """Return the good payload with some fields changed; None leaves a field out."""
    fields = {k: v for k, v in {**GOOD, **changes}.items() if v is not None}
    return json.dumps(fields, ensure_ascii=False).encode("utf-8", "surrogatepass")


SQL = "'); DROP TABLE pepi_event; -- \\"

ROWS: dict[str, tuple[bytes, dict[str, Any]]] = {
    "unknown event name": (
        payload(EVENT="teleported"),
        {"event_name": "other", "reason": "teleported"},
    ),
    "NUL in a text": (payload(TAGS="a\0b"), {"campaign": "a\0b"}),
    "quotes, backslashes, SQL": (
        payload(TAGS=SQL, URL=SQL, BOUNCE_REASON=SQL, EMAIL=f"{SQL}@{SQL}"),
        {"campaign": SQL, "url": SQL, "reason": SQL, "recipient": f"{SQL}@{SQL}"},
    ),
    "integer beyond 64 bits": (payload(TRANSID=10**30), {"id": str(10**30)}),
    "four-byte characters": (
        payload(TAGS="\U0001f600 दीपावली"),
        {"campaign": "\U0001f600 दीपावली"},
    ),
    "a decorative field that is none": (
        payload(URL=["x"], TAGS={"a": 1}, TRANSID=11),
        {"id": "11", "url": None, "campaign": None},
    ),
    "half a character": (
        payload(TAGS="half", TRANSID=12).replace(b"half", b"\\ud83d"),
        {"id": "12", "campaign": "\ufffd"},
    ),
    "milliseconds": (
        payload(TIMESTAMP=1554375863250, TRANSID=13),
        {"id": "13", "occurred_at": datetime(2019, 4, 4, 11, 4, 23, 250_000)},
    ),
    "negative time": (payload(TIMESTAMP=-1, TRANSID=14), {"id": "14"}),
    "time in words": (payload(TIMESTAMP="yesterday", TRANSID=15), {"id": "15"}),
    "numbers as strings": (payload(TRANSID="7", TIMESTAMP="1554375863"), {"id": "7"}),
    "unknown field with invalid UTF-8": (
        payload()[:-1] + b', "x": "\xff"}',
        {"id": str(GOOD["TRANSID"])},
    ),
}
DEAD: dict[str, tuple[bytes, str]] = {
    "not JSON": (b"hello", "not JSON: "),
    "cut JSON": (payload()[:-5], "not JSON: it ends too early"),
    "JSON of another shape": (b'"opened"', "must be object"),
    "a number": (b"42", "must be object"),
    "empty payload": (b"", "empty payload"),
    "white space": (b" \n ", "empty payload"),
    "empty array": (b"[]", "no event in the payload"),
    "missing field": (payload(EMAIL=None), "field EMAIL is missing"),
    "wrong type": (payload(EVENT=5), "field EVENT must be str, not int"),
    "invalid UTF-8": (payload().replace(b"opened", b"op\xffned"), "not valid UTF-8"),
    "lone surrogate, escaped": (payload().replace(b"opened", b"\\ud800"), "surrogate"),
    "lone surrogate, raw": (payload(EVENT="\ud800"), "not valid UTF-8"),
    "raw NUL": (payload().replace(b"tag1", b"ta\0g"), "not JSON: "),
    "longer than its column": (payload(TAGS="x" * 300), "Data too long for column 'campaign'"),
    "ten megabytes in one field": (payload(BOUNCE_REASON="x" * 10_000_000), "Data too long"),
    "ten megabytes of nonsense": (b"x" * 10_000_000, "not JSON: "),
    "nested 100,000 deep": (
        payload()[:-1] + b', "x": ' + b"[" * DEEP + b"]" * DEEP + b"}",
        "nested too deeply",
    ),
    "two objects": (payload() + b"," + payload(), "not JSON: trailing characters"),
}


@pytest.fixture
def flow(make_flow: MakeFlow, redis_url: str, database_url: str) -> Flow:
    """A migrated flow of pepipost events."""
    flow = make_flow(redis_url, database_url, PEPI_SOURCE__FORMAT="pepipost")
    flow.make_tables()
    return flow


def test_each_is_a_row_or_a_dead_letter_and_its_neighbours_are_rows(flow: Flow) -> None:
    """P4, and P3 over everything that was refused."""
    payloads: list[bytes] = []
    for i, bad in enumerate([raw for raw, _ in ROWS.values()] + [raw for raw, _ in DEAD.values()]):
        payloads += [payload(TRANSID=1000 + i), bad]
    payloads.append(payload(TRANSID=1999))
    pushed = flow.push(payloads)
    worker = flow.worker()
    flow.wait_drained()
    assert worker.stop() == 0

    neighbours = {row[0] for row in flow.sql("SELECT id FROM pepi_event WHERE id LIKE '1___'")}
    assert neighbours == {*(str(1000 + i) for i in range(len(ROWS) + len(DEAD))), "1999"}

    for name, (_, expected) in ROWS.items():
        columns = ", ".join(expected)
        found = flow.sql(f"SELECT {columns} FROM pepi_event")
        assert tuple(expected.values()) in found, name

    parts = flow.sql(
        "SELECT claim_id, position, payload, reason FROM pepi_dead_letter "
        "ORDER BY claim_id, position, part"
    )
    letters = [list(same) for _, same in groupby(parts, key=lambda part: part[:2])]
    assert len(letters) == len(DEAD)
    reasons = {b"".join(part[2] for part in same): same[0][3] for same in letters}
    for name, (raw, says) in DEAD.items():
        assert says in reasons[raw], name
    flow.check_books(pushed)


def test_one_bad_element_of_an_array_is_dead_alone(flow: Flow) -> None:
    bad = b'{"EVENT": "opened", "EMAIL": 5}'
    long = payload(TAGS="y" * 300)
    array = b"[" + b" , ".join([payload(TRANSID=1), bad, payload(TRANSID=2), long]) + b"]"
    flow.push([payload(TRANSID=0), array, payload(TRANSID=3)])
    flow.worker()
    flow.wait_drained()
    assert flow.sql("SELECT id FROM pepi_event ORDER BY id") == [("0",), ("1",), ("2",), ("3",)]
    assert flow.sql("SELECT position, element, payload FROM pepi_dead_letter ORDER BY element") == [
        (1, 1, bad),
        (1, 3, long),
    ]
