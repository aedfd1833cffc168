"""The ACL lines and the GRANTs of README.md: with exactly these everything works, and little else.

The administrators of both servers come in over the sockets, the users under test over TCP.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pymysql
import pytest
import redis

from pepi_stream.claims import Claim, ClaimStore, connect_redis
from pepi_stream.claims.claim import new_claim_id
from pepi_stream.local.servers import MariaDBServer, RedisServer
from pepi_stream.resources import lua_dir
from tests.flow import QUEUE, Flow, MakeFlow, plain, wait_for
from tests.mysql_admin import administer
from tests.readme import README, acl_commands, sql_blocks

PASSWORD = "password"  # the README's
CLAIMS, DELIVERIES = f"{{{QUEUE}}}:claims", f"{{{QUEUE}}}:deliveries"
TABLES = ("pepi_event", "pepi_dead_letter", "pepi_window_minute", "pepi_window_hour")


class Fortress:
    """Both servers, with the users of README.md and no others that are of use over TCP."""

    def __init__(self, redis_server: RedisServer, mariadb: MariaDBServer, make: MakeFlow) -> None:
        self.mariadb = mariadb
        self.redis_server = redis_server
        with closing(redis.Redis.from_url(redis_server.url)) as admin:
            for line in acl_commands():
                run(admin, line)
        self.migrator, self.worker = sql_blocks()
        administer(mariadb, *self.migrator)
        self.flow = make(
            redis_server.url,  # the flow's own eyes are the administrators'
            mariadb.url,
            PEPI_SOURCE__LEASE_SECONDS="3",
            PEPI_SOURCE__RECOVER_SECONDS="0.1",
            PEPI_SOURCE__MAX_DELIVERIES="2",
        )
        self.flow.env["REDIS_URL"] = self.redis_url("pepi_worker")
        self.flow.env["DATABASE_URL"] = self.database_url("pepi_migrate")
        self.migrated = self.flow.command("migrate")
        administer(mariadb, *self.worker)
        self.flow.env["DATABASE_URL"] = self.database_url("pepi_worker")

    def redis_url(self, user: str) -> str:
        return f"redis://{user}:{PASSWORD}@127.0.0.1:{self.redis_server.port}/0"

    def database_url(self, user: str) -> str:
        return f"mysql://{user}:{PASSWORD}@127.0.0.1:{self.mariadb.port}/pepi"

    def refused_by_redis(self) -> list[str]:
        """What the users were refused so far."""
        return [
            str(entry["object"])
            for entry in self.flow.redis.acl_log()
            if entry["object"] != "client|setinfo"  # redis-py sends it, and takes no for an answer
        ]


@pytest.fixture
def fortress(
    make_flow: MakeFlow, own_redis: RedisServer, own_mariadb: MariaDBServer
) -> Iterator[Fortress]:
    fortress = Fortress(own_redis, own_mariadb, make_flow)
    yield fortress
    fortress.flow.redis.close()


def run(client: Any, words: list[str]) -> object:
    """Send one command as it is."""
    return client.execute_command(*words)


def called(flow: Flow) -> set[str]:
    """The commands that Redis has executed, those inside scripts included."""
    stats = flow.redis.info("commandstats")
    return {name.removeprefix("cmdstat_") for name, stat in stats.items() if stat["calls"]}


def granted() -> set[str]:
    [line] = [words for words in acl_commands() if "reset" in words and "+evalsha" in words]
    return {word[1:] for word in line if word.startswith("+")}


async def claim_all(flow: Flow) -> Claim:
    client = connect_redis(flow.settings.redis)
    store = ClaimStore(client, queue=QUEUE, lease_seconds=3)
    try:
        claim = await store.claim(store.new_id(), max_payloads=1000, max_bytes=2**20)
        assert claim is not None
        return claim
    finally:
        await store.close()


def put_back(flow: Flow, claim: Claim, payloads: list[bytes], *, delivery: int) -> None:
    """Let a claim be found expired; with ``payloads`` one that was acked, as if undone."""
    pipe = flow.redis.pipeline()
    if payloads:
        pipe.rpush(f"{{{QUEUE}}}:claim:{claim.id}", *payloads)
    pipe.hset(DELIVERIES, claim.id, delivery)
    pipe.zadd(CLAIMS, {claim.id: 0})
    pipe.execute()


@contextmanager
def hung(server: MariaDBServer) -> Iterator[None]:
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def test_the_worker_does_all_its_work_with_these_users(fortress: Fortress) -> None:
    """Every path of a worker that meets a server, with the users of README.md; books balanced."""
    flow = fortress.flow
    assert fortress.migrated.returncode == 0, fortress.migrated.stderr
    old_key = new_claim_id(0).replace("-", "")
    flow.sql(
        "INSERT INTO pepi_claim (claim_id, payloads, digest, committed_at) "
        f"VALUES (X'{old_key}', 0, X'{'00' * 16}', '2000-01-01')"
    )

    # A dead letter, a poison row that only MySQL sees, and a claim that seems to kill workers.
    poison = b'{"id": 7, "event_name": "sent", "campaign": "%s", "ts": 1}' % (b"x" * 300)
    payloads = [*plain(range(2_000)), b"no JSON", poison]
    flow.push(payloads[:50])
    taken = asyncio.run(claim_all(flow))
    put_back(flow, taken, [], delivery=9)
    pushed = 50 + flow.push(payloads[50:])
    port = free_port()
    worker = flow.worker("--web-port", str(port))
    flow.wait_drained()
    wait_for(lambda: "pruned 1 old claims" in worker.log)
    assert "keeps coming back; taking it record by record" in worker.log
    assert (flow.rows(), flow.dead()) == (2_000, 2)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/live/snapshot") as answer:
        assert b'"figures"' in answer.read()
    flow.check_books(pushed)

    # A redelivered claim changes nothing; one with other payloads goes on under a new id.
    put_back(flow, taken, taken.payloads, delivery=1)
    flow.wait_drained()
    flow.check_books(pushed)
    others = list(plain(range(9_000, 9_020)))
    put_back(flow, taken, others, delivery=1)
    pushed += len(others)
    flow.wait_drained()
    assert "is in the ledger with other payloads" in worker.log
    flow.check_books(pushed)

    # Cut off, and met by a Redis that has forgotten the scripts.
    flow.redis.script_flush()
    flow.redis.client_kill_filter(_type="normal", skipme=True)
    pushed += flow.push(plain(range(10_000, 10_500)))
    flow.wait_drained()
    assert worker.stop() == 0

    # Stopped while MySQL hangs: its claim is released, and the next worker commits it.
    flow.env["PEPI_WORKER__DRAIN_SECONDS"] = "0.5"
    worker = flow.worker()
    worker.wait_claiming()
    with hung(fortress.mariadb):
        pushed += flow.push(plain(range(20_000, 20_100)))
        wait_for(lambda: flow.queued() == 0)
        assert worker.stop() == 0
    assert "1 claims released" in worker.log
    last = flow.worker()
    flow.wait_drained()
    assert last.stop() == 0
    flow.check_books(pushed)

    assert fortress.refused_by_redis() == []
    assert granted() - called(flow) == set(), "more than a worker needs"


def test_the_acl_line_has_every_command_of_the_scripts() -> None:
    """Those that the test above does not reach, too: Redis looks at them inside scripts."""
    in_scripts = {
        name.lower()
        for path in lua_dir().glob("*.lua")
        if path.stem != "lrange"  # the article's
        for name in re.findall(
            r"redis\.p?call\('([\w|]+)'",
            path.read_text().replace("'MEMORY', 'USAGE'", "'MEMORY|USAGE'"),
        )
    }
    assert in_scripts
    for_webhooks = {"get", "set"}  # tests/integration/test_ingest_once.py
    assert in_scripts - granted() == for_webhooks


def test_migrate_and_check_do_with_their_users(fortress: Fortress) -> None:
    flow = fortress.flow
    assert fortress.migrated.stdout.count(": created") == 5
    checked = flow.command("check")
    assert checked.returncode == 0, checked.stdout
    assert "\nwarn" not in checked.stdout
    flow.env["DATABASE_URL"] = fortress.database_url("pepi_migrate")
    again = flow.command("migrate")
    assert again.stdout.count(": there already") == 5, again.stderr
    administer(fortress.mariadb, "ALTER TABLE pepi.pepi_claim DROP COLUMN version")
    upgraded = flow.command("migrate")
    assert "pepi_claim: upgraded: added version" in upgraded.stdout, upgraded.stderr
    administer(fortress.mariadb, "DROP DATABASE pepi")
    anew = flow.command("migrate")
    assert anew.stdout.count(": created") == 5, anew.stderr
    assert fortress.refused_by_redis() == []


def test_migrate_says_when_it_may_not_see_the_columns(fortress: Fortress) -> None:
    """Without a word it would add what is there already, for ever."""
    flow = fortress.flow
    administer(fortress.mariadb, "REVOKE INSERT, REFERENCES ON pepi.* FROM 'pepi_migrate'@'%'")
    flow.env["DATABASE_URL"] = fortress.database_url("pepi_migrate")
    blind = flow.command("migrate")
    assert blind.returncode == 70
    assert "columns that this user cannot see; grant the user what README.md" in blind.stderr


def test_repeats_are_left_out_with_the_grant_that_is_for_them(fortress: Fortress) -> None:
    flow = fortress.flow
    flow.env["PEPI_SINK__DEDUPE"] = "event_uid"
    [grant] = re.findall(r"`(GRANT .* ON pepi\.pepi_seen)`", README.read_text("utf-8"))
    flow.env["DATABASE_URL"] = fortress.database_url("pepi_migrate")
    migrated = flow.command("migrate")
    assert "pepi_seen: created" in migrated.stdout, migrated.stderr
    administer(fortress.mariadb, f"{grant} TO 'pepi_worker'@'%'")
    flow.env["DATABASE_URL"] = fortress.database_url("pepi_worker")
    flow.sql(
        "INSERT INTO pepi_seen (uid, claim_id, seen_at) "
        f"VALUES (X'{'00' * 16}', X'{'00' * 16}', '2000-01-01')"
    )
    event = b'{"event": "sent", "event_uid": "%s", "campaign": "%s"}'
    fine, poison = event % (b"a", b"x"), event % (b"b", b"x" * 300)
    flow.push([fine, poison, fine])
    worker = flow.worker()
    flow.wait_drained()
    wait_for(lambda: flow.sql("SELECT COUNT(*) FROM pepi_seen") == [(1,)])  # the old one is gone
    assert worker.stop() == 0
    assert (flow.rows(), flow.dead()) == (1, 1)
    assert "1 repeats left out" in worker.log


def test_check_says_what_a_bare_worker_may_not_see_and_that_it_can_run(fortress: Fortress) -> None:
    flow = fortress.flow
    run(flow.redis, acl_commands()[0])  # undoes the line that is for `check`
    checked = flow.command("check")
    assert checked.returncode == 0, checked.stdout
    assert "warn Redis answers, but its version" in checked.stdout
    assert "+info +type" in checked.stdout
    assert "warn whether there are claims that nobody leases stays unknown" in checked.stdout
    assert "+scan" in checked.stdout


def test_a_table_that_the_user_may_not_see_is_said_to_want_a_grant(fortress: Fortress) -> None:
    flow = fortress.flow
    administer(
        fortress.mariadb, "REVOKE ALL PRIVILEGES ON pepi.pepi_window_hour FROM 'pepi_worker'@'%'"
    )
    worker = flow.worker()
    assert worker.process.wait(30) == 70
    assert "table pepi_window_hour does not exist" in worker.log
    assert "grant this user its privileges" in worker.log


def test_simulate_runs_as_the_worker_and_a_producer_pushes(fortress: Fortress) -> None:
    flow = fortress.flow
    done = flow.command("simulate", "--rate", "0", "--count", "10", "--format", "plain")
    assert done.returncode == 0, done.stderr
    with closing(redis.Redis.from_url(fortress.redis_url("pepi_producer"))) as producer:
        assert producer.rpush(QUEUE, *plain(range(5))) == 15
    worker = flow.worker()
    flow.wait_drained()
    assert worker.stop() == 0
    flow.check_books(15)


BEYOND_MYSQL = {
    "pepi_worker": [
        *(f"DROP TABLE {table}" for table in (*TABLES, "pepi_claim")),
        *(f"DELETE FROM {table}" for table in TABLES),
        *(f"TRUNCATE TABLE {table}" for table in (*TABLES, "pepi_claim")),
        *(f"SELECT * FROM {table}" for table in ("pepi_event", "pepi_dead_letter")),
        *(f"UPDATE {table} SET payloads = 0" for table in ("pepi_claim",)),
        "UPDATE pepi_event SET campaign = 'x'",
        "ALTER TABLE pepi_event ADD COLUMN x INT",
        "CREATE TABLE x (a INT)",
        "CREATE DATABASE x",
        "LOCK TABLES pepi_claim READ",
        "SET GLOBAL innodb_flush_log_at_trx_commit = 0",
        "SELECT * FROM mysql.global_priv",
        "SELECT 'x' INTO OUTFILE 'x'",
        "CREATE USER x",
        "GRANT SELECT ON pepi.pepi_event TO 'pepi_worker'@'%'",
        "SHUTDOWN",
    ],
    "pepi_migrate": [
        *(f"DROP TABLE {table}" for table in TABLES),
        *(f"DELETE FROM {table}" for table in TABLES),
        *(f"SELECT * FROM {table}" for table in TABLES),
        "UPDATE pepi_window_hour SET n = 1",
        "DROP DATABASE pepi",
        "SELECT * FROM mysql.global_priv",
    ],
}
BEYOND_REDIS = {
    "pepi_worker": [
        ["FLUSHALL"],
        ["FLUSHDB"],
        ["KEYS", "*"],
        ["CONFIG", "GET", "*"],
        ["CONFIG", "SET", "dir", "/"],
        ["ACL", "LIST"],
        ["CLIENT", "LIST"],
        ["CLIENT", "KILL", "TYPE", "normal"],
        ["MONITOR"],
        ["SAVE"],
        ["SHUTDOWN"],
        ["DEL", QUEUE],
        ["LPOP", QUEUE],
        ["SELECT", "1"],
        ["LRANGE", "other", "0", "-1"],
        ["RENAME", QUEUE, "other"],
        ["EVAL", "return redis.call('LRANGE', KEYS[1], 0, -1)", "1", "other"],
        ["EVAL", "return redis.call('LRANGE', 'other', 0, -1)", "0"],
        ["EVAL", "return redis.call('FLUSHALL')", "0"],
        ["EVAL", "return redis.call('PUBLISH', 'other', 'x')", "0"],
        ["PUBLISH", "other", "x"],
        ["SCRIPT", "FLUSH"],
    ],
    "pepi_producer": [
        ["LRANGE", QUEUE, "0", "-1"],
        ["LLEN", QUEUE],
        ["LPOP", QUEUE],
        ["DEL", QUEUE],
        ["RPUSH", "other", "x"],
        ["RPUSH", f"{{{QUEUE}}}:claim:x", "x"],
        ["ZRANGE", CLAIMS, "0", "-1"],
        ["EVAL", "return redis.call('LPOP', KEYS[1])", "1", QUEUE],
        ["PUBLISH", f"{{{QUEUE}}}:windows", "x"],
        ["FLUSHALL"],
        ["KEYS", "*"],
        ["INFO"],
    ],
}


def test_these_users_can_do_nothing_else_of_note(fortress: Fortress) -> None:
    fortress.flow.push(plain(range(3)))
    for user, statements in BEYOND_MYSQL.items():
        with closing(
            pymysql.connect(
                host="127.0.0.1",
                port=fortress.mariadb.port,
                user=user,
                password=PASSWORD,
                database="pepi",
            )
        ) as connection:
            for statement in statements:
                with pytest.raises(pymysql.err.MySQLError, match="denied"):
                    connection.cursor().execute(statement)
    for user, commands in BEYOND_REDIS.items():
        with closing(redis.Redis.from_url(fortress.redis_url(user))) as client:
            for command in commands:
                with pytest.raises(redis.ResponseError, match=r"permission|can't"):
                    run(client, command)
    assert fortress.flow.queued() == 3
