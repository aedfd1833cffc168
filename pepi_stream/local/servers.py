"""A private Redis and a private MariaDB: what each runs, and where to reach it.

Both keep everything in one directory, listen on a Unix socket there and, where that is asked for,
on a free port of 127.0.0.1 with a password, and read no configuration of the system. The readiness
probes speak the first bytes of each protocol themselves: redis-py and PyMySQL leave the socket of a
refused connection unclosed (tried).
"""

import secrets
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Unpack
from urllib.parse import quote

from pepi_stream.local.errors import ServerStartError
from pepi_stream.local.handshake import is_greeting, login, packet, receive_packet
from pepi_stream.local.install import MariaDBPrograms, find_mariadb, find_redis
from pepi_stream.local.process import ServerProcess
from pepi_stream.local.sql import (
    SqlServer,
    SqlServerOptions,
    user_name,
    user_option,
    write_private,
)

# What mariadb-install-db and the server must agree on.
_STORAGE_OPTIONS = ("--innodb-buffer-pool-size=256M", "--innodb-log-file-size=256M")


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
        program: What is run, a Redis or a Valkey; by default the Redis that is installed.
        appendfsync: When the append-only file reaches the disk: `everysec` can lose the last
            second if the machine fails (not if only Redis does), `always` loses nothing.
        tls: Makes the TCP port one for TLS only; the Unix socket stays as it is.
        tcp: Whether it listens on TCP, too. Then it has a password, on the socket as well.
        password: For this server and the one that it may become a replica of; by default one that
            nobody knows, where there is one.
        port: TCP port on 127.0.0.1; by default a free one.
        start_timeout: Seconds within which a started server must answer, loading its data included.
        stop_timeout: Seconds within which a stopped server must end; then it is killed.
    """

    name = "redis"

    def __init__(
        self,
        directory: Path,
        *,
        program: Path | None = None,
        appendfsync: Literal["always", "everysec", "no"] = "everysec",
        tls: ServerTls | None = None,
        tcp: bool = False,
        password: str | None = None,
        port: int | None = None,
        start_timeout: float = 60.0,
        stop_timeout: float = 30.0,
    ) -> None:
        super().__init__(
            directory, tcp=tcp, port=port, start_timeout=start_timeout, stop_timeout=stop_timeout
        )
        self.password = secrets.token_urlsafe(24) if tcp and password is None else password
        self._config = self.directory / "redis.conf"
        self._program = program
        self._appendfsync = appendfsync
        self._tls = tls

    @property
    def url(self) -> str:
        """`REDIS_URL` over the Unix socket."""
        return f"unix://{self._login}{quote(str(self.socket_path))}?db=0"

    @property
    def tcp_url(self) -> str:
        """`REDIS_URL` over 127.0.0.1; raises `ServerStartError` like `port`."""
        return f"redis{'s' if self._tls else ''}://{self._login}127.0.0.1:{self.port}/0"

    @property
    def _login(self) -> str:
        return f":{self.password}@" if self.password else ""

    def _prepare(self) -> None:
        # Not on the command line, which everybody can read.
        lines = [f"{name} {self.password}\n" for name in ("requirepass", "masterauth")]
        write_private(self._config, "".join(lines if self.password else []))

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
            str(self._program or find_redis()),
            str(self._config),
            *(word for name, value in options.items() for word in (f"--{name}", value)),
        ]

    def _port_options(self) -> dict[str, str]:
        if not self._tcp:
            return {"port": "0"}
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
        if self.password:
            connection.sendall(f"AUTH {self.password}\r\n".encode())
            connection.recv(64)
        connection.sendall(b"PING\r\n")
        return connection.recv(64).startswith(b"+PONG")


class MariaDBServer(SqlServer):
    r"""A MariaDB with durable commits, a database `pepi` and a user `pepi` that owns it.

    The only other accounts are those of `mariadb-install-db`, which let in nobody but the same
    system user (and root) over the Unix socket.

    Args:
        directory: Everything the server keeps; made, private to this user, when it is missing.
        programs: What is run; by default the MariaDB that is installed.
        tls: Lets clients of the TCP port and of the Unix socket ask for TLS.
        others: As :class:`SqlServer` takes them.
    """

    name = "mariadb"

    def __init__(
        self,
        directory: Path,
        *,
        programs: MariaDBPrograms | None = None,
        tls: ServerTls | None = None,
        **others: Unpack[SqlServerOptions],
    ) -> None:
        super().__init__(directory, **others)
        self._programs = programs
        self._tls = tls

    @property
    def administrator(self) -> str:
        """This system user, whom the server asks the kernel about."""
        return user_name() or "root"

    def _install_command(self, datadir: Path) -> list[str]:
        programs = self._programs or find_mariadb()
        return [
            str(programs.install_db),
            "--no-defaults",
            *programs.options(),
            f"--datadir={datadir}",
            f"--tmpdir={self._tmp}",
            "--auth-root-authentication-method=socket",
            f"--auth-root-socket-user={self.administrator}",
            "--skip-test-db",
            "--skip-name-resolve",
            *_STORAGE_OPTIONS,
            *user_option(),
        ]

    def _command(self) -> list[str]:
        programs = self._programs or find_mariadb()
        return [
            str(programs.server),
            "--no-defaults",
            *programs.options(),
            *self._common_options(),
            "--skip-log-bin",
            *self._tls_options(),
            *_STORAGE_OPTIONS,
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
        if not self._log_in(connection):
            return False
        connection.sendall(packet(0, b"\x01"))  # COM_QUIT, or the server logs a lost connection
        return True

    def _log_in(self, connection: socket.socket) -> bool:
        # The server greets first, once the init file has been executed.
        greeting = receive_packet(connection)
        if not is_greeting(greeting):
            return False
        # An init file that fails does not stop the server, and the rest of the file is left out,
        # so what its last statement allows is tried.
        connection.sendall(packet(1, login(greeting, "pepi", self.password, "pepi")))
        reply = receive_packet(connection)
        if reply.startswith(b"\xff"):
            raise ServerStartError(
                f"does not let its user `pepi` in ({reply[9:].decode(errors='replace')})"
            )
        return True
