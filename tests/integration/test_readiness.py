"""`/readyz` when a server answers and takes no writes, whether or not claims are held."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pepi_stream.live import look as look_module
from pepi_stream.local.servers import MariaDBServer
from pepi_stream.upstream import Upstream
from tests.failing_over import redis_pair
from tests.living import Stand, stand
from tests.mysql_admin import administer
from tests.sinking import administrator, database
from tests.source_worker import Worker, running
from tests.waiting import wait_until


class Clock:
    """Time that passes when a test says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def here(
    redis_url: str, own_mariadb: MariaDBServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stand]:
    monkeypatch.setattr(look_module, "_FRESH_SECONDS", 0)  # each probe looks for itself
    async with (
        database(own_mariadb.url, REDIS_URL=redis_url, PEPI_SOURCE__FORMAT="plain") as opened,
        stand(opened, redis_url) as made,
    ):
        yield made


async def test_a_mysql_that_takes_no_writes_for_a_minute_though_nothing_is_held(
    here: Stand, own_mariadb: MariaDBServer
) -> None:
    clock = Clock()
    live = here.live(mysql=Upstream("MySQL", clock))
    assert await live.ready() == []
    administer(own_mariadb, "SET GLOBAL read_only = 1")
    clock.now += 11  # an answer so old is no answer
    assert await live.ready() == []
    clock.now += 60
    assert await live.ready() == []
    clock.now += 1
    [reason] = await live.ready()
    assert reason.startswith(
        "MySQL cannot be written to, for 61 s now: trying to write to MySQL: MySQL error 1290"
    )
    live.watch()
    await wait_until(lambda: live.snapshot()["health"]["words"].startswith(reason))
    administer(own_mariadb, "SET GLOBAL read_only = 0")
    assert await live.ready() == []
    await wait_until(lambda: "written to" not in live.snapshot()["health"]["words"])


async def test_a_mysql_that_was_written_to_just_now_is_not_asked(
    here: Stand, own_mariadb: MariaDBServer
) -> None:
    mysql = Upstream("MySQL", Clock())
    live = here.live(mysql=mysql)
    mysql.succeeded("a flush")

    def deletes() -> int:
        [(_, count)] = administer(own_mariadb, "SHOW GLOBAL STATUS LIKE 'Com_delete'")
        return int(count)

    before = deletes()
    assert await live.ready() == []
    assert deletes() == before


async def test_what_a_worker_may_not_do_is_not_taken_for_a_server_that_cannot(
    here: Stand, own_mariadb: MariaDBServer
) -> None:
    """An account without DELETE on the ledger is fatal when the ledger is pruned, not here."""
    mysql = Upstream("MySQL", Clock())
    live = here.live(mysql=mysql)
    administer(own_mariadb, "RENAME TABLE pepi_claim TO hidden")
    assert await live.ready() == []
    administer(own_mariadb, "RENAME TABLE hidden TO pepi_claim")
    assert mysql.works


async def test_a_redis_that_takes_no_writes_for_a_minute_though_nothing_is_held(
    here: Stand, tmp_path: Path
) -> None:
    clock = Clock()
    async with (
        redis_pair(tmp_path / "redis") as pair,
        running(Worker(pair.replica.url, clock=clock)) as worker,
    ):
        live = here.live(redis=worker.upstream)
        await wait_until(lambda: not worker.upstream.works)
        assert await live.ready() == []
        clock.now += 61
        [reason] = await live.ready()
        assert reason.startswith("Redis cannot be written to, for 61 s now: claiming from ")
        await pair.fail_over()
        await wait_until(lambda: worker.upstream.works)
        assert await live.ready() == []


async def test_a_locked_ledger_is_not_waited_for(here: Stand, own_mariadb: MariaDBServer) -> None:
    """An ALTER TABLE, say; the page and the probe go on, and say what is wrong if it lasts."""
    clock = Clock()
    live = here.live(mysql=Upstream("MySQL", clock))
    await wait_until(lambda: live.reads == 1)
    async with administrator(own_mariadb.socket_path, own_mariadb.administrator) as admin:
        await admin.query("LOCK TABLES pepi.pepi_claim WRITE")
        assert await live.ready() == []
        clock.now += 61
        [reason] = await live.ready()
        assert reason.endswith("trying to write to MySQL: no answer within 1 s")
    assert await live.ready() == []
