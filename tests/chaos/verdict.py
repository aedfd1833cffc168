"""After a run: what was pushed against what is there, event by event."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import redis

from pepi_stream.local.books import connect, differing, find, select
from pepi_stream.settings import Settings
from pepi_stream.tables import TableNames
from tests.chaos import events
from tests.chaos.producer import MARK

#: A worker that holds all it may hold stays below this, whatever the backlog.
MAX_RSS_MB = 200.0

_SPAN = 50_000  # rows fetched at once
_MOST_NAMED = 10


@dataclass
class Verdict:
    """The books of a run.

    Attributes:
        pushed: events pushed, repeats apart.
        repeats: times that one of them was pushed again.
        rows: event rows.
        dead: dead letters.
        lost: events that are neither a row nor a dead letter.
        duplicated: rows and dead letters beyond the first of an event (of each push of it, when it
            is a bad one: what has taken no effect has no repeats).
        misplaced: good events among the dead letters, bad ones among the rows, rows whose values
            were changed on the way, and rows of events that nobody pushed.
        window_mismatch: groups of a window that do not count their rows.
        page_mismatch: tables that a live page does not show as they are.
        stray_keys: keys left in Redis.
        max_rss_mb: the most that any worker took, in MiB.
        wrong: what is not as promised, in words.
    """

    pushed: int = 0
    repeats: int = 0
    rows: int = 0
    dead: int = 0
    lost: int = 0
    duplicated: int = 0
    misplaced: int = 0
    window_mismatch: int = 0
    page_mismatch: int = 0
    stray_keys: int = 0
    max_rss_mb: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def report(self, seconds: float, faults: Counter[str]) -> str:
        """Return the JSON object that ends a run."""
        return json.dumps(
            {
                "seconds": round(seconds),
                "faults": dict(sorted(faults.items())),
                "pushed": self.pushed,
                "repeats": self.repeats,
                "rows": self.rows,
                "dead": self.dead,
                "lost": self.lost,
                "duplicated": self.duplicated,
                "misplaced": self.misplaced,
                "window_mismatch": self.window_mismatch,
                "page_mismatch": self.page_mismatch,
                "stray_keys": self.stray_keys,
                "max_rss_mb": round(self.max_rss_mb, 1),
            },
            separators=(",", ":"),
        )


def judge(
    redis_url: str,
    settings: Settings,
    pushed: Iterable[int],
    *,
    payloads: int,
    max_rss_mb: float,
    repeats: Mapping[int, int] | None = None,
) -> Verdict:
    """Compare the sets.

    Args:
        redis_url: of the server itself.
        settings: of the workers, with ``database.url`` of the server itself.
        pushed: first numbers of the chunks that were pushed.
        payloads: how many payloads those, and the repeats, were.
        max_rss_mb: the most that any worker took, in MiB.
        repeats: event -> how often it was pushed again, with `sink.dedupe` on.
    """
    repeats = repeats or {}
    verdict = Verdict(repeats=sum(repeats.values()), max_rss_mb=max_rss_mb)
    wrong = verdict.wrong
    with closing(redis.Redis.from_url(redis_url)) as client, closing(connect(settings)) as mysql:
        client.delete(MARK)
        verdict.stray_keys = client.dbsize()
        found = find(client, mysql, settings)
        if verdict.stray_keys:
            wrong.append(f"Redis still has {client.keys('*')[:_MOST_NAMED]}")
        if found.ledger != payloads:
            wrong.append(f"the ledger has {found.ledger} payloads of {payloads}")

        expected = {n for first in pushed for n in range(first, first + events.CHUNK)}
        verdict.pushed, verdict.rows, verdict.dead = len(expected), found.rows, found.dead
        as_rows = Counter(_row_numbers(mysql))
        as_dead = Counter(_dead_numbers(mysql))
        if settings.sink.dedupe:
            table = TableNames.from_settings(settings).seen
            [(known,)] = select(mysql, f"SELECT COUNT(*) FROM {table}")
            if known != found.rows:
                wrong.append(f"{table} knows {known} events, and there are {found.rows} rows")
        altered = select(mysql, f"SELECT id FROM pepi_event WHERE {events.ALTERED_SQL}")

    due = {n: 1 + (repeats.get(n, 0) if events.is_dead(n) else 0) for n in expected}
    seen = as_rows + as_dead
    lost = sorted(n for n, times in due.items() if seen[n] < times)
    repeated = {n: more for n, times in seen.items() if (more := times - due.get(n, 1)) > 0}
    misplaced = sorted(
        {n for n in as_dead if not events.is_dead(n)}
        | {n for n in as_rows if events.is_dead(n)}
        | (seen.keys() - expected)
        | {int(number) for (number,) in altered}
    )
    verdict.lost, verdict.misplaced = len(lost), len(misplaced)
    verdict.duplicated = sum(repeated.values())
    for what, which in (("lost", lost), ("too often", sorted(repeated)), ("misplaced", misplaced)):
        if which:
            wrong.append(f"{what}: {len(which)} events, among them {which[:_MOST_NAMED]}")

    for window, rows in found.row_groups.items():
        counts = found.window_groups[window]
        verdict.window_mismatch += sum(
            rows.get(key) != counts.get(key) for key in rows.keys() | counts.keys()
        )
        wrong += differing(window, rows, counts)
    assert found.row_groups.keys() == settings.windows.keys()  # each window was compared
    if max_rss_mb > MAX_RSS_MB:
        wrong.append(f"a worker took {max_rss_mb:.0f} MiB, and should stay below {MAX_RSS_MB:g}")
    return verdict


def _row_numbers(mysql: Any) -> Iterator[int]:
    select(mysql, "SET SESSION group_concat_max_len = 1073741824")
    [(last,)] = select(mysql, "SELECT COALESCE(MAX(seq), 0) FROM pepi_event")
    for low in range(0, int(last) + 1, _SPAN):
        [(ids,)] = select(
            mysql,
            f"SELECT GROUP_CONCAT(id) FROM pepi_event WHERE seq >= {low} AND seq < {low + _SPAN}",
        )
        yield from map(int, ids.split(",") if ids else ())


def _dead_numbers(mysql: Any) -> Iterator[int]:
    for (payload,) in select(mysql, "SELECT payload FROM pepi_dead_letter"):
        yield events.number_of(payload)
