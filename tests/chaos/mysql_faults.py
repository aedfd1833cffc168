"""Faults of MySQL: killed, switched, locked, full, and cut off within COMMIT."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from random import Random
from typing import Any, Final

import aiomysql

from tests.chaos.cluster import SETTINGS, Cluster, frozen
from tests.chaos.registry import fault
from tests.waiting import wait_until

_COMMIT = b"\x03COMMIT"
_WINDOWS = b"\x03INSERT INTO `pepi_window_"

_LOCK_WAIT_SECONDS: Final = float(SETTINGS["PEPI_DATABASE__LOCK_WAIT_SECONDS"])
_NEWEST = "ORDER BY window_start DESC LIMIT 50"
_PATIENCE_SECONDS = 25.0  # for a fault's moment to come


@fault
async def sigkill_mariadb(cluster: Cluster, random: Random) -> None:
    """MariaDB crashes, and recovers from its log."""
    async with cluster.mysql_lock:
        await cluster.in_thread(cluster.mariadb.kill)
        await cluster.pause(random.uniform(0, 2))
        await cluster.in_thread(cluster.mariadb.start)


@fault
async def sigstop_mariadb(cluster: Cluster, random: Random) -> None:
    """MariaDB hangs."""
    async with cluster.mysql_lock, frozen(cluster.mariadb.pid):
        await cluster.pause(random.uniform(1, 4))


@fault
async def switch_mysql(cluster: Cluster, random: Random) -> None:
    """A copy is promoted, and the old server read-only; nobody's connection is cut."""
    async with cluster.mysql_lock:
        await cluster.promote_mariadb(random.uniform(0, 1))


@fault
async def kill_mysql_transaction(cluster: Cluster, random: Random) -> None:
    """KILL, in mid-transaction."""
    async with cluster.some_worker(random) as worker, cluster.mysql_lock, cluster.admin() as admin:
        held_up = worker.mysql.held_up(_WINDOWS, "request", seconds=_PATIENCE_SECONDS)
        async with held_up:
            cursor = await admin.cursor()
            await cursor.execute(
                "SELECT trx_mysql_thread_id FROM information_schema.INNODB_TRX "
                "WHERE trx_mysql_thread_id <> 0 AND trx_mysql_thread_id <> CONNECTION_ID()"
            )
            victims = [row[0] for row in await cursor.fetchall()]
            assert victims
            for victim in victims:
                # Others may have gone meanwhile; the one held up cannot have.
                with contextlib.suppress(aiomysql.MySQLError):
                    await cursor.execute(f"KILL {victim}")


@fault
async def lose_commit_reply(cluster: Cluster, random: Random) -> None:
    """MySQL has committed, and the connection breaks before the worker hears it."""
    async with cluster.some_worker(random) as worker:
        before = worker.mysql.lost
        worker.mysql.lose_reply_to(_COMMIT)
        await wait_until(lambda: worker.mysql.lost > before, seconds=_PATIENCE_SECONDS)


@fault
async def cut_in_commit(cluster: Cluster, random: Random) -> None:
    """The connection breaks while MySQL commits, or before, or after: nobody knows."""
    async with cluster.some_worker(random) as worker:
        done = asyncio.Event()

        async def cut(link: Any) -> bool:
            link.send_on(b"\x07\x00\x00\x00" + _COMMIT)
            link.cut()
            done.set()
            return False

        worker.mysql.set_trap(_COMMIT, "request", cut)
        await asyncio.wait_for(done.wait(), _PATIENCE_SECONDS)


@fault
async def lock_table(cluster: Cluster, random: Random) -> None:
    """Somebody's LOCK TABLES (or ALTER TABLE) outlasts the lock-wait time-out."""
    async with cluster.mysql_lock, cluster.admin() as admin:
        await admin.query("LOCK TABLES pepi_event WRITE")
        await cluster.pause(_LOCK_WAIT_SECONDS + random.uniform(0.5, 1.5))
        await admin.query("UNLOCK TABLES")


@fault
async def lock_rows(cluster: Cluster, random: Random) -> None:
    """Somebody's transaction holds the newest window rows past the lock-wait time-out."""
    async with cluster.mysql_lock, cluster.admin() as admin:
        cursor = await admin.cursor()
        await cursor.execute("SELECT MAX(window_start) FROM pepi_window_minute")
        [newest] = await cursor.fetchone()
        await admin.query("BEGIN")
        # From the first to the last, as the workers do: else it would be a deadlock.
        await admin.query(
            f"SELECT n FROM pepi_window_minute WHERE window_start >= '{newest}' FOR UPDATE"
        )
        await cluster.pause(_LOCK_WAIT_SECONDS + random.uniform(0.5, 1.5))
        await admin.query("ROLLBACK")


@fault
async def deadlock(cluster: Cluster, random: Random) -> None:
    """A transaction that locks the windows in the opposite order, and wins."""
    async with cluster.mysql_lock, cluster.admin() as admin, cluster.admin() as other:
        before = await _status(other, "Innodb_deadlocks")
        await admin.query("CREATE TABLE IF NOT EXISTS chaos_ballast (a INT)")
        for _ in range(5):
            await admin.query("BEGIN")
            # InnoDB ends the transaction that has changed less: make that the worker's.
            await admin.query("INSERT INTO chaos_ballast SELECT seq FROM seq_1_to_100000")
            await admin.query(f"UPDATE pepi_window_hour SET n = n + 0 {_NEWEST}")
            try:
                await wait_until(lambda: _waits(other), seconds=_LOCK_WAIT_SECONDS)
                await admin.query(f"UPDATE pepi_window_minute SET n = n + 0 {_NEWEST}")
            except AssertionError:
                pass  # no flush came by
            finally:
                await admin.query("ROLLBACK")
            if await _status(other, "Innodb_deadlocks") > before:
                return
        raise TimeoutError("no deadlock came about")


@fault
async def read_only_mysql(cluster: Cluster, random: Random) -> None:
    """MySQL takes no writes, as after a fail-over."""
    async with cluster.mysql_lock, cluster.admin() as admin:
        await admin.query("SET GLOBAL read_only = 1")
        try:
            await cluster.pause(random.uniform(1, 3))
        finally:
            await admin.query("SET GLOBAL read_only = 0")


@fault
async def full_disk(cluster: Cluster, random: Random) -> None:
    """No file of MySQL can grow any more: a limit of its process, which needs no root."""
    async with cluster.mysql_lock:
        files = [path for path in cluster.mariadb.directory.rglob("*") if path.is_file()]
        largest = max(path.stat().st_size for path in files if "data" in path.parts)
        refused = _times_full(cluster)
        _limit_files(cluster.mariadb.pid, largest)
        try:
            await wait_until(lambda: _times_full(cluster) > refused, seconds=_PATIENCE_SECONDS)
            await cluster.pause(random.uniform(0.5, 2))
        finally:
            _limit_files(cluster.mariadb.pid, resource.RLIM_INFINITY)


def _limit_files(pid: int, size: int) -> None:
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def _times_full(cluster: Cluster) -> int:
    return cluster.mariadb.log_path.read_text(errors="replace").count("failed with error 27")


async def _status(conn: Any, name: str) -> int:
    cursor = await conn.cursor()
    await cursor.execute(f"SHOW GLOBAL STATUS LIKE '{name}'")
    return int((await cursor.fetchone())[1])


async def _waits(conn: Any) -> bool:
    return await _status(conn, "Innodb_row_lock_current_waits") > 0
