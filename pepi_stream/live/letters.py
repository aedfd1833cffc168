"""Reads dead letters for a person to see."""

from __future__ import annotations

import uuid
from typing import Any, Final

import aiomysql

from pepi_stream.events import MAX_REASON
from pepi_stream.live.queries import Queries
from pepi_stream.sink.connection import fetch

#: Dead letters that are listed.
LISTED: Final = 20
#: Bytes of a payload that are shown.
SHOWN_BYTES: Final = 256 * 1024

#: seq -> bytes of the whole payload: to know them, MySQL has to read it.
Sizes = dict[int, int]


async def newest(conn: aiomysql.Connection, queries: Queries, sizes: Sizes) -> list[dict[str, Any]]:
    """Return the newest ones as ``docs/live.md`` lists them.

    Args:
        conn: any.
        queries: over the flow's tables.
        sizes: what is known of them already; what is learnt is added, what is not listed, dropped.
    """
    rows = await fetch(conn, queries.newest_letters(LISTED, MAX_REASON))
    # A copy: the seed and the sampling may both be here, with different lists.
    known = {row[0]: sizes[row[0]] for row in rows if row[0] in sizes}
    for seq, claim, position, element, *_ in rows:
        if seq not in known:
            parts = await fetch(conn, queries.parts(seq, claim, position, element))
            known[seq] = sum(int(size) for _, size in parts)
    sizes.clear()
    sizes.update(known)
    return [
        {"seq": seq, "at": int(at), "format": format, "reason": reason, "bytes": known[seq]}
        for seq, _, _, _, at, format, reason in rows
    ]


async def whole(conn: aiomysql.Connection, queries: Queries, seq: int) -> dict[str, Any] | None:
    """Return one with its payload, as ``docs/live.md`` has it; None when there is none."""
    found = await fetch(conn, queries.letter(seq))
    if not found:
        return None
    [(_, claim, position, element, at, format, reason)] = found
    parts = await fetch(conn, queries.parts(seq, claim, position, element))
    payload = b""
    for part, _ in parts:
        room = SHOWN_BYTES - len(payload)
        if room <= 0:
            break
        [(piece,)] = await fetch(conn, queries.payload(part, room))
        payload += piece
    size = sum(int(bytes_) for _, bytes_ in parts)
    encoding, text = readable(payload, cut=size > len(payload))
    return {
        "seq": seq,
        "at": int(at),
        "claim": str(uuid.UUID(bytes=claim)),
        "position": position,
        "element": element,
        "format": format,
        "reason": reason,
        "bytes": size,
        "encoding": encoding,
        "payload": text,
        "truncated": size > len(payload),
    }


def readable(payload: bytes, *, cut: bool) -> tuple[str, str]:
    """Return (encoding, text) of a payload; if it was cut, perhaps in mid-character."""
    for missing in range(4 if cut else 1):
        try:
            return "utf-8", payload[: len(payload) - missing].decode()
        except UnicodeDecodeError:
            continue
    return "hex", payload.hex()
