"""Where contenders race: one private Redis, one private MariaDB, a full list, and a stopwatch.

The clock starts when a full list appears under the queue's name (RENAME) to consumers that are
connected and wait. It stops with the look that finds the table holding every row and no transaction
open; looking costs the server about a millisecond. COUNT(*) then has to agree.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import pymysql
import redis

from pepi_stream.local.child import Child, procfile_processes
from pepi_stream.local.errors import LocalError
from pepi_stream.local.lock import DirectoryLock
from pepi_stream.local.process import make_private
from pepi_stream.local.servers import MariaDBServer, RedisServer
from pepi_stream.local.stack import Signals
from pepi_stream.simulate import encoder, simulate

QUEUE = "pepi_queue"
_EVENTS = "bench:events"
_SPAN_SECONDS = 600  # the events' times cover so long
_PUSH = 5000
_LOOK_SECONDS = 0.02  # while rows come in
_LAST_LOOK_SECONDS = 0.002  # once all are in, until they are committed
_READY_SECONDS = 60.0
_FEW_PAGES = 100  # dirty ones, of 16 KiB
_STUCK_SECONDS = 60.0
_STOP_SECONDS = 30.0

#: Of the servers, the same for all contenders. Commits stay durable (servers.py sets
#: innodb_flush_log_at_trx_commit=1). userstat counts a table's changed rows, for the stopwatch.
MARIADB_OPTIONS = (
    "--innodb-buffer-pool-size=1G",
    "--innodb-log-file-size=1G",
    "--innodb-io-capacity=4000",
    "--innodb-io-capacity-max=20000",
    "--userstat=1",
)


@dataclass
class Usage:
    """CPU seconds of the processes of a run."""

    consumer: float = 0.0
    redis: float = 0.0
    mariadb: float = 0.0

    def __sub__(self, other: Usage) -> Usage:
        return Usage(
            self.consumer - other.consumer, self.redis - other.redis, self.mariadb - other.mariadb
        )


@dataclass
class Result:
    """One run.

    Attributes:
        rows: events drained.
        seconds: from the RENAME to the last row committed.
        usage: CPU seconds meanwhile.
        rss_mb: most resident memory of one consumer process seen, in MiB.
        marks: (seconds, rows) as they were seen on the way.
    """

    rows: int
    seconds: float
    usage: Usage
    rss_mb: float
    marks: list[tuple[float, int]] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds


class Arena:
    """The servers of one benchmark; a context manager.

    Args:
        directory: everything is kept there; it is wiped first.
        signals: entered by the caller.
        say: called with a line for the person at the terminal.
    """

    def __init__(self, directory: Path, signals: Signals, *, say: Callable[[str], None]) -> None:
        self.directory = directory.absolute()
        self.redis = RedisServer(self.directory / "redis")
        self.mariadb = MariaDBServer(
            self.directory / "mariadb", also_grant=[r"bench\_%"], options=MARIADB_OPTIONS
        )
        self.say = say
        self._signals = signals
        self._lock = DirectoryLock(self.directory)
        self._children: list[Child] = []
        self._events = 0

    def __enter__(self) -> Self:
        make_private(self.directory)
        self._lock.acquire(0)
        try:
            for server in (self.redis, self.mariadb):
                shutil.rmtree(server.directory, ignore_errors=True)
                server.start()
            self.client = redis.Redis.from_url(self.redis.url, socket_timeout=120.0)
            # Rewriting the append-only file in mid-race would be one contender's bad luck.
            self.client.config_set("auto-aof-rewrite-percentage", "0")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._signals.disarm()
        self.stop(self._children)
        self.mariadb.stop()
        self.redis.stop()
        for server in (self.redis, self.mariadb):  # gigabytes
            shutil.rmtree(server.directory, ignore_errors=True)
        self._lock.release()

    def pause(self, seconds: float) -> None:
        """Sleep; raises Interrupted if a signal arrived before."""
        self._signals.check()
        time.sleep(seconds)

    # -- databases ---------------------------------------------------------------------------

    def mysql(self, database: str | None = None) -> Any:
        """Connect: a pymysql connection that commits by itself."""
        return pymysql.connect(
            user="pepi",
            password=self.mariadb.password,
            database=database,
            unix_socket=str(self.mariadb.socket_path),
            charset="utf8mb4",
            autocommit=True,
        )

    def administrator(self) -> Any:
        """Connect as root, who may see all transactions and statistics."""
        return pymysql.connect(
            user="root", unix_socket=str(self.mariadb.socket_path), autocommit=True
        )

    def fresh_database(self, name: str) -> None:
        """Drop and create a database; ``name`` begins with ``bench_``."""
        conn = self.mysql()
        try:
            with conn.cursor() as cursor:
                cursor.execute(f"DROP DATABASE IF EXISTS `{name}`")
                cursor.execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
        finally:
            conn.close()

    def settle(self) -> None:
        """Let the servers write to disk what earlier runs have left, so that each begins alike."""
        conn = self.administrator()
        try:
            with conn.cursor() as cursor:
                cursor.execute("SET GLOBAL innodb_max_dirty_pages_pct_lwm = 0")
                cursor.execute("SET GLOBAL innodb_max_dirty_pages_pct = 0")
                deadline = time.monotonic() + _READY_SECONDS
                while time.monotonic() < deadline:
                    cursor.execute("SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'")
                    [(_, dirty)] = cursor.fetchall()
                    if int(dirty) < _FEW_PAGES:
                        break
                    self.pause(_LOOK_SECONDS)
                cursor.execute("SET GLOBAL innodb_max_dirty_pages_pct = 90")
        finally:
            conn.close()

    # -- events ------------------------------------------------------------------------------

    def prepare_events(self, n: int) -> None:
        """Make n events and keep them in Redis, for :meth:`fill`."""
        self.client.delete(_EVENTS)
        start = int(time.time()) - _SPAN_SECONDS
        payloads = payloads_from(start, n, rate=n / _SPAN_SECONDS)
        while chunk := list(islice(payloads, _PUSH)):
            self.client.rpush(_EVENTS, *chunk)
            self._signals.check()
        self._events = n

    def payloads(self, n: int) -> list[bytes]:
        """Return the first n events."""
        return [bytes(p) for p in self.client.lrange(_EVENTS, 0, n - 1)]  # type: ignore[arg-type]

    def fill(self, n: int) -> str:
        """Make a list of n events under another name than the queue's; return its name.

        The same events for everybody, again from the first when there are fewer.
        """
        side = f"{QUEUE}:side"
        self.client.delete(side, QUEUE)
        if n == self._events:
            self.client.copy(_EVENTS, side)
            return side
        filled = 0
        while filled < n:
            first = filled % self._events
            count = min(n - filled, self._events - first, _PUSH)
            self.client.rpush(side, *self.client.lrange(_EVENTS, first, first + count - 1))
            filled += count
        return side

    # -- processes ---------------------------------------------------------------------------

    def start(
        self, name: str, command: Sequence[str], env: Mapping[str, str], *, cwd: Path | None = None
    ) -> Child:
        """Start a process; its output goes to a log of its name."""
        log = self.directory / f"{name}.log"
        words = (
            list(command)
            if cwd is None
            else ["/bin/sh", "-c", 'cd "$0" && exec "$@"', str(cwd), *command]
        )
        child = Child(name, words, env=dict(env), log=log, lock=self._lock.fd)
        self._children.append(child)
        return child

    def start_workers(
        self,
        database: str,
        count: int = 1,
        *,
        config: str | None = None,
        settings: Mapping[str, str] = MappingProxyType({}),
        entry: str = "worker",
        port: int | None = None,
    ) -> list[Child]:
        """Create the tables and start workers from the Procfile; return once all of them claim.

        Args:
            database: exists already.
            count: how many.
            config: TOML file for PEPI_CONFIG; by default the default configuration.
            settings: further variables, such as PEPI_SINK__MAX_ROWS.
            entry: of the Procfile: ``worker``, or ``web``, which serves the live page.
            port: of the first one's page.
        """
        env = self._worker_env(database, config) | dict(settings)
        self._migrate(env)
        workers = [
            self.start(process.name, process.command, process.env)
            for process in procfile_processes(entry, count, env=env, port=port)
        ]
        self.wait_ready(workers, "draining the list")
        return workers

    def migrate(self, database: str, *, config: str | None = None) -> None:
        """Create the tables of a configuration in a database."""
        self._migrate(self._worker_env(database, config))

    def contender_env(self, database: str) -> dict[str, str]:
        """Return the environment of the contenders that are not ours."""
        return _environ() | {
            "BENCH_REDIS_SOCKET": str(self.redis.socket_path),
            "BENCH_MYSQL_SOCKET": str(self.mariadb.socket_path),
            "BENCH_MYSQL_USER": "pepi",
            "BENCH_MYSQL_PASSWORD": self.mariadb.password,
            "BENCH_MYSQL_DATABASE": database,
            "BENCH_QUEUE": QUEUE,
        }

    def _worker_env(self, database: str, config: str | None) -> dict[str, str]:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return _environ() | {
            "REDIS_URL": self.redis.url,
            "DATABASE_URL": self.mariadb.url_of(database),
            "PATH": path,  # `faust` in the Procfile is the one beside this Python
            **({"PEPI_CONFIG": config} if config else {}),
        }

    def _migrate(self, env: dict[str, str]) -> None:
        migrate = self.start("migrate", procfile_processes("release", 1, env=env)[0].command, env)
        self._until(lambda: migrate.status is not None, [])
        if migrate.status != 0:
            raise LocalError(f"the migration ended with {migrate.status}; {migrate.log_tail()}")

    def wait_ready(self, children: Sequence[Child], word: str) -> None:
        """Return once the log of each child holds ``word``."""
        for child in children:
            self._until(lambda child=child: word in child.log(), children)  # type: ignore[misc]

    def stop(self, children: Sequence[Child]) -> None:
        """SIGTERM, and wait; kill what does not end."""
        stopping = list(children)
        for child in stopping:
            child.terminate()
        deadline = time.monotonic() + _STOP_SECONDS
        for child in stopping:
            while child.status is None and time.monotonic() < deadline:
                time.sleep(_LOOK_SECONDS)
            child.kill()
            self._children.remove(child)

    # -- the race ----------------------------------------------------------------------------

    def race(self, database: str, side: str, n: int, children: Sequence[Child]) -> Result:
        """Let the list appear, time the drain into ``pepi_event``, and count its rows.

        Raises:
            LocalError: a contender ended, got stuck, or did not bring exactly n rows.
        """
        self.settle()
        conn = self.administrator()
        try:
            began_rows = changed_rows(conn, database)
            before = self.usage(children)
            rss = 0.0
            marks: list[tuple[float, int]] = []
            rows, moved = 0, time.monotonic()
            began = time.monotonic()
            self.client.rename(side, QUEUE)
            while True:
                looked = time.monotonic()
                now_rows = changed_rows(conn, database) - began_rows
                if now_rows != rows:
                    rows, moved = now_rows, looked
                    marks.append((looked - began, rows))
                if rows >= n and not open_transactions(conn):
                    break
                check_alive(children)
                if looked - moved > _STUCK_SECONDS:
                    raise LocalError(
                        f"{children[0].name}: no row for {_STUCK_SECONDS:g} s; "
                        f"{children[0].log_tail()}"
                    )
                rss = max(rss, *(rss_mb(child.pid) for child in children))
                self.pause(_LOOK_SECONDS if rows < n else _LAST_LOOK_SECONDS)
            usage = self.usage(children) - before
            with conn.cursor() as cursor:
                cursor.execute(f"SELECT COUNT(*) FROM `{database}`.`pepi_event`")
                [(counted,)] = cursor.fetchall()
        finally:
            conn.close()
            self.client.delete(QUEUE)  # a replay leaves the list as it is
        if counted != n:
            raise LocalError(f"{children[0].name} left {counted:,} rows of {n:,} events")
        return Result(n, looked - began, usage, rss, marks)

    def usage(self, children: Sequence[Child]) -> Usage:
        """CPU seconds used so far."""
        return Usage(
            sum(cpu_seconds(pid) for child in children for pid in tree(child.pid)),
            cpu_seconds(self.redis.pid),
            cpu_seconds(self.mariadb.pid),
        )

    def _until(self, condition: Callable[[], bool], children: Sequence[Child]) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not condition():
            check_alive(children)
            if time.monotonic() > deadline:
                raise LocalError(f"not ready after {_READY_SECONDS:g} s")
            self.pause(_LOOK_SECONDS)


def _environ() -> dict[str, str]:
    """Our environment without what would change the workers' settings."""
    return {k: v for k, v in os.environ.items() if not k.startswith("PEPI_")}


