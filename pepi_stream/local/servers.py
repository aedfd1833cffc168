"""A private Redis and a private MariaDB: what each runs, and where to reach it.

Both keep everything in one directory, listen on a Unix socket and on a free port of 127.0.0.1, and
read no configuration of the system. The readiness probes speak the first bytes of each protocol
themselves: redis-py and PyMySQL leave the socket of a refused connection unclosed (tried).
"""

import hashlib
import os
import pwd
import secrets
import shutil
import socket
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from pepi_stream.local.errors import ServerStartError
from pepi_stream.local.install import find_mariadb, find_redis
from pepi_stream.local.process import ServerProcess

_INSTALL_DB_SECONDS = 180.0


@dataclass(frozen=True)
class ServerTls:
    """What a server needs to offer TLS on its TCP port: PEM files."""

    certificate: Path
    key: Path
    ca: Path
    """Who issues the certificates of clients."""
    require_client_certificate: bool = False
    """Whether Redis turns away a client without one. MariaDB asks for it account by account
    (`REQUIRE X509`)."""


class RedisServer(ServerProcess):
    """A Redis that keeps an append-only file and refuses writes rather than evict keys.

    Args:
        directory: Everything the server keeps; made, private to this user, when it is missing.
        appendfsync: When the append-only file reaches the disk: `everysec` can lose the last
            second if the machine fails (not if only Redis does), `always` loses nothing.
        tls: Makes the TCP port one for TLS only; the Unix socket stays as it is.
        port: TCP port on 127.0.0.1; by default a free one.
        start_timeout: Seconds within which a started server must answer, loading its data included.
        stop_timeout: Seconds within which a stopped server must end; then it is killed.
    """

    name = "redis"

    def __init__(
        self,
        directory: Path,
        *,
        appendfsync: Literal["always", "everysec", "no"] = "everysec",
        tls: ServerTls | None = None,
        port: int | None = None,
        start_timeout: float = 60.0,
        stop_timeout: float = 30.0,
    ) -> None:
        super().__init__(
            directory, port=port, start_timeout=start_timeout, stop_timeout=stop_timeout
        )
        self._appendfsync = appendfsync
        self._tls = tls

    @property
    def url(self) -> str:
        """`REDIS_URL` over the Unix socket."""
        return f"unix://{quote(str(self.socket_path))}?db=0"

    @property
    def tcp_url(self) -> str:
        """`REDIS_URL` over 127.0.0.1, without a password; raises `ServerStartError` like `port`."""
        return f"redis{'s' if self._tls else ''}://127.0.0.1:{self.port}/0"

    def _command(self) -> list[str]:
        options = {
            **self._port_options(),
            "daemonize": "no",
            "dir": str(self.directory),
            "bind": "127.0.0.1",
            "protected-mode": "yes",
            "unixsocket": str(self.socket_path),
            "unixsocketperm": "700",
            "appendonly": "yes",
            "appendfsync": self._appendfsync,
            "save": "",
            "maxmemory-policy": "noeviction",
        }
        return [
            str(find_redis()),
            *(word for name, value in options.items() for word in (f"--{name}", value)),
        ]

    def _port_options(self) -> dict[str, str]:
        if self._tls is None:
            return {"port": str(self.port)}
        return {
            "port": "0",
            "tls-port": str(self.port),
            "tls-cert-file": str(self._tls.certificate),
            "tls-key-file": str(self._tls.key),
            "tls-ca-cert-file": str(self._tls.ca),
            "tls-auth-clients": "yes" if self._tls.require_client_certificate else "optional",
        }

    def _answers(self, connection: socket.socket) -> bool:
        # While it loads its data Redis accepts connections and answers -LOADING.
        connection.sendall(b"PING\r\n")
        return connection.recv(64).startswith(b"+PONG")


