"""Reads rows of parameters as a server does: COM_STMT_BULK_EXECUTE by MariaDB's documents."""

from __future__ import annotations

import struct
from collections.abc import Iterator

#: Bytes of a string, an integer, or NULL.
Value = bytes | int | None

_LENGTH_BYTES = {0xFC: 2, 0xFD: 3, 0xFE: 8}


def read_rows(body: bytes, types: bytes) -> Iterator[tuple[Value, ...]]:
    """Yield rows.

    Raises:
        ValueError, struct.error, IndexError: these are none.
    """
    at = 0
    while at < len(body):
        row: list[Value] = []
        for code in types:
            value, at = _read(body, at, code)
            row.append(value)
        yield tuple(row)


def _read(body: bytes, at: int, code: int) -> tuple[Value, int]:
    indicator, at = body[at], at + 1
    if indicator == 1:
        return None, at
    if indicator != 0:
        raise ValueError(f"indicator {indicator} at byte {at - 1}")
    if code == 1:
        return struct.unpack_from("<b", body, at)[0], at + 1
    if code == 8:
        return struct.unpack_from("<q", body, at)[0], at + 8
    if code != 253:
        raise ValueError(f"a value of type {code} at byte {at}")
    size, at = body[at], at + 1
    if size > 0xFA:
        more = _LENGTH_BYTES[size]
        size, at = int.from_bytes(body[at : at + more], "little"), at + more
    value = body[at : at + size]
    if len(value) != size:
        raise ValueError(f"{size} bytes announced at byte {at}, {len(value)} there")
    return value, at + size
