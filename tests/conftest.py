"""Real servers for every test that asks for one; a machine without them fails, never skips."""

import itertools
from collections.abc import Iterator
from contextlib import closing

import pymysql
import pytest
import redis

from pepi_stream.local.servers import MariaDBServer, RedisServer

_database_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One Redis for the whole session. A test that stops or kills one uses `own_redis`."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def mariadb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDBServer]:
    """One MariaDB for the whole session. A test that stops or kills one uses `own_mariadb`."""
    directory = tmp_path_factory.mktemp("mariadb")
    with MariaDBServer(directory, also_grant=[r"pepi\_test\_%"]) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """`REDIS_URL` of an empty Redis."""
    with closing(redis.Redis.from_url(redis_server.url)) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture
def database_url(mariadb_server: MariaDBServer) -> Iterator[str]:
    """`DATABASE_URL` of a fresh, empty database, dropped after the test."""
    name = f"pepi_test_{next(_database_numbers)}"
    _execute(mariadb_server, f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
    yield mariadb_server.url_of(name)
    _execute(mariadb_server, f"DROP DATABASE `{name}`")


def _execute(server: MariaDBServer, statement: str) -> None:
    with closing(
        pymysql.connect(
            unix_socket=str(server.socket_path),
            user="pepi",
            password=server.password,
            # A transaction that a test left open fails the DROP instead of hanging it.
            init_command="SET SESSION lock_wait_timeout = 10",
        )
    ) as connection:
        connection.cursor().execute(statement)
