"""Primaries that change without a connection being cut: workers follow, and all lands once.

The proxies lead new connections to the promoted server, as a name does that is resolved anew, and
leave the old ones to the demoted one, which answers READONLY or error 1290 to whoever writes.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import redis as sync_redis

from pepi_stream.claims import connect_redis
from pepi_stream.claims.failures import redis_failure
from pepi_stream.errors import TransientError
from pepi_stream.ingest import Receiver
from pepi_stream.ingest.basic import Basic
from pepi_stream.ingest.scheme import Headers
from pepi_stream.local.servers import MariaDBServer, RedisServer
from pepi_stream.settings import load_settings
from pepi_stream.sink import connect
from pepi_stream.sink.connection import fetch
from pepi_stream.upstream import Upstream
from tests.claiming import QUEUE, Bench, client_of
from tests.cutting_proxy import CuttingProxy, cutting_proxy
from tests.failing_over import RedisPair, client, in_thread, promoted_copy, redis_pair, run
from tests.flow import Flow, MakeFlow, plain
from tests.living import payload, stand, total
from tests.sinking import database
from tests.source_worker import Worker, running
from tests.waiting import wait_until

FIRST, MORE = 30_000, 10_000


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[RedisPair]:
    async with redis_pair(tmp_path / "redis") as pair:
        yield pair


@pytest.fixture
async def proxy(pair: RedisPair) -> AsyncIterator[CuttingProxy]:
    async with cutting_proxy(pair.primary.socket_path, password=pair.primary.password) as proxy:
        yield proxy


def warnings(log: str, server: str) -> list[str]:
    return [line for line in log.splitlines() if "WARNING" in line and server in line]


async def test_workers_follow_both_primaries_and_every_event_lands_once(
    make_flow: MakeFlow,
    pair: RedisPair,
    proxy: CuttingProxy,
    own_mariadb: MariaDBServer,
    tmp_path: Path,
) -> None:
    async with cutting_proxy(own_mariadb.socket_path) as mysql:
        flow = make_flow(
            proxy.url,
            f"mysql://pepi:{own_mariadb.password}@127.0.0.1:{mysql.port}/pepi",
            PEPI_SOURCE__LEASE_SECONDS="3",
            PEPI_SOURCE__CLAIM_MAX="200",
            PEPI_SINK__MAX_ROWS="400",
        )
        await in_thread(flow.make_tables)
        await in_thread(flow.push, plain(range(FIRST)))
        workers = [flow.worker(), flow.worker()]
        for worker in workers:
            await in_thread(worker.wait_claiming)

        await pair.fail_over()
        proxy.switch(pair.primary.socket_path)
        with promoted_copy(own_mariadb, tmp_path / "promoted") as promoted:
            mysql.switch(promoted.socket_path)
            now = on(flow, pair.primary, promoted)
            await in_thread(now.push, plain(range(FIRST, FIRST + MORE)))
            await in_thread(now.wait_drained)
            assert [worker.process.poll() for worker in workers] == [None, None]
            assert await in_thread(ids, now) == Counter(range(FIRST + MORE))
            await in_thread(now.check_books, FIRST + MORE)
            for worker in workers:
                assert len(warnings(worker.log, "Redis")) <= 2
                assert len(warnings(worker.log, "MySQL")) <= 2
                assert "MySQL works again, after " in worker.log
                assert await in_thread(worker.stop) == 0
            now.redis.close()


def on(flow: Flow, redis: RedisServer, mariadb: MariaDBServer) -> Flow:
    """The same flow, as it is found on other servers."""
    there = Flow(redis.url, mariadb.url, flow.directory, PEPI_SOURCE__FORMAT="plain")
    there.workers = flow.workers
    return there


def ids(flow: Flow) -> Counter[int]:
    return Counter(int(n) for (n,) in flow.sql("SELECT id FROM pepi_event"))


async def test_a_claim_that_the_old_primary_made_is_finished_on_the_new_one(
    pair: RedisPair, proxy: CuttingProxy
) -> None:
    """Its ack finds a replica first. And a claim asked for again never makes a second one."""
    old, new = Bench(client_of(pair.primary.url)), Bench(client_of(pair.replica.url))
    pushed = await old.push(*(b"%d" % n for n in range(6)))
    async with running(Worker(proxy.url, LEASE_SECONDS="30")) as worker:
        held = list(await worker.delivers(3))
        await pair.fail_over()
        worker.commit(held[0])  # acked on a replica now: refused
        await wait_until(lambda: worker.upstream.turn > 0)
        proxy.switch(pair.primary.socket_path)
        worker.commit(held[1], held[2])
        await wait_until(lambda: not len(worker.source.held))
        pushed += await new.push(b"more")
        await wait_until(lambda: len(worker.payloads) == len(pushed))
        worker.commit(worker.delivered[-1])
        await wait_until(lambda: not len(worker.source.held))
    assert worker.payloads == pushed
    assert [claim.delivery for claim in worker.delivered] == [1, 1, 1, 1]
    assert await new.redis.dbsize() == 0
    for bench in (old, new):
        await bench.redis.aclose()


async def test_a_claim_whose_reply_was_lost_in_a_fail_over_is_asked_for_again_on_the_new_primary(
    pair: RedisPair, proxy: CuttingProxy
) -> None:
    old, new = Bench(client_of(pair.primary.url)), Bench(client_of(pair.replica.url))
    pushed = await old.push(b"a", b"b", b"c")
    worker = Worker(proxy.url, LEASE_SECONDS="30")
    script = worker.store._scripts.claim
    await old.redis.script_load(script.text.decode())
    proxy.lose_reply_to(script.sha.encode())
    async with running(worker):
        async with proxy.held_up(b"\r\nagain\r\n", "request", seconds=10):
            await pair.fail_over()  # so that the question comes to a replica, which cannot lease
            proxy.switch(pair.primary.socket_path)
        await worker.delivers(2)
        assert proxy.asked(b"\r\nagain\r\n") >= 2
    assert worker.payloads == pushed
    assert [claim.delivery for claim in worker.delivered] == [1, 1]
    await new.store.ack([claim.id for claim in worker.delivered])
    assert await new.redis.dbsize() == 0
    for bench in (old, new):
        await bench.redis.aclose()


async def test_on_a_replica_it_says_so_once_and_waits_longer_and_longer(
    pair: RedisPair, caplog: pytest.LogCaptureFixture
) -> None:
    """Asking again only reads, and a replica answers that: it is no sign that all is well."""
    caplog.set_level(logging.DEBUG, logger="pepi_stream.upstream")
    bench = Bench(client_of(pair.primary.url))
    pushed = await bench.push(b"a", b"b")
    worker = Worker(pair.replica.url)  # no proxy: its name leads to a replica for good
    async with running(worker):
        await wait_until(lambda: tried(caplog) >= 8, seconds=30)
        assert worker.payloads == []
        spoken = [r for r in caplog.records if r.levelno > logging.DEBUG]
        assert [r.levelno for r in spoken] == [logging.WARNING]
        assert "claiming from pepi_queue: Redis says: You can't write" in spoken[0].getMessage()
        tries = [r.created for r in caplog.records if r.levelno == logging.DEBUG]
        # Full jitter: a wait is at least a tenth of its bound, which doubles from 0.1 s to 5 s.
        assert tries[7] - tries[0] > (0.1 + 0.2 + 0.4 + 0.8 + 1.6 + 3.2 + 5) / 10
        await pair.fail_over()
        await wait_until(lambda: worker.payloads == pushed, seconds=20)
        spoken = [r for r in caplog.records if r.levelno > logging.DEBUG]
        assert [r.levelno for r in spoken] == [logging.WARNING, logging.INFO]
        assert "Redis works again, after " in spoken[1].getMessage()
    await bench.redis.aclose()


async def test_a_worker_without_events_notices_too(
    pair: RedisPair, proxy: CuttingProxy, caplog: pytest.LogCaptureFixture
) -> None:
    """Its BLMOVE is refused, while its claims find nothing, and so only read."""
    caplog.set_level(logging.DEBUG, logger="pepi_stream.upstream")
    async with running(Worker(proxy.url)) as worker:
        await wait_until(lambda: proxy.asked(b"BLMOVE") > 0)
        await pair.fail_over()
        await wait_until(lambda: tried(caplog) >= 5, seconds=30)
        assert len([r for r in caplog.records if r.levelno > logging.DEBUG]) == 1
        proxy.switch(pair.primary.socket_path)
        await wait_until(lambda: worker.upstream.works, seconds=20)
        bench = Bench(client_of(pair.primary.url))
        pushed = await bench.push(b"a")
        await wait_until(lambda: worker.payloads == pushed)
        await bench.redis.aclose()


def tried(caplog: pytest.LogCaptureFixture) -> int:
    return sum(r.levelno == logging.DEBUG for r in caplog.records)


async def test_every_connection_of_a_client_is_made_anew_after_one_refusal(
    pair: RedisPair, proxy: CuttingProxy
) -> None:
    redis = client_of(proxy.url)
    await asyncio.gather(*(redis.blpop(["nothing"], timeout=0.1) for _ in range(5)))
    old = pair.primary
    assert proxy.links_to(old.socket_path) == 5
    await pair.fail_over()
    proxy.switch(pair.primary.socket_path)
    with pytest.raises(sync_redis.ReadOnlyError):
        await redis.set("a", "b")
    for _ in range(5):
        await redis.set("a", "b")
    await asyncio.gather(*(redis.incr("n") for _ in range(5)))
    assert await redis.get("n") == b"5"
    assert proxy.links_to(old.socket_path) == 0
    await redis.aclose()


async def test_a_login_that_a_server_has_forgotten_is_made_again(own_redis: RedisServer) -> None:
    """A proxy has put another server behind the connection; RESET does the same."""
    admin = client_of(own_redis.url)
    await admin.config_set("requirepass", "secret")
    redis: Any = client_of(f"redis://:secret@127.0.0.1:{own_redis.port}/0")
    assert await redis.set("a", "b")
    await redis.execute_command("RESET")
    with pytest.raises(sync_redis.ConnectionError, match="login is forgotten") as caught:
        await redis.get("a")
    assert isinstance(redis_failure(caught.value, "claiming"), TransientError)
    assert await redis.get("a") == b"b"
    await redis.aclose()
    await admin.aclose()


async def test_the_live_page_hears_the_new_primary(
    pair: RedisPair, proxy: CuttingProxy, database_url: str, never_by_itself: None
) -> None:
    """Its own connections never write, and the old primary answers them for ever."""
    async with (
        database(database_url, REDIS_URL=proxy.url, PEPI_SOURCE__FORMAT="plain") as opened,
        stand(opened, proxy.url) as here,
    ):
        upstream = Upstream("Redis")
        live = here.live(redis=upstream)
        await (await here.committer()).commit([payload(n) for n in range(10)])
        await wait_until(lambda: total(live) == 10)
        await pair.fail_over()
        async with client(pair.replica) as old:
            await old.config_set("replica-serve-stale-data", "yes")
            await run(old, "REPLICAOF", "127.0.0.1", 1)  # nothing comes through to it any more
        proxy.switch(pair.primary.socket_path)
        await (await here.committer()).commit([payload(n) for n in range(5)])
        upstream.distrust(upstream.turn)  # as the first write of this worker makes it do
        await wait_until(lambda: total(live) == 15, seconds=20)
        await (await here.committer()).commit([payload(n) for n in range(5)])
        await wait_until(lambda: total(live) == 20, seconds=20)
        assert await here.equal()


class Request:
    """A webhook."""

    headers: Headers = {"Authorization": "Basic dTpw"}  # noqa: RUF012
    content_length = None

    @property
    def content(self) -> Request:
        return self

    async def iter_any(self) -> AsyncIterator[bytes]:
        yield b"body"


async def test_a_webhook_goes_to_the_new_primary_at_once(
    pair: RedisPair, proxy: CuttingProxy
) -> None:
    redis = connect_redis(load_settings({"REDIS_URL": proxy.url}).redis)
    receiver = Receiver({"plain": Basic("u:p")}, redis, QUEUE, max_bytes=1000)
    assert (await receiver.receive("plain", Request())).status == 200
    await pair.fail_over()
    proxy.switch(pair.primary.socket_path)
    assert (await receiver.receive("plain", Request())).status == 200
    await receiver.close()
    assert pair.call("LRANGE", QUEUE, 0, -1) == [b"body", b"body"]


async def test_a_name_is_resolved_anew_for_a_new_connection(
    pair: RedisPair, own_mariadb: MariaDBServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve, led_to = socket.getaddrinfo, {"redis.test": 0, "mysql.test": 0}

    def fake(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name in led_to:
            return resolve("127.0.0.1", led_to[name], *args, **kwargs)
        return resolve(host, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", fake)
    led_to["redis.test"] = pair.primary.port
    redis = client_of(f"redis://:{pair.primary.password}@redis.test:6379/0")
    assert await redis.set("a", "old")
    await pair.fail_over()
    led_to["redis.test"] = pair.primary.port
    with pytest.raises(sync_redis.ReadOnlyError):
        await redis.set("a", "new")
    assert await redis.set("a", "new")
    assert pair.call("GET", "a") == b"new"
    await redis.aclose()

    url = f"mysql://pepi:{own_mariadb.password}@mysql.test/pepi"
    settings = load_settings({"DATABASE_URL": url}).database
    async with cutting_proxy(own_mariadb.socket_path) as one:
        led_to["mysql.test"] = one.port
        first = await connect(settings)
        async with cutting_proxy(own_mariadb.socket_path) as other:
            led_to["mysql.test"] = other.port
            second = await connect(settings)
            assert await fetch(second, "SELECT 1") == [(1,)]
            assert (one.links_to(own_mariadb.socket_path), len(other.requests) > 0) == (1, True)
            first.close()
            second.close()