class MariaDBServer(ServerProcess):
    r"""A MariaDB with durable commits, a database `pepi` and a user `pepi` that owns it.

    The user's password is made on the first start and kept in the directory's file `password`,
    readable by this user only. The only other accounts are those of `mariadb-install-db`, which
    let in nobody but the same system user (and root) over the Unix socket.

    Args:
        directory: Everything the server keeps; made, private to this user, when it is missing.
        also_grant: Further database name patterns (`%` and `_` are wildcards, `\` escapes them)
            on which `pepi` gets all privileges, for tests that make databases.
        options: Further options of the server, such as `--max-connections=20`.
        tls: Lets clients of the TCP port and of the Unix socket ask for TLS.
        port: TCP port on 127.0.0.1; by default a free one.
        start_timeout: Seconds within which a started server must answer, recovery included.
        stop_timeout: Seconds within which a stopped server must end; then it is killed.
    """

    name = "mariadb"

    def __init__(
        self,
        directory: Path,
        *,
        also_grant: Sequence[str] = (),
        options: Sequence[str] = (),
        tls: ServerTls | None = None,
        port: int | None = None,
        start_timeout: float = 60.0,
        stop_timeout: float = 30.0,
    ) -> None:
        super().__init__(
            directory, port=port, start_timeout=start_timeout, stop_timeout=stop_timeout
        )
        self._also_grant = tuple(also_grant)
        self._options = tuple(options)
        self._tls = tls
        self._data = self.directory / "data"
        self._tmp = self.directory / "tmp"
        self._init_file = self.directory / "init.sql"
        self._password_file = self.directory / "password"

    @property
    def password(self) -> str:
        """The password of the user `pepi`.

        Raises:
            ServerStartError: The server has never been started in this directory.
        """
        try:
            return self._password_file.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            raise ServerStartError(
                f"mariadb in {self.directory} has not been started yet, so it has no password"
            ) from None

    @property
    def url(self) -> str:
        """`DATABASE_URL` over the Unix socket; raises `ServerStartError` like `password`."""
        return self.url_of("pepi")

    @property
    def tcp_url(self) -> str:
        """`DATABASE_URL` over 127.0.0.1; raises `ServerStartError` like `password` and `port`."""
        return f"mysql://pepi:{self.password}@127.0.0.1:{self.port}/pepi"

    def url_of(self, database: str) -> str:
        """Return the `DATABASE_URL`, over the Unix socket, of a database of this server."""
        socket_path = quote(str(self.socket_path))
        return f"mysql://pepi:{self.password}@localhost/{database}?unix_socket={socket_path}"

    def _prepare(self) -> None:
        # Servers that share a tmpdir, as they do in /tmp, delete each other's #sql files at start.
        self._tmp.mkdir(exist_ok=True)
        if not self._data.exists():
            self._install_data()
        if not self._password_file.exists():
            _write_private(self._password_file, secrets.token_urlsafe(24) + "\n")

    def _launch(self) -> None:
        _write_private(self._init_file, self._init_sql())
        try:
            super()._launch()
        finally:
            self._init_file.unlink(missing_ok=True)  # it holds the password

    def _install_data(self) -> None:
        """Make the data directory under another name first: half a one is never mistaken for it."""
        unfinished = self.directory / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        with self.log_path.open("ab") as log:
            self._log_start = log.tell()
            finished = subprocess.run(
                [
                    str(find_mariadb().install_db),
                    "--no-defaults",
                    f"--datadir={unfinished}",
                    f"--tmpdir={self._tmp}",
                    "--auth-root-authentication-method=socket",
                    f"--auth-root-socket-user={_user_name() or 'root'}",
                    "--skip-test-db",
                    "--skip-name-resolve",
                    *_storage_options(),
                ],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=_INSTALL_DB_SECONDS,
                check=False,
            )
        if finished.returncode != 0:
            raise ServerStartError(
                f"mariadb-install-db could not make {self._data} (status {finished.returncode}); "
                f"the end of {self.log_path}:\n{self.log_tail()}"
            )
        unfinished.rename(self._data)

    def _init_sql(self) -> str:
        # Statements that change nothing the second time: they run at every start. With
        # --skip-name-resolve, 'localhost' means the socket and 127.0.0.1 is another host; it comes
        # last, because the probe in _answers uses it.
        databases = (*self._also_grant, "pepi")
        statements = ["CREATE DATABASE IF NOT EXISTS `pepi` CHARACTER SET utf8mb4"]
        for host in ("127.0.0.1", "localhost"):
            user = f"'pepi'@'{host}'"
            statements += [
                f"CREATE USER IF NOT EXISTS {user}",
                f"ALTER USER {user} IDENTIFIED BY '{self.password}'",
                *(f"GRANT ALL PRIVILEGES ON `{name}`.* TO {user}" for name in databases),
            ]
        return "".join(f"{statement};\n" for statement in statements)

    def _command(self) -> list[str]:
        return [
            str(find_mariadb().server),
            "--no-defaults",
            f"--datadir={self._data}",
            f"--tmpdir={self._tmp}",
            f"--init-file={self._init_file}",
            f"--socket={self.socket_path}",
            f"--pid-file={self.directory / 'mariadb.pid'}",
            "--bind-address=127.0.0.1",
            f"--port={self.port}",
            "--skip-name-resolve",
            "--skip-log-bin",
            "--character-set-server=utf8mb4",
            "--max-allowed-packet=64M",
            "--innodb-flush-log-at-trx-commit=1",
            *self._tls_options(),
            *_storage_options(),
            *self._options,
        ]

    def _tls_options(self) -> list[str]:
        if self._tls is None:
            return []
        return [
            f"--ssl-cert={self._tls.certificate}",
            f"--ssl-key={self._tls.key}",
            f"--ssl-ca={self._tls.ca}",
        ]

    def _answers(self, connection: socket.socket) -> bool:
        # The server greets first, once the init file has been executed, with protocol version 10;
        # a packet that begins with 255 is an error ("too many connections").
        greeting = _receive_packet(connection)
        if not greeting.startswith(b"\x0a"):
            return False
        # An init file that fails does not stop the server, and the rest of the file is left out,
        # so what its last statement allows is tried.
        connection.sendall(_packet(1, _login(greeting, "pepi", self.password, "pepi")))
        reply = _receive_packet(connection)
        if reply.startswith(b"\xff"):
            raise ServerStartError(
                f"does not let its user `pepi` in ({reply[9:].decode(errors='replace')})"
            )
        connection.sendall(_packet(0, b"\x01"))  # COM_QUIT, or the server logs a lost connection
        return True


