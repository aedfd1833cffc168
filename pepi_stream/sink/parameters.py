"""Column values as parameters of a prepared statement, for many rows at once.

Source of the layout: MariaDB's "COM_STMT_BULK_EXECUTE" and "Protocol data types". A parameter is
an indicator byte (0: a value follows; 1: NULL) and the value: a string behind its length, an
integer in little endian. Rows are made as ``str`` with one character a byte (Latin-1), because
that is joined faster than ``bytes``, and most texts need no step to become it.

Only what MySQL then treats as it would the literal in an INSERT's text is made a parameter:
``str``, ``int`` and ``bool``. Rows with a value of another type are sent as text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pepi_stream.events import Column, Constant
from pepi_stream.memo import ColumnMemo, look_up
from pepi_stream.sink.cells import Cells
from pepi_stream.sink.literals import timestamp_text

NULL: Final = "\1"
_NONE: Final = type(None)

#: Types of parameters. UNTYPED is of a column that is NULL in all rows: any type will do.
UNTYPED: Final = 6
_TINY: Final = 1
_LONGLONG: Final = 8
STRING: Final = 253
BLOB: Final = 252
_LONGLONG_RANGE: Final = range(-(2**63), 2**63)
_BOOLS: Final = {None: NULL, False: "\0\0", True: "\0\1"}
_SAMPLE: Final = 64  # values of a column that say whether it has few distinct ones


def _prefix(size: int) -> str:
    """Return what stands before a string of so many bytes: its indicator and length."""
    # "Protocol data types": length-encoded integers.
    if size < 0xFB:
        encoded = bytes([size])
    elif size < 2**16:
        encoded = b"\xfc" + size.to_bytes(2, "little")
    elif size < 2**24:
        encoded = b"\xfd" + size.to_bytes(3, "little")
    else:
        encoded = b"\xfe" + size.to_bytes(8, "little")
    return "\0" + encoded.decode("latin-1")


_PREFIXES: Final = {size: _prefix(size) for size in range(1024)}


def parameters(values: Column) -> tuple[int, Cells] | None:
    """Render a column.

    Returns:
        The parameters' type, and the cells of a row; None when the column holds a value that has
        to be sent as text.

    Raises:
        UnicodeEncodeError: a value holds a lone surrogate.
    """
    if isinstance(values, Constant):
        rendered = parameters([values.value])
        if rendered is None:
            return None
        code, cells = rendered
        return code, ["".join(cell[0] for cell in cells)]
    sample = values[:_SAMPLE]
    kinds = set(map(type, sample)) - {_NONE}
    if not kinds and values.count(None) == len(values):
        return UNTYPED, [NULL]
    if kinds <= {str}:
        try:
            return STRING, _texts(values, [text for text in sample if text is not None])
        except TypeError:  # other values follow
            pass
    kinds = set(map(type, values)) - {_NONE}
    if kinds == {bool}:
        return _TINY, [look_up(_BOOLS, values)]
    if kinds == {int} and all(v is None or v in _LONGLONG_RANGE for v in values):
        return _LONGLONG, [[NULL if v is None else _longlong(v) for v in values]]
    return None


def timestamps(values: Column) -> tuple[int, Cells]:
    """Render ms since 1970 as the text of DATETIME(3) in UTC; returns as :func:`parameters`."""
    distinct = set([values.value] if isinstance(values, Constant) else values)
    known = {ms: NULL if ms is None else _string(timestamp_text(ms)) for ms in distinct}
    return STRING, list(known.values()) if len(known) == 1 else [look_up(known, values)]


def blob(raw: bytes) -> str:
    """Return bytes as a parameter of the type BLOB."""
    return _prefix(len(raw)) + raw.decode("latin-1")


def _texts(values: Column, sample: Sequence[str]) -> Cells:
    """Render texts and None; ``sample`` is of the texts. Raises TypeError for anything else."""
    if sample and 2 * len(set(sample)) <= len(sample):
        return [_strings(values)]
    try:
        joined, complete = "".join(values), True
    except TypeError:
        joined, complete = "".join(filter(None, values)), False
    if not joined.isascii():
        values = [v and (v if v.isascii() else _one_character_a_byte(v)) for v in values]
    if complete:
        return [_prefixes(list(map(len, values))), values]
    try:
        return [[NULL if v is None else _PREFIXES[len(v)] + v for v in values]]
    except KeyError:
        return [[NULL if v is None else _prefix(len(v)) + v for v in values]]


def _prefixes(sizes: Sequence[int]) -> Sequence[str]:
    try:
        return look_up(_PREFIXES, sizes)
    except KeyError:
        return list(map(_prefix, sizes))


def _string(text: str | None) -> str:
    if text is None:
        return NULL
    if type(text) is not str:  # of a subclass, either: what it holds would be kept, too
        raise TypeError("no text")
    encoded = _one_character_a_byte(text)
    return _prefix(len(encoded)) + encoded


# 2,048 texts of 256 characters are 5 MiB at most.
_strings: Final = ColumnMemo(_string, size=2048, longest=256)


def _one_character_a_byte(text: str) -> str:
    return text.encode().decode("latin-1")


def _longlong(value: int) -> str:
    return "\0" + value.to_bytes(8, "little", signed=True).decode("latin-1")
