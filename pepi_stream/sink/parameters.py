"""Column values as parameters of a prepared statement, for many rows at once.

Source of the layout: MariaDB's "COM_STMT_BULK_EXECUTE" and "Protocol data types". A parameter is
an indicator byte (0: a value follows; 1: NULL) and the value: a string behind its length, an
integer in little endian. Rows are made as ``str`` with one character a byte (Latin-1), because
f-strings join those faster than anything joins ``bytes``.

Only what MySQL then treats as it would the literal in an INSERT's text is made a parameter:
``str``, ``int`` and ``bool``. Rows with a value of another type are sent as text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pepi_stream.events import Column, Constant
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


class _Prefixes(dict[int, str]):
    """Length of a string in bytes -> its indicator and length."""

    def __missing__(self, size: int) -> str:
        # "Protocol data types": length-encoded integers.
        if size < 0xFB:
            encoded = bytes([size])
        elif size < 2**16:
            encoded = b"\xfc" + size.to_bytes(2, "little")
        elif size < 2**24:
            encoded = b"\xfd" + size.to_bytes(3, "little")
        else:
            encoded = b"\xfe" + size.to_bytes(8, "little")
        prefix = "\0" + encoded.decode("latin-1")
        if size < 2**16:
            self[size] = prefix
        return prefix


#: For the renderer's f-strings, too: the prefix of a string of so many bytes.
PREFIXES: Final = _Prefixes()


def parameters(values: Column) -> tuple[int, str, Sequence[str]] | None:
    """Render a column.

    Returns:
        (type, kind, values), where kind is "c" for one parameter for all rows, "t" for text whose
        prefix is still missing, and "l" for a parameter a row; None when the column
        holds a value that has to be sent as text.

    Raises:
        UnicodeEncodeError: a value holds a lone surrogate.
    """
    if isinstance(values, Constant):
        rendered = parameters([values.value])
        if rendered is None:
            return None
        code, kind, [value] = rendered
        return code, "c", [PREFIXES[len(value)] + value if kind == "t" else value]
    types = set(map(type, values))
    nullable = _NONE in types
    types.discard(_NONE)
    if not types:
        return UNTYPED, "c", [NULL]
    if types == {str}:
        if not "".join(filter(None, values)).isascii():
            values = [v and (v if v.isascii() else _one_character_a_byte(v)) for v in values]
        if not nullable:
            return STRING, "t", values
        return STRING, "l", [NULL if v is None else PREFIXES[len(v)] + v for v in values]
    if types == {bool}:
        return _TINY, "l", [_BOOLS[v] for v in values]
    if types == {int} and all(v is None or v in _LONGLONG_RANGE for v in values):
        return _LONGLONG, "l", [NULL if v is None else _longlong(v) for v in values]
    return None


def timestamps(values: Column) -> tuple[int, str, Sequence[str]]:
    """Render ms since 1970 as the text of DATETIME(3) in UTC; returns as :func:`parameters`."""
    distinct = set([values.value] if isinstance(values, Constant) else values)
    known = {ms: NULL if ms is None else _string(timestamp_text(ms)) for ms in distinct}
    if len(known) == 1:
        return STRING, "c", list(known.values())
    return STRING, "l", [known[ms] for ms in values]


def blob(raw: bytes) -> str:
    """Return bytes as a parameter of the type BLOB."""
    return PREFIXES[len(raw)] + raw.decode("latin-1")


def _string(text: str) -> str:
    encoded = text if text.isascii() else _one_character_a_byte(text)
    return PREFIXES[len(encoded)] + encoded


def _one_character_a_byte(text: str) -> str:
    return text.encode().decode("latin-1")


def _longlong(value: int) -> str:
    return "\0" + value.to_bytes(8, "little", signed=True).decode("latin-1")
