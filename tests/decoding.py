"""What every decoded claim must be, whatever was in it."""

from __future__ import annotations

import sys
from typing import Any

from pepi_stream.formats import Decoded, Format

#: Nested deeper than msgspec reads. Python stops it: 3.11 and 3.12 at one or two thousand, 3.13 at
#: 16,000, and from 3.14 on where the stack ends (in 8 MiB, at 512,000 of what is skipped).
DEEP = 100_000 if sys.version_info < (3, 14) else 600_000


def origins(decoded: Decoded) -> list[tuple[int, int | None]]:
    return list(decoded.origins or [(n, None) for n in range(decoded.size)])


def row(decoded: Decoded, index: int = 0) -> dict[str, Any]:
    columns = decoded.columns.items()
    return {name: column[index] for name, column in columns if column[index] is not None}


def check_partition(format: Format, payloads: list[bytes], decoded: Decoded) -> None:
    rows = origins(decoded)
    dead = [(letter.position, letter.element) for letter in decoded.dead]
    assert len(rows) == decoded.size
    assert all(len(column) == decoded.size for column in decoded.columns.values())
    assert len({*rows, *dead}) == len(rows) + len(dead)  # each record in one of them, once
    assert {position for position, _ in (*rows, *dead)} == set(range(len(payloads)))
    for position in range(len(payloads)):
        elements = {element for p, element in (*rows, *dead) if p == position}
        assert elements == {None} or elements == set(range(len(elements)))
    for letter in decoded.dead:
        whole = payloads[letter.position]
        element = letter.element
        assert letter.payload == (whole if element is None else format.element(whole, element))
        assert 0 < len(letter.reason) <= 500
