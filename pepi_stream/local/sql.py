"""What private servers of MariaDB and MySQL have in common: the user `pepi`, and its address."""

import os
import pwd
import secrets
import shutil
import subprocess
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict
from urllib.parse import quote

from pepi_stream.local.errors import ServerStartError
from pepi_stream.local.process import ServerProcess

_INSTALL_SECONDS = 180.0


class SqlServerOptions(TypedDict, total=False):
    """What :class:`SqlServer` takes beside a directory."""

    also_grant: Sequence[str]
    options: Sequence[str]
    tcp: bool
    port: int | None
    start_timeout: float
    stop_timeout: float


class SqlServer(ServerProcess):
    r"""A server with durable commits, a database `pepi` and a user `pepi` that owns it.

    The user's password is made on the first start and kept in the directory's file `password`,
    readable by this user only.

    Args:
        directory: Everything the server keeps; made, private to this user, when it is missing.
        also_grant: Further database name patterns (`%` and `_` are wildcards, `\` escapes them)
            on which `pepi` gets all privileges, for tests that make databases.
        options: Further options of the server, such as `--max-connections=20`.
        tcp: Whether it listens on TCP, too.
        port: TCP port on 127.0.0.1; by default a free one.
        start_timeout: Seconds within which a started server must answer, recovery included.
        stop_timeout: Seconds within which a stopped server must end; then it is killed.
    """

    def __init__(
        self,
        directory: Path,
        *,
        also_grant: Sequence[str] = (),
        options: Sequence[str] = (),
        tcp: bool = True,
        port: int | None = None,
        start_timeout: float = 60.0,
        stop_timeout: float = 30.0,
    ) -> None:
        super().__init__(
            directory, tcp=tcp, port=port, start_timeout=start_timeout, stop_timeout=stop_timeout
        )
        self._also_grant = tuple(also_grant)
        self._options = tuple(options)
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
                f"{self.name} in {self.directory} has not been started yet, so it has no password"
            ) from None

    @property
    def url(self) -> str:
        """`DATABASE_URL` over the Unix socket; raises `ServerStartError` like `password`."""
        return self.url_of("pepi")

    @property
    def tcp_url(self) -> str:
        """`DATABASE_URL` over 127.0.0.1; raises `ServerStartError` like `password` and `port`."""
        return f"mysql://pepi:{self.password}@127.0.0.1:{self.port}/pepi"

    @property
    @abstractmethod
    def administrator(self) -> str:
        """The account that may do anything, let in over the Unix socket alone."""

    def url_of(self, database: str, socket_path: Path | None = None) -> str:
        """Return the `DATABASE_URL`, over the Unix socket, of a database of this server.

        Args:
            database: Its name.
            socket_path: Another socket that leads here, a proxy's.
        """
        path = quote(str(socket_path or self.socket_path))
        return f"mysql://pepi:{self.password}@localhost/{database}?unix_socket={path}"

    @abstractmethod
    def _install_command(self, datadir: Path) -> list[str]:
        """Return the command that makes the data directory."""

    def _prepare(self) -> None:
        # Servers that share a tmpdir, as they do in /tmp, delete each other's #sql files at start.
        self._tmp.mkdir(mode=0o700, exist_ok=True)
        if not self._data.exists():
            self._install_data()
        if not self._password_file.exists():
            write_private(self._password_file, secrets.token_urlsafe(24) + "\n")

    def _launch(self) -> None:
        write_private(self._init_file, self._init_sql())
        try:
            super()._launch()
        finally:
            self._init_file.unlink(missing_ok=True)  # it holds the password

    def _install_data(self) -> None:
        """Make the data directory under another name first: half a one is never mistaken for it."""
        unfinished = self.directory / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        command = self._install_command(unfinished)
        with self.log_path.open("ab") as log:
            self._log_start = log.tell()
            finished = subprocess.run(
                command,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=_INSTALL_SECONDS,
                check=False,
            )
        if finished.returncode != 0:
            raise ServerStartError(
                f"{Path(command[0]).name} could not make {self._data} (status "
                f"{finished.returncode}); the end of {self.log_path}:\n{self.log_tail()}"
            )
        unfinished.rename(self._data)

    def _init_sql(self) -> str:
        # Statements that change nothing the second time: they run at every start. With
        # --skip-name-resolve, 'localhost' means the socket and 127.0.0.1 is another host; it comes
        # last, because the probe of MariaDB uses it.
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

    def _common_options(self) -> list[str]:
        """Return what both servers are started with."""
        return [
            f"--datadir={self._data}",
            f"--tmpdir={self._tmp}",
            f"--init-file={self._init_file}",
            f"--socket={self.socket_path}",
            f"--pid-file={self.directory / f'{self.name}.pid'}",
            *self._port_options(),
            "--skip-name-resolve",
            "--character-set-server=utf8mb4",
            "--max-allowed-packet=64M",
            "--innodb-flush-log-at-trx-commit=1",
            *user_option(),
        ]

    def _port_options(self) -> list[str]:
        if not self._tcp:
            return ["--skip-networking"]
        return ["--bind-address=127.0.0.1", f"--port={self.port}"]


def user_option() -> list[str]:
    """Return the option without which the server refuses to run as root."""
    name = user_name()
    return [] if name is None else [f"--user={name}"]


def user_name() -> str | None:
    """Return the current user's name; None for a user id without one, as in some containers."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return None


def write_private(path: Path, text: str) -> None:
    """Write a file anew that only this user may read."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
