"""Connections to Redis that follow it to another server.

A server that is demoted keeps its connections: whoever had one would ask it for ever. So what it
answers then ("not me"), or a connection that breaks, makes all the others of this process be made
anew before they are used again, with the host's name resolved anew. What was asked is not asked
again here: the delivery protocol has its own answer to that.
"""

from __future__ import annotations

from typing import Any, Final

from redis.asyncio import connection
from redis.credentials import UsernamePasswordCredentialProvider
from redis.exceptions import AuthenticationError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError

from pepi_stream.claims.failures import is_another_server
from pepi_stream.settings import TlsSettings
from pepi_stream.tls import client_context
from pepi_stream.upstream import Upstream


class _Following:
    """What all of them add to redis-py's own connection.

    Args:
        upstream: knows when the server may be another one.
        kwargs: redis-py's own.
    """

    def __init__(self, *, upstream: Upstream, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._upstream = upstream
        self._turn = -1

    async def connect(self) -> None:
        """Connect, if there is no connection of this turn."""
        me: Any = self
        if me.is_connected and self._turn != self._upstream.turn:
            await me.disconnect()
        if not me.is_connected:
            self._turn = self._upstream.turn
        await super().connect()  # type: ignore[misc]

    async def read_response(self, *args: Any, **kwargs: Any) -> Any:
        """Read a reply; one that says "not me" counts against all connections of this turn."""
        try:
            return await super().read_response(*args, **kwargs)  # type: ignore[misc]
        except (RedisError, OSError, EOFError) as exc:
            if is_another_server(exc):
                self._upstream.distrust(self._turn)
            if isinstance(exc, AuthenticationError) and self._forgotten(exc):
                raise RedisConnectionError(f"this connection's login is forgotten: {exc}") from None
            raise

    def _forgotten(self, exc: AuthenticationError) -> bool:
        """Tell whether a server wants a login on a connection that has been logged in."""
        me: Any = self
        return me.credential_provider is not None and "Authentication required" in str(exc)


class TcpConnection(_Following, connection.Connection):
    """A connection over TCP."""


class UnixConnection(_Following, connection.UnixDomainSocketConnection):
    """A connection over a Unix socket."""


class TlsConnection(_Following, connection.SSLConnection):
    """A connection whose server is verified as the URL asks.

    redis-py's own context trusts the system's CAs beside the one that it is given, and before
    version 6 it does not look at the host name.

    Args:
        tls: what the URL asks for.
        kwargs: redis-py's own.

    Raises:
        ConfigError: A file that the URL names for TLS cannot be used.
    """

    def __init__(self, tls: TlsSettings, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # Made anew for each connection: certificates are renewed while workers run.
        self.ssl_context.context = client_context(tls)


class Login(UsernamePasswordCredentialProvider):
    """User and password, which the reprs of clients and pools then do not show."""

    def __repr__(self) -> str:
        return "Login(***)"


#: redis-py's own kind of connection -> ours.
FOLLOWING: Final = {
    connection.Connection: TcpConnection,
    connection.UnixDomainSocketConnection: UnixConnection,
}
