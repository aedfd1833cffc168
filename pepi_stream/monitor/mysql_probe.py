"""Probes MySQL: version, durability, writes, limits, clock, tables and dead letters."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Final

import aiomysql
from pymysql.err import MySQLError

from pepi_stream.errors import PepiError
from pepi_stream.monitor.dead_letters import shown_reason
from pepi_stream.monitor.finding import Finding, clock_finding
from pepi_stream.settings import Settings
from pepi_stream.sink import Schema, connect
from pepi_stream.sink.connection import fetch
from pepi_stream.sink.failures import mysql_failure
from pepi_stream.sink.inspection import inspect_tables
from pepi_stream.sink.statements import PACKET_REMEDY, packet_problem

_SMALL_PACKET: Final = 4 * 2**20
_MOST_COUNTED: Final = 1_000_000  # dead letters; counting more would take seconds
_NEWEST: Final = 10_000
_MOST_REASONS: Final = 5
_NO_SELECT: Final = (1142, 1143)  # a worker need not read them

# Variables, of which a server has some; one that is ON keeps writes out.
_NO_WRITES: Final = (
    *("read_only", "super_read_only", "innodb_read_only"),
    *("offline_mode", "transaction_read_only"),
)
# Of these, those that no user's privileges get round.
_NO_WRITES_AT_ALL: Final = frozenset({"super_read_only", "innodb_read_only"})


async def mysql_findings(settings: Settings) -> AsyncIterator[Finding]:
    """Look at MySQL, its tables and the dead letters."""
    try:
        conn = await connect(settings.database)
    except PepiError as exc:
        yield Finding("fail", str(exc))
        return
    try:
        async for finding in _mysql(conn, settings):
            yield finding
    except Exception as exc:
        yield Finding("fail", str(mysql_failure(exc, "looking at MySQL")))
    finally:
        conn.close()


async def _mysql(conn: aiomysql.Connection, settings: Settings) -> AsyncIterator[Finding]:
    before = time.time()
    [(version, now)] = await fetch(conn, "SELECT VERSION(), UNIX_TIMESTAMP(NOW(6))")
    after = time.time()
    yield Finding("ok", f"MySQL {version} answers")
    found = clock_finding("MySQL", float(now) - (before + after) / 2, after - before)
    if found is not None:
        yield found
    variables = {
        str(name).lower(): str(value) for name, value in await fetch(conn, "SHOW GLOBAL VARIABLES")
    }
    for finding in _settings(variables):
        yield finding
    status = dict(await fetch(conn, "SHOW GLOBAL STATUS LIKE 'wsrep_ready'"))
    if variables.get("wsrep_on") == "ON" and status.get("wsrep_ready") == "OFF":
        yield Finding(
            "fail", "this node of the cluster is not ready", "point DATABASE_URL at one that is"
        )
    schema = Schema.from_settings(settings)
    sound = True
    async for state in inspect_tables(conn, schema):
        if state.problem:
            sound = sound and not state.fatal
            yield Finding(
                "fail" if state.fatal else "warn",
                f"table {state.table} {state.problem}",
                state.remedy,
            )
        else:
            yield Finding("ok", f"table {state.table}")
    if sound:
        yield await _dead_letters(conn, schema.names.dead_letters)


def _settings(variables: dict[str, str]) -> Iterator[Finding]:
    """Judge the server's variables; a name that it does not have is well."""
    # MariaDB 12 has several ways of being read_only.
    if shut := [name for name in _NO_WRITES if variables.get(name, "OFF") not in ("OFF", "0")]:
        yield Finding(
            "warn" if _NO_WRITES_AT_ALL.isdisjoint(shut) else "fail",
            f"MySQL takes no writes ({', '.join(shut)})",
            "point DATABASE_URL at the primary, or switch that off",
        )
    durable = variables.get("innodb_flush_log_at_trx_commit", "1")
    if durable == "1":
        yield Finding("ok", "commits are durable (innodb_flush_log_at_trx_commit = 1)")
    else:
        yield Finding(
            "warn",
            f"a crash of MySQL loses acked events (innodb_flush_log_at_trx_commit = {durable})",
            "SET GLOBAL innodb_flush_log_at_trx_commit = 1",
        )
    packet = int(variables.get("max_allowed_packet", _SMALL_PACKET))
    if problem := packet_problem(packet):
        yield Finding("fail", problem, PACKET_REMEDY)
    elif packet < _SMALL_PACKET:
        yield Finding(
            "warn",
            f"max_allowed_packet is {packet} bytes",
            "statements are cut to it; SET GLOBAL max_allowed_packet = 67108864",
        )
    if variables.get("log_bin") == "ON" and variables.get("binlog_format") == "STATEMENT":
        yield Finding(
            "fail",
            "MySQL refuses the sink's transactions (binlog_format = STATEMENT)",
            "they are READ COMMITTED: SET GLOBAL binlog_format = 'ROW'",
        )


async def _dead_letters(conn: aiomysql.Connection, table: str) -> Finding:
    """Count all, and group those of the last hour; neither reads more than it is worth."""
    try:
        [(count,)] = await fetch(
            conn,
            f"SELECT COUNT(*) FROM (SELECT 1 FROM `{table}` WHERE `part` = 0 "
            f"LIMIT {_MOST_COUNTED + 1}) AS letters",
        )
        newest = await fetch(
            conn,
            "SELECT `part`, LEFT(`reason`, 300), "
            "`created_at` >= CURRENT_TIMESTAMP(3) - INTERVAL 1 HOUR "
            f"FROM `{table}` ORDER BY `seq` DESC LIMIT {_NEWEST}",
        )
    except MySQLError as exc:
        if exc.args[0] not in _NO_SELECT:
            raise
        return Finding(
            "ok", f"how many dead letters there are stays unknown (grant SELECT on {table})"
        )
    many = f"more than {_MOST_COUNTED:,}" if count > _MOST_COUNTED else f"{count:,}"
    reasons = Counter(shown_reason(reason) for part, reason, hour in newest if hour and not part)
    if not reasons:
        return Finding("ok", f"{many} dead letters, none of the last hour")
    whole = len(newest) < _NEWEST or not newest[-1][2]
    return Finding(
        "warn",
        f"{many} dead letters, {'' if whole else 'at least '}{reasons.total():,} of the last hour",
        f"look at them on the live page or in {table}: "
        + "; ".join(f"{n:,} times {reason}" for reason, n in reasons.most_common(_MOST_REASONS))
        + ("; ..." if len(reasons) > _MOST_REASONS else ""),
    )
