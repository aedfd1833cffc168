"""``plain``: flat objects of a producer's own; more of what is refused is in test_formats.py."""

from __future__ import annotations

from typing import Any

import pytest

from pepi_stream.formats import load_format
from tests.format_cases import Case, at, check_cases, raw

MS = at("2019-04-04T11:04:23Z")
ARTICLE = Case(
    "the article's", b'{"id": 1, "event_name": "sent"}', [{"id": "1", "event_name": "sent"}]
)
CASES = [
    ARTICLE,
    Case(
        "the article's other names, in an array",
        [{"id": n, "event_name": name} for n, name in enumerate(("clicked", "open", "bounce"))],
        [
            {"id": str(n), "event_name": name}
            for n, name in enumerate(("clicked", "open", "bounce"))
        ],
    ),
    Case(
        "event, and email",
        {"event": "e", "email": "a@b"},
        [{"event_name": "e", "recipient": "a@b"}],
    ),
    Case(
        "both names of a field",
        {"event": "no", "event_name": "yes", "email": "no", "recipient": "yes"},
        [{"event_name": "yes", "recipient": "yes"}],
    ),
    *(
        Case(
            f"{field} is {value}",
            {"event": "e", field: value},
            [{"event_name": "e", "occurred_at": ms}],
        )
        for field, value, ms in [
            ("ts", 1554375863, MS),
            ("ts", "1554375863.25", MS + 250),
            ("timestamp", 1554375863.25, MS + 250),
            ("timestamp", "2019-04-04T11:04:23Z", MS),
            ("occurred_at", "2019-04-04 13:04:23.1234+02:00", MS + 123),
            ("occurred_at", 1554375863, MS),
        ]
    ),
    Case(
        "the first second of all, beside another time",
        {"event": "e", "ts": 0, "timestamp": 5},
        [{"event_name": "e", "occurred_at": 0}],
    ),
    Case(
        "some events with a time, some without",
        [
            {"event": "a", "ts": 1},
            {"event": "b"},
            {"event": "c", "occurred_at": "1970-01-01T00:00:02Z"},
        ],
        [
            {"event_name": "a", "occurred_at": 1000},
            {"event_name": "b"},
            {"event_name": "c", "occurred_at": 2000},
        ],
    ),
    Case(
        "every column",
        {
            "event_name": "opened",
            "campaign": "c",
            "ip": "::1",
            "user_agent": "u",
            "client": "cl",
            "os": "o",
            "device": "d",
            "url": "l",
            "bounce_class": "hard",
            "reason": "r",
            "is_machine": False,
            "esp": "own",
            "event_uid": "key-1",
        },
        [
            {
                "event_name": "opened",
                "campaign": "c",
                "ip": "::1",
                "user_agent": "u",
                "client": "cl",
                "os": "o",
                "device": "d",
                "url": "l",
                "bounce_class": "hard",
                "reason": "r",
                "is_machine": False,
                "esp": "own",
                "event_uid": "key-1",
            }
        ],
    ),
    Case(
        "words that providers use, too, and unknown fields",
        {"event_name": "e", "message": "hello", "detail": None, "nested": {"sg_event_id": 1}},
        [{"event_name": "e"}],
    ),
    Case(
        "objects under words that providers use",
        [{"event_name": "e", "message": {"text": "x"}, "detail": {}}],
        [{"event_name": "e"}],
    ),
    Case(
        "milliseconds",
        {"event": "e", "ts": 1554375863250},
        [{"event_name": "e", "occurred_at": 1554375863250}],
    ),
    Case(
        "times that are none, and an id that is none",
        [
            {"event": "e", "ts": "noon"},
            {"event": "e", "occurred_at": "2019-04-04T11:04:61Z"},
            {"event": "e", "timestamp": "1969-12-31T23:59:59Z", "id": []},
        ],
        [{"event_name": "e"}] * 3,
    ),
]


def test_each_event_becomes_its_row() -> None:
    check_cases("plain", CASES)


@pytest.mark.parametrize("payload", [{"id": 1}, {"event_name": 5}, {"event_name": None}])
def test_what_is_refused(payload: Any) -> None:
    decoded = load_format("plain").decode([raw(payload)])
    assert [d.reason for d in decoded.dead] == ["field event_name (or event) is missing"]


def test_columns_that_nobody_reads_are_not_made() -> None:
    format = load_format("plain")
    format.wanted = frozenset(["id", "event_name"])
    columns = format.decode([raw({"event": "e", "campaign": "c", "email": "a"})]).columns
    assert set(columns) == {"id", "event_name", "occurred_at"}
