"""The faults, each a named action that leaves everything running again when it returns.

A fault that does not see its effect raises TimeoutError or AssertionError: the run then does not
count it. Sources of the kinds: issues of other Redis list consumers, the design's list, and what
reviewers did by hand.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, Final
from uuid import UUID

import aiomysql

from pepi_stream.claims.keys import claim_key, claims_key, deliveries_key
from pepi_stream.claims.scripts import Scripts
from pepi_stream.sink.bulk import bulk_head
from pepi_stream.sink.parameters import STRING
from tests.chaos.cluster import SETTINGS, Cluster, frozen
from tests.claiming import QUEUE
from tests.waiting import wait_until

Fault = Callable[[Cluster, Random], Awaitable[None]]

#: Every fault by its name.
FAULTS: Final[dict[str, Fault]] = {}

_SCRIPTS: Final = Scripts()
_CLAIM = _SCRIPTS.claim.sha.encode()
_RECOVER = _SCRIPTS.recover.sha.encode()
_ACK = _SCRIPTS.ack.sha.encode()
_COMMIT = b"\x03COMMIT"
_ROWS = bulk_head(0, bytes([STRING] * 3))[4:]  # the number of the statement is not known
_WINDOWS = b"\x03INSERT INTO `pepi_window_"

_LEASE_SECONDS: Final = float(SETTINGS["PEPI_SOURCE__LEASE_SECONDS"])
_LOCK_WAIT_SECONDS: Final = float(SETTINGS["PEPI_DATABASE__LOCK_WAIT_SECONDS"])
_NEWEST = "ORDER BY window_start DESC LIMIT 50"
_OLD_SECONDS = 15
_PATIENCE_SECONDS = 25.0  # for a fault's moment to come


def fault(function: Fault) -> Fault:
    """Register a fault under its function's name."""
    FAULTS[function.__name__] = function
    return function


# --- the worker ---------------------------------------------------------------------------------


@fault
async def sigkill_worker(cluster: Cluster, random: Random) -> None:
    """SIGKILL, at any moment."""
    async with cluster.some_worker(random) as worker:
        worker.kill()
        await cluster.pause(random.uniform(0, 1))
        worker.start()
        await worker.ready()


@fault
async def sigterm_worker(cluster: Cluster, random: Random) -> None:
    """A deploy of one worker: it must end by itself, with status 0."""
    async with cluster.some_worker(random) as worker:
        await worker.stop()
        worker.start()
        await worker.ready()


@fault
async def rolling_restart(cluster: Cluster, random: Random) -> None:
    """A deploy of all workers, one after the other."""
    for worker in cluster.workers:
        async with worker.busy:
            await worker.stop()
            worker.start()
            await worker.ready()


@fault
async def sigstop_worker(cluster: Cluster, random: Random) -> None:
    """SIGSTOP past the lease, at any moment, and SIGCONT: a zombie."""
    async with cluster.some_worker(random) as worker, frozen(worker.pid):
        await cluster.pause(_LEASE_SECONDS + random.uniform(0.5, 2))


@fault
async def zombie_before_claim_reply(cluster: Cluster, random: Random) -> None:
    """A zombie that has claimed and does not know it yet."""
    await _zombie(cluster, random, "redis", _CLAIM, "reply")


@fault
async def zombie_in_transaction(cluster: Cluster, random: Random) -> None:
    """A zombie with rows written and not committed."""
    await _zombie(cluster, random, "mysql", _WINDOWS, "reply")


@fault
async def zombie_after_commit(cluster: Cluster, random: Random) -> None:
    """A zombie that has committed and does not know it yet."""
    await _zombie(cluster, random, "mysql", _COMMIT, "reply")


@fault
async def zombie_before_ack(cluster: Cluster, random: Random) -> None:
    """A zombie whose ack arrives when others have long had the claim."""
    await _zombie(cluster, random, "redis", _ACK, "request")


async def _zombie(cluster: Cluster, random: Random, side: str, part: bytes, at: Any) -> None:
    async with cluster.some_worker(random) as worker:
        proxy = worker.redis if side == "redis" else worker.mysql
        async with proxy.held_up(part, at, seconds=_PATIENCE_SECONDS), frozen(worker.pid):
            await cluster.pause(_LEASE_SECONDS + random.uniform(0.5, 2))


@fault
async def suspect_claim(cluster: Cluster, random: Random) -> None:
    """A claim that seems to crash workers: it is taken record by record, and nobody is to blame."""
    claim_id = await _open_claim(cluster)
    now, _ = await cluster.redis.time()

    def come_back_often(pipe: Any) -> None:
        pipe.zadd(claims_key(QUEUE), {claim_id: (now - 1) * 1000}, xx=True)
        pipe.hset(deliveries_key(QUEUE), claim_id, 9)

    async with cluster.redis_lock:
        if await cluster.redis.zscore(claims_key(QUEUE), claim_id) is None:
            raise TimeoutError(f"claim {claim_id} was acked before it could be made a suspect")
        await cluster.producer.transact(come_back_often)
    if random.random() < 0.5:  # a worker may well die over it, and the record is still innocent
        await sigkill_worker(cluster, random)


# --- Redis --------------------------------------------------------------------------------------


@fault
async def sigkill_redis(cluster: Cluster, random: Random) -> None:
    """Redis crashes, and starts on its append-only file."""
    async with cluster.redis_lock:
        await cluster.in_thread(cluster.redis_server.kill)
        await cluster.pause(random.uniform(0, 2))
        await cluster.in_thread(cluster.redis_server.start)


