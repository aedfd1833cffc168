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
from pepi_stream.simulate import FORMATS, encoder, event_name_in
from pepi_stream.simulate import simulate as simulate_events

_MAX_PUSH = 1000  # payloads per RPUSH
_PUSH_SECONDS = 0.05

_OPTIONS: list[Any] = [
    option("--rate", type=click.FloatRange(min=0), default=1000.0, help="Events per second."),
    option("--count", type=click.IntRange(min=1), default=None, help="How many events."),
    option("--seed", type=int, default=1, help="Which campaigns."),
    option(
        "--format",
        "format_",
        type=click.Choice(sorted(FORMATS)),
        default=None,
        help="Payload format. [default: source.format]",
    ),
    option(
        "--start",
        type=int,
        default=None,
        help="Time of the first event, in seconds since 1970. [default: now]",
    ),
]


class simulate(PepiCommand):
    """Push simulated campaigns on the queue: sends, then opens and clicks trailing off, bounces.

    The same seed, start and rate make the same events. Without --count it goes on until
    it is stopped; with --rate 0 it pushes as fast as it can.
    """

    options = _OPTIONS

    async def run(
        self,
        rate: float,
        count: int | None,
        seed: int,
        format_: str | None,
        start: int | None,
        **kwargs: Any,
    ) -> int:
        """Push events at a steady rate."""
        name = format_ or self.settings.source.format
        if name not in FORMATS:
            raise click.UsageError(f"source.format is {name}; say --format {'|'.join(FORMATS)}")
        began = int(time.time()) if start is None else start
        events = simulate_events(seed=seed, start=began, rate=rate or 20_000.0)
        possible = (event for event in events if event_name_in(name, event))
        payloads = map(encoder(name), islice(possible, count))
        redis = connect_redis(self.settings.redis)
        queue = self.settings.source.queue
        pushed = 0
        clock = time.monotonic()
        try:
            while True:
                due = _MAX_PUSH
                if rate:
                    due = min(_MAX_PUSH, int((time.monotonic() - clock) * rate) + 1 - pushed)
                if due < 1:
                    await asyncio.sleep(_PUSH_SECONDS)
                    continue
                chunk = list(islice(payloads, due))
                if not chunk:
                    break
                await redis.rpush(queue, *chunk)
                pushed += len(chunk)
        except Exception as exc:
            raise redis_failure(exc, f"pushing to {queue}") from exc
        finally:
            await redis.aclose()
        click.echo(f"pushed {pushed} {name} events on {queue}")
        return 0
