"""Statements on a private MariaDB or MySQL as its administrator, let in over the socket alone."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pymysql

from pepi_stream.local.sql import SqlServer


class _SocketMethod:
    """The method unix_socket: the server asks the kernel who is there, and nothing is sent."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def authenticate(self, packet: Any) -> Any:
        self._connection.write_packet(b"")
        return self._connection._read_packet()


def administer(server: SqlServer, *statements: str) -> list[tuple[Any, ...]]:
    """Run statements in the database `pepi`; return the rows of the last one."""
    with closing(
        pymysql.connect(
            unix_socket=str(server.socket_path),
            user=server.administrator,
            database="pepi",
            charset="utf8mb4",
            autocommit=True,
            auth_plugin_map={"unix_socket": _SocketMethod},
        )
    ) as connection:
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        return list(cursor.fetchall())
