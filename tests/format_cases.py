"""Payloads of providers and the rows they become: what the tests of each format share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pepi_stream.formats import Decoded, load_format
from tests.decoding import check_partition, origins, row

Row = dict[str, Any]


class Case(NamedTuple):
    """A payload (bytes, or what json.dumps takes) and its rows, without what is None."""

    title: str
    payload: Any
    rows: list[Row]

    def __str__(self) -> str:
        return self.title.replace(" ", "-")


class Refused(NamedTuple):
    """A payload that is a dead letter, whole, and how its reason begins."""

    payload: Any
    reason: str


def at(text: str) -> int:
    """Return the ms since 1970 of an ISO time with an offset, by Python's own reading of it."""
    moment = datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)
    return (moment.days * 86_400 + moment.seconds) * 1000 + moment.microseconds // 1000


def raw(payload: Any) -> bytes:
    """Return the bytes of a payload."""
    return payload if isinstance(payload, bytes) else json.dumps(payload).encode()


def rows_of(decoded: Decoded, position: int = 0) -> list[Row]:
    """Return the rows of one payload of a claim, in order."""
    found = enumerate(origins(decoded))
    return [row(decoded, index) for index, (where, _) in found if where == position]


def check_cases(format: str, cases: Sequence[Case]) -> None:
    """Check that each case becomes its rows: alone, in a claim of all, and by ``auto``."""
    for name in (format, "auto"):
        loaded = load_format(name)
        payloads = [raw(case.payload) for case in cases]
        for _ in range(2):  # auto guesses the second time
            together = loaded.decode(payloads)
            assert together.dead == []
            check_partition(loaded, payloads, together)
            for position, case in enumerate(cases):
                assert rows_of(together, position) == case.rows, f"{name}: {case}"
        for case, payload in zip(cases, payloads, strict=True):
            assert rows_of(loaded.decode([payload])) == case.rows, f"{name} alone: {case}"
    uids = [made["event_uid"] for case in cases for made in case.rows if "event_uid" in made]
    assert len(set(uids)) == len(uids), "different events, the same event_uid"
    assert max(map(len, uids)) <= 255


def check_refused(format: str, refused: Refused, good: Case) -> None:
    """Check that a payload is one dead letter between two good ones; by ``auto`` too."""
    payload = raw(refused.payload)
    for name in (format, "auto"):
        loaded = load_format(name)
        claim = [raw(good.payload), payload, raw(good.payload)]
        decoded = loaded.decode(claim)
        check_partition(loaded, claim, decoded)
        assert rows_of(decoded, 0) == rows_of(decoded, 2) == good.rows
        assert rows_of(decoded, 1) == []
        assert b"".join(d.payload for d in decoded.dead) in (payload, payload[1:-1])
        [letter] = decoded.dead
        assert letter.reason.startswith(refused.reason), letter.reason
        assert letter.format == (format if name == "auto" else None)