@fault
async def sigstop_redis(cluster: Cluster, random: Random) -> None:
    """Redis hangs for longer than its clients wait."""
    async with cluster.redis_lock, frozen(cluster.redis_server.pid):
        await cluster.pause(random.uniform(1.2, 2.5))


@fault
async def switch_redis(cluster: Cluster, random: Random) -> None:
    """A replica is promoted (`FAILOVER TO`); nobody's connection is cut, and all must follow."""
    async with cluster.redis_lock:
        await cluster.promote_redis(random.uniform(0, 1))


@fault
async def script_flush(cluster: Cluster, random: Random) -> None:
    """Redis forgets the scripts, several times in a row."""
    async with cluster.redis_lock:
        for _ in range(random.randint(1, 20)):
            await cluster.redis.script_flush()
            await cluster.pause(random.uniform(0, 0.01))


@fault
async def client_kill(cluster: Cluster, random: Random) -> None:
    """Every connection to Redis is closed, the producer's too."""
    async with cluster.redis_lock:
        killed = await cluster.redis.client_kill_filter(_type="normal", skipme=True)
        assert killed >= 1


@fault
async def redis_out_of_memory(cluster: Cluster, random: Random) -> None:
    """Redis refuses what takes memory; what is queued must drain all the same."""
    async with cluster.redis_lock:
        await cluster.redis.config_set("maxmemory", 1)
        try:
            await cluster.pause(random.uniform(0.5, 2))
        finally:
            await cluster.redis.config_set("maxmemory", 0)


@fault
async def lose_claim_reply(cluster: Cluster, random: Random) -> None:
    """Redis has claimed, and the connection breaks before the worker hears it."""
    await _lose_reply(cluster, random, _CLAIM)


@fault
async def lose_ack_reply(cluster: Cluster, random: Random) -> None:
    """Redis has acked, and the connection breaks before the worker hears it."""
    await _lose_reply(cluster, random, _ACK)


@fault
async def lose_recover_reply(cluster: Cluster, random: Random) -> None:
    """A claim was handed over, and nobody hears it."""
    async with cluster.some_worker(random) as victim:
        others = [w for w in cluster.workers if w is not victim] or [victim]
        lost = [asyncio.Event() for _ in others]

        for worker, event in zip(others, lost, strict=True):

            async def lose(link: Any, event: asyncio.Event = event) -> bool:
                event.set()
                link.cut()
                return False

            worker.redis.set_trap(_RECOVER, "reply", lose)
        victim.kill()
        victim.start()
        await wait_until(lambda: any(event.is_set() for event in lost), seconds=_PATIENCE_SECONDS)
        await victim.ready()


async def _lose_reply(cluster: Cluster, random: Random, part: bytes) -> None:
    async with cluster.some_worker(random) as worker:
        before = worker.redis.lost
        worker.redis.lose_reply_to(part)
        await wait_until(lambda: worker.redis.lost > before, seconds=_PATIENCE_SECONDS)


@fault
async def redeliver_committed_claim(cluster: Cluster, random: Random) -> None:
    """A claim comes back, by hand, after its commit."""
    claim_id = await _open_claim(cluster)
    payloads: Any = await cluster.redis.lrange(claim_key(QUEUE, claim_id), 0, -1)
    if not payloads:
        raise TimeoutError(f"claim {claim_id} was acked before it could be copied")
    await wait_until(lambda: _acked(cluster, claim_id), seconds=_PATIENCE_SECONDS)
    await cluster.producer.transact(lambda pipe: _make_claim(pipe, claim_id, payloads))


@fault
async def reuse_claim_id(cluster: Cluster, random: Random) -> None:
    """A claim id that the ledger knows, with other payloads, which must not be dropped."""
    # One so old that no ack of it is on its way any more: that would drop whatever has the id.
    async with cluster.mysql_lock, cluster.admin() as admin:
        cursor = await admin.cursor()
        await cursor.execute(
            "SELECT claim_id FROM pepi_claim WHERE committed_at < NOW(3) - INTERVAL "
            f"{_OLD_SECONDS} SECOND ORDER BY claim_id DESC LIMIT 1"
        )
        found = await cursor.fetchone()
    if found is None:
        raise TimeoutError("no claim is old enough yet")
    claim_id = str(UUID(bytes=found[0]))
    if not await _acked(cluster, claim_id):
        raise TimeoutError(f"claim {claim_id} is open again")
    await cluster.producer.hand_over(lambda pipe, fresh: _make_claim(pipe, claim_id, fresh))


async def _open_claim(cluster: Cluster) -> str:
    """Return the id of some claim that a worker holds."""
    found: list[Any] = []

    async def some() -> bool:
        found[:] = await cluster.redis.zrange(claims_key(QUEUE), -1, -1)
        return bool(found)

    async with cluster.redis_lock:
        await wait_until(some, seconds=_PATIENCE_SECONDS)
    return str(found[0].decode())


async def _acked(cluster: Cluster, claim_id: str) -> bool:
    async with cluster.redis_lock:
        return await cluster.redis.zscore(claims_key(QUEUE), claim_id) is None


def _make_claim(pipe: Any, claim_id: str, payloads: list[bytes]) -> None:
    """Add to a transaction what makes a claim whose lease has run out."""
    pipe.rpush(claim_key(QUEUE, claim_id), *payloads)
    pipe.zadd(claims_key(QUEUE), {claim_id: 1})
    pipe.hset(deliveries_key(QUEUE), claim_id, 1)


# --- MySQL --------------------------------------------------------------------------------------


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
