import os
import signal
import socket
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pymysql
import pytest
import redis

from pepi_stream.local.__main__ import main
from pepi_stream.local.errors import DirectoryInUseError, ServerStartError
from pepi_stream.local.lock import stop_holders
from pepi_stream.local.process import ServerProcess
from pepi_stream.local.servers import MariaDBServer, RedisServer
from pepi_stream.local.stack import Signals, Stack
from tests.flow import wait_for

RESTART_SECONDS = 5.0


def connect(url: str) -> Any:
    parts = urlsplit(url)
    sockets = parse_qs(parts.query).get("unix_socket")
    return pymysql.connect(
        host=parts.hostname,
        port=parts.port or 0,
        unix_socket=sockets[0] if sockets else None,
        user=parts.username,
        password=unquote(parts.password or ""),
        database=parts.path.lstrip("/"),
        autocommit=True,
    )


def query(url: str, statement: str) -> tuple[tuple[object, ...], ...]:
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return tuple(cursor.fetchall())


def redis_get(url: str, key: str) -> object:
    with closing(redis.Redis.from_url(url)) as client:
        return client.get(key)


def redis_set(url: str, key: str, value: str) -> None:
    with closing(redis.Redis.from_url(url)) as client:
        client.set(key, value)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # An orphan whose new parent has not waited for it yet is dead all the same.
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_redis_answers_on_both_addresses_with_the_promised_settings(
    own_redis: RedisServer,
) -> None:
    redis_set(own_redis.url, "a", "1")

    assert redis_get(own_redis.tcp_url, "a") == b"1"
    with closing(redis.Redis.from_url(own_redis.url, decode_responses=True)) as client:
        settings = client.config_get("*")
    assert settings["appendonly"] == "yes"
    assert settings["appendfsync"] == "always"
    assert settings["save"] == ""
    assert settings["maxmemory-policy"] == "noeviction"
    assert settings["protected-mode"] == "yes"
    assert settings["bind"] == "127.0.0.1"


def listened_to(pid: int) -> list[str]:
    """The TCP ports that a process listens on, as the kernel has them."""
    inodes = {
        link.removeprefix("socket:[").removesuffix("]")
        for entry in Path(f"/proc/{pid}/fd").iterdir()
        if (link := os.readlink(entry)).startswith("socket:")
    }
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
    ]
    return [row[1] for row in rows if row[3] == "0A" and row[9] in inodes]


def test_a_server_listens_on_tcp_only_when_asked_and_then_with_a_password(
    tmp_path: Path, own_redis: RedisServer
) -> None:
    with (
        RedisServer(tmp_path / "quiet-redis") as redis_server,
        MariaDBServer(tmp_path / "quiet-mariadb", tcp=False) as mariadb_server,
    ):
        for server in (redis_server, mariadb_server):
            assert listened_to(server.pid) == []
            with pytest.raises(ServerStartError, match="listens on no TCP port"):
                _ = server.port
        assert query(mariadb_server.url, "SELECT 1") == ((1,),)
    assert len(listened_to(own_redis.pid)) == 1
    for url in (f"redis://127.0.0.1:{own_redis.port}", f"unix://{own_redis.socket_path}"):
        with pytest.raises(redis.AuthenticationError):
            redis_get(url, "a")
    assert own_redis.password is not None
    assert own_redis.password not in Path(f"/proc/{own_redis.pid}/cmdline").read_text()
    assert own_redis.password not in own_redis.log_path.read_text()
    assert stat.S_IMODE((own_redis.directory / "redis.conf").stat().st_mode) == 0o600


def test_what_make_run_starts_listens_on_no_port_and_others_cannot_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".local").mkdir(mode=0o755)  # as older versions made it
    with Signals() as signals, Stack(Path(".local/run"), signals, say=lambda line: None) as stack:
        for server in (stack._redis, stack._mariadb):
            assert listened_to(server.pid) == []
    for directory in (".local", ".local/run", ".local/run/redis", ".local/run/mariadb"):
        assert stat.S_IMODE(Path(directory).stat().st_mode) == 0o700