def payloads_from(start: int, n: int, *, rate: float) -> Iterator[bytes]:
    """Yield n simulated Pepipost webhook events, in JSON.

    Each also has the two fields that the article's programs read, ``id`` and ``event_name``, so
    that one list serves everybody. Every reader skips what it does not know.
    """
    encode = encoder("pepipost")
    for event in simulate(seed=1, start=start, rate=max(1.0, rate), count=n):
        head = f'{{"id":{event.message_id},"event_name":"{event.event_name}",'.encode()
        yield head + encode(event)[1:]


def changed_rows(conn: Any, database: str) -> int:
    """Return how many rows of ``pepi_event`` statements have changed, committed or not."""
    with conn.cursor() as cursor:
        cursor.execute(
            "SELECT COALESCE(SUM(ROWS_CHANGED), 0) FROM information_schema.TABLE_STATISTICS "
            "WHERE TABLE_SCHEMA = %s AND TABLE_NAME = 'pepi_event'",
            (database,),
        )
        [(changed,)] = cursor.fetchall()
    return int(changed)


def open_transactions(conn: Any) -> bool:
    """Tell whether any transaction has begun and not ended."""
    with conn.cursor() as cursor:
        cursor.execute("SHOW ENGINE INNODB STATUS")
        [(_, _, status)] = cursor.fetchall()
    return re.search(r"^---TRANSACTION \d+, (ACTIVE|COMMITTED)", status, re.M) is not None


def check_alive(children: Sequence[Child]) -> None:
    """Raise LocalError if a child has ended."""
    for child in children:
        if child.status is not None:
            raise LocalError(f"{child.name} ended with {child.status}; {child.log_tail()}")


def tree(pid: int) -> list[int]:
    """Return a process and all that it has forked."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(found for child in children for found in tree(int(child)))]


def cpu_seconds(pid: int) -> float:
    """CPU seconds, user and system, of a process and its children that have been waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int) -> float:
    """Resident memory of a process in MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
