"""What a chaos run breaks: private servers, real workers from the Procfile, a proxy before each.

Every worker reaches Redis and MariaDB through two proxies of its own, so that a fault can hold
up, cut or swallow what this worker alone says or hears.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, TypeVar

import aiomysql
from redis.asyncio import Redis

from pepi_stream.local.child import Child, procfile_processes
from pepi_stream.local.lock import DirectoryLock
from pepi_stream.local.process import ServerProcess, free_port, make_private
from pepi_stream.local.servers import MariaDBServer, RedisServer
from pepi_stream.local.sql import SqlServer
from pepi_stream.settings import Settings, load_settings
from pepi_stream.sink.connection import fetch
from tests.chaos.producer import Producer, pause
from tests.claiming import client_of
from tests.cutting_proxy import CuttingProxy
from tests.failing_over import copy, follow, replicable
from tests.sinking import administrator
from tests.waiting import wait_until

T = TypeVar("T")

#: Short times, so that many faults fit in a run; all else is the default.
SETTINGS = {
    "PEPI_REDIS__TIMEOUT_SECONDS": "1",
    "PEPI_DATABASE__LOCK_WAIT_SECONDS": "1",
    "PEPI_DATABASE__IDLE_SECONDS": "4",
    "PEPI_SOURCE__LEASE_SECONDS": "3",
    "PEPI_SOURCE__RECOVER_SECONDS": "0.3",
    "PEPI_SINK__RETRY_MAX_SECONDS": "1",
    "PEPI_WORKER__DRAIN_SECONDS": "10",
}
_PAGES = 2  # workers that serve the live page
_READY_SECONDS = 60.0
_FOLLOW_SECONDS = 30.0
_STOP_SECONDS = 30.0  # drain_seconds, and a busy machine's own


class Servers(NamedTuple):
    """What the workers run on.

    Attributes:
        redis: the queue's.
        sql: one, or the nodes of a cluster, which the workers take in turn. Faults are done to the
            last, and the tables are read in the first.
    """

    redis: RedisServer
    sql: Sequence[SqlServer]


def own_servers(directory: Path) -> Servers:
    """Return the servers of this machine's own packages."""
    return Servers(
        # What Redis itself loses under everysec would not be ours, and the books are exact.
        replicable(directory / "redis"),
        # A small log, so that the table of the events is the largest file soon: see `full_disk`.
        [MariaDBServer(directory / "mariadb", options=["--innodb-log-file-size=16M"])],
    )