@pytest.mark.parametrize("what", ["a link", "a file", "a folder of somebody else"])
def test_a_directory_that_somebody_else_has_put_there_is_not_used(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path / "redis"
    if what == "a link":
        (tmp_path / "elsewhere").mkdir()
        there.symlink_to("elsewhere")
    elif what == "a file":
        there.write_text("")
    else:
        there.mkdir()
        monkeypatch.setattr(os, "geteuid", lambda: there.stat().st_uid + 1)
    with pytest.raises(ServerStartError, match="is not a directory of this user"):
        RedisServer(there).start()


def test_redis_url_is_empty_for_each_test(redis_url: str) -> None:
    with closing(redis.Redis.from_url(redis_url)) as client:
        assert client.dbsize() == 0


def test_mariadb_answers_on_both_addresses_with_the_promised_settings(
    mariadb_server: MariaDBServer,
) -> None:
    wanted = (
        "SELECT @@innodb_flush_log_at_trx_commit, @@max_allowed_packet, @@character_set_server,"
        " @@log_bin, @@skip_name_resolve, @@bind_address, @@innodb_buffer_pool_size"
    )
    expected = ((1, 64 << 20, "utf8mb4", 0, 1, "127.0.0.1", 256 << 20),)

    assert query(mariadb_server.url, wanted) == expected
    assert query(mariadb_server.tcp_url, wanted) == expected


def test_database_url_is_a_fresh_database_that_pepi_may_use(database_url: str) -> None:
    assert query(database_url, "SHOW TABLES") == ()
    query(database_url, "CREATE TABLE t (a INT)")
    query(database_url, "INSERT INTO t VALUES (1)")
    assert query(database_url, "SELECT a FROM t") == ((1,),)


@pytest.mark.parametrize(("user", "password"), [("root", ""), ("pepi", "wrong"), ("", "")])
def test_mariadb_lets_in_over_tcp_only_who_has_the_password(
    mariadb_server: MariaDBServer, user: str, password: str
) -> None:
    with pytest.raises(pymysql.err.OperationalError, match=r"Access denied|not allowed"):
        pymysql.connect(host="127.0.0.1", port=mariadb_server.port, user=user, password=password)


def test_the_password_and_the_directory_are_private(mariadb_server: MariaDBServer) -> None:
    directory = mariadb_server.directory

    assert stat.S_IMODE((directory / "password").stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert not (directory / "init.sql").exists()
    assert mariadb_server.password not in mariadb_server.log_path.read_text()


def test_redis_restarts_with_its_data_at_the_same_address(own_redis: RedisServer) -> None:
    redis_set(own_redis.url, "kept", "yes")
    before = (own_redis.url, own_redis.tcp_url)
    pid = own_redis.pid

    own_redis.stop()
    assert not own_redis.running
    assert gone(pid)
    own_redis.start()

    assert (own_redis.url, own_redis.tcp_url) == before
    assert redis_get(own_redis.tcp_url, "kept") == b"yes"


def test_mariadb_restarts_soon_with_its_data_at_the_same_address(
    own_mariadb: MariaDBServer,
) -> None:
    query(own_mariadb.url, "CREATE TABLE t (a INT)")
    query(own_mariadb.url, "INSERT INTO t VALUES (7)")
    before = (own_mariadb.url, own_mariadb.tcp_url)

    own_mariadb.stop()
    assert not own_mariadb.running
    started = time.monotonic()
    own_mariadb.start()

    assert time.monotonic() - started < RESTART_SECONDS
    assert (own_mariadb.url, own_mariadb.tcp_url) == before
    assert query(own_mariadb.tcp_url, "SELECT a FROM t") == ((7,),)


def test_a_killed_redis_keeps_what_it_answered(own_redis: RedisServer) -> None:
    redis_set(own_redis.url, "kept", "yes")
    pid = own_redis.pid

    own_redis.kill()
    assert gone(pid)
    own_redis.start()

    assert own_redis.pid != pid
    assert redis_get(own_redis.url, "kept") == b"yes"


def test_a_killed_mariadb_keeps_what_it_committed(own_mariadb: MariaDBServer) -> None:
    query(own_mariadb.url, "CREATE TABLE t (a INT)")
    query(own_mariadb.url, "INSERT INTO t VALUES (7)")

    own_mariadb.kill()
    assert not own_mariadb.running
    own_mariadb.start()

    assert query(own_mariadb.url, "SELECT a FROM t") == ((7,),)


def test_a_server_killed_by_somebody_else_can_be_started_again(own_redis: RedisServer) -> None:
    redis_set(own_redis.url, "kept", "yes")
    os.kill(own_redis.pid, signal.SIGKILL)
    wait_for(lambda: not own_redis.running)

    own_redis.start()

    assert redis_get(own_redis.url, "kept") == b"yes"


def test_stop_and_kill_do_nothing_when_the_server_is_not_running(tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "redis", tcp=True)
    server.stop()
    server.kill()
    with pytest.raises(ServerStartError, match="is not running"):
        _ = server.pid
    with pytest.raises(ServerStartError, match="has not been started yet"):
        _ = server.tcp_url


@pytest.mark.parametrize("kind", [RedisServer, MariaDBServer])
def test_a_second_server_in_the_same_directory_is_refused(
    kind: type[RedisServer] | type[MariaDBServer],
    own_redis: RedisServer,
    own_mariadb: MariaDBServer,
) -> None:
    first: ServerProcess = own_redis if kind is RedisServer else own_mariadb
    second = kind(first.directory)

    with pytest.raises(DirectoryInUseError, match=rf"{first.directory} .*process {first.pid}"):
        second.start()

    assert first.running
    second.stop()
    assert first.running


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        server = RedisServer(tmp_path / "redis", port=port, tcp=True, password="known")
        with pytest.raises(ServerStartError, match=f"port {port} of 127.0.0.1 is in use"):
            server.start()
    with server:  # nothing of the failure is left behind
        assert server.tcp_url == f"redis://:known@127.0.0.1:{port}/0"


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ServerStartError, match=f"cannot start mariadb in {tmp_path}/file/here"):
        MariaDBServer(tmp_path / "file" / "here").start()


def test_a_server_that_ends_while_starting_shows_its_log(tmp_path: Path) -> None:
    manifest = tmp_path / "appendonlydir" / "appendonly.aof.manifest"
    manifest.parent.mkdir()
    manifest.write_text("not a manifest\n")

    with pytest.raises(ServerStartError, match=r"(?s)ended with status 1 .*AOF manifest"):
        RedisServer(tmp_path).start()


def test_a_mariadb_whose_accounts_cannot_be_made_does_not_start(tmp_path: Path) -> None:
    server = MariaDBServer(tmp_path, also_grant=["not`quoted"])

    with pytest.raises(
        ServerStartError, match=r"(?s)let its user `pepi` in .*ERROR: 1064 .*quoted"
    ):
        server.start()

    assert not (tmp_path / "init.sql").exists()


def test_a_too_long_directory_gets_a_short_socket_path_that_is_cleaned_up(tmp_path: Path) -> None:
    directory = tmp_path / ("x" * 120)
    server = RedisServer(directory)
    with server:
        short = server.socket_path.parent
        assert not short.is_relative_to(tmp_path)
        assert stat.S_IMODE(short.stat().st_mode) == 0o700
        redis_set(server.url, "kept", "yes")
        server.kill()
        server.start()
        assert redis_get(server.url, "kept") == b"yes"
        assert server.socket_path.parent == short
    assert not short.exists()


def test_a_path_with_odd_characters_works(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "a b%20#?é") as server:
        redis_set(server.url, "a", "1")
        assert redis_get(server.url, "a") == b"1"


STARTER = """
import sys
from pathlib import Path
from pepi_stream.local.servers import RedisServer
server = RedisServer(Path(sys.argv[1]))
server.start()
print(server.pid, flush=True)
sys.stdin.read()
"""


def start_elsewhere(directory: Path) -> tuple[subprocess.Popen[str], int]:
    """Start a Redis from another process, which then waits; returns it and the Redis's pid."""
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert starter.stdout is not None
    return starter, int(starter.stdout.readline())


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is a Linux feature")
def test_a_server_ends_with_a_killed_starter_and_another_can_start_at_once(tmp_path: Path) -> None:
    starter, pid = start_elsewhere(tmp_path)
    with starter:
        starter.kill()
    with RedisServer(tmp_path):
        assert gone(pid)


def test_a_server_is_out_of_reach_of_a_ctrl_c(own_redis: RedisServer) -> None:
    assert os.getsid(own_redis.pid) == own_redis.pid != os.getsid(0)


def test_stop_ends_a_starter_and_its_server_and_leaves_others_alone(
    tmp_path: Path, own_redis: RedisServer, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "local"
    root.mkdir()
    starter, pid = start_elsewhere(root / "redis")
    with starter:
        assert main(["stop", "--directory", str(root)]) == 0
        assert starter.wait(30) == -signal.SIGTERM
    assert gone(pid)
    assert own_redis.running
    assert str(root / "redis") in capsys.readouterr().out
    assert stop_holders(root, 1.0) == []


def test_the_message_of_an_error_is_printed_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise ServerStartError("what happened, and what to do")

    monkeypatch.setattr("pepi_stream.local.__main__.ensure_servers", fail)

    assert main(["setup"]) == 1
    assert capsys.readouterr().err == "setup: what happened, and what to do\n"
