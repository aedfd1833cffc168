"""The sink's SQL, as bytes ready to send: every statement of the transaction is here."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import accumulate

from pepi_stream.claims.claim import Claim
from pepi_stream.claims.protocol import PROTOCOL
from pepi_stream.events import DeadLetter, WindowKey
from pepi_stream.sink.literals import quote, quote_bytes
from pepi_stream.windows import Window

_LEDGER_COLUMNS = ("claim_id", "payloads", "digest", "version")
_DEAD_COLUMNS = ("claim_id", "position", "element", "part", "reason", "format", "payload")

#: Room left in a packet for a statement's head and the protocol's own bytes.
PACKET_RESERVE = 4096

#: The smallest max_allowed_packet, in bytes, in which any row of a window, and a part of any dead
#: letter beside its reason, has room.
MIN_PACKET = 16_384
PACKET_REMEDY = "SET GLOBAL max_allowed_packet = 67108864, and in the server's configuration"


def insert_ledger(ledger: str, claims: Iterable[Claim]) -> bytes:
    """Return the INSERT of claims into the ledger, under this release's protocol version."""
    return (
        insert_head(ledger, _LEDGER_COLUMNS)
        + ",".join(
            f"(X'{c.key.hex()}',{len(c.payloads)},X'{c.digest.hex()}',{PROTOCOL})" for c in claims
        )
    ).encode()


def select_ledger(ledger: str, claims: Iterable[Claim]) -> str:
    """Return the query for (claim_id, payloads, digest, version) of those claims it knows."""
    ids = ",".join(f"X'{c.key.hex()}'" for c in claims)
    return (
        f"SELECT `claim_id`, `payloads`, `digest`, `version` FROM `{ledger}` "
        f"WHERE `claim_id` IN ({ids})"
    )


def packet_problem(packet: int) -> str | None:
    """Say what is wrong with a server's max_allowed_packet in bytes; None when it will do."""
    if packet >= MIN_PACKET:
        return None
    return f"max_allowed_packet is {packet} bytes, and {MIN_PACKET} are needed at least"


def delete_nothing(ledger: str) -> bytes:
    """Return a DELETE that a server refuses when it takes no writes, and that finds nothing."""
    return f"DELETE FROM `{ledger}` WHERE `claim_id` = X'{'0' * 32}'".encode()


def prune_ledger(ledger: str, before: bytes, days: int, limit: int) -> bytes:
    """Return the DELETE of at most ``limit`` old claims, oldest first.

    Args:
        ledger: its table.
        before: only ids below this key, so that the primary key finds them.
        days: only claims committed so many days ago by MySQL's clock: a worker whose clock
            is ahead must not make the ledger forget what it still has to know.
        limit: rows of one statement.
    """
    return (
        f"DELETE FROM `{ledger}` WHERE `claim_id` < X'{before.hex()}' "
        f"AND `committed_at` < CURRENT_TIMESTAMP(3) - INTERVAL {days} DAY "
        f"ORDER BY `claim_id` LIMIT {limit}"
    ).encode()


def insert_head(table: str, names: Sequence[str]) -> str:
    """Return the head of a multi-row INSERT."""
    return f"INSERT INTO `{table}` ({', '.join(f'`{n}`' for n in names)}) VALUES "


def insert_rows(head: str, rows: Sequence[str]) -> bytes:
    """Return the INSERT of rendered rows.

    Raises:
        UnicodeEncodeError: a row holds a lone surrogate, which is no Unicode text.
    """
    return f"{head}({'),('.join(rows)})".encode()


def insert_values(head: str, values: Sequence[bytes]) -> bytes:
    """Return the INSERT of batches' joined rows (:attr:`Rendered.body`)."""
    return b"%s(%s)" % (head.encode(), b"),(".join(values))


def insert_placeholders(head: str, columns: int) -> str:
    """Return the INSERT to prepare for rows of parameters."""
    return f"{head}({','.join('?' * columns)})"


