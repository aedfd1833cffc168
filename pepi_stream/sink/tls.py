"""A connection to MySQL that gives nothing away before it is as safe as it was asked to be."""

from __future__ import annotations

import aiomysql
from pymysql.constants import CLIENT

from pepi_stream.errors import FatalError


class GuardedConnection(aiomysql.Connection):  # type: ignore[misc]  # aiomysql has no types
    """aiomysql's connection, which refuses to log in where the password could be read.

    aiomysql itself goes on unencrypted when the server (or who stands in for it) offers no TLS,
    and sends the bare password to whoever asks for it (the method mysql_clear_password).
    """

    async def _request_authentication(self) -> None:
        if self._ssl_context is not None and not self.server_capabilities & CLIENT.SSL:
            raise FatalError(
                "the server offers no TLS, and DATABASE_URL asks for it; "
                "set the server up with a certificate (ssl_cert, ssl_key), or, if nobody else "
                "can reach the network between, say ssl_mode=disabled"
            )
        self._refuse_clear_password(self._server_auth_plugin)
        await super()._request_authentication()

    async def _process_auth(self, plugin_name: bytes, auth_packet: object) -> object:
        self._refuse_clear_password(plugin_name.decode(errors="replace"))
        return await super()._process_auth(plugin_name, auth_packet)

    def _refuse_clear_password(self, method: str) -> None:
        encrypted = self._ssl_context is not None or self._unix_socket is not None
        if method == "mysql_clear_password" and not encrypted:
            raise FatalError(
                "the server asks for the bare password (mysql_clear_password) on a connection "
                "that is not encrypted; add ssl_mode=verify_identity to DATABASE_URL"
            )
