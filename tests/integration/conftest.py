"""Servers that belong to one test, which may stop and kill them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pepi_stream.local.servers import MariaDBServer, RedisServer


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A running Redis of the test's own, whose every answered write is on disk."""
    with RedisServer(tmp_path / "redis", appendfsync="always") as server:
        yield server


@pytest.fixture
def own_mariadb(tmp_path: Path) -> Iterator[MariaDBServer]:
    """A running MariaDB of the test's own."""
    with MariaDBServer(tmp_path / "mariadb") as server:
        yield server
