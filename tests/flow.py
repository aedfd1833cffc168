"""A whole flow under test: real servers, real workers, and the books that must balance."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pymysql
import redis

from pepi_stream.settings import load_settings
from pepi_stream.sink import Schema

QUEUE = "pepi_queue"


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Poll until the condition holds; fail the test after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain"
        select.select([], [], [], 0.005)


class Worker:
    """One ``faust -A pepi_stream worker`` process, logging to a file."""

    def __init__(self, env: dict[str, str], log: Path, *args: str) -> None:
        self.log_path = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "faust", "-A", "pepi_stream", "worker", "-l", "info"),
                    *(args or ("--without-web",)),
                ],
                env=env,
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return self.log_path.read_text(errors="replace")

    def wait_claiming(self) -> None:
        """Wait until it drains the queue."""
        wait_for(lambda: "draining the list" in self.log or self.process.poll() is not None)
        assert self.process.poll() is None, self.log

    def stop(self, within: float = 40) -> int:
        """SIGTERM; return the exit code; fail the test if it takes longer (in seconds)."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(within)

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait(10)

    def rss_mb(self) -> float:
        """Resident memory in MiB."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def peak_mb(self) -> float:
        """The most resident memory it ever had, in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024


class Flow:
    """Servers, settings and the workers on them.

    Args:
        redis_url: REDIS_URL.
        database_url: DATABASE_URL of an empty database.
        directory: for logs.
        settings: more environment, such as ``PEPI_SOURCE__FORMAT``.
    """

    def __init__(self, redis_url: str, database_url: str, directory: Path, **settings: str) -> None:
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith("PEPI_")},
            "REDIS_URL": redis_url,
            "DATABASE_URL": database_url,
            **settings,
        }
        self.directory = directory
        self.settings = load_settings(self.env)
        self.redis: Any = redis.Redis.from_url(redis_url)
        self.workers: list[Worker] = []

    def command(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run ``faust -A pepi_stream ...`` to its end."""
        return subprocess.run(
            [sys.executable, "-m", "faust", "-A", "pepi_stream", *args],
            env=self.env,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
        )

    def commands(self, *each: Sequence[str]) -> list[subprocess.CompletedProcess[str]]:
        """Run several commands at the same time, where none needs what another does."""
        with ThreadPoolExecutor(len(each)) as pool:
            return list(pool.map(lambda args: self.command(*args), each))

    def migrate(self) -> None:
        """Make the tables."""
        done = self.command("migrate")
        assert done.returncode == 0, done.stderr

    def make_tables(self) -> None:
        """Make the tables as ``migrate`` makes them, without the second that a command takes.

        That they are the same is in test_commands.py.
        """
        for statement in Schema.from_settings(self.settings).ddl():
            self.sql(statement)

    def worker(self, *args: str) -> Worker:
        """Start a worker."""
        worker = Worker(self.env, self.directory / f"worker{len(self.workers)}.log", *args)
        self.workers.append(worker)
        return worker

    def push(self, payloads: Iterable[bytes]) -> int:
        """RPUSH payloads; return how many."""
        chunk: list[bytes] = []
        pushed = 0
        for payload in payloads:
            chunk.append(payload)
            if len(chunk) == 1000:
                pushed += len(chunk)
                self.redis.rpush(QUEUE, *chunk)
                chunk = []
        if chunk:
            pushed += len(chunk)
            self.redis.rpush(QUEUE, *chunk)
        return pushed

    def queued(self) -> int:
        """Payloads in the queue."""
        return int(self.redis.llen(QUEUE))

    def claimed(self) -> dict[str, int]:
        """Open claims: id -> payloads."""
        ids = [i.decode() for i in self.redis.zrange(f"{{{QUEUE}}}:claims", 0, -1)]
        return {i: int(self.redis.llen(f"{{{QUEUE}}}:claim:{i}")) for i in ids}

    def drained(self) -> bool:
        """Tell whether neither queue nor claims hold anything."""
        return not self.queued() and not self.redis.zcard(f"{{{QUEUE}}}:claims")

    def wait_drained(self, timeout: float = 60) -> None:
        """Wait until everything has been committed and acked."""
        wait_for(self.drained, timeout)

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Run one statement on a connection of its own; return its rows."""
        args = self.settings.database.connect_args()
        args["database"] = args.pop("db")
        with closing(pymysql.connect(**args, autocommit=True, charset="utf8mb4")) as connection:
            cursor = connection.cursor()
            cursor.execute(statement)
            return list(cursor.fetchall())

    def rows(self) -> int:
        """Event rows."""
        return int(self.sql("SELECT COUNT(*) FROM pepi_event")[0][0])

    def dead(self) -> int:
        """Dead letters (those kept in parts count once)."""
        return int(self.sql("SELECT COUNT(*) FROM pepi_dead_letter WHERE part = 0")[0][0])

    def check_books(self, pushed: int, *, events_per_payload: int = 1) -> None:
        """Assert P1 to P3: nothing lost, nothing twice, windows equal rows, no stray key."""
        claimed = self.claimed()
        committed = self.sql("SELECT COALESCE(SUM(payloads), 0) FROM pepi_claim")[0][0]
        assert committed + self.queued() + sum(claimed.values()) == pushed
        rows, dead = self.rows(), self.dead()
        assert rows + dead == committed * events_per_payload
        for name, window in self.settings.windows.items():
            by = ", ".join(f"`{column}`" for column in window.by)
            found = Counter(
                {
                    tuple(key): int(n)
                    for *key, n in self.sql(
                        f"SELECT TIMESTAMPDIFF(SECOND, '1970-01-01', window_start), "
                        f"{by}, SUM(n) FROM pepi_window_{name} GROUP BY 1, {by}"
                    )
                }
            )
            assert sum(found.values()) == rows, f"window {name}"
            values = ", ".join(f"COALESCE(`{column}`, '')" for column in window.by)
            expected = Counter(
                {
                    tuple(key): int(n)
                    for *key, n in self.sql(
                        "SELECT FLOOR(TIMESTAMPDIFF(SECOND, '1970-01-01', occurred_at) / "
                        f"{window.seconds}) * {window.seconds}, {values}, "
                        f"COUNT(*) FROM pepi_event GROUP BY 1, {values}"
                    )
                }
            )
            assert found == expected, f"window {name}"
        stray = {key.decode() for key in self.redis.keys("*")}
        known = {f"{{{QUEUE}}}:claim:{i}" for i in claimed}
        known |= {QUEUE} if self.queued() else set()
        known |= {f"{{{QUEUE}}}:claims", f"{{{QUEUE}}}:deliveries"} if claimed else set()
        assert stray == known

    def stop(self) -> None:
        """Kill what still runs."""
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.kill()
        self.redis.close()


#: Makes flows: (REDIS_URL, DATABASE_URL, **settings).
MakeFlow = Callable[..., Flow]


def plain(ids: Sequence[int] | range, *, at: int = 1_700_000_000) -> Iterable[bytes]:
    """Yield one ``plain`` payload per id, spread over event names, campaigns and minutes."""
    names = ("sent", "opened", "clicked", "bounced")
    domains = ("gmail.com", "hotmail.fr", "yahoo.co.in", "corp.example")
    encode = msgspec.json.encode
    for i in ids:
        yield encode(
            {
                "id": i,
                "event_name": names[i % 4],
                "email": f"user{i}@{domains[i % 3]}",
                "campaign": f"campaign {i % 7}",
                "ts": at + i // 1000,
            }
        )
