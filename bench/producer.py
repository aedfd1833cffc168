"""Pushes events to the list at a steady rate, some of them probes. `python -m bench.producer`.

Open loop: how many events have been pushed depends on the clock alone, never on how the consumer
or Redis are doing. A probe's time is that at which it was due, so that a push that had to wait
(because Redis or this process was held up) shows as latency instead of hiding it.

A process of its own, so that its work and the reader's do not hold each other up.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import redis

TICK_SECONDS = 0.005
_LEAD_SECONDS = 0.1
_GOLDEN = 0.6180339887498949


class Steady(NamedTuple):
    """A schedule: event i (from 0) is due i / rate seconds after the beginning.

    Attributes:
        rate: events a second.
        total: events of all.
    """

    rate: float
    total: int

    def due(self, elapsed: float) -> int:
        """Return how many events are due within so many seconds of the beginning."""
        return max(0, min(self.total, int(elapsed * self.rate) + 1)) if elapsed >= 0 else 0

    def due_at(self, event: int) -> float:
        """Return the seconds from the beginning at which an event is due."""
        return event / self.rate

    def probes(self) -> list[int]:
        """Return which events are probes: one of each tick's.

        Fixed beforehand: were they one a push, a push that came late, and so with many events,
        would count no more than a small one. Their place within a tick varies, because a tick's
        first event waits for its push longest.
        """
        stride = max(1, int(self.rate * TICK_SECONDS))
        return [
            first + min(int(k * _GOLDEN % 1 * stride), self.total - 1 - first)
            for k, first in enumerate(range(0, self.total, stride))
        ]


class Produced(NamedTuple):
    """What a producer hands over at its end.

    Attributes:
        due: of each probe, when it was due, in seconds of CLOCK_MONOTONIC.
        seconds: from the beginning to the last push.
        backlog_max: most events that waited in the list when the next were pushed.
        cpu_seconds: of the pushing alone.
    """

    due: list[float]
    seconds: float
    backlog_max: int
    cpu_seconds: float

    @classmethod
    def read(cls, path: Path) -> Produced:
        """Read what :meth:`write` wrote."""
        return cls(*json.loads(path.read_text()))

    def write(self, path: Path) -> None:
        """Keep it in a file."""
        path.write_text(json.dumps(self))


def probe_payload(prefix: str, number: int) -> bytes:
    """Return a Pepipost event whose id is the prefix and the number."""
    event = {
        "TRANSID": f"{prefix}{number}",
        "RESPONSE": "smtp;250 2.0.0 OK - gsmtp",
        "EMAIL": "probe@gmail.com",
        "TIMESTAMP": int(time.time()),
        "EVENT": "sent",
        "TAGS": "probe",
    }
    return json.dumps(event, separators=(",", ":")).encode()


def produce(
    connection: Any,
    queue: str,
    payloads: Sequence[bytes],
    schedule: Steady,
    prefix: str,
) -> Produced:
    """Push all events of the schedule, the payloads over and over with the probes among them.

    Args:
        connection: of redis-py, connected; nobody else uses it.
        queue: the list.
        payloads: at least one.
        schedule: what to push when.
        prefix: of the probes' ids; the probe's number follows.
    """
    ordinary = [_bulk(payload) for payload in payloads]
    positions = schedule.probes()
    probes: Mapping[int, bytes] = {
        position: _bulk(probe_payload(prefix, k)) for k, position in enumerate(positions)
    }
    command = b"$5\r\nRPUSH\r\n" + _bulk(queue.encode())
    distinct = len(ordinary)
    # The collector would stop the pushing for a while: the producer's latency, nobody else's.
    gc.disable()
    cpu = time.process_time()
    began = tick = time.monotonic() + _LEAD_SECONDS
    pushed = backlog_max = 0
    while pushed < schedule.total:
        time.sleep(max(0.0, tick - time.monotonic()))
        now = time.monotonic()
        tick = max(tick + TICK_SECONDS, now)
        due = schedule.due(now - began)
        if due == pushed:
            continue
        chunk = [probes.get(i) or ordinary[i % distinct] for i in range(pushed, due)]
        head = b"*%d\r\n%b" % (len(chunk) + 2, command)
        connection.send_packed_command([head + b"".join(chunk)], check_health=False)
        length = int(connection.read_response())
        backlog_max = max(backlog_max, length - len(chunk))
        pushed = due
    seconds = time.monotonic() - began
    times = [began + schedule.due_at(position) for position in positions]
    return Produced(times, seconds, backlog_max, time.process_time() - cpu)


def _bulk(word: bytes) -> bytes:
    """Encode a word of a command; source: Redis serialization protocol specification."""
    return b"$%d\r\n%b\r\n" % (len(word), word)


def main(url: str, queue: str, rate: str, total: str, prefix: str, events: str, out: str) -> None:
    """Run one producer.

    Args:
        url: of Redis.
        queue: the list.
        rate: events a second.
        total: events.
        prefix: of the probes' ids.
        events: file of payloads, one a line.
        out: file for :class:`Produced`.
    """
    payloads = Path(events).read_bytes().splitlines()
    connection: Any = redis.Redis.from_url(url).connection_pool.make_connection()
    connection.connect()
    try:
        schedule = Steady(float(rate), int(total))
        produced = produce(connection, queue, payloads, schedule, prefix)
    finally:
        connection.disconnect()
    produced.write(Path(out))
    share = 100 * produced.cpu_seconds / produced.seconds
    print(f"{schedule.total:,} events in {produced.seconds:.2f} s with {share:.1f} % of a core")


if __name__ == "__main__":
    main(*sys.argv[1:])
