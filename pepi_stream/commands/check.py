"""``check``: the settings in force, and whether both servers are fit for them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Literal, NamedTuple

import aiomysql
import click
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from pepi_stream.claims import ClaimStore, connect_redis
from pepi_stream.claims.failures import redis_failure
from pepi_stream.claims.replies import shown_reply
from pepi_stream.commands.base import PepiCommand
from pepi_stream.errors import ConfigError, PepiError
from pepi_stream.ingest import SECRETS, unsigned_formats
from pepi_stream.settings import Settings, describe
from pepi_stream.sink import Schema, connect
from pepi_stream.sink.connection import fetch
from pepi_stream.sink.failures import mysql_failure
from pepi_stream.sink.inspection import inspect_tables
from pepi_stream.sink.statements import PACKET_REMEDY, packet_problem
from pepi_stream.web import require_closed

_REDIS_NEEDED = (6, 2)
_SMALL_PACKET = 4 * 2**20


class Finding(NamedTuple):
    """One thing that was looked at, and what to do about it when it is not well."""

    level: Literal["ok", "warn", "fail"]
    what: str
    remedy: str = ""


class check(PepiCommand):
    """Show the settings in force (secrets hidden), look at both servers, say what to fix.

    Exit code 0 when a worker can run, 1 when something must be fixed first.
    """

    async def run(self, **kwargs: Any) -> int:
        """Print settings and findings."""
        for name, value, origin in describe(self.settings):
            click.echo(f"{name} = {value}  ({origin})")
        click.echo()
        failed = False
        for look in (web_findings, ingest_findings, redis_findings, mysql_findings):
            async for finding in look(self.settings):
                failed |= finding.level == "fail"
                remedy = f": {finding.remedy}" if finding.remedy else ""
                click.echo(f"{finding.level:<4} {finding.what}{remedy}")
        return 1 if failed else 0


async def web_findings(settings: Settings) -> AsyncIterator[Finding]:
    """Look at who could see the page."""
    try:
        require_closed(settings.web.bind, settings.web)
    except ConfigError as exc:
        yield Finding("fail", str(exc))


async def ingest_findings(settings: Settings) -> AsyncIterator[Finding]:
    """Look at which webhooks are taken in, and from whom."""
    if settings.ingest.formats:
        yield Finding("ok", f"webhooks are taken in: {', '.join(settings.ingest.formats)}")
    for name in unsigned_formats(settings.ingest):
        yield Finding(
            "warn",
            f"anybody who reaches /ingest/{name} can send events (ingest.unsigned)",
            f"let a proxy check who sends, or set PEPI_INGEST__{SECRETS[name].upper()}",
        )


async def redis_findings(settings: Settings) -> AsyncIterator[Finding]:
    """Look at Redis: version, persistence, eviction, and the keys of the queue."""
    redis = connect_redis(settings.redis)
    store = ClaimStore(
        redis, queue=settings.source.queue, lease_seconds=settings.source.lease_seconds
    )
    try:
        async for finding in _redis(redis, store):
            yield finding
    except Exception as exc:
        yield Finding("fail", str(redis_failure(exc, "looking at Redis")))
    finally:
        await redis.aclose()


async def _redis(redis: Redis, store: ClaimStore) -> AsyncIterator[Finding]:
    try:
        async for finding in _redis_server(redis, store):
            yield finding
    except NoPermissionError as exc:  # a worker needs neither INFO nor TYPE
        yield Finding(
            "warn",
            "Redis answers, but its version, persistence and eviction stay unknown "
            f"({shown_reply(exc)})",
            "ACL SETUSER ... +info +type",
        )
    queued, claimed = await store.depth()
    yield Finding("ok", f"queue {store.queue}: {queued} payloads, {claimed} open claims")


async def _redis_server(redis: Redis, store: ClaimStore) -> AsyncIterator[Finding]:
    info: dict[str, Any] = await redis.info()
    version = tuple(int(n) for n in str(info["redis_version"]).split(".")[:2])
    if version < _REDIS_NEEDED:
        yield Finding("fail", f"Redis {info['redis_version']}", "6.2 or later is needed (BLMOVE)")
    else:
        yield Finding("ok", f"Redis {info['redis_version']} answers")
    if info.get("role") != "master":
        yield Finding("fail", "this Redis is a replica", "point REDIS_URL at the primary")
    if info.get("aof_enabled"):
        yield Finding("ok", "Redis keeps an append-only file")
    else:
        yield Finding(
            "warn",
            "Redis keeps no append-only file",
            "a crash loses queued payloads and open claims; CONFIG SET appendonly yes",
        )
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy == "noeviction":
        yield Finding("ok", "Redis evicts nothing (noeviction)")
    else:
        yield Finding(
            "fail",
            f"Redis may evict the queue and its claims (maxmemory-policy {policy})",
            "CONFIG SET maxmemory-policy noeviction",
        )
    for key, kind in (
        (store.queue, b"list"),
        (store.claims_key, b"zset"),
        (store.deliveries_key, b"hash"),
    ):
        found: Any = await redis.type(key)
        if found not in (kind, b"none"):
            yield Finding(
                "fail",
                f"key {key} is a {found.decode()}, not a {kind.decode()}",
                "choose another source.queue, or remove the key",
            )


async def mysql_findings(settings: Settings) -> AsyncIterator[Finding]:
    """Look at MySQL: version, durability, limits, and the tables."""
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
    [(version, packet, durable, read_only)] = await fetch(
        conn,
        "SELECT VERSION(), @@max_allowed_packet, @@innodb_flush_log_at_trx_commit, @@read_only",
    )
    yield Finding("ok", f"MySQL {version} answers")
    if read_only:
        yield Finding("warn", "MySQL is read-only", "point DATABASE_URL at the primary")
    if durable == 1:
        yield Finding("ok", "commits are durable (innodb_flush_log_at_trx_commit = 1)")
    else:
        yield Finding(
            "warn",
            f"a crash of MySQL loses acked events (innodb_flush_log_at_trx_commit = {durable})",
            "SET GLOBAL innodb_flush_log_at_trx_commit = 1",
        )
    if problem := packet_problem(packet):
        yield Finding("fail", problem, PACKET_REMEDY)
    elif packet < _SMALL_PACKET:
        yield Finding(
            "warn",
            f"max_allowed_packet is {packet} bytes",
            "statements are cut to it; SET GLOBAL max_allowed_packet = 67108864",
        )
    async for state in inspect_tables(conn, Schema.from_settings(settings)):
        if state.problem:
            level: Literal["warn", "fail"] = "fail" if state.fatal else "warn"
            yield Finding(level, f"table {state.table} {state.problem}", state.remedy)
        else:
            yield Finding("ok", f"table {state.table}")
