"""MariaDB's bulk execution: one prepared INSERT, all the rows of a statement as its parameters.

The server parses nothing and builds no expression a value, which is most of what a multi-row
INSERT costs it (docs/decisions/0011). MySQL does not have it; there, rows are sent as text.

Sources: MariaDB's "Client/Server Protocol": "Connecting" (the capabilities), COM_STMT_PREPARE,
COM_STMT_BULK_EXECUTE.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from typing import Final

from pymysql.connections import MAX_PACKET_LEN
from pymysql.constants import CLIENT
from pymysql.err import MySQLError

from pepi_stream.sink.parameters import STRING, UNTYPED
from pepi_stream.sink.tls import GuardedConnection

COM_STMT_PREPARE: Final = 0x16
COM_STMT_BULK_EXECUTE: Final = 0xFA

# What a server answers that cannot execute in bulk after all: it does not know the command (a proxy
# may stand in between), or not our statement, or has too many prepared already.
_NO_BULK: Final = frozenset({1047, 1243, 1295, 1461})

# MariaDB clears this bit in its greeting; what a client that clears it too says in the last four
# of the bytes that are reserved in its answer are MariaDB's own capabilities.
_CLIENT_MYSQL: Final = CLIENT.LONG_PASSWORD
_STMT_BULK_OPERATIONS: Final = 1 << 2
_RESERVED: Final = slice(28, 32)
_SEND_TYPES: Final = 128

# The patch release of each series that mended MDEV-24411; the series after 11.5 had it from the
# start. Before it, a trigger whose body INSERTs takes the rows of the bulk that fired it: rows are
# lost without an error, and the count of affected rows does not tell.
_SOUND: Final = {
    **{(10, 5): 26, (10, 6): 19, (10, 11): 9},
    **{(11, 1): 6, (11, 2): 5, (11, 4): 3, (11, 5): 2},
}
# MariaDB up to 10 greets as 5.5.5-10.11.9-MariaDB, because old replicas take 10 for 1.
_VERSION: Final = re.compile(r"(?:5\.5\.5-)?(\d+)\.(\d+)\.(\d+)")


class NoBulkError(Exception):
    """The server cannot execute in bulk; nothing was done."""


class BulkConnection(GuardedConnection):
    """A connection that can execute in bulk where the server can.

    Attributes:
        bulk: whether the server can.
        clustered: whether the server is a node of a Galera cluster.
    """

    bulk = False
    clustered = False
    _greeting = False

    async def _request_authentication(self) -> None:
        if not self.server_capabilities & _CLIENT_MYSQL and is_sound(self.server_version):
            self.bulk = True
            self.client_flag &= ~_CLIENT_MYSQL
        self._prepared: dict[str, int] = {}
        self._greeting = self.bulk
        await super()._request_authentication()
        self._greeting = False

    def write_packet(self, payload: bytes) -> None:
        """Write a packet, with the capability asked for in the answer to a greeting."""
        if self._greeting and payload.startswith(
            struct.pack("<iI", self.client_flag, MAX_PACKET_LEN)
        ):
            asked = struct.pack("<I", _STMT_BULK_OPERATIONS)
            payload = payload[: _RESERVED.start] + asked + payload[_RESERVED.stop :]
        super().write_packet(payload)

    async def execute_bulk(self, sql: str, types: bytes, rows: Sequence[bytes]) -> int:
        """Execute a statement once a row.

        Args:
            sql: with a question mark for each parameter.
            types: the parameters' types, from :mod:`pepi_stream.sink.parameters`.
            rows: rendered rows, joined in as many parts as there are.

        Returns:
            How many rows it affected.

        Raises:
            NoBulkError: the server cannot do it, or not now.
            pymysql.err.MySQLError: as of a multi-row INSERT: no row has landed.
        """
        try:
            number = self._prepared.get(sql)
            if number is None:
                number = self._prepared[sql] = await self.prepare(sql)
            await self._send(bulk_head(number, types), rows)
            await self._read_query_result()
        except MySQLError as exc:
            if exc.args and exc.args[0] in _NO_BULK:
                self.bulk = False
                raise NoBulkError(str(exc)) from exc
            raise
        affected: int = self._affected_rows
        return affected

    async def _send(self, head: bytes, rows: Sequence[bytes]) -> None:
        size = 1 + len(head) + sum(map(len, rows))
        if size >= MAX_PACKET_LEN:
            await self._execute_command(COM_STMT_BULK_EXECUTE, b"".join([head, *rows]))
            return
        # What _execute_command does, without copying the rows three times.
        self._ensure_alive()
        self._result = None
        self._next_seq_id = 1
        self._writer.writelines([struct.pack("<iB", size, COM_STMT_BULK_EXECUTE) + head, *rows])

    async def prepare(self, sql: str) -> int:
        """Prepare a statement; return the server's number for it."""
        await self._execute_command(COM_STMT_PREPARE, sql.encode())
        packet = await self._read_packet()
        number, columns, parameters = struct.unpack_from("<IHH", packet.get_all_data(), 1)
        for definitions in (parameters, columns):
            for _ in range(definitions + bool(definitions)):  # and an EOF packet
                await self._read_packet()
        return int(number)


def is_sound(version: str) -> bool:
    """Return whether a MariaDB of this version keeps the rows of a bulk when triggers insert."""
    found = _VERSION.match(version)
    if found is None:
        return False
    major, minor, patch = map(int, found.groups())
    return (major, minor) > max(_SOUND) or patch >= _SOUND.get((major, minor), patch + 1)


def bulk_head(number: int, types: bytes) -> bytes:
    """Return what stands before the rows; its length does not depend on the number."""
    codes = types.replace(bytes([UNTYPED]), bytes([STRING]))
    return struct.pack("<IH", number, _SEND_TYPES) + b"".join(bytes([c, 0]) for c in codes)


def common_types(one: bytes, other: bytes) -> bytes | None:
    """Return the types that rows of both have as parameters of one statement, if there are any."""
    if one == other:
        return one
    if len(one) != len(other):
        return None
    common = bytearray()
    for a, b in zip(one, other, strict=True):
        if a != b and UNTYPED not in (a, b):
            return None
        common.append(b if a == UNTYPED else a)
    return bytes(common)
