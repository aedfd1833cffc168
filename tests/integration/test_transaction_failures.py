"""Failures in the middle of a flush: nothing is half done, and writing again takes effect once."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from collections.abc import AsyncIterator
from typing import Any

import aiomysql
import pytest
import uvloop

from pepi_stream.errors import TransientError
from pepi_stream.local.servers import MariaDBServer
from pepi_stream.outcome import Outcome
from pepi_stream.settings import load_settings
from pepi_stream.sink import Rendered, Transaction, connect
from pepi_stream.sink.connection import disconnect, fetch
from tests.cutting_proxy import cutting_proxy
from tests.sinking import Database, database, event, events, intercept
from tests.waiting import wait_until


@pytest.fixture(params=["true", "false"], ids=["bulk", "text"])
async def db(database_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    async with database(database_url, PEPI_SINK__BULK=request.param) as opened:
        yield opened


def before_statement(transaction: Transaction, head: bytes, act: Any) -> None:
    """Await ``act()`` before the transaction sends a statement that starts with ``head``."""

    async def check(sql: bytes) -> None:
        if sql.startswith(head):
            await act()

    intercept(transaction.conn, check)


async def write_again(db: Database, flush: list[Rendered], rows: int) -> None:
    """Write a flush as the sink does after a failure: twice, to be sure that once is enough."""
    transaction = await db.transaction()
    outcome = await transaction.write(flush)
    assert (len(outcome.committed), outcome.rows) == (len(flush), rows)
    assert len((await transaction.write(flush)).repeated) == len(flush)
    assert len(await db.ids()) == rows


async def nothing_is_there(db: Database) -> bool:
    tables = ("pepi_event", "pepi_claim", "pepi_dead_letter", "pepi_window_minute")
    return not any([await db.value(f"SELECT COUNT(*) FROM {table}") for table in tables])


async def test_a_deadlock_is_transient_and_writing_again_takes_effect_once(db: Database) -> None:
    await (await db.transaction()).write([db.rendered([event(3)])])
    await db.query("CREATE TABLE ballast (a INT)")
    other = await db.connect()
    await other.query(b"BEGIN")
    # InnoDB ends the transaction that has changed less: make that ours.
    await other.query(b"INSERT INTO ballast SELECT seq FROM seq_1_to_2000")
    await other.query(b"UPDATE pepi_window_hour SET n = n + 0, campaign = 'x'")
    transaction = await db.transaction()
    flush = [db.rendered([event(6), event(9), b"bad"])]
    writing = asyncio.ensure_future(transaction.write(flush))

    async def waits() -> bool:
        [(_, waiting)] = await db.query("SHOW STATUS LIKE 'Innodb_row_lock_current_waits'")
        return int(waiting) > 0

    await wait_until(waits)  # it holds the row of the minute and wants that of the hour
    await other.query(b"UPDATE pepi_window_minute SET n = n + 0, event_name = 'x'")
    with pytest.raises(TransientError, match="1213"):
        await writing
    await other.query(b"ROLLBACK")
    assert not transaction.conn.closed  # only the transaction is lost
    outcome = await transaction.write(flush)
    assert (outcome.rows, outcome.dead, len(outcome.committed)) == (2, 1, 1)
    assert await db.ids() == ["3", "6", "9"]


async def test_a_lock_wait_timeout_is_transient_and_nothing_is_half_done(db: Database) -> None:
    flush = [db.rendered([*events(6), b"bad"])]
    other = await db.connect()
    await other.query(b"BEGIN")
    key = next(iter(flush[0].batch.counts["hour"]))
    await other.query(
        f"INSERT INTO pepi_window_hour VALUES (FROM_UNIXTIME({key.start}), "
        f"X'{key.hash().hex()}', '', '', 1)"
    )
    impatient = {"PEPI_DATABASE__LOCK_WAIT_SECONDS": "1"}
    url = db.settings.database.url.get_secret_value()
    settings = load_settings({"DATABASE_URL": url, **impatient})
    transaction = await db.transaction(settings=settings)
    with pytest.raises(TransientError, match="1205"):
        await transaction.write(flush)
    await other.query(b"ROLLBACK")
    assert await nothing_is_there(db)
    outcome = await transaction.write(flush)  # over the same connection
    assert (outcome.rows, outcome.dead) == (6, 1)
    assert len(await db.ids()) == 6


@pytest.mark.parametrize(
    "head",
    ["INSERT INTO `pepi_claim`", "INSERT INTO `pepi_event`", "INSERT INTO `pepi_w", "COMMIT"],
)
async def test_a_connection_that_is_killed_loses_nothing(db: Database, head: str) -> None:
    flush = [db.rendered(events(5)), db.rendered([event(6, TAGS="c" * 256), event(7)])]
    transaction = await db.transaction()
    [(victim,)] = await fetch(transaction.conn, "SELECT CONNECTION_ID()")

    async def kill() -> None:
        await db.query(f"KILL {victim}")

    before_statement(transaction, head.encode(), kill)
    with pytest.raises(TransientError):
        await transaction.write(flush)
    assert transaction.conn.closed
    assert await nothing_is_there(db)
    await write_again(db, flush, rows=6)
    assert len(await db.dead()) == 1


async def test_a_lost_reply_to_commit_is_answered_by_the_ledger(
    db: Database, mariadb_server: MariaDBServer
) -> None:
    flush = [db.rendered(events(10)), db.rendered([b"bad"])]
    async with cutting_proxy(mariadb_server.socket_path) as proxy:
        args = db.settings.database.connect_args()
        url = f"mysql://pepi:{args['password']}@127.0.0.1:{proxy.port}/{args['db']}"
        transaction = await db.transaction(settings=load_settings({"DATABASE_URL": url}))
        proxy.lose_reply_to(b"\x03COMMIT")
        with pytest.raises(TransientError, match="Lost connection"):
            await transaction.write(flush)
        assert proxy.lost == 1
    assert transaction.conn.closed
    again = await (await db.transaction()).write(flush)
    assert again.repeated == [r.batch.claim for r in flush]
    assert (again.committed, again.rows, again.dead) == ([], 0, 0)
    assert len(await db.ids()) == 10
    assert len(await db.dead()) == 1


def test_closing_a_connection_that_the_peer_has_reset_is_no_bug(
    database_url: str, mariadb_server: MariaDBServer
) -> None:
    """uvloop, which workers run on, has a bare RuntimeError for it."""

    async def reset_and_close() -> None:
        args = load_settings({"DATABASE_URL": database_url}).database.connect_args()
        async with cutting_proxy(mariadb_server.socket_path) as proxy:
            url = f"mysql://pepi:{args['password']}@127.0.0.1:{proxy.port}/{args['db']}"
            conn = await connect(load_settings({"DATABASE_URL": url}).database)
            proxy.reset_links()
            await wait_until(lambda: bool(conn._writer.transport.is_closing()))
            with pytest.raises(RuntimeError, match="handler is closed"):
                conn._writer.write(b"x")
            await disconnect(conn)
            assert conn.closed

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(reset_and_close())


async def test_a_flush_that_failed_leaves_no_garbage_for_the_collector(db: Database) -> None:
    """The collector runs rarely, and a flush is megabytes: an outage would pile them up."""
    transaction = await db.transaction()
    flush = [db.rendered(events(3))]
    claim = weakref.ref(flush[0].batch.claim)

    async def fail() -> None:
        raise aiomysql.OperationalError(1213, "Deadlock found")

    before_statement(transaction, b"INSERT INTO `pepi_event`", fail)
    gc.collect()
    gc.disable()
    try:
        with contextlib.suppress(TransientError):
            await transaction.write(flush)
        flush.clear()
        assert claim() is None
    finally:
        gc.enable()


async def test_a_worker_that_falls_silent_in_mid_transaction_blocks_nobody_for_long(
    db: Database,
) -> None:
    """Its machine is gone and MySQL does not know: ledger entries and window rows are locked."""
    url = db.settings.database.url.get_secret_value()
    mortal = load_settings({"DATABASE_URL": url, "PEPI_DATABASE__IDLE_SECONDS": "3"})
    impatient = load_settings({"DATABASE_URL": url, "PEPI_DATABASE__LOCK_WAIT_SECONDS": "1"})
    silent = await db.transaction(settings=mortal)
    reached, woken = asyncio.Event(), asyncio.Event()

    async def fall_silent() -> None:
        reached.set()
        await woken.wait()

    before_statement(silent, b"COMMIT", fall_silent)
    flush = [db.rendered([*events(5), b"bad"])]
    writing = asyncio.ensure_future(silent.write(flush))
    await reached.wait()
    heir = await db.transaction(settings=impatient)
    with pytest.raises(TransientError, match="1205"):
        await heir.write(flush)

    async def written() -> bool:
        with contextlib.suppress(TransientError):
            outcomes.append(await heir.write(flush))
        return bool(outcomes)

    outcomes: list[Outcome] = []
    await wait_until(written)
    [outcome] = outcomes
    assert (len(outcome.committed), outcome.rows, outcome.dead) == (1, 5, 1)
    woken.set()
    with pytest.raises(TransientError):
        await writing
    assert silent.conn.closed
    assert (await heir.write(flush)).repeated == [flush[0].batch.claim]
    assert len(await db.ids()) == 5


async def test_a_locked_table_is_transient(db: Database) -> None:
    url = db.settings.database.url.get_secret_value()
    impatient = load_settings({"DATABASE_URL": url, "PEPI_DATABASE__LOCK_WAIT_SECONDS": "1"})
    other = await db.connect()
    await other.query(b"LOCK TABLES pepi_event WRITE")
    transaction = await db.transaction(settings=impatient)
    flush = [db.rendered(events(5))]
    with pytest.raises(TransientError, match="1205"):
        await transaction.write(flush)
    await other.query(b"UNLOCK TABLES")
    assert await nothing_is_there(db)
    assert (await transaction.write(flush)).rows == 5


@pytest.mark.parametrize("head", [b"BEGIN", b"INSERT INTO `pepi_event`", b"COMMIT"])
async def test_a_flush_that_is_cancelled_gives_its_connection_up(db: Database, head: bytes) -> None:
    transaction = await db.transaction()
    reached = asyncio.Event()

    async def hang() -> None:
        reached.set()
        await asyncio.Event().wait()

    before_statement(transaction, head, hang)
    flush = [db.rendered(events(4))]
    writing = asyncio.ensure_future(transaction.write(flush))
    async with asyncio.timeout(10):
        await reached.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert transaction.conn.closed
    await write_again(db, flush, rows=4)


async def test_a_server_that_does_not_listen_is_transient(own_mariadb: MariaDBServer) -> None:
    socket = load_settings({"DATABASE_URL": own_mariadb.url}).database
    tcp = load_settings({"DATABASE_URL": own_mariadb.tcp_url}).database
    conn = await connect(socket)
    await asyncio.to_thread(own_mariadb.stop)
    try:
        with pytest.raises(aiomysql.MySQLError):
            await conn.query(b"SELECT 1")
    finally:
        conn.close()
    for settings in (socket, tcp):
        with pytest.raises(TransientError, match=r"connecting to .*(mysqld?|mariadb|127\.0\.0\.1)"):
            await connect(settings)
