"""Reads the live tables' state from MySQL, in one consistent snapshot."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Sequence
from typing import Any, Final

import aiomysql
from pymysql.err import MySQLError

from pepi_stream.errors import FatalError
from pepi_stream.live import letters
from pepi_stream.live.merge import Ledger
from pepi_stream.live.queries import BEGIN, END, Queries
from pepi_stream.live.rows import WHOLE_START_FACTOR, Row, WindowSeed, too_many
from pepi_stream.live.series import MAX_NAMES, OTHER, SeriesSeed, span
from pepi_stream.live.tables import Snapshot, series_window
from pepi_stream.sink.connection import fetch
from pepi_stream.sink.failures import mysql_failure
from pepi_stream.windows import Window

#: Starts further ahead than this are a producer's wrong clock, and must not push all else out.
AHEAD_SECONDS: Final = 86_400
_CHUNK = 500  # claim ids of one IN list
_PAGE = 500  # ledger rows of one statement: decoding them holds the loop for 2 ms
_COUNT_SECONDS = 5
_NO_RIGHT = frozenset({1142, 1143})  # of a table, of a column


async def read_snapshot(
    conn: aiomysql.Connection,
    queries: Queries,
    windows: Sequence[Window],
    *,
    limit: int,
    now: float,
    asked: frozenset[bytes],
    since: bytes,
    sizes: letters.Sizes,
) -> tuple[Snapshot, Ledger]:
    """Read windows, series, dead letters, and what the ledger knows, all as of one moment.

    Args:
        conn: with the sink's session; nothing is left open on it.
        queries: over the flow's tables.
        windows: which to read.
        limit: rows of a window, at most.
        now: seconds since 1970.
        asked: claims to ask the ledger about.
        since: and all those above this key.
        sizes: sizes of dead letters that are known already.

    Raises:
        PepiError: MySQL's failure, sorted.
    """
    try:
        for statement in BEGIN:
            await conn.query(statement)
        known = await _known(conn, queries, asked, since)
        read = {
            w.name: await _read_window(conn, queries, w, limit, int(now) + AHEAD_SECONDS)
            for w in windows
        }
        series = None
        if (window := series_window(windows)) is not None:
            series = await _read_series(conn, queries, window, now)
        snapshot = Snapshot(read, series, **await _read_dead(conn, queries, sizes))
        if not conn.closed:
            await conn.query(END)
    except Exception as exc:
        raise mysql_failure(exc, "reading the live tables") from exc
    return snapshot, Ledger(asked, since, known)


async def _known(
    conn: aiomysql.Connection, queries: Queries, asked: Iterable[bytes], since: bytes
) -> frozenset[bytes]:
    known: set[bytes] = set()
    ids = iter(sorted(asked))
    while chunk := list(itertools.islice(ids, _CHUNK)):
        known.update(row[0] for row in await fetch(conn, queries.ledger_of(chunk)))
    last = since
    while True:
        page = [row[0] for row in await fetch(conn, queries.ledger_since(last, _PAGE))]
        known.update(page)
        if len(page) < _PAGE:
            return frozenset(known)
        last = page[-1]


async def _read_window(
    conn: aiomysql.Connection, queries: Queries, window: Window, limit: int, ceiling: int
) -> WindowSeed:
    """Read the newest starts that are wholly among so many rows."""
    rows: list[Row] = []
    for most in (limit, limit * WHOLE_START_FACTOR):
        found = await fetch(conn, queries.newest_rows(window, ceiling, most + 1))
        rows = [(int(start), tuple(values), int(n)) for start, *values, n in found]
        if len(rows) <= most:
            if most == limit:
                return WindowSeed(0, ceiling, rows)
            break
        if rows[0][0] != rows[-1][0]:
            break
    newest = rows[0][0]
    if rows[-1][0] == newest and len(rows) > limit * WHOLE_START_FACTOR:
        return WindowSeed(newest + window.seconds, ceiling, [], too_many(limit))
    # The newest start whole, however large, and the others while they fit. (The oldest, of which
    # rows may be missing, never does: there is a row more than may be.)
    while len(rows) > limit and rows[-1][0] != newest:
        rows = [row for row in rows if row[0] > rows[-1][0]]
    return WindowSeed(rows[-1][0], ceiling, rows)


async def _read_series(
    conn: aiomysql.Connection, queries: Queries, window: Window, now: float
) -> SeriesSeed:
    first, last = span(now)
    names = await fetch(conn, queries.series_names(window, first, last, MAX_NAMES))
    rows = await fetch(
        conn,
        queries.series_rows(window, first, last, [name for name, _ in names], OTHER.encode()),
    )
    # In the order of the names, so that these are the ones that are told apart.
    order = {name: i for i, (name, _) in enumerate(names)}
    rows.sort(key=lambda row: order.get(row[1], len(order)))
    return SeriesSeed(first, last, [(int(s), name.decode(), int(n)) for s, name, n in rows])


async def _read_dead(
    conn: aiomysql.Connection, queries: Queries, sizes: letters.Sizes
) -> dict[str, Any]:
    """Read them last: when counting takes too long, the connection is closed."""
    newest: Sequence[dict[str, Any]] = ()
    try:
        newest = await letters.newest(conn, queries, sizes)
        async with asyncio.timeout(_COUNT_SECONDS):
            [(dead, hour)] = await fetch(conn, queries.count_dead())
    except TimeoutError:
        conn.close()
        return {
            "letters": newest,
            "dead_words": f"counting them takes more than {_COUNT_SECONDS} s",
        }
    except MySQLError as exc:
        failure = mysql_failure(exc, "reading dead letters")
        if not isinstance(failure, FatalError):
            raise
        # A worker only has to INSERT them.
        refused = exc.args and exc.args[0] in _NO_RIGHT
        no_grant = f"grant SELECT on {queries.names.dead_letters} to see them"
        return {"dead_words": no_grant if refused else str(failure)}
    return {"dead": int(dead), "dead_words": "", "dead_hour": int(hour), "letters": newest}
