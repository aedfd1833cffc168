"""``peek``: what would become of the next payloads. It takes nothing and writes nothing."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import click
from faust.cli import option

from pepi_stream.claims import connect_redis
from pepi_stream.claims.failures import redis_failure
from pepi_stream.commands.base import PepiCommand
from pepi_stream.commands.payload_file import payloads_of
from pepi_stream.errors import ConfigError
from pepi_stream.preview import Glimpse, Preview
from pepi_stream.printable import printable

_SHOWN_BYTES = 2000  # of a dead letter's payload
_STDIN = "-"

_OPTIONS: list[Any] = [
    option("--count", type=click.IntRange(min=1), default=10, help="Payloads to look at."),
    option("--format", "format_", default=None, help="Read as. [default: source.format]"),
    option("--file", "path", default=None, help="Payloads, or pretty JSON; - is standard input."),
    option("--json", "as_json", is_flag=True, help="One JSON object an event."),
]


class peek(PepiCommand):
    """Show what would become of the next payloads: each row and its SQL, or why there is none.

    A dry run: nothing leaves the queue, and MySQL is not asked: what only it can tell (a value too
    long, a repeat) is not known. With --file, of all the payloads in a file (or on standard input)
    instead: one a line, or JSON laid out over several lines. The exit code is 1 when there were
    payloads and every record of them would be a dead letter.
    """

    options = _OPTIONS

    async def run(
        self, count: int, format_: str | None, path: str | None, as_json: bool, **kwargs: Any
    ) -> int:
        """Print glimpses."""
        settings = self.settings
        if format_ is not None:
            source = settings.source.model_copy(update={"format": format_})
            settings = settings.model_copy(update={"source": source})
        preview = Preview(settings, now_ms=time.time_ns() // 1_000_000)
        # A claim that fails as a whole is no news here: its records follow one by one.
        logging.getLogger("pepi_stream").setLevel(logging.CRITICAL)
        rows = dead = payloads = 0
        claims: Iterable[list[bytes]]
        if path is None:
            claims, where = [await self._head(count)], "the queue"
        else:
            claims = _claims(_payloads(path), settings.source.claim_max)
            where = path if path != _STDIN else "standard input"
        for claim in claims:
            for glimpse in preview.glimpses(claim):
                if glimpse.row is None:
                    dead += 1
                else:
                    rows += 1
                numbered = glimpse._replace(position=payloads + glimpse.position)
                click.echo(_json(numbered) if as_json else _text(numbered))
            payloads += len(claim)
        if not as_json:
            click.echo(
                f"{payloads} payloads of {where}: {rows} rows, {dead} dead letters; "
                "nothing was taken or written"
            )
        return 1 if dead and not rows else 0

    async def _head(self, count: int) -> list[bytes]:
        queue = self.settings.source.queue
        redis = connect_redis(self.settings.redis)
        try:
            found: Any = await redis.lrange(queue, 0, count - 1)
        except Exception as exc:
            raise redis_failure(exc, f"looking at {queue}") from exc
        finally:
            await redis.aclose()
        return list(found)


def _payloads(path: str) -> Iterator[bytes]:
    try:
        if path == _STDIN:
            yield from payloads_of(sys.stdin.buffer)
            return
        with Path(path).open("rb") as file:
            yield from payloads_of(file)
    except OSError as exc:
        raise ConfigError(f"--file {path}: {exc.strerror}") from exc


def _claims(payloads: Iterable[bytes], size: int) -> Iterator[list[bytes]]:
    rest = iter(payloads)
    while claim := list(islice(rest, size)):
        yield claim


def _json(glimpse: Glimpse) -> str:
    shown: dict[str, Any] = {
        "payload": glimpse.position,
        "element": glimpse.element,
        "outcome": "dead" if glimpse.row is None else "row",
        "format": glimpse.format,
        "row": glimpse.row,
        "reason": glimpse.reason or None,
    }
    if glimpse.row is not None:
        shown["windows"] = {
            name: {"start": start, "by": list(values)}
            for name, (start, values) in glimpse.windows.items()
        }
        shown["sql"] = glimpse.sql
    # Not ensure_ascii=False: a lone surrogate could not be printed.
    return json.dumps(shown)


def _text(glimpse: Glimpse) -> str:
    place = f"payload {glimpse.position}"
    if glimpse.element is not None:
        place += f", element {glimpse.element}"
    if glimpse.row is None:
        raw = glimpse.payload[:_SHOWN_BYTES].decode("utf-8", "backslashreplace")
        more = len(glimpse.payload) - _SHOWN_BYTES
        cut = f" ... and {more} bytes more" if more > 0 else ""
        head = f"{place}: a dead letter ({glimpse.format}): {glimpse.reason}"
        return f"{head}\n  {printable(raw)}{cut}\n"
    lines = [f"{place}: a row ({glimpse.format})"]
    width = max(map(len, glimpse.row))
    lines += [
        f"  {name:{width}}  {printable(str(value))}"
        for name, value in glimpse.row.items()
        if value is not None
    ]
    for name, (start, values) in glimpse.windows.items():
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(start))
        lines.append(f"  counted in {name}: {at}, {', '.join(map(printable, values))}")
    lines.append(f"  {printable(glimpse.sql)};")
    return "\n".join(lines) + "\n"
