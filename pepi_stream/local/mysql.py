"""A private MySQL, as Oracle makes it."""

import socket
from pathlib import Path
from typing import Unpack

from pepi_stream.local.handshake import is_greeting, receive_packet
from pepi_stream.local.sql import SqlServer, SqlServerOptions, user_option


class MySQLServer(SqlServer):
    """A MySQL with durable commits, a database `pepi` and a user `pepi` that owns it.

    The only other account is `root`, which has no password and is let in over the Unix socket
    alone. Its directory is this user's.

    Args:
        directory: Everything the server keeps; made, private to this user, when it is missing.
        base: Where the server's release is: holds `sbin/mysqld`.
        others: As :class:`SqlServer` takes them.
    """

    name = "mysql"

    def __init__(self, directory: Path, *, base: Path, **others: Unpack[SqlServerOptions]) -> None:
        super().__init__(directory, **others)
        self._base = base

    @property
    def administrator(self) -> str:
        """Without a password: who reaches the socket is this system user."""
        return "root"

    def _install_command(self, datadir: Path) -> list[str]:
        return [
            *self._program(),
            "--initialize-insecure",
            f"--datadir={datadir}",
            *user_option(),
        ]

    def _command(self) -> list[str]:
        return [
            *self._program(),
            *self._common_options(),
            "--disable-log-bin",
            "--mysqlx=OFF",
            "--secure-file-priv=NULL",
            "--innodb-buffer-pool-size=256M",
            *self._options,
        ]

    def _program(self) -> list[str]:
        return [
            str(self._base / "sbin" / "mysqld"),
            "--no-defaults",
            f"--basedir={self._base}",
            f"--lc-messages-dir={self._base / 'share' / 'mysql'}",
            f"--plugin-dir={self._base / 'lib' / 'mysql' / 'plugin'}",
        ]

    def _answers(self, connection: socket.socket) -> bool:
        # The server greets first, once the init file has been executed.
        return is_greeting(receive_packet(connection))
