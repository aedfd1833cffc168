"""The first packets of MySQL's protocol, as far as a probe needs them: is the server ready?"""

import hashlib
import socket
import struct


def is_greeting(packet: bytes) -> bool:
    """Tell whether a server's first packet lets a client in: an error begins with 255."""
    return packet.startswith(b"\x0a")


def login(greeting: bytes, user: str, password: str, database: str) -> bytes:
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


def packet(number: int, body: bytes) -> bytes:
    """Return a packet with its head."""
    return len(body).to_bytes(3, "little") + bytes([number]) + body


def receive_packet(connection: socket.socket) -> bytes:
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
