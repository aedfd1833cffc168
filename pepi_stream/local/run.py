"""`make run`: private servers, a worker with its page, and a simulated stream, until Ctrl-C.

The data stays in `.local/run/` for the next run. The exit status is 0 after Ctrl-C, SIGTERM or
SIGHUP, which is how a run ends, and 1 when something ended by itself.

Environment: RATE, events a second (1000); PORT, of the page (6066, or a free one when that is
taken); any PEPI_ variable, except that the two servers are always the private ones.
"""

import argparse
import contextlib
import math
import os
import shutil
import sys
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pepi_stream.claims.keys import claims_key
from pepi_stream.local.errors import LocalError
from pepi_stream.local.process import free_port, port_is_free
from pepi_stream.local.stack import Interrupted, Signals, Stack
from pepi_stream.tables import TableNames

_RATE = 1000.0  # events a second
_PORT = 6066
_SPEED_SECONDS = 5.0  # events/s is the mean of so long
_LINE_SECONDS = 0.5  # between two rewrites on a terminal
_PLAIN_LINE_SECONDS = 3.0  # between two lines in a file or a pipe
_SMALLEST_WAIT = 10.0  # looking takes at most one part in so many of the time


class Figures(NamedTuple):
    """The state at one moment.

    Attributes:
        rows: event rows in MySQL.
        dead: dead letters in MySQL.
        queued: payloads in the Redis list.
        claimed: claims that are not acked yet.
        age: seconds since the newest row's payload was claimed; None without such a row.
    """

    rows: int
    dead: int
    queued: int
    claimed: int
    age: float | None


