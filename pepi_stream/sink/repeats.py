"""Repeats: events that a provider or producer sent again, which take no effect a second time.

The table ``pepi_seen`` holds a hash of each event's key for some hours: of its ``event_uid``, or of
the fields that ``sink.dedupe`` lists, because some providers give an event that they send again
another ``event_uid``. A transaction enters those of its events with INSERT IGNORE before it writes
them: what another transaction has entered is a repeat, and what another one is about to enter makes
this one wait for its COMMIT or ROLLBACK.
So it is exact across workers, and a claim that is written again after a failure finds its own
entries gone with the failure. Rows that the table refuses are forgotten again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from pepi_stream.errors import TransientError
from pepi_stream.events import Batch
from pepi_stream.sink.bulk import BulkConnection, NoBulkError
from pepi_stream.sink.connection import execute, execute_bulk, fetch
from pepi_stream.sink.parameters import BLOB, blob

_CHUNK = 10_000  # entries of a statement, at most
_ENTRY = 80  # bytes of one in a statement's text, at most


class Repeat(NamedTuple):
    """An event that was left out.

    Attributes:
        batch: index of its batch in the flush.
        event: its index in the batch.
        uid: hash of its event_uid.
    """

    batch: int
    event: int
    uid: bytes


def uid_hash(uid: object, esp: object = None) -> bytes | None:
    """Return 16 bytes that stand for an event_uid; None for an event without one.

    By the bytes of its text: no collation takes two uids for one. Of its provider, because a
    provider's keys are its own: two may have the same. Empty text is no uid, or all the events of a
    producer that leaves the field empty would be repeats of the first.
    """
    if uid is None or uid == "":
        return None
    return hashlib.blake2b(
        f"{esp}\0{uid}".encode("utf-8", "surrogatepass"), digest_size=16
    ).digest()


def find_repeats(
    uids: Sequence[Sequence[bytes | None]], known: frozenset[bytes] = frozenset()
) -> list[Repeat]:
    """Return the events whose uid is known or was that of an earlier one.

    Args:
        uids: hashes of each batch's events, in order.
        known: hashes that took effect before.
    """
    seen = set(known)
    repeats: list[Repeat] = []
    for number, hashes in enumerate(uids):
        for index, uid in enumerate(hashes):
            if uid is None:
                continue
            if uid in seen:
                repeats.append(Repeat(number, index, uid))
            else:
                seen.add(uid)
    return repeats


def key_hashes(batch: Batch, columns: Sequence[str]) -> list[bytes | None]:
    """Return 16 bytes that stand for each event's key, None for an event without one.

    Args:
        batch: the events.
        columns: of ``sink.dedupe``; an event whose first one is NULL or empty has no key. In the
            others, NULL is a value like any other.
    """
    first, *others = (batch.column(name) for name in columns)
    esps = batch.column("esp")
    if not others:
        return list(map(uid_hash, first, esps))
    return [
        uid_hash(key, esp) if (key := _joined(values)) is not None else None
        for esp, *values in zip(esps, first, *others, strict=True)
    ]


def _joined(values: Sequence[object]) -> str | None:
    """Join the values of a key, so that no two keys are joined alike."""
    if values[0] is None or values[0] == "":
        return None
    return "".join(["-" if v is None else f"{len(text := str(v))}:{text}" for v in values])


async def enter(
    conn: BulkConnection, seen: str, uids: Iterable[bytes], claim: bytes, *, max_bytes: int
) -> frozenset[bytes]:
    """Enter uids in this transaction; return those that another one has entered before.

    Args:
        conn: in a transaction.
        seen: the table of them.
        uids: hashes, each once.
        claim: key of a claim that no other transaction enters uids for.
        max_bytes: of a statement.

    Raises:
        TransientError: the server took some uids for neither new nor known.
    """
    # In order, so that no two transactions wait for each other.
    ordered = sorted(uids)
    known: set[bytes] = set()
    for chunk in _chunks(ordered, max_bytes):
        if await _insert(conn, seen, chunk, claim) == len(chunk):
            continue
        there = await fetch(
            conn, f"SELECT `uid`, `claim_id` FROM `{seen}` WHERE `uid` IN ({_list(chunk)})"
        )
        if len(there) < len(chunk):  # what is not there is no repeat: it must not be left out
            conn.bulk = False
            raise TransientError(
                f"of {len(chunk)} uids only {len(there)} are in {seen}; they go as text now "
                "(sink.bulk = false does so from the start)"
            )
        known.update(uid for uid, owner in there if owner != claim)
    return frozenset(known)


async def forget(conn: BulkConnection, seen: str, uids: Iterable[bytes], *, max_bytes: int) -> None:
    """Take back uids that this transaction entered."""
    for chunk in _chunks(sorted(uids), max_bytes):
        await execute(conn, f"DELETE FROM `{seen}` WHERE `uid` IN ({_list(chunk)})".encode())


def prune_statement(seen: str, hours: int, limit: int) -> bytes:
    """Return the DELETE of at most ``limit`` entries older than ``hours``, the oldest first."""
    return (
        f"DELETE FROM `{seen}` WHERE `seen_at` < CURRENT_TIMESTAMP - INTERVAL {hours} HOUR "
        f"ORDER BY `seen_at` LIMIT {limit}"
    ).encode()


async def _insert(conn: BulkConnection, seen: str, uids: Sequence[bytes], claim: bytes) -> int:
    head = f"INSERT IGNORE INTO `{seen}` (`uid`, `claim_id`) VALUES "
    if conn.bulk:
        owner = blob(claim)
        rows = "".join([blob(uid) + owner for uid in uids]).encode("latin-1")
        try:
            return await execute_bulk(conn, head + "(?,?)", bytes([BLOB, BLOB]), [rows])
        except NoBulkError:
            pass
    owner = f",X'{claim.hex()}'),"
    text = "".join([f"(X'{uid.hex()}'{owner}" for uid in uids])
    return await execute(conn, (head + text[:-1]).encode())


def _list(uids: Sequence[bytes]) -> str:
    return ",".join([f"X'{uid.hex()}'" for uid in uids])


def _chunks(ordered: Sequence[bytes], max_bytes: int) -> Iterator[Sequence[bytes]]:
    rest = iter(ordered)
    while chunk := list(islice(rest, max(1, min(_CHUNK, max_bytes // _ENTRY)))):
        yield chunk
