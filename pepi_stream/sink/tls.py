"""A connection to MySQL that gives nothing away before it is as safe as it was asked to be."""

from __future__ import annotations

from typing import Any, Final

import aiomysql
from pymysql.constants import CLIENT

from pepi_stream.errors import FatalError

# Methods by which a server, or who stands in for it, learns no password on a line that others can
# read: both answer a challenge. (The latter's second half, with RSA, is refused as it begins.)
_CHALLENGES: Final = frozenset({"", "mysql_native_password", "caching_sha2_password"})
# Methods that are for a connection that is encrypted, or does not leave this machine's kernel.
_ENCRYPTED: Final = frozenset({"mysql_clear_password", "sha256_password"})
# Packets of a server during a login. The names are those of MySQL's "Connection Phase".
_SWITCH: Final = b"\xfe"
_FULL_AUTHENTICATION: Final = b"\x01\x04"
_NO_PLUGIN: Final = (
    "the server asks for a password in a form of before MySQL 4.1; "
    "give the user one in the present form (ALTER USER)"
)


class GuardedConnection(aiomysql.Connection):  # type: ignore[misc]  # aiomysql has no types
    """aiomysql's connection, which refuses to log in where the password could be read.

    aiomysql itself goes on unencrypted when the server (or who stands in for it) offers no TLS,
    sends the bare password to whoever asks for it, and encrypts it with whatever RSA key it is
    sent. Nor does this one let a server have several statements at once, or read a file of ours.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.client_flag &= ~(CLIENT.MULTI_STATEMENTS | CLIENT.LOCAL_FILES)

    async def _request_authentication(self) -> None:
        if self._ssl_context is not None and not self.server_capabilities & CLIENT.SSL:
            raise FatalError(
                "the server offers no TLS, and DATABASE_URL asks for it; "
                "set the server up with a certificate (ssl_cert, ssl_key), or, if nobody else "
                "can reach the network between, say ssl_mode=disabled"
            )
        if not self.server_capabilities & CLIENT.PLUGIN_AUTH:
            raise FatalError(_NO_PLUGIN)
        self._admit(self._server_auth_plugin)
        self._read_packet = self._read_login_packet
        try:
            await super()._request_authentication()
        finally:
            del self._read_packet

    async def _read_login_packet(self, *args: Any) -> Any:
        packet = await super()._read_packet(*args)
        data: bytes = packet.get_all_data()
        if data.startswith(_SWITCH):
            name, mark, _ = data[1:].partition(b"\0")
            if not mark:
                raise FatalError(_NO_PLUGIN)
            self._admit(name.decode(errors="replace"))
        elif data.startswith(_FULL_AUTHENTICATION) and not self._private:
            raise FatalError(
                "the server wants the password itself (caching_sha2_password does, after its "
                "start, until this user has logged in once) on a connection that is not encrypted; "
                "add ssl_mode=verify_identity to DATABASE_URL, or ssl_mode=required, which MySQL 8 "
                "can do as it was installed"
            )
        return packet

    async def _read_query_result(self, unbuffered: bool = False) -> Any:
        try:
            return await super()._read_query_result(unbuffered)
        except RuntimeError as exc:
            if "LOAD_LOCAL" not in str(exc):
                raise
            raise FatalError(
                "MySQL asks for a file of this machine (LOCAL INFILE), which no statement of ours "
                "does; is it the server that DATABASE_URL should name?"
            ) from None

    @property
    def _private(self) -> bool:
        return self._ssl_context is not None or self._unix_socket is not None

    def _admit(self, method: str) -> None:
        if method in _CHALLENGES or (self._private and method in _ENCRYPTED):
            return
        if method == "mysql_old_password":
            raise FatalError(_NO_PLUGIN)
        if method == "mysql_clear_password":
            raise FatalError(
                "the server asks for the bare password (mysql_clear_password) on a connection "
                "that is not encrypted; add ssl_mode=verify_identity to DATABASE_URL"
            )
        if method == "sha256_password":
            raise FatalError(
                "the server asks for the password itself (sha256_password) on a connection that is "
                "not encrypted; add ssl_mode=verify_identity to DATABASE_URL"
            )
        raise FatalError(
            "the server asks for a login by a method that is not known here; give the user "
            "mysql_native_password or caching_sha2_password (ALTER USER)"
        )
