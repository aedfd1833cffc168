"""The live state while a server is away: it stays, says how old it is, and is exact again."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pepi_stream.errors import PepiError, TransientError
from pepi_stream.live import live as live_module
from pepi_stream.live import look as look_module
from pepi_stream.live.listener import listen
from pepi_stream.local.servers import MariaDBServer, RedisServer
from tests.living import Stand, payload, stand, total
from tests.mysql_admin import administer
from tests.sinking import database
from tests.waiting import wait_until


@pytest.fixture
async def here(own_redis: RedisServer, own_mariadb: MariaDBServer) -> AsyncIterator[Stand]:
    async with (
        database(own_mariadb.url, REDIS_URL=own_redis.url, PEPI_SOURCE__FORMAT="plain") as opened,
        stand(opened, own_redis.url) as made,
    ):
        yield made


@pytest.fixture(autouse=True)
def loud(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="pepi_stream")


def said(text: str, caplog: pytest.LogCaptureFixture) -> int:
    return sum(text in record.getMessage() for record in caplog.records)


async def test_redis_goes_away_and_comes_back(
    here: Stand, own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    live = here.live()
    committer = await here.committer()
    await committer.commit([payload(n) for n in range(10)])
    await wait_until(lambda: total(live) == 10)
    live.watch()

    own_redis.stop()
    await wait_until(lambda: said("hears no worker", caplog) == 1)
    live.watch()
    await wait_until(lambda: "Redis" in live.snapshot()["health"]["words"])
    assert any("Redis" in reason for reason in await live.ready())
    assert total(live) == 10

    own_redis.start()
    await committer.commit([payload(n) for n in range(5)])
    await wait_until(here.equal, seconds=20)
    assert total(live) == 15
    await wait_until(lambda: said("hears the workers again", caplog) == 1)
    assert said("hears no worker", caplog) == 1


async def test_mysql_goes_away_and_comes_back(
    here: Stand,
    own_mariadb: MariaDBServer,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live_module, "RESEED_SECONDS", 0.0)
    live = here.live()
    committer = await here.committer()
    await committer.commit([payload(n) for n in range(10)])
    await wait_until(lambda: total(live) == 10)

    own_mariadb.stop()
    await wait_until(lambda: said("cannot read the tables", caplog) == 1)
    await live.look()
    await wait_until(lambda: "MySQL" in live.snapshot()["health"]["words"])
    assert any("MySQL" in reason for reason in await live.ready())
    with pytest.raises(PepiError):
        await live.dead_letter(1)
    assert total(live) == 10

    own_mariadb.start()
    await here.database.look_again()
    await (await here.committer()).commit([payload(n) for n in range(5)])
    await wait_until(here.equal, seconds=20)
    assert total(live) == 15
    await wait_until(lambda: said("shows the tables again", caplog) == 1)
    assert said("cannot read the tables", caplog) == 1


async def test_a_server_that_hangs_is_not_waited_for(
    here: Stand, own_mariadb: MariaDBServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(look_module, "ANSWER_SECONDS", 0.2)
    live = here.live()
    await wait_until(lambda: live.reads == 1)
    assert await live.ready() == []
    os.kill(own_mariadb.pid, signal.SIGSTOP)
    try:
        async with asyncio.timeout(5):
            await wait_until(lambda: _not_ready(live))
    finally:
        os.kill(own_mariadb.pid, signal.SIGCONT)


async def _not_ready(live: live_module.Live) -> bool:
    return any("no answer within" in reason for reason in await live.ready())


async def test_a_user_that_may_not_read_dead_letters_sees_all_else(
    here: Stand, own_mariadb: MariaDBServer
) -> None:
    administer(
        own_mariadb,
        "CREATE USER 'bare'@'localhost' IDENTIFIED BY 'bare'",
        "GRANT SELECT, INSERT, UPDATE ON pepi.pepi_window_minute TO 'bare'@'localhost'",
        "GRANT SELECT, INSERT, UPDATE ON pepi.pepi_window_hour TO 'bare'@'localhost'",
        "GRANT SELECT, INSERT ON pepi.pepi_claim TO 'bare'@'localhost'",
        "GRANT INSERT ON pepi.pepi_dead_letter TO 'bare'@'localhost'",
    )
    here.settings = here.settings.model_copy(
        update={
            "database": type(here.settings.database).model_validate(
                here.settings.database.model_dump()
                | {
                    "url": own_mariadb.url.replace("//pepi:", "//bare:").replace(
                        own_mariadb.password, "bare"
                    )
                }
            )
        }
    )
    live = here.live()
    committer = await here.committer()
    await committer.commit([payload(1), b"not JSON"])
    await wait_until(lambda: total(live) == 1)
    figure = live.snapshot()["figures"]["dead"]
    assert figure == {
        "value": None,
        "level": "ok",
        "words": "grant SELECT on pepi_dead_letter to see them",
    }
    assert live.snapshot()["dead"] == []


async def test_a_subscription_that_breaks_at_once_is_no_sign_that_all_is_well(
    here: Stand, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message is. Else each try would be two lines, a tenth of a second apart."""
    tries = 0

    async def breaks(*args: Any) -> None:
        nonlocal tries
        tries += 1
        if tries <= 5:
            *_, subscribed = args
            subscribed()
            raise TransientError("Connection closed by server")
        await listen(*args)

    monkeypatch.setattr(live_module, "listen", breaks)
    here.live()
    await wait_until(lambda: said("hears the workers again", caplog) == 1, seconds=20)
    assert tries == 6
    assert said("hears no worker", caplog) == 1
