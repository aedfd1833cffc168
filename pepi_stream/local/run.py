"""`make run`: private servers, a worker with its page, and a simulated stream, until Ctrl-C.

The stream begins with what of the last hour is not in the tables yet, so that the page has
something to show. The data stays in `.local/run/` for the next run. The exit status is 0 after
Ctrl-C, SIGTERM or SIGHUP, which is how a run ends, and 1 when something ended by itself or another
run is in the same directory.

Environment: RATE, events a second (100); HISTORY, seconds of the past (3600; 0 for none); PORT, of
the page (6066, or a free one when that is taken); any PEPI_ variable, except that the two servers
are always the private ones.
"""

import argparse
import contextlib
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pepi_stream.claims.keys import claims_key
from pepi_stream.local.errors import LocalError
from pepi_stream.local.process import free_port, port_is_free
from pepi_stream.local.stack import Interrupted, Signals, Stack, refuse_if_running, shown
from pepi_stream.local.status import Figures, Line, Speed, status
from pepi_stream.tables import TableNames

_DIRECTORY = Path(".local/run")
_RATE = 100.0  # events a second: an hour of them drains in seconds, and is as high on the charts
_HISTORY = 3600  # seconds, as long as the charts of the page
_LEAST_HISTORY = 60  # a shorter gap is not seen on charts by the minute
_MALFORMED_SECONDS = 300  # of the past, for each payload that becomes a dead letter
_PORT = 6066
_GROWTH_SECONDS = 2.0  # whether the list drains is the mean of so long
_SMALLEST_WAIT = 10.0  # reading figures takes at most one part in so many of the time


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


def main(args: argparse.Namespace) -> int:
    """Run until a signal; return the exit status.

    Raises:
        LocalError: Something could not be started, or ended by itself.
    """
    rate, history, port = _rate(os.environ), _history(os.environ), _port(os.environ)
    refuse_if_running(_DIRECTORY)  # before it is said that the other one's port is taken
    url = f"http://127.0.0.1:{_free(port)}/live/"
    # A mix of all formats, unless a configuration says otherwise.
    defaults = {} if "PEPI_CONFIG" in os.environ else {"PEPI_SOURCE__FORMAT": "auto"}
    with Signals() as signals:
        try:
            with Stack(_DIRECTORY, signals, say=_say, defaults=defaults, page=url) as stack:
                stack.migrate()
                _run(stack, rate, history, url)
        except Interrupted:
            return 0  # before the stream ran
        except BrokenPipeError:  # `make run | head`
            return 1
    return 0


def gap(figures: Figures, history: int) -> int:
    """Return how many seconds of the past are to be filled with events.

    Args:
        figures: what is there already.
        history: the most, in seconds.
    """
    if figures.queued or figures.claimed:  # of a run that was interrupted: they are its past
        return 0
    seconds = history if figures.age is None else min(history, int(figures.age))
    return seconds if seconds >= min(history, _LEAST_HISTORY) else 0


def _run(stack: Stack, rate: float, history: int, url: str) -> None:
    with contextlib.closing(Gauge(stack)) as before:
        span = gap(before.read(), history)
    _say(f"starting the worker; its log is {shown(stack.directory / 'worker.log')}")
    stack.start_workers("web", port=urlsplit(url).port)
    stream = "starting the simulated stream: "
    if span:
        stream += f"{math.ceil(span / 60)} minutes of the past at once,\n  then "
    _say(f"{stream}{rate:g} events/s (RATE=n for another rate)")
    stack.start_simulator(rate, span=span, malformed=math.ceil(span / _MALFORMED_SECONDS))
    _say("Ctrl-C stops all of it and keeps the data")
    _say(f"The page is {url}\n")
    gauge = Gauge(stack)
    line = Line()
    try:
        _watch(stack, gauge, line)
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


def _watch(stack: Stack, gauge: Gauge, line: Line) -> None:
    """Show the status line until a signal arrives or something ends by itself."""
    began = time.monotonic()
    committed, queue = Speed(), Speed(_GROWTH_SECONDS)
    while True:
        stack.check_alive()
        looked = time.monotonic()
        try:
            figures = gauge.read()
        except Exception:
            stack.check_alive()  # the likely reason, better said
            raise
        now = time.monotonic()
        speed = committed.add(now, figures.rows + figures.dead)
        growth = queue.add(now, figures.queued)
        line.show(status(figures, speed, growth, now - began, line.width))
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


def _history(environ: Mapping[str, str]) -> int:
    text = environ.get("HISTORY") or str(_HISTORY)
    if not (text.isascii() and text.isdigit() and int(text) <= _HISTORY):
        raise LocalError(f"HISTORY should be seconds, 0 to {_HISTORY}, and is {text!r}")
    return int(text)


def _port(environ: Mapping[str, str]) -> int | None:
    """The port asked for, if one is."""
    text = environ.get("PORT")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65_536):
        raise LocalError(f"PORT should be 1 to 65535, and is {text!r}")
    return int(text)


def _free(port: int | None) -> int:
    """The port asked for, which must be free; else 6066, or any free one."""
    if port is None:
        return _PORT if port_is_free(_PORT) else free_port()
    if not port_is_free(port):
        raise LocalError(f"PORT {port} is in use; name another one, or none to get a free one")
    return port


def _say(text: str) -> None:
    # A terminal that was closed must not keep the clean-up from its work.
    with contextlib.suppress(OSError):
        print(text, flush=True)
