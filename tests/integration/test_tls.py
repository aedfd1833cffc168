"""TLS to real servers with a private CA: what is accepted, what is refused, and that nothing leaks.

Workers end with exit code 70 on a refused certificate; connections are tried in this process, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pymysql.constants import CLIENT

from pepi_stream.claims import connect_redis
from pepi_stream.claims.failures import redis_failure
from pepi_stream.errors import FatalError, PepiError, TransientError
from pepi_stream.local.servers import MariaDBServer, RedisServer, ServerTls
from pepi_stream.settings import load_settings
from pepi_stream.sink import connect
from pepi_stream.sink.connection import disconnect, execute_bulk, fetch
from pepi_stream.sink.parameters import STRING
from tests.flow import MakeFlow, plain
from tests.mysql_admin import administer
from tests.private_ca import Pair, PrivateCA
from tests.rogue_mysql import RogueMySQL

PASSWORD = "planted-secret"


class Servers:
    """Starts servers on certificates; a MariaDB's files are made once for all tests here.

    Args:
        directory: what the servers keep.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._redis_count = 0
        self.ca = PrivateCA(directory / "ca")
        self.stranger = PrivateCA(directory / "stranger", "somebody else")

    def tls(self, pair: Pair, *, require_client_certificate: bool = False) -> ServerTls:
        return ServerTls(
            pair.certificate, pair.key, self.ca.certificate, require_client_certificate
        )

    def redis(self, tls: ServerTls | None) -> RedisServer:
        self._redis_count += 1
        return RedisServer(self._directory / f"redis{self._redis_count}", tls=tls, tcp=True)

    def mariadb(self, tls: ServerTls | None) -> MariaDBServer:
        return MariaDBServer(self._directory / "mariadb", tls=tls)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Servers:
    return Servers(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def mariadb(servers: Servers) -> Iterator[MariaDBServer]:
    """A MariaDB with a good certificate."""
    with servers.mariadb(servers.tls(servers.ca.server)) as server:
        yield server


def redis_url(server: RedisServer, host: str, **parameters: object) -> str:
    return f"{server.tcp_url.replace('127.0.0.1', host)}?{urlencode(parameters)}"


def database_url(server: MariaDBServer, **parameters: object) -> str:
    return f"{server.tcp_url}?{urlencode(parameters)}"


async def try_redis(url: str) -> PepiError | None:
    """Connect as a worker does; return what it would make of a failure."""
    client = connect_redis(load_settings({"REDIS_URL": url}).redis)
    try:
        await client.llen("pepi_queue")
    except Exception as exc:
        return redis_failure(exc, "trying")
    finally:
        await client.aclose()
    return None


async def try_mysql(url: str) -> PepiError | str:
    """Connect as a worker does; return the failure, or the version of TLS in use ('' for none)."""
    try:
        conn = await connect(load_settings({"DATABASE_URL": url}).database)
    except PepiError as exc:
        return exc
    try:
        [(_, version)] = await fetch(conn, "SHOW SESSION STATUS LIKE 'Ssl_version'")
        return str(version)
    finally:
        writer = conn._writer
        conn.close()
        await writer.wait_closed()  # TLS takes leave of the other side first


def test_a_worker_over_tls_with_certificates_on_both_sides(
    servers: Servers, mariadb: MariaDBServer, make_flow: MakeFlow
) -> None:
    """Rows land, connections that are cut come back, and `check` finds all well."""
    ca, own = servers.ca.certificate, servers.ca.client
    administer(
        mariadb,
        f"CREATE USER 'holder'@'%' IDENTIFIED BY '{PASSWORD}' REQUIRE X509",
        "GRANT ALL PRIVILEGES ON pepi.* TO 'holder'@'%'",
    )
    with servers.redis(servers.tls(servers.ca.server, require_client_certificate=True)) as redis:
        flow = make_flow(redis.url, mariadb.url)
        flow.env["REDIS_URL"] = redis_url(
            redis,
            host="localhost",
            ssl_ca_certs=ca,
            ssl_certfile=own.certificate,
            ssl_keyfile=own.key,
        )
        flow.env["DATABASE_URL"] = (
            f"mysql://holder:{PASSWORD}@localhost:{mariadb.port}/pepi?"
            f"ssl_ca={ca}&ssl_cert={own.certificate}&ssl_key={own.key}"
        )
        flow.migrate()
        checked = flow.command("check")
        assert checked.returncode == 0, checked.stdout
        assert f"ssl_ca={ca}&***&***" in checked.stdout
        pushed = flow.push(plain(range(5_000)))
        worker = flow.worker()
        flow.wait_drained()
        flow.redis.client_kill_filter(_type="normal", skipme=True)
        administer(mariadb, "KILL USER 'holder'")
        pushed += flow.push(plain(range(5_000, 10_000)))
        flow.wait_drained()
        assert worker.stop() == 0
        assert flow.rows() == pushed
        flow.check_books(pushed)


REFUSALS: dict[str, tuple[Callable[[Servers], Pair], Callable[[Servers], PrivateCA], str]] = {
    "another CA": (lambda s: s.ca.server, lambda s: s.stranger, "name the CA that issued it"),
    "another host": (lambda s: s.ca.other_host, lambda s: s.ca, "is not valid for '127.0.0.1'"),
    "expired": (lambda s: s.ca.expired, lambda s: s.ca, "renew the server's certificate"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refused_certificate_ends_the_worker_with_the_reason(
    servers: Servers, make_flow: MakeFlow, case: str
) -> None:
    pair_of, ca_of, says = REFUSALS[case]
    tls, ca = servers.tls(pair_of(servers)), ca_of(servers).certificate
    with servers.redis(tls) as redis, servers.mariadb(tls) as mariadb:
        flow = make_flow(redis.url, mariadb.url)
        flow.make_tables()
        good = dict(flow.env)
        urls = {
            "REDIS_URL": redis_url(redis, f":{PASSWORD}@127.0.0.1", ssl_ca_certs=ca),
            "DATABASE_URL": database_url(mariadb, ssl_ca=ca).replace(mariadb.password, PASSWORD),
        }
        workers = {}
        for name, url in urls.items():
            flow.env = good | {name: url}
            workers[name] = flow.worker()
        for name, worker in workers.items():
            assert worker.process.wait(30) == 70, worker.log
            [line] = [line for line in worker.log.splitlines() if "CRITICAL" in line]
            assert "the server's certificate is refused: " in line
            assert says in line
            assert name in line or case == "expired"
            assert "Traceback" not in worker.log
            assert PASSWORD not in worker.log


async def test_what_each_mode_accepts(servers: Servers) -> None:
    """A certificate for another host, from our CA and from a stranger's, in each mode."""
    ca, stranger = servers.ca.certificate, servers.stranger.certificate
    elsewhere = servers.tls(servers.ca.other_host)
    with servers.redis(elsewhere) as redis, servers.mariadb(elsewhere) as mariadb:
        for parameters, accepted in (
            ({"ssl_ca": ca}, False),
            ({"ssl_ca": ca, "ssl_mode": "VERIFY_IDENTITY"}, False),
            ({"ssl_ca": ca, "ssl-mode": "Verify_CA"}, True),
            ({"ssl_ca": stranger, "ssl_mode": "verify_ca"}, False),
            ({"ssl_mode": "verify_ca"}, False),
            ({"ssl_mode": "required"}, True),
        ):
            tried = await try_mysql(database_url(mariadb, **parameters))
            assert tried == "TLSv1.3" if accepted else isinstance(tried, FatalError), parameters
        assert await try_mysql(database_url(mariadb, ssl_mode="disabled")) == ""
        assert await try_mysql(mariadb.tcp_url) == ""
        for parameters, accepted in (
            ({"ssl_ca_certs": ca}, False),
            ({"ssl_ca_certs": ca, "ssl_check_hostname": "True"}, False),
            ({"ssl_ca_certs": ca, "ssl_check_hostname": "false"}, True),
            ({"ssl_ca_certs": stranger, "ssl_check_hostname": "no"}, False),
            ({"ssl_check_hostname": "0"}, False),
            ({"ssl_cert_reqs": "none"}, True),
        ):
            failure = await try_redis(redis_url(redis, "127.0.0.1", **parameters))
            assert failure is None if accepted else isinstance(failure, FatalError), parameters


async def test_without_a_ca_the_systems_are_trusted_and_with_one_only_that(
    servers: Servers, mariadb: MariaDBServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(servers.ca.certificate))
    stranger = servers.stranger.certificate
    assert await try_mysql(database_url(mariadb, ssl_mode="verify_identity")) == "TLSv1.3"
    assert isinstance(await try_mysql(database_url(mariadb, ssl_ca=stranger)), FatalError)
    with servers.redis(servers.tls(servers.ca.server)) as redis:
        assert await try_redis(redis_url(redis, "127.0.0.1")) is None
        assert isinstance(
            await try_redis(redis_url(redis, "127.0.0.1", ssl_ca_certs=stranger)), FatalError
        )


async def test_tls_over_a_socket(servers: Servers, mariadb: MariaDBServer) -> None:
    url = f"{mariadb.url}&ssl_ca={servers.ca.certificate}"
    assert await try_mysql(url) == "TLSv1.3"
    # The capability is asked for twice: in the request for TLS, and inside.
    conn = await connect(load_settings({"DATABASE_URL": url}).database)
    writer = conn._writer
    await conn.query("CREATE TEMPORARY TABLE landed (a TEXT)")
    sql = "INSERT INTO landed VALUES (?)"
    assert await execute_bulk(conn, sql, bytes([STRING]), [b"\0\1x", b"\1"]) == 2
    await disconnect(conn)
    with suppress(OSError):  # the server may have hung up first
        await writer.wait_closed()


async def test_a_server_that_demands_tls_says_so(mariadb: MariaDBServer) -> None:
    administer(mariadb, "SET GLOBAL require_secure_transport = 1")
    failure = await try_mysql(mariadb.tcp_url)
    assert isinstance(failure, FatalError)
    assert "whether the server demands TLS" in str(failure)


@pytest.mark.parametrize("own", ["none", "a stranger's"])
def test_a_redis_that_refuses_our_certificate_ends_the_worker(
    servers: Servers, make_flow: MakeFlow, mariadb: MariaDBServer, own: str
) -> None:
    with servers.redis(servers.tls(servers.ca.server, require_client_certificate=True)) as redis:
        flow = make_flow(redis.url, mariadb.url)
        flow.make_tables()
        pair = servers.stranger.client
        shown = {} if own == "none" else {"ssl_certfile": pair.certificate, "ssl_keyfile": pair.key}
        flow.env["REDIS_URL"] = redis_url(
            redis, "127.0.0.1", ssl_ca_certs=servers.ca.certificate, **shown
        )
        worker = flow.worker()
        assert worker.process.wait(30) == 70, worker.log
        assert "the server refuses our certificate, or wants one" in worker.log
        assert "ssl_certfile in REDIS_URL" in worker.log


def test_a_server_without_tls_is_refused(servers: Servers, make_flow: MakeFlow) -> None:
    with servers.redis(None) as redis, servers.mariadb(None) as mariadb:
        flow = make_flow(redis.url, mariadb.url)
        flow.make_tables()
        flow.env["DATABASE_URL"] = database_url(mariadb, ssl_mode="required")
        worker = flow.worker()
        assert worker.process.wait(30) == 70, worker.log
        assert "the server offers no TLS, and DATABASE_URL asks for it" in worker.log
        assert "Traceback" not in worker.log


@pytest.mark.parametrize("mode", ["required", "verify_ca", "verify_identity"])
async def test_a_rogue_without_tls_hears_nothing(mode: str) -> None:
    with RogueMySQL() as rogue:
        failure = await try_mysql(
            f"mysql://somebody:{PASSWORD}@127.0.0.1:{rogue.port}/pepi?ssl_mode={mode}"
        )
        assert isinstance(failure, FatalError)
        assert await asyncio.to_thread(rogue.heard) == b""


KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC_KEY = b"\x01" + KEY.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)
OK = b"\0\0\0\2\0\0\0"
SALT = b"saltsaltsaltsaltsalt\0"
# How a rogue asks for the password: (greets with, answers; what is said of it).
ASKING = {
    "in clear": ("mysql_clear_password", [], "asks for the bare password"),
    "in clear, later": (
        "mysql_native_password",
        [b"\xfemysql_clear_password\0"],
        "asks for the bare password",
    ),
    "encrypted with his key": (
        "caching_sha2_password",
        [b"\x01\x04", PUBLIC_KEY],
        "wants the password itself",
    ),
    "encrypted with his key, later": (
        "mysql_native_password",
        [b"\xfecaching_sha2_password\0" + SALT, b"\x01\x04", PUBLIC_KEY],
        "wants the password itself",
    ),
    "by sha256_password": ("sha256_password", [PUBLIC_KEY], "sha256_password"),
    "by sha256_password, later": (
        "mysql_native_password",
        [b"\xfesha256_password\0" + SALT, PUBLIC_KEY],
        "sha256_password",
    ),
    "as an old one": (
        "mysql_native_password",
        [b"\xfemysql_old_password\0" + SALT],
        "of before MySQL 4.1",
    ),
    "as an old one, unnamed": ("mysql_native_password", [b"\xfe"], "of before MySQL 4.1"),
    "in a dialog": ("mysql_native_password", [b"\xfedialog\0Password: "], "is not known here"),
    "otherwise": ("auth_gssapi_client", [], "is not known here"),
}


@pytest.mark.parametrize("how", ASKING)
async def test_a_rogue_on_a_line_that_can_be_read_learns_no_password(how: str) -> None:
    method, answers, says = ASKING[how]
    with RogueMySQL(*answers, method=method) as rogue:
        failure = await try_mysql(f"mysql://somebody:{PASSWORD}@127.0.0.1:{rogue.port}/pepi")
        heard = await asyncio.to_thread(rogue.heard)
    assert isinstance(failure, FatalError)
    assert says in str(failure)
    assert PASSWORD.encode() not in heard
    # What RSA makes of a password has the length of the key.
    assert len(heard.rpartition(b"pepi_stream")[2]) < 256


async def test_a_server_of_before_plugins_is_refused() -> None:
    with RogueMySQL(b"\xfe", capabilities=CLIENT.PROTOCOL_41) as rogue:
        failure = await try_mysql(f"mysql://somebody:{PASSWORD}@127.0.0.1:{rogue.port}/pepi")
        assert await asyncio.to_thread(rogue.heard) == b""
    assert "of before MySQL 4.1" in str(failure)


async def test_a_rogue_gets_no_file_and_no_second_statement() -> None:
    with RogueMySQL(OK, b"\xfb/etc/passwd") as rogue:
        failure = await try_mysql(f"mysql://somebody:{PASSWORD}@127.0.0.1:{rogue.port}/pepi")
        heard = await asyncio.to_thread(rogue.heard)
    assert isinstance(failure, FatalError)
    assert "LOCAL INFILE" in str(failure)
    assert b"root:" not in heard
    asked = int.from_bytes(heard[4:8], "little")
    assert not asked & (CLIENT.MULTI_STATEMENTS | CLIENT.LOCAL_FILES)


async def test_a_handshake_that_is_broken_off_is_tried_again() -> None:
    with RogueMySQL(tls=True) as rogue:
        failure = await try_mysql(
            f"mysql://somebody:{PASSWORD}@127.0.0.1:{rogue.port}/pepi?ssl_mode=required"
        )
        assert isinstance(failure, TransientError)
        assert b"somebody" not in await asyncio.to_thread(rogue.heard)

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.transport.abort()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert isinstance(await try_redis(f"rediss://127.0.0.1:{port}/0"), TransientError)


async def test_a_password_of_any_characters(mariadb: MariaDBServer) -> None:
    administer(
        mariadb,
        "CREATE OR REPLACE USER 'anybody'@'%' IDENTIFIED BY 'p€/ä@:\U0001f600'",
        "GRANT ALL PRIVILEGES ON pepi.* TO 'anybody'@'%'",
    )
    quoted = "p%E2%82%AC%2F%C3%A4%40%3A%F0%9F%98%80"
    assert await try_mysql(f"mysql://anybody:{quoted}@127.0.0.1:{mariadb.port}/pepi") == ""