def _login(greeting: bytes, user: str, password: str, database: str) -> bytes:
    """Answer a protocol 10 greeting, by the method mysql_native_password.

    Source: MariaDB's "Connecting/Handshake" and "mysql_native_password" protocol pages.
    """
    after_version = greeting.index(b"\0", 1) + 1
    nonce = (
        greeting[after_version + 4 : after_version + 12]
        + greeting[after_version + 31 : after_version + 43]
    )
    once = hashlib.sha1(password.encode()).digest()
    mask = hashlib.sha1(nonce + hashlib.sha1(once).digest()).digest()
    proof = bytes(a ^ b for a, b in zip(once, mask, strict=True))
    # LONG_PASSWORD, CONNECT_WITH_DB, PROTOCOL_41, SECURE_CONNECTION, PLUGIN_AUTH
    capabilities = 0x1 | 0x8 | 0x200 | 0x8000 | 0x80000
    head = struct.pack("<IIB23x", capabilities, 1 << 24, 45)  # 45 is utf8mb4_general_ci
    return b"".join(
        (
            head,
            user.encode() + b"\0",
            bytes([len(proof)]) + proof,
            database.encode() + b"\0",
            b"mysql_native_password\0",
        )
    )


def _packet(number: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "little") + bytes([number]) + body


def _receive_packet(connection: socket.socket) -> bytes:
    """Read one packet's body; raises ConnectionError when the connection ends before it."""
    head = _receive_exactly(connection, 4)
    return _receive_exactly(connection, int.from_bytes(head[:3], "little"))


def _receive_exactly(connection: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count:
        more = connection.recv(count - len(received))
        if not more:
            raise ConnectionError("the server closed the connection")
        received += more
    return received


def _storage_options() -> list[str]:
    """What mariadb-install-db and the server must agree on."""
    options = ["--innodb-buffer-pool-size=256M", "--innodb-log-file-size=256M"]
    if (user := _user_name()) is not None:
        options.append(f"--user={user}")  # without it the server refuses to run as root
    return options


def _user_name() -> str | None:
    """The current user's name; None for a user id that has no name, as in some containers."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return None


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
