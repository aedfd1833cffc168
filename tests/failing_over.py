"""A primary and what takes its place, of either server, without a connection being cut."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import redis
from redis.asyncio import Redis

from pepi_stream.local.servers import MariaDBServer, RedisServer
from pepi_stream.local.sql import SqlServer
from tests.mysql_admin import administer
from tests.waiting import wait_until

_SYNC_SECONDS = 30.0


_PASSWORD = secrets.token_urlsafe(24)  # of all, as a replica has to know its primary's


def replicable(directory: Path, program: Path | None = None) -> RedisServer:
    """Return a Redis that others can follow, whose every answered write is on disk."""
    return RedisServer(
        directory, program=program, appendfsync="always", tcp=True, password=_PASSWORD
    )


class RedisPair:
    """A Redis and its replica, which are in step.

    Attributes:
        primary: takes writes now.
        replica: follows it.
    """

    def __init__(self, primary: RedisServer, replica: RedisServer) -> None:
        self.primary = primary
        self.replica = replica

    async def fail_over(self) -> None:
        """Let the two change their roles as an operator does (`FAILOVER TO`): nothing is lost."""
        async with client(self.primary) as old, client(self.replica) as new:
            await run(old, "FAILOVER", "TO", "127.0.0.1", self.replica.port)
            await wait_until(lambda: _has_role(new, "master"), seconds=_SYNC_SECONDS)
            await wait_until(lambda: _has_role(old, "slave"), seconds=_SYNC_SECONDS)
        self.primary, self.replica = self.replica, self.primary

    def call(self, *command: Any) -> Any:
        """Ask the primary something."""
        direct: Any = redis.Redis.from_url(self.primary.url)
        with closing(direct):
            return direct.execute_command(*command)


@asynccontextmanager
async def client(server: RedisServer) -> AsyncIterator[Redis]:
    """Connect to a server, past any proxy."""
    direct = Redis.from_url(server.url)
    try:
        yield direct
    finally:
        await direct.aclose()


async def run(direct: Any, *command: Any) -> None:
    """Run a command."""
    await direct.execute_command(*command)


async def _has_role(direct: Redis, role: str) -> bool:
    info: Any = await direct.info("replication")
    return bool(info["role"] == role) and info.get("master_link_status", "up") == "up"


async def _keeps_all(direct: Redis) -> bool:
    """Tell whether the append-only file has what came with the first sync."""
    info: Any = await direct.info("persistence")
    return not info["aof_rewrite_in_progress"] and not info["aof_rewrite_scheduled"]


async def follow(replica: RedisServer, primary: RedisServer) -> RedisPair:
    """Make a server that is empty the replica of another; wait until it is in step."""
    async with client(primary) as direct:
        await direct.config_set("repl-diskless-sync-delay", 0)
    async with client(replica) as direct:
        await run(direct, "REPLICAOF", "127.0.0.1", primary.port)
        await wait_until(lambda: _has_role(direct, "slave"), seconds=_SYNC_SECONDS)
        await wait_until(lambda: _keeps_all(direct), seconds=_SYNC_SECONDS)
    return RedisPair(primary, replica)


@asynccontextmanager
async def redis_pair(directory: Path) -> AsyncIterator[RedisPair]:
    """Run a Redis and its replica."""
    with (
        replicable(directory / "one") as one,
        replicable(directory / "other") as other,
    ):
        yield await follow(other, one)


def copy(old: SqlServer, new: SqlServer) -> None:
    """Give a server all that another has committed, and make that one read-only.

    As an operator does with a snapshot of the disk: the old server is stopped for as long as its
    files are copied, and the new one recovers from its log. The old one lives on, with all its
    connections.

    Args:
        old: runs.
        new: of the same kind; has never been started.
    """
    administer(old, "SET GLOBAL read_only = 1")  # which waits for commits that are under way
    new.directory.mkdir(mode=0o700, parents=True)
    os.kill(old.pid, signal.SIGSTOP)
    try:
        shutil.copytree(old.directory / "data", new.directory / "data")
        shutil.copy(old.directory / "password", new.directory / "password")
    finally:
        os.kill(old.pid, signal.SIGCONT)


@contextmanager
def promoted_copy(old: MariaDBServer, directory: Path) -> Iterator[MariaDBServer]:
    """Run a copy of a server; the old one is read-only from now on."""
    new = MariaDBServer(directory)
    copy(old, new)
    with new:
        yield new


async def in_thread(function: Any, *args: Any) -> Any:
    """Run what blocks beside the proxies, which are in this loop."""
    return await asyncio.to_thread(function, *args)