class Gauge:
    """Reads the figures, cheaply enough to do it twice a second."""

    def __init__(self, stack: Stack) -> None:
        settings = stack.settings
        self._redis = stack.redis()
        self._mysql = stack.mysql()
        self._queue = settings.source.queue
        table = f"`{settings.sink.table}`"
        names = TableNames.from_settings(settings)
        self._dead_letters = names.dead_letters
        # A window table has some thousand rows where the event table has millions.
        if settings.windows:
            name = "minute" if "minute" in settings.windows else min(settings.windows)
            self._rows_sql = f"SELECT COALESCE(SUM(n), 0) FROM `{names.window(name)}`"
        else:
            self._rows_sql = f"SELECT COUNT(*) FROM {table}"
        column = {c.value: c.name for c in settings.sink.columns}
        self._newest_sql = None
        if {"seq", "received_at"} <= column.keys():
            self._newest_sql = (
                f"SELECT UNIX_TIMESTAMP(`{column['received_at']}`) FROM {table} "
                f"ORDER BY `{column['seq']}` DESC LIMIT 1"
            )

    def read(self) -> Figures:
        """Look at both servers."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.llen(self._queue)
        pipe.zcard(claims_key(self._queue))
        queued, claimed = pipe.execute()
        rows = self._one(self._rows_sql)
        # Part 0, because a payload too big for one statement is kept in several parts.
        dead = self._one(f"SELECT COUNT(*) FROM `{self._dead_letters}` WHERE part = 0")
        newest = self._one(self._newest_sql) if self._newest_sql else None
        age = None if newest is None else max(0.0, time.time() - float(newest))
        return Figures(int(rows), int(dead), int(queued), int(claimed), age)

    def close(self) -> None:
        """Close both connections."""
        self._redis.close()
        self._mysql.close()

    def _one(self, sql: str) -> Any:
        with self._mysql.cursor() as cursor:
            cursor.execute(sql)
            row = cursor.fetchone()
        return None if row is None else row[0]


class Speed:
    """Events a second over the last few seconds, from totals taken now and then."""

    def __init__(self, seconds: float = _SPEED_SECONDS) -> None:
        self._seconds = seconds
        self._totals: deque[tuple[float, int]] = deque()

    def add(self, now: float, total: int) -> float:
        """Take a total at the time `now` (seconds of any clock); return the events a second."""
        self._totals.append((now, total))
        while len(self._totals) > 2 and now - self._totals[1][0] >= self._seconds:
            self._totals.popleft()
        then, before = self._totals[0]
        return (total - before) / (now - then) if now > then else 0.0


def status(figures: Figures, speed: float, since_start: float, url: str) -> str:
    """Return the status line.

    The lag is the time since the payload behind the newest row was claimed, as measured here: what
    decoding, buffering and COMMIT took, plus up to one pause between events. It does not contain
    the wait in the list, so the time that the list's content takes at the current speed is added.
    A row from before this run says nothing about it.

    Args:
        figures: read just now.
        speed: events a second.
        since_start: seconds since this run began.
        url: address of the page.
    """
    lag = "-"
    if figures.age is not None and figures.age < since_start:
        seconds = figures.age + (figures.queued / speed if speed else 0.0)
        lag = f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:,.1f} s"
    parts = [
        url,  # first, as a narrow terminal cuts the end off
        f"{speed:,.0f} events/s",
        f"queue {figures.queued:,}",
        f"lag {lag}",
        f"{figures.rows:,} rows",
        *([f"{figures.dead:,} dead letters"] if figures.dead else []),
    ]
    return "  ".join(parts)


class Line:
    """A line that is rewritten in place on a terminal, and written again and again elsewhere."""

    def __init__(self) -> None:
        self._live = sys.stdout.isatty()
        self.seconds = _LINE_SECONDS if self._live else _PLAIN_LINE_SECONDS

    def show(self, text: str) -> None:
        """Show the text instead of the one before."""
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r{text[:width]}\x1b[K", end="", flush=True)
        else:
            print(text, flush=True)

    def end(self) -> None:
        """Let what follows begin on a new line."""
        if self._live:
            _say("")


def main(args: argparse.Namespace) -> int:
    """Run until a signal; return the exit status.

    Raises:
        LocalError: Something could not be started, or ended by itself.
    """
    rate, port = _rate(os.environ), _port(os.environ)
    with Signals() as signals:
        try:
            with Stack(Path(".local/run"), signals, say=_say) as stack:
                stack.migrate()
                _run(stack, rate, port)
        except Interrupted:
            return 0  # before the stream ran
        except BrokenPipeError:  # `make run | head`
            return 1
    return 0


def _run(stack: Stack, rate: float, port: int) -> None:
    url = f"http://127.0.0.1:{port}/live/"
    _say(f"starting the worker; its page is {url}, its log {stack.directory / 'worker.log'}")
    stack.start_workers("web", port=port)
    _say(f"starting the simulated stream, {rate:g} events/s (RATE=n for another rate)")
    stack.start_simulator(rate)
    _say("Ctrl-C stops all of it and keeps the data\n")
    gauge = Gauge(stack)
    line = Line()
    try:
        _watch(stack, gauge, line, url)
    except Interrupted:
        line.end()
        _say("stopping; the worker commits what it holds (Ctrl-C again: at once)")
        stack.stop_children()
        # On connections of its own: the signal may have cut a query of the other one short.
        # A server that is gone has no figures.
        with contextlib.suppress(Exception), contextlib.closing(Gauge(stack)) as last:
            _say(_summary(last.read()))
    except BaseException:
        line.end()
        raise
    finally:
        gauge.close()


def _watch(stack: Stack, gauge: Gauge, line: Line, url: str) -> None:
    """Show the status line until a signal arrives or something ends by itself."""
    began = time.monotonic()
    speed = Speed()
    while True:
        stack.check_alive()
        looked = time.monotonic()
        try:
            figures = gauge.read()
        except Exception:
            stack.check_alive()  # the likely reason, better said
            raise
        now = time.monotonic()
        line.show(
            status(figures, speed.add(now, figures.rows + figures.dead), now - began, url),
        )
        stack.pause(max(line.seconds, (now - looked) * _SMALLEST_WAIT))


def _summary(figures: Figures) -> str:
    # Claims of a worker that was killed: the next one takes them over when their lease ends.
    open_claims = f", {figures.claimed:,} claims open" if figures.claimed else ""
    return (
        f"stopped: {figures.rows:,} rows, {figures.dead:,} dead letters, "
        f"{figures.queued:,} queued{open_claims}; `make run` goes on from there"
    )


def _rate(environ: Mapping[str, str]) -> float:
    text = environ.get("RATE") or str(_RATE)
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not (math.isfinite(rate) and rate > 0):
        raise LocalError(f"RATE should be events a second, above 0, and is {text!r}")
    return rate


def _port(environ: Mapping[str, str]) -> int:
    """The port asked for, which must be free; else 6066, or any free one."""
    text = environ.get("PORT")
    if not text:
        return _PORT if port_is_free(_PORT) else free_port()
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65_536):
        raise LocalError(f"PORT should be 1 to 65535, and is {text!r}")
    if not port_is_free(int(text)):
        raise LocalError(f"PORT {text} is in use; name another one, or none to get a free one")
    return int(text)


def _say(text: str) -> None:
    # A terminal that was closed must not keep the clean-up from its work.
    with contextlib.suppress(OSError):
        print(text, flush=True)
