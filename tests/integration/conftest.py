"""Servers that belong to one test, which may stop and kill them; live states over shared ones."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from pepi_stream.live import live as live_module
from pepi_stream.local.servers import MariaDBServer, RedisServer
from tests.flow import Flow, MakeFlow
from tests.living import Stand, stand
from tests.sinking import database


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A running Redis of the test's own, whose every answered write is on disk."""
    with RedisServer(tmp_path / "redis", appendfsync="always", tcp=True) as server:
        yield server


@pytest.fixture
def own_mariadb(tmp_path: Path) -> Iterator[MariaDBServer]:
    """A running MariaDB of the test's own."""
    with MariaDBServer(tmp_path / "mariadb") as server:
        yield server


@pytest.fixture
def make_flow(tmp_path: Path) -> Iterator[MakeFlow]:
    """Make flows that are stopped after the test."""
    flows: list[Flow] = []

    def make(redis_url: str, database_url: str, **settings: str) -> Flow:
        settings = {"PEPI_SOURCE__FORMAT": "plain"} | settings
        flow = Flow(redis_url, database_url, tmp_path, **settings)
        flows.append(flow)
        return flow

    yield make
    for flow in flows:
        flow.stop()


@pytest.fixture
def flow(make_flow: MakeFlow, redis_url: str, database_url: str) -> Flow:
    """A migrated flow with short leases on the shared servers."""
    flow = make_flow(
        redis_url, database_url, PEPI_SOURCE__LEASE_SECONDS="3", PEPI_SOURCE__RECOVER_SECONDS="0.2"
    )
    flow.make_tables()
    return flow


@pytest.fixture
async def here(redis_url: str, database_url: str) -> AsyncIterator[Stand]:
    """A database of its own, and live states over it."""
    async with (
        database(database_url, REDIS_URL=redis_url, PEPI_SOURCE__FORMAT="plain") as opened,
        stand(opened, redis_url) as made,
    ):
        yield made


@pytest.fixture
def never_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """No read of the tables without a reason: what is right is so by the messages alone."""
    monkeypatch.setattr(live_module, "RESEED_SECONDS", 3600.0)
