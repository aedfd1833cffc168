"""Somebody who stands in for a MySQL server, and keeps all that clients tell him.

He speaks as much of the protocol as it takes to be told a password.
"""

from __future__ import annotations

import socket
import struct
import threading
from typing import Self

from pymysql.constants import CLIENT

_CAPABILITIES = (
    CLIENT.LONG_PASSWORD
    | CLIENT.PROTOCOL_41
    | CLIENT.SECURE_CONNECTION
    | CLIENT.PLUGIN_AUTH
    | CLIENT.CONNECT_WITH_DB
)


class RogueMySQL:
    """Greets one client, answers its packets with ``replies``, then listens to the end.

    Args:
        tls: whether he claims to offer TLS. (He then hangs up on the client's first packet.)
        method: the authentication that he greets with.
        replies: bodies of the packets that answer the client's, one each.
        capabilities: what he says that he can do, less than a server of today.
    """

    def __init__(
        self,
        *replies: bytes,
        tls: bool = False,
        method: str = "mysql_native_password",
        capabilities: int = _CAPABILITIES,
    ) -> None:
        self._tls = tls
        self._method = method
        self._replies = list(replies)
        self._capabilities = capabilities
        self._heard: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def heard(self) -> bytes:
        """Return all that the client said; waits until it has hung up."""
        self._thread.join(10)
        assert not self._thread.is_alive(), "the client does not hang up"
        return b"".join(self._heard)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._listener.close()
        self._thread.join(10)

    def _serve(self) -> None:
        client, _ = self._listener.accept()
        with client:
            client.settimeout(10)
            client.sendall(_packet(0, self._greeting()))
            while said := client.recv(65536):
                self._heard.append(said)
                if self._tls:
                    return
                if self._replies:
                    # The packet that answers has the next number.
                    client.sendall(_packet(said[3] + 1, self._replies.pop(0)))

    def _greeting(self) -> bytes:
        capabilities = self._capabilities | (CLIENT.SSL if self._tls else 0)
        return b"".join(
            (
                b"\x0a8.0.0\0",
                struct.pack("<I8sx", 1, b"saltsalt"),
                struct.pack("<HBHHB10x", capabilities & 0xFFFF, 45, 2, capabilities >> 16, 21),
                b"saltsaltsalt\0",
                self._method.encode() + b"\0",
            )
        )


def _packet(number: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "little") + bytes([number]) + body