class Worker:
    """One place for a worker process, which is started again after each end.

    Attributes:
        port: where it serves the live page; None for one that serves none.
        busy: held by the fault that is about to harm it, so that faults on one worker take turns.
        failures: ends that no fault asked for, and stops that were not clean.
    """

    def __init__(
        self, name: str, redis: RedisServer, sql: SqlServer, port: int | None = None
    ) -> None:
        self.name = name
        self.port = port
        self.redis = CuttingProxy(redis.socket_path, password=redis.password)
        self._sql = sql
        self._mysql_socket = sql.directory.parent / f"{name}.sock"
        self._mysql_socket.unlink(missing_ok=True)
        # MySQL has its clients send the password over what nobody else can read, or not at all.
        self._over_socket = not isinstance(sql, MariaDBServer)
        self.mysql = CuttingProxy(
            sql.socket_path, self._mysql_socket if self._over_socket else None
        )
        self.busy = asyncio.Lock()
        self.failures: list[str] = []
        self._start: Callable[[], Child] | None = None
        self._child: Child | None = None

    def bind(self, start: Callable[[], Child]) -> None:
        """Say how its process is started."""
        self._start = start

    @property
    def database_url(self) -> str:
        """`DATABASE_URL` through the proxy."""
        if self._over_socket:
            return self._sql.url_of("pepi", self._mysql_socket)
        return f"mysql://pepi:{self._sql.password}@127.0.0.1:{self.mysql.port}/pepi"

    @property
    def child(self) -> Child:
        """The process."""
        assert self._child is not None
        return self._child

    @property
    def pid(self) -> int:
        """Process id."""
        return self.child.pid

    def start(self) -> None:
        """Start the process; note a failure if the last one ended by itself."""
        assert self._start is not None
        self._child = self._start()

    async def ready(self) -> None:
        """Wait until it claims."""
        child = self.child
        await wait_until(
            lambda: "draining the list" in child.log() or child.status is not None,
            seconds=_READY_SECONDS,
        )

    def kill(self) -> None:
        """SIGKILL."""
        self.check_alive()
        self.child.kill()

    async def stop(self) -> None:
        """SIGTERM, and wait for a clean end."""
        child = self.child
        if child.status is not None:
            return self.check_alive()
        child.terminate()
        try:
            await wait_until(lambda: child.status is not None, seconds=_STOP_SECONDS)
        except AssertionError:
            self.note_failure(f"did not stop within {_STOP_SECONDS:g} s of a SIGTERM")
            child.kill()
        if child.status not in (0, -signal.SIGKILL):
            self.note_failure(f"ended with status {child.status} after a SIGTERM")

    def check_alive(self) -> None:
        """Note a failure if it has ended by itself."""
        if self.child.status is not None:
            self.note_failure(f"had ended with status {self.child.status}")

    def note_failure(self, what: str) -> None:
        """Keep what went wrong, with the end of the log."""
        self.failures.append(f"{self.name} {what}; {self.child.log_tail()}")

    def rss_mb(self) -> float:
        """Resident memory in MiB; 0 when it does not run."""
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            return 0.0
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class Cluster:
    """Servers, workers and producer of one run.

    Args:
        directory: where everything is kept; the caller has emptied it.
        workers: how many.
        seed: of every draw.
        dedupe: the producer repeats itself, and the workers leave that out.
        make_servers: makes the servers, which keep everything in a directory.
    """

    def __init__(
        self,
        directory: Path,
        *,
        workers: int,
        seed: int,
        dedupe: bool = False,
        make_servers: Callable[[Path], Servers] = own_servers,
    ) -> None:
        make_private(directory)
        self.directory = directory.absolute()
        self.random = Random(seed)
        self._repeats = Random(seed) if dedupe else None
        self._make_servers = make_servers
        self._promoted = 0
        self.redis_server, self._sql = make_servers(self.directory)
        # The harness's own way to Redis, which leads to another server as the workers' does.
        self._redis_front = CuttingProxy(
            self.redis_server.socket_path, password=self.redis_server.password
        )
        self.redis_lock, self.mysql_lock = asyncio.Lock(), asyncio.Lock()
        self.stopping = asyncio.Event()
        self.max_rss_mb = 0.0
        self.versions: dict[str, str] = {}
        self._lock = DirectoryLock(self.directory)
        # Linux ends a server with the thread that started it, so one thread starts them all.
        self._starter = ThreadPoolExecutor(1)
        self.workers = [
            Worker(
                f"worker.{number}",
                self.redis_server,
                self._sql[number % len(self._sql)],
                free_port() if number <= _PAGES else None,
            )
            for number in range(1, workers + 1)
        ]
        self.redis: Redis
        self.producer: Producer

    @property
    def mariadb(self) -> SqlServer:
        """The SQL server that faults are done to."""
        return self._sql[-1]

    @property
    def settings(self) -> Settings:
        """Those of the workers, with the URLs of the servers themselves."""
        return load_settings(self._env())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start everything, and stop it when the block ends."""
        self._lock.acquire(0)
        try:
            await self.in_thread(self.redis_server.start)
            for server in self._sql:
                await self.in_thread(server.start)
            await self._redis_front.start()
            self.redis = client_of(self._redis_front.url, PEPI_REDIS__TIMEOUT_SECONDS="10")
            self.producer = Producer(self.redis, repeats=self._repeats)
            self.versions = await self._versions()
            await self._start_workers()
            watch = asyncio.ensure_future(self._watch_memory())
            try:
                yield
            finally:
                watch.cancel()
                await self.redis.aclose()
        finally:
            for worker in self.workers:
                if worker._child is not None:
                    worker._child.kill()
                if worker.redis.port:  # started
                    await worker.redis.stop()
                    await worker.mysql.stop()
            if self._redis_front.port:
                await self._redis_front.stop()
            for server in reversed(self._sql):
                await self.in_thread(server.stop)
            await self.in_thread(self.redis_server.stop)
            self._starter.shutdown()
            self._lock.release()

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Run what blocks in the thread that starts and stops servers."""
        return await asyncio.get_running_loop().run_in_executor(self._starter, work)

    async def pause(self, seconds: float) -> None:
        """Let time pass, unless the run is cut short."""
        await pause(self.stopping, seconds)

    @asynccontextmanager
    async def admin(self) -> AsyncIterator[aiomysql.Connection]:
        """Connect to MariaDB as its administrator, with the workers' database selected."""
        async with administrator(self.mariadb.socket_path, self.mariadb.administrator) as conn:
            await conn.select_db("pepi")
            yield conn

    async def promote_redis(self, silence: float) -> None:
        """Let a replica take the place of Redis, which lives on for a while and cuts nobody.

        Args:
            silence: seconds for which new connections still lead to the old one.
        """
        old, new = self.redis_server, self._servers_like_these().redis
        await self.in_thread(new.start)
        await (await follow(new, old)).fail_over()
        self.redis_server = new
        await self.pause(silence)
        for proxy in (self._redis_front, *(worker.redis for worker in self.workers)):
            proxy.switch(new.socket_path)
        await self._followed(new.socket_path, lambda worker: worker.redis)
        await self._retire(old)

    async def promote_mariadb(self, silence: float) -> None:
        """Let a copy take the place of the only SQL server; as :meth:`promote_redis`."""
        [old], [new] = self._sql, self._servers_like_these().sql
        await self.in_thread(partial(copy, old, new))
        await self.in_thread(new.start)
        self._sql = [new]
        await self.pause(silence)
        for worker in self.workers:
            worker.mysql.switch(new.socket_path)
        await self._followed(new.socket_path, lambda worker: worker.mysql)
        await self._retire(old)

    def _servers_like_these(self) -> Servers:
        """Return servers of the same kinds, not started, in a directory of their own."""
        self._promoted += 1
        return self._make_servers(self.directory / f"promoted.{self._promoted}")

    async def _followed(self, path: Path, way: Callable[[Worker], CuttingProxy]) -> None:
        """Wait until every worker that no fault is at has a connection to the new server."""
        await wait_until(
            lambda: all(way(w).links_to(path) for w in self.workers if not w.busy.locked()),
            seconds=_FOLLOW_SECONDS,
        )

    async def _retire(self, server: ServerProcess) -> None:
        await self.in_thread(server.stop)
        await asyncio.to_thread(shutil.rmtree, server.directory)

    @asynccontextmanager
    async def some_worker(self, random: Random) -> AsyncIterator[Worker]:
        """Take a worker that no other fault is at; wait for one if there is none."""
        free = [w for w in self.workers if not w.busy.locked()] or self.workers
        worker = random.choice(free)
        async with worker.busy:
            yield worker

    async def stop_workers(self) -> None:
        """SIGTERM all, and wait for their clean ends."""
        await asyncio.gather(*(worker.stop() for worker in self.workers))

    def _env(self) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("PEPI_")}
        return inherited | {
            **SETTINGS,
            "PEPI_SINK__DEDUPE": "event_uid" if self._repeats else "off",
            "REDIS_URL": self.redis_server.url,
            "DATABASE_URL": self._sql[0].url,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        }

    async def _versions(self) -> dict[str, str]:
        info: dict[str, Any] = await self.redis.info()
        kind = info.get("server_name", "redis")
        async with self.admin() as admin:
            [(sql,)] = await fetch(admin, "SELECT VERSION()")
        maker = "mariadb" if "MariaDB" in sql else "mysql"
        return {
            "redis": f"{kind} {info.get('valkey_version', info['redis_version'])}",
            "sql": f"{maker} {sql.partition('-')[0]}",
        }

    async def _start_workers(self) -> None:
        env = self._env()
        [migrate] = procfile_processes("release", 1, env=env)
        child = self._child("migrate", migrate.command, env)
        await wait_until(lambda: child.status is not None, seconds=_READY_SECONDS)
        assert child.status == 0, child.log_tail()
        for worker in self.workers:
            await worker.redis.start()
            await worker.mysql.start()
            own = env | {
                "REDIS_URL": worker.redis.url,
                "DATABASE_URL": worker.database_url,
            }
            entry = "worker" if worker.port is None else "web"
            [process] = procfile_processes(entry, 1, env=own, port=worker.port)
            worker.bind(partial(self._child, worker.name, process.command, process.env))
            worker.start()
        await asyncio.gather(*(worker.ready() for worker in self.workers))

    def _child(self, name: str, command: list[str], env: dict[str, str]) -> Child:
        log = self.directory / f"{name}.log"
        return Child(name, command, env=env, log=log, lock=self._lock.fd)

    async def _watch_memory(self) -> None:
        while True:
            self.max_rss_mb = max(self.max_rss_mb, *(w.rss_mb() for w in self.workers))
            await pause(asyncio.Event(), 0.5)


@asynccontextmanager
async def frozen(pid: int) -> AsyncIterator[None]:
    """SIGSTOP a process while the block runs."""
    os.kill(pid, signal.SIGSTOP)
    try:
        await wait_until(lambda: _state(pid) == "T")
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _state(pid: int) -> str:
    """The process's state as ps shows it, T for stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
