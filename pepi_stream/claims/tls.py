"""TLS to Redis: redis-py's connection with a context of ours."""

from __future__ import annotations

from typing import Any

from redis.asyncio.connection import SSLConnection

from pepi_stream.settings import TlsSettings
from pepi_stream.tls import client_context


class TlsConnection(SSLConnection):
    """A connection whose server is verified as the URL asks.

    redis-py's own context trusts the system's CAs beside the one that it is given, and before
    version 6 it does not look at the host name.

    Args:
        tls: what the URL asks for.
        kwargs: redis-py's own.

    Raises:
        ConfigError: A file that the URL names cannot be used.
    """

    def __init__(self, tls: TlsSettings, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # Made anew for each connection: certificates are renewed while workers run.
        self.ssl_context.context = client_context(tls)
