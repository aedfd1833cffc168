"""What goes wrong with a server while workers use it: every fault is made, and mended, here."""

from __future__ import annotations

import contextlib
import getpass
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

import pymysql
import redis

from pepi_stream.local.servers import MariaDBServer
from tests.flow import QUEUE, Flow, Worker, plain, wait_for

USER = "'worker'@'localhost'"
PASSWORD = "planted-secret"
CLAIMS = f"{{{QUEUE}}}:claims"


class Stage:
    """A flow whose workers log in to MySQL as a user of their own, which may lose its rights.

    Args:
        flow: on ``server``; its own queries go on as the owner of the database.
        server: where an administrator can do everything.
    """

    def __init__(self, flow: Flow, server: MariaDBServer) -> None:
        self.flow = flow
        self.redis = flow.redis
        args = flow.settings.database.connect_args()
        self.database = args["db"]
        self.sql = flow.sql
        self.pushed = 0
        self._socket = str(server.socket_path)
        self.grants = f"SELECT, INSERT, UPDATE, DELETE ON `{self.database}`.*"
        self.admin(f"CREATE USER {USER} IDENTIFIED BY '{PASSWORD}'")
        self.admin(f"GRANT {self.grants} TO {USER}")
        flow.env["DATABASE_URL"] = (
            f"mysql://worker:{PASSWORD}@localhost/{self.database}?unix_socket={self._socket}"
        )

    def push(self, count: int = 500) -> None:
        """Push so many more payloads."""
        self.flow.push(plain(range(self.pushed, self.pushed + count)))
        self.pushed += count

    def connection(self, user: str | None = None) -> Any:
        """Connect as the administrator, or as the workers' user."""
        return closing(
            pymysql.connect(
                unix_socket=self._socket,
                user=user or getpass.getuser(),
                password=PASSWORD if user else "",
                database=None if user else self.database,
                autocommit=True,
            )
        )

    def admin(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements as the administrator; return the rows of the last one."""
        with closing(
            pymysql.connect(unix_socket=self._socket, user=getpass.getuser(), autocommit=True)
        ) as connection:
            cursor = connection.cursor()
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    def connections(self, state: str = "") -> list[int]:
        """Ids of the workers' connections, those in a state that begins like this."""
        return [
            row[0]
            for row in self.admin(
                "SELECT ID FROM information_schema.PROCESSLIST WHERE USER = 'worker' "
                f"AND COALESCE(STATE, '') LIKE '{state}%'"
            )
        ]

    def kill(self, what: str = "CONNECTION", state: str = "") -> None:
        """End the workers' connections, or only what they run (``QUERY``)."""
        for number in self.connections(state):
            with contextlib.suppress(pymysql.err.OperationalError):  # it has ended by itself
                self.admin(f"KILL {what} {number}")

    @contextmanager
    def locked(self, table: str = "pepi_event") -> Iterator[None]:
        """Let every statement that uses the table wait."""
        with self.connection() as connection:
            connection.cursor().execute(f"LOCK TABLES {table} WRITE")
            yield

    def hold_claims(self) -> None:
        """Push, and wait until all of it is held in claims (which a lock keeps from landing)."""
        self.push()
        wait_for(lambda: bool(self.flow.claimed()) and not self.flow.queued())

    def leases_ended(self) -> bool:
        """Tell whether there are claims, whose leases have all been ended."""
        seconds, micros = self.redis.time()
        deadlines = [score for _, score in self.redis.zrange(CLAIMS, 0, -1, withscores=True)]
        return bool(deadlines) and max(deadlines) <= seconds * 1000 + micros / 1000

    def close(self) -> None:
        """Drop the user."""
        self.admin(f"DROP USER {USER}")


class Fatal(NamedTuple):
    """A fault that retrying cannot mend.

    Attributes:
        make: makes it; runs while a worker runs.
        mend: undoes it.
        says: what the last line of a running worker has in it, in this order.
        at_start: the same for a worker that is started then; as ``says`` when left out.
        released: whether the worker can still give its claims back.
        held: let the worker hold claims that wait for MySQL when the fault comes.
        rows_first: let it have written something before; not when the fault deletes rows.
    """

    make: Callable[[Stage], Any]
    mend: Callable[[Stage], Any]
    says: list[str]
    at_start: list[str] | None = None
    released: bool = True
    held: bool = False
    rows_first: bool = True


def _all(*steps: Callable[[Stage], Any]) -> Callable[[Stage], Any]:
    return lambda stage: [step(stage) for step in steps]


def _kill(stage: Stage) -> None:
    stage.kill()


def _admin(statement: str) -> Callable[[Stage], Any]:
    return lambda stage: stage.admin(statement.format(db=stage.database, grants=stage.grants))


def _sql(statement: str) -> Callable[[Stage], Any]:
    return lambda stage: stage.sql(statement.format(db=stage.database))


def _redis(*command: str) -> Callable[[Stage], Any]:
    return lambda stage: stage.redis.execute_command(*command)


def _enter_newer_claim(stage: Stage) -> None:
    """A claim that a newer release committed and did not ack."""
    claim_id = "03bb2cc3-d801-7000-8000-000000000001"
    stage.sql(
        "INSERT INTO pepi_claim (claim_id, payloads, digest, version) "
        f"VALUES (X'{claim_id.replace('-', '')}', 1, 'made differently', 2)"
    )
    stage.redis.rpush(f"{{{QUEUE}}}:claim:{claim_id}", *plain([stage.pushed]))
    stage.redis.hset(f"{{{QUEUE}}}:deliveries", claim_id, 1)
    stage.redis.zadd(CLAIMS, {claim_id: 1})
    stage.pushed += 1


_MIGRATE = "run `faust -A pepi_stream migrate`"
_NO_REDIS_LOGIN = _redis("CONFIG", "SET", "requirepass", "another")

FATAL_MYSQL = {
    "wrong password": Fatal(
        _all(_admin(f"ALTER USER {USER} IDENTIFIED BY 'another'"), _kill),
        _admin(f"ALTER USER {USER} IDENTIFIED BY '{PASSWORD}'"),
        ["connecting to", "MySQL error 1045: Access denied", "check user and password in DATABASE"],
    ),
    "all rights revoked": Fatal(
        _all(_admin("REVOKE {grants} FROM " + USER), _kill),
        _admin("GRANT {grants} TO " + USER),
        ["connecting to", "MySQL error 1044: Access denied", "grant the user the database"],
    ),
    "no INSERT": Fatal(
        _all(_admin("REVOKE INSERT ON `{db}`.* FROM " + USER), _kill),
        _admin("GRANT {grants} TO " + USER),
        [" claims: MySQL error 1142: INSERT command denied", "`pepi_claim`", "; grant the user "],
    ),
    "no such table": Fatal(
        _sql("RENAME TABLE pepi_event TO hidden"),
        _sql("RENAME TABLE hidden TO pepi_event"),
        [" claims: MySQL error 1146", "pepi_event' doesn't exist", _MIGRATE],
        ["table pepi_event does not exist; " + _MIGRATE],
    ),
    "no such column": Fatal(
        _sql("ALTER TABLE pepi_event RENAME COLUMN campaign TO hidden"),
        _sql("ALTER TABLE pepi_event RENAME COLUMN hidden TO campaign"),
        [" claims: MySQL error 1054", "'campaign'", _MIGRATE, "sink.columns"],
        ["table pepi_event has no column campaign; " + _MIGRATE],
    ),
    "no such database": Fatal(
        _sql("DROP DATABASE `{db}`"),
        _all(_admin("CREATE DATABASE `{db}`"), lambda stage: stage.flow.make_tables()),
        ["connecting to", "MySQL error 1049: Unknown database", "create the database"],
        rows_first=False,
    ),
    "a column that nobody fills": Fatal(
        _sql("ALTER TABLE pepi_event ADD tenant INT NOT NULL"),
        _sql("ALTER TABLE pepi_event DROP tenant"),
        [" claims: MySQL error 1364", "'tenant'", "sink.columns does not fill"],
        ["table pepi_event has a column without default that nothing fills: tenant; give it a"],
    ),
    "a newer ledger": Fatal(
        _enter_newer_claim,
        _sql("DELETE FROM pepi_claim WHERE version = 2"),
        ["the ledger has entries of a newer pepi_stream (version 2); upgrade this worker"],
    ),
}
FATAL_REDIS = {
    "wrong password": Fatal(
        _all(_NO_REDIS_LOGIN, _redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")),
        _redis("CONFIG", "SET", "requirepass", ""),
        ["Redis says: ", "uthenticat", "check user and password in REDIS_URL"],
        released=False,
        held=True,
    ),
    "no permission": Fatal(
        _redis("ACL", "SETUSER", "default", "-blmove"),
        _redis("ACL", "SETUSER", "default", "+blmove"),
        [f"claiming from {QUEUE}: Redis says:", "no permissions to run the 'blmove'", "its ACL"],
        held=True,
    ),
    "another kind of key": Fatal(
        _redis("SET", QUEUE, "not ours"),
        _redis("DEL", QUEUE),
        [f"claiming from {QUEUE}: Redis says: WRONGTYPE", "used for another kind of key"],
        held=True,
    ),
}


class Transient(NamedTuple):
    """A fault that passes.

    Attributes:
        lasting: makes it, and pushes; the fault ends with the context.
        says: what the worker's warning names, a regular expression.
    """

    lasting: Callable[[Stage, Worker], Any]
    says: str


@contextmanager
def _read_only(stage: Stage, worker: Worker) -> Iterator[None]:
    stage.admin("SET GLOBAL read_only = 1")
    try:
        stage.push()
        yield
    finally:
        stage.admin("SET GLOBAL read_only = 0")


@contextmanager
def _user_limit(stage: Stage, worker: Worker) -> Iterator[None]:
    stage.admin(f"ALTER USER {USER} WITH MAX_USER_CONNECTIONS 1")
    stage.kill()
    wait_for(lambda: not stage.connections())
    with stage.connection("worker"):
        stage.push()
        yield
    stage.admin(f"ALTER USER {USER} WITH MAX_USER_CONNECTIONS 0")


@contextmanager
def _server_limit(stage: Stage, worker: Worker) -> Iterator[None]:
    [(before,)] = stage.admin("SELECT @@GLOBAL.max_connections")
    with contextlib.ExitStack() as others:
        admin = others.enter_context(stage.connection())
        others.callback(admin.cursor().execute, f"SET GLOBAL max_connections = {before}")
        admin.cursor().execute("SET GLOBAL max_connections = 10")
        stage.kill()
        wait_for(lambda: not stage.connections())
        with contextlib.suppress(pymysql.err.OperationalError):
            # Not the administrator's, for whom one more connection is kept free.
            for _ in range(10):
                others.enter_context(stage.connection("worker"))
        stage.push()
        yield


@contextmanager
def _row_lock(stage: Stage, worker: Worker) -> Iterator[None]:
    with stage.connection() as other:
        other.begin()
        other.cursor().execute("SELECT * FROM pepi_window_minute FOR UPDATE")
        stage.push()
        yield
        other.rollback()


@contextmanager
def _deadlock(stage: Stage, worker: Worker) -> Iterator[None]:
    """The worker has the rows of the minute, and wants those of the hour."""
    with stage.connection() as other:
        cursor = other.cursor()
        other.begin()
        # InnoDB ends the transaction that has changed less: make that the worker's.
        cursor.execute("CREATE TEMPORARY TABLE ballast (a INT) ENGINE=InnoDB")
        cursor.execute("INSERT INTO ballast SELECT seq FROM seq_1_to_20000")
        cursor.execute("UPDATE pepi_window_hour SET n = n + 0, campaign = CONCAT(campaign, '')")
        cursor.execute("SELECT * FROM pepi_window_hour FOR UPDATE")
        stage.push()
        wait_for(lambda: bool(stage.admin("SELECT 1 FROM information_schema.INNODB_LOCK_WAITS")))
        cursor.execute("SELECT * FROM pepi_window_minute FOR UPDATE")
        other.rollback()
    yield


@contextmanager
def _killed(what: str, stage: Stage) -> Iterator[None]:
    with stage.locked():
        stage.push()
        wait_for(lambda: bool(stage.connections("Waiting for table metadata lock")))
        stage.kill(what, "Waiting for table metadata lock")
    yield


TRANSIENT_MYSQL = {
    "read-only": Transient(_read_only, "MySQL error 1290: .*read-only"),
    "too many connections of the user": Transient(_user_limit, "MySQL error 1226: .*worker"),
    "too many connections": Transient(_server_limit, "MySQL error 1040: Too many connections"),
    "a row lock": Transient(_row_lock, "MySQL error 1205: Lock wait timeout"),
    "a deadlock": Transient(_deadlock, "MySQL error 1213: Deadlock"),
    "a killed connection": Transient(
        lambda stage, worker: _killed("CONNECTION", stage), "MySQL error (1927|2013): "
    ),
    "a killed statement": Transient(
        lambda stage, worker: _killed("QUERY", stage), "MySQL error 1317: .*interrupted"
    ),
}


@contextmanager
def _replica(stage: Stage, worker: Worker) -> Iterator[None]:
    with paused(worker):
        stage.push()
        stage.redis.execute_command("REPLICAOF", "127.0.0.1", "1")
    try:
        yield
    finally:
        stage.redis.execute_command("REPLICAOF", "NO", "ONE")


@contextmanager
def _busy(stage: Stage, worker: Worker) -> Iterator[None]:
    stage.redis.config_set("lua-time-limit", 20)
    endless = threading.Thread(target=_run_endless_script, args=[stage.flow.env["REDIS_URL"]])
    with paused(worker):
        stage.push()
        endless.start()
        wait_for(lambda: _is_busy(stage.redis))
    try:
        yield
    finally:
        stage.redis.script_kill()
        endless.join(10)
        stage.redis.config_set("lua-time-limit", 5000)


def _run_endless_script(url: str) -> None:
    with closing(redis.Redis.from_url(url)) as client, contextlib.suppress(redis.ResponseError):
        client.eval("while true do end", 0)  # until it is killed


def _is_busy(client: Any) -> bool:
    try:
        client.ping()
    except redis.ResponseError as exc:
        return "BUSY" in str(exc)
    return False


@contextmanager
def paused(worker: Worker) -> Iterator[None]:
    """Keep the worker from running, so that a push and what follows come to it as one."""
    worker.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        worker.process.send_signal(signal.SIGCONT)


TRANSIENT_REDIS = {
    "a replica": Transient(_replica, f"claiming from {QUEUE}: Redis says: .*read only replica"),
    "a busy script": Transient(_busy, f"claiming from {QUEUE}: Redis says: .*busy running a"),
}
