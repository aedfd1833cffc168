"""How long after its push an event is a row that others see, at a steady rate.

A producer pushes by the clock (producer.py), and a reader looks every few milliseconds which
probes its MySQL connection sees. Both read CLOCK_MONOTONIC, which is one for all processes.
What is reported is never less than the truth, and includes the wait for the producer's tick and
that for the reader's next look: each up to 5 ms, half of it on average.

At 50,000 events a second producer and reader take about 4 % of a core each, and the looks cost
MariaDB another 5 %. Where the machine has nothing left, they and everything else on it show up in
the latency: a worker that is held up catches up late.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from bench.arena import QUEUE, Arena
from bench.producer import Produced, Steady
from pepi_stream.local.child import Child
from pepi_stream.local.errors import LocalError

LOOK_SECONDS = 0.005  # of rest between two looks
_GAP_SECONDS = 3.0  # longer than a commit that waits for a slow disk
_LAST_SECONDS = 60.0
_DISTINCT = 100_000  # payloads; the producer repeats them

# One look is one statement, so that its figures belong together. Only ids go over the line.
_LOOK = (
    "SELECT COUNT(*), COALESCE(MAX(seq), 0), COALESCE(SUM(seq <= %s), 0), "
    "GROUP_CONCAT(CASE WHEN id LIKE %s THEN id END) FROM pepi_event WHERE seq > %s"
)


@dataclass(frozen=True)
class Latency:
    """What was seen at one rate.

    Attributes:
        rate: events a second that were due.
        seconds: for so long.
        events: pushed, and found in the table.
        probes: events among them whose latency was measured.
        p50_ms: half of the probes took so long or less, from when they were due.
        p99_ms: likewise, 99 % of them.
        max_ms: the slowest.
        achieved: events a second really pushed.
        backlog_max: most events that still waited in the list when the next were pushed. Claimed
            ones are not in the list.
    """

    rate: float
    seconds: float
    events: int
    probes: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    achieved: float
    backlog_max: int


class LowWater:
    """Up to which ``seq`` all rows have been seen, so that no look need go further back.

    Transactions do not commit in the order in which they took their numbers: when a row is seen,
    one with a lower number may still be to come. But then its number is missing between those
    that are seen. So the low-water mark moves only over an unbroken run of numbers. It moves to
    the newest row when nothing is missing at all, else to the mark, the row that was newest when
    something was missing, as soon as nothing below it is missing any more. (In a steady stream
    there may be a hole near the top at each look, but none stays.)

    A number that is missing for good (its transaction was rolled back) is passed over after three
    seconds. Should it be a slow commit after all, its probes may never be seen; measure() says so.

    Args:
        seq: all rows up to here have been seen.
    """

    def __init__(self, seq: int) -> None:
        self.seq = seq
        self.mark = seq
        self._marked_at = 0.0

    def advance(self, *, rows: int, newest: int, up_to_mark: int, now: float) -> None:
        """Take note of a look at the rows above :attr:`seq`.

        Args:
            rows: how many there are.
            newest: the highest number.
            up_to_mark: how many have a number up to :attr:`mark`.
            now: in seconds of any monotonic clock.
        """
        if not rows:
            return
        if rows == newest - self.seq:
            self.seq = self.mark = newest
        elif up_to_mark == self.mark - self.seq or now - self._marked_at > _GAP_SECONDS:
            self.seq, self.mark = self.mark, newest
            self._marked_at = now


class _Reader:
    """Sees probes appear.

    Args:
        conn: an outside connection; each statement is a transaction.
        prefix: of the probes' ids.
    """

    def __init__(self, conn: Any, prefix: str) -> None:
        self._conn = conn
        self._prefix = prefix
        with conn.cursor() as cursor:
            cursor.execute("SELECT COUNT(*), COALESCE(MAX(seq), 0) FROM pepi_event")
            [(self._rows_before, newest)] = cursor.fetchall()
        self._low_water = LowWater(int(newest))
        self.seen: dict[int, float] = {}  # a probe's number: when it was first seen

    def look(self) -> None:
        water = self._low_water
        with self._conn.cursor() as cursor:
            cursor.execute(_LOOK, (water.mark, f"{self._prefix}%", water.seq))
            [(rows, newest, up_to_mark, ids)] = cursor.fetchall()
        now = time.monotonic()
        for probe in ids.split(",") if ids else ():
            self.seen.setdefault(int(probe[len(self._prefix) :]), now)
        water.advance(rows=rows, newest=int(newest), up_to_mark=int(up_to_mark), now=now)

    def new_rows(self) -> int:
        """Count the rows that have come since the beginning, all of them."""
        with self._conn.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM pepi_event")
            [(rows,)] = cursor.fetchall()
        return int(rows) - int(self._rows_before)


def measure(arena: Arena, database: str, rate: float, seconds: float) -> Latency:
    """Push events at a rate for some time and see when each probe becomes visible.

    Args:
        arena: has prepared events; nothing is queued.
        database: whose ``pepi_event`` a running worker fills.
        rate: events a second.
        seconds: how long to push.

    Raises:
        LocalError: a probe was not seen within a minute, or the table does not have exactly what
            was pushed.
    """
    schedule = Steady(rate, max(1, round(rate * seconds)))
    payloads = arena.payloads(min(schedule.total, _DISTINCT))
    if not payloads:
        raise LocalError("the arena has prepared no events")
    if queued := arena.client.llen(QUEUE):
        raise LocalError(f"{queued:,} events are queued already; let a worker drain them first")
    events, out = arena.directory / "producer.events", arena.directory / "producer.json"
    events.write_bytes(b"\n".join(payloads))
    out.unlink(missing_ok=True)
    prefix = f"probe-{secrets.token_hex(4)}-"
    words = [arena.redis.url, QUEUE, str(rate), str(schedule.total), prefix, str(events), str(out)]
    with closing(arena.mysql(database)) as conn:
        reader = _Reader(conn, prefix)
        producer = arena.start(
            "producer", [sys.executable, "-m", "bench.producer", *words], os.environ
        )
        try:
            _watch_pushing(arena, reader, producer)
            produced = Produced.read(out)
            _watch_rest(arena, reader, len(produced.due))
        finally:
            arena.stop([producer])
            events.unlink()
        _count(arena, reader, schedule.total)
    taken = sorted(1000 * (reader.seen[number] - due) for number, due in enumerate(produced.due))
    return Latency(
        rate=rate,
        seconds=seconds,
        events=schedule.total,
        probes=len(taken),
        p50_ms=percentile(taken, 50),
        p99_ms=percentile(taken, 99),
        max_ms=taken[-1],
        achieved=schedule.total / produced.seconds,
        backlog_max=produced.backlog_max,
    )


def _watch_pushing(arena: Arena, reader: _Reader, producer: Child) -> None:
    """Look until the producer has ended."""
    while (status := producer.status) is None:
        reader.look()
        arena.pause(LOOK_SECONDS)
    if status != 0:
        raise LocalError(f"the producer ended with {status}; {producer.log_tail()}")


def _watch_rest(arena: Arena, reader: _Reader, probes: int) -> None:
    """Look until all probes have been seen."""
    deadline = time.monotonic() + _LAST_SECONDS
    while len(reader.seen) < probes:
        if time.monotonic() > deadline:
            raise LocalError(
                f"{probes - len(reader.seen):,} of {probes:,} probes were not seen within "
                f"{_LAST_SECONDS:g} s of the last push ({reader.new_rows():,} new rows are there, "
                f"{arena.client.llen(QUEUE):,} events are queued)"
            )
        reader.look()
        arena.pause(LOOK_SECONDS)


def _count(arena: Arena, reader: _Reader, events: int) -> None:
    """Check that the table has exactly what was pushed; the last probe is not the last event."""
    deadline = time.monotonic() + _LAST_SECONDS
    while (rows := reader.new_rows()) < events and time.monotonic() < deadline:
        arena.pause(0.05)
    if rows != events:
        raise LocalError(f"{rows:,} rows came of {events:,} events")


def percentile(ordered: Sequence[float], percent: int) -> float:
    """Return the nearest-rank percentile of values in order: one of them, at least one is there."""
    rank = -(-percent * len(ordered) // 100)
    return ordered[max(1, rank) - 1]