class RowCut:
    """Cuts rendered rows into statements of a bounded size.

    Args:
        rows: all of them.
        room: bytes that the rows of one statement may take.
    """

    def __init__(self, rows: Sequence[str], room: int) -> None:
        self._room = room
        self._ends: list[int] | None = None
        # A character is at most four bytes of UTF-8, and three separate a row from the next.
        if 4 * sum(map(len, rows)) + 3 * len(rows) > room:
            self._ends = [0, *accumulate(map(_row_bytes, rows))]

    def stop(self, first: int, stop: int) -> int:
        """Return where a statement of the rows from ``first`` must stop: at ``stop`` or before.

        It holds at least one row, however long.
        """
        ends = self._ends
        if ends is None or ends[stop] - ends[first] <= self._room:
            return stop
        return max(first + 1, bisect_right(ends, ends[first] + self._room) - 1)


def _row_bytes(row: str) -> int:
    return 3 + (len(row) if row.isascii() else len(row.encode("utf-8", "surrogatepass")))


def insert_dead(
    table: str, letters: Iterable[tuple[Claim, str, DeadLetter]], max_bytes: int
) -> Iterator[bytes]:
    """Yield the INSERTs of dead letters, none longer than ``max_bytes``.

    A payload that does not fit in one is kept in several rows, ``part`` 0, 1, ... Few and small
    statements, because a statement is copied several times on its way to the server.

    Args:
        table: of the dead letters.
        letters: (claim, name of the format, dead letter).
        max_bytes: of a statement, 8 KiB or more (a reason has to fit beside a part); less than
            the server's max_allowed_packet.
    """
    head = insert_head(table, _DEAD_COLUMNS).encode()
    room = max(max_bytes - PACKET_RESERVE, max_bytes // 2)
    values: list[bytes] = []
    size = 0
    for claim, format, letter in letters:
        element = "NULL" if letter.element is None else str(letter.element)
        reason = quote(letter.reason.encode("utf-8", "replace").decode())
        # Escaping doubles a payload at most, so half of the room always holds a part.
        step = room // 2
        assert step > 0, f"no room for a dead letter in {max_bytes} bytes"
        for part, start in enumerate(range(0, len(letter.payload) or 1, step)):
            row = (
                (
                    f"(X'{claim.key.hex()}',{letter.position},{element},{part},{reason},"
                    f"{quote(format)},"
                ).encode()
                + quote_bytes(letter.payload[start : start + step])
                + b")"
            )
            if values and size + len(row) > room:
                yield head + b",".join(values)
                values, size = [], 0
            values.append(row)
            size += len(row) + 1
    if values:
        yield head + b",".join(values)


def upsert_window(
    table: str, window: Window, counts: Counter[WindowKey], packet: int
) -> Iterator[bytes]:
    """Yield the upserts of a window's counts, keys sorted, none longer than ``packet`` bytes.

    Sorted, so that every connection locks the rows in the same order.
    """
    names = ["window_start", "dimensions", *window.by, "n"]
    head = insert_head(table, names)
    tail = " ON DUPLICATE KEY UPDATE `n` = `n` + VALUES(`n`)"
    room = packet - PACKET_RESERVE
    values: list[str] = []
    size = 0
    for start, digest, key in sorted((key.start, key.hash(), key) for key in counts):
        by = "".join(f",{quote(value)}" for value in key.values)
        begin = datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%d %H:%M:%S")
        row = f"('{begin}',X'{digest.hex()}'{by},{counts[key]})"
        # A character is at most four bytes of UTF-8.
        if values and size + 4 * len(row) > room:
            yield (head + ",".join(values) + tail).encode("utf-8", "replace")
            values, size = [], 0
        values.append(row)
        size += 4 * len(row)
    if values:
        yield (head + ",".join(values) + tail).encode("utf-8", "replace")
