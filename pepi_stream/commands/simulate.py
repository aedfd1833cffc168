"""``simulate``: push realistic events on the queue."""

from __future__ import annotations

import asyncio
import time
from itertools import islice
from typing import Any

import click
from faust.cli import option

from pepi_stream.claims import connect_redis
from pepi_stream.claims.failures import redis_failure
from pepi_stream.commands.base import PepiCommand
from pepi_stream.simulate import (
    FORMATS,
    HISTORY_EVENTS,
    MALFORMED,
    after_history,
    encoder,
    event_name_in,
    formats_of,
)
from pepi_stream.simulate import simulate as simulate_events

_MAX_PUSH = 1000  # payloads per RPUSH
_PUSH_SECONDS = 0.05
_FASTEST = 20_000.0  # events a second of event time, when they are pushed as fast as can be
_LONGEST_SPAN = 7 * 86_400  # seconds
_MOST_MALFORMED = 1000

_OPTIONS: list[Any] = [
    option("--rate", type=click.FloatRange(min=0), default=1000.0, help="Events per second."),
    option("--count", type=click.IntRange(min=1), default=None, help="How many events."),
    option("--seed", type=int, default=1, help="Which campaigns."),
    option(
        "--format",
        "format_",
        default=None,
        metavar="FORMAT,...",
        help=f"Payload format, or several for a mix: {', '.join(sorted(FORMATS))} (a mix of all). "
        "[default: source.format]",
    ),
    option(
        "--start",
        type=int,
        default=None,
        help="Time of the first event, in seconds since 1970. [default: now]",
    ),
    option(
        "--span",
        type=click.IntRange(min=0, max=_LONGEST_SPAN),
        default=0,
        help="First, at once, the events of so many seconds before --start: with --count all of "
        f"them, else as --rate makes them, at most {HISTORY_EVENTS:,}.",
    ),
    option(
        "--malformed",
        type=click.IntRange(min=0, max=_MOST_MALFORMED),
        default=0,
        help="How many payloads that nothing can read are among those of --span.",
    ),
]


class simulate(PepiCommand):
    """Push simulated campaigns on the queue: sends, then opens and clicks trailing off, bounces.

    The same seed, start, span, count and rate make the same events. Without --count it goes on
    until it is stopped; with --rate 0 it pushes as fast as it can.
    """

    options = _OPTIONS

    async def run(
        self,
        rate: float,
        count: int | None,
        seed: int,
        format_: str | None,
        start: int | None,
        span: int,
        malformed: int,
        **kwargs: Any,
    ) -> int:
        """Push the events of the span, then those of a steady rate."""
        name = format_ or self.settings.source.format
        try:
            formats_of(name)
        except ValueError as exc:
            said = "--format" if format_ else "source.format"
            raise click.UsageError(f"{said} is {name}: {exc}") from None
        if malformed and not span:
            raise click.UsageError("--malformed is about the payloads of --span, which is 0")
        all_at_once = not rate or (span > 0 and count is not None)
        speed = _FASTEST if all_at_once else rate
        pace, history = None, 0
        if span:
            history = count or min(HISTORY_EVENTS, max(1, int(span * speed)))
            pace = after_history(span, history, speed)
            if count is not None:
                speed = count / span
        began = (int(time.time()) if start is None else start) - span
        if began < 1:
            raise click.UsageError("the events of --span would begin before 1970")
        events = simulate_events(seed=seed, start=began, rate=speed, pace=pace)
        encode = encoder(name)
        redis = connect_redis(self.settings.redis)
        queue = self.settings.source.queue
        drawn = pushed = planted = 0
        clock = time.monotonic()
        try:
            while count is None or pushed < count:
                due = _MAX_PUSH
                if not all_at_once and drawn >= history:
                    passed = int((time.monotonic() - clock) * rate)
                    due = min(_MAX_PUSH, history + passed + 1 - drawn)
                if due < 1:
                    await asyncio.sleep(_PUSH_SECONDS)
                    continue
                # Events that the format lacks pass, too: else event time would outrun the clock.
                drawn += due
                chunk = [encode(e) for e in islice(events, due) if event_name_in(name, e)]
                if count is not None:
                    del chunk[count - pushed :]
                pushed += len(chunk)
                while planted < malformed and (planted + 1) * history <= drawn * malformed:
                    chunk.append(MALFORMED[planted % len(MALFORMED)])
                    planted += 1
                if chunk:
                    await redis.rpush(queue, *chunk)
        except Exception as exc:
            raise redis_failure(exc, f"pushing to {queue}") from exc
        finally:
            await redis.aclose()
        more = f" and {planted} malformed payloads" if malformed else ""
        click.echo(f"pushed {pushed} {name} events{more} on {queue}")
        return 0
