"""What the servers hold, counted the slow and certain way: the books that must balance."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pymysql

from pepi_stream.claims.keys import claim_key, claims_key
from pepi_stream.settings import Settings
from pepi_stream.tables import TableNames

#: Events by (start of the window in seconds since 1970, dimensions...).
Groups = dict[tuple[str, ...], int]

_CONNECT_SECONDS = 5
_MOST_NAMED = 5  # differing groups that a report names


@dataclass
class Found:
    """What the servers hold after the drain.

    Attributes:
        rows: event rows.
        dead: dead letters.
        ledger: payloads of the claims in the ledger.
        queued: payloads in the Redis list.
        claimed: payloads in open claims.
        leases: open claims, with or without payloads.
        stray: other keys in Redis, of which there must be none.
        by_event: rows per event name; None when the table has no such column.
        windows: sum of the counts, by window.
        window_groups: counts by (start, dimensions...), by window.
        row_groups: rows by the same, for windows whose columns are all in the event table.
    """

    rows: int = 0
    dead: int = 0
    ledger: int = 0
    queued: int = 0
    claimed: int = 0
    leases: int = 0
    stray: list[str] = field(default_factory=list)
    by_event: dict[str, int] | None = None
    windows: dict[str, int] = field(default_factory=dict)
    window_groups: dict[str, Groups] = field(default_factory=dict)
    row_groups: dict[str, Groups] = field(default_factory=dict)


def connect(settings: Settings) -> Any:
    """Connect to a private MariaDB: a pymysql connection in UTC that commits by itself."""
    args = settings.database.connect_args()
    return pymysql.connect(
        user=args["user"],
        password=args["password"],
        database=args["db"],
        unix_socket=args["unix_socket"],
        charset="utf8mb4",
        autocommit=True,
        connect_timeout=_CONNECT_SECONDS,
        init_command="SET time_zone = '+00:00'",
    )


def find(client: Any, mysql: Any, settings: Settings) -> Found:
    """Count everything.

    Args:
        client: of Redis.
        mysql: from :func:`connect`.
        settings: of the workers.
    """
    found = Found()
    names = TableNames.from_settings(settings)
    queue, table = settings.source.queue, f"`{settings.sink.table}`"
    for key in sorted(raw.decode(errors="replace") for raw in client.keys("*")):
        if key.startswith(claim_key(queue, "")):
            found.claimed += client.llen(key)
        elif key not in (queue, claims_key(queue)):
            found.stray.append(key)
    found.queued = client.llen(queue)
    found.leases = client.zcard(claims_key(queue))
    found.rows = _number(mysql, f"SELECT COUNT(*) FROM {table}")
    found.dead = _number(mysql, f"SELECT COUNT(*) FROM `{names.dead_letters}` WHERE part = 0")
    found.ledger = ledger(mysql, settings)
    column = {c.value: f"`{c.name}`" for c in settings.sink.columns}
    if name := column.get("event_name"):
        groups = select(mysql, f"SELECT {name}, COUNT(*) FROM {table} GROUP BY 1")
        found.by_event = {str(event): int(n) for event, n in groups}
    for window, spec in settings.windows.items():
        counts = f"`{names.window(window)}`"
        found.windows[window] = _number(mysql, f"SELECT COALESCE(SUM(n), 0) FROM {counts}")
        if not column.keys() >= {"occurred_at", *spec.by}:
            continue
        by = ["UNIX_TIMESTAMP(window_start)", *(f"`{name}`" for name in spec.by)]
        found.window_groups[window] = _groups(mysql, by, "SUM(n)", counts)
        # As the window computes it: spans since 1970, and '' for NULL.
        start = f"FLOOR(UNIX_TIMESTAMP({column['occurred_at']}) / {spec.seconds}) * {spec.seconds}"
        by = [start, *(f"COALESCE({column[name]}, '')" for name in spec.by)]
        found.row_groups[window] = _groups(mysql, by, "COUNT(*)", table)
    return found


def _groups(mysql: Any, by: list[str], aggregate: str, table: str) -> Groups:
    numbers = ", ".join(map(str, range(1, len(by) + 1)))
    rows = select(mysql, f"SELECT {', '.join(by)}, {aggregate} FROM {table} GROUP BY {numbers}")
    return {(str(int(start)), *map(str, values)): int(n) for start, *values, n in rows}


def differing(window: str, rows: Groups, counts: Groups) -> Iterator[str]:
    """Say where the rows and the counts of a window differ; nothing where they do not."""
    keys = sorted(key for key in {*rows, *counts} if rows.get(key, 0) != counts.get(key, 0))
    for key in keys[:_MOST_NAMED]:
        yield (
            f"window {window} counts {counts.get(key, 0)} of {', '.join(key)}, and there are "
            f"{rows.get(key, 0)} rows of it"
        )
    if len(keys) > _MOST_NAMED:
        yield f"window {window} differs in {len(keys) - _MOST_NAMED} further groups"


def ledger(mysql: Any, settings: Settings) -> int:
    """Return the payloads of all claims that took effect."""
    table = TableNames.from_settings(settings).ledger
    return _number(mysql, f"SELECT COALESCE(SUM(payloads), 0) FROM `{table}`")


def _number(mysql: Any, sql: str) -> int:
    return int(select(mysql, sql)[0][0])


def select(mysql: Any, sql: str) -> list[tuple[Any, ...]]:
    """Run a query and return its rows."""
    with mysql.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())
