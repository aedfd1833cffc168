"""Columns of values as columns of SQL literals.

Escaping: in a single-quoted string MySQL needs only the quote and the backslash escaped
(MySQL manual, "String Literals"); the session's sql_mode is set without
NO_BACKSLASH_ESCAPES, under which a backslash escape would be an injection hole. The fast
path is two scans of a whole column for those two characters; most columns have neither.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from pepi_stream.memo import look_up

NULL = "NULL"
_NONE = type(None)


def quote(text: str) -> str:
    """Return text as a SQL string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def quote_bytes(raw: bytes) -> bytes:
    """Return bytes as a SQL binary string literal."""
    return b"_binary'" + raw.replace(b"\\", b"\\\\").replace(b"'", b"\\'") + b"'"


def is_clean_text(values: Sequence[Any]) -> bool:
    """Tell whether every value is a str that needs no escaping, only its quotes."""
    try:
        scan = "".join(values)
    except TypeError:
        return False
    return "'" not in scan and "\\" not in scan


def literals(values: Sequence[Any]) -> Sequence[str]:
    """Render a column.

    Args:
        values: str (or of a subclass: its text), int, float, bool, bytes, datetime (aware, or naive
            in UTC) or None.

    Raises:
        TypeError: for a value of any other type.
    """
    try:
        distinct = set(values)
    except TypeError:  # a list or dict, which literal() refuses by name
        return [literal(v) for v in values]
    # Of one type: 1, 1.0 and True are equal, and not written alike.
    if len(distinct) * 2 <= len(values) and len(set(map(type, values)) - {_NONE}) < 2:
        return look_up({v: literal(v) for v in distinct}, values)
    return [literal(v) for v in values]


def literal(value: object) -> str:
    """Render one value; raises TypeError for a type that SQL has no literal for."""
    return _LITERAL.get(type(value), _unknown)(value)


def timestamp_literals(values: Sequence[int | None]) -> Sequence[str]:
    """Render ms since 1970 as DATETIME(3) literals in UTC."""
    return look_up({ms: _timestamp(ms) for ms in set(values)}, values)


def timestamp_text(ms: int) -> str:
    """Return ms since 1970 as the text of a DATETIME(3) in UTC."""
    return f"{_second(ms // 1000)}.{ms % 1000:03d}"


def _timestamp(ms: int | None) -> str:
    return NULL if ms is None else f"'{timestamp_text(ms)}'"


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S").rjust(19, "0")


def _datetime(value: datetime) -> str:
    if value.tzinfo is not None:
        value = value.astimezone(UTC)
    text = value.replace(tzinfo=None).isoformat(" ", "microseconds")
    return f"'{text}'"


def _float(value: float) -> str:
    if not math.isfinite(value):
        return NULL  # SQL has no NaN and no infinity
    return repr(value)


def _unknown(value: object) -> str:
    if isinstance(value, str):  # a member of an Enum, say
        return quote(str.__str__(value))
    raise TypeError(f"a column value of type {type(value).__name__} cannot be written to MySQL")


_LITERAL: dict[type, Callable[[Any], str]] = {
    _NONE: lambda _: NULL,
    str: quote,
    int: str,
    bool: lambda v: "1" if v else "0",
    float: _float,
    bytes: lambda v: f"X'{v.hex()}'",
    datetime: _datetime,
}
