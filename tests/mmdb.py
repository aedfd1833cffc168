"""Writes small MaxMind DB files, for tests of what reads them.

Source: MaxMind DB File Format Specification, version 2.0 (maxmind.github.io/MaxMind-DB).
Records of 24 bits; strings, maps, unsigned numbers and arrays; IPv4 below ::/96.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Mapping
from typing import Any

_BITS = 128
_MARKER = b"\xab\xcd\xefMaxMind.com"


class _Uint16(int):
    pass


class _Uint64(int):
    pass


_KINDS = {_Uint16: 5, int: 6, _Uint64: 9}  # a plain number has up to 32 bits


def mmdb(networks: Mapping[str, Any], kind: str = "Test") -> bytes:
    """Return a database with a record for each network, such as ``192.0.2.0/24``."""
    nodes: list[list[int | None]] = [[None, None]]
    data = b""
    leaves: dict[tuple[int, int], int] = {}  # (node, side) -> offset of its record
    for network, record in networks.items():
        address = ipaddress.ip_network(network)
        length = address.prefixlen + (_BITS - 32 if address.version == 4 else 0)
        number = int(address.network_address)
        node = 0
        for bit in range(length):
            side = number >> (_BITS - 1 - bit) & 1
            if bit == length - 1:
                leaves[node, side] = len(data)
                data += _encode(record)
                break
            child = nodes[node][side]
            if child is None:
                child = nodes[node][side] = len(nodes)
                nodes.append([None, None])
            node = child
    count = len(nodes)
    tree = b""
    for node, sides in enumerate(nodes):
        for side, child in enumerate(sides):
            leaf = leaves.get((node, side))
            value = count + 16 + leaf if leaf is not None else count if child is None else child
            tree += value.to_bytes(3, "big")
    metadata = {
        "binary_format_major_version": _Uint16(2),
        "binary_format_minor_version": _Uint16(0),
        "build_epoch": _Uint64(1_700_000_000),
        "database_type": kind,
        "description": {"en": "made by tests/mmdb.py"},
        "ip_version": _Uint16(6),
        "languages": ["en"],
        "node_count": count,
        "record_size": _Uint16(24),
    }
    return tree + bytes(16) + data + _MARKER + _encode(metadata)


def _encode(value: Any) -> bytes:
    if isinstance(value, str):
        raw = value.encode()
        return _control(2, len(raw)) + raw
    if isinstance(value, dict):
        items = b"".join(_encode(key) + _encode(item) for key, item in value.items())
        return _control(7, len(value)) + items
    if isinstance(value, list):
        return _control(11, len(value)) + b"".join(map(_encode, value))
    raw = struct.pack(">Q", value).lstrip(b"\0")
    return _control(_KINDS[type(value)], len(raw)) + raw


def _control(kind: int, size: int) -> bytes:
    assert size < 285, "longer values need more bytes of size"
    first, rest = (size, b"") if size < 29 else (29, bytes([size - 29]))
    if kind > 7:  # an extended type says which in the next byte
        return bytes([first, kind - 7]) + rest
    return bytes([kind << 5 | first]) + rest
