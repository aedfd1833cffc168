"""Reads a record of which some field is not what its type says.

Only what identifies an event may cost it: what happened, and to what. A record's type says what
that is: its fields without a default, and what stands in a list of such. Any other value that does
not fit reads as absent, and a text that is cut in the middle of a character keeps the rest. This
is slow, and only what the typed decoder has refused gets here (docs/decisions/0024).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from functools import cache
from typing import Any, Final, Generic, TypeVar

import msgspec
from msgspec import inspect

T = TypeVar("T")

_Fit = Callable[[Any], Any]

_ABSENT: Final = object()
_MAX_DIGITS: Final = 4300  # of a whole number: Python's own limit, since more take quadratic time
_NO_CHARACTER: Final = re.compile("[\ud800-\udfff]")
# Within a JSON text: a backslash and what it escapes.
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.S,
)


class LenientDecoder(Generic[T]):
    """Decodes what the typed decoder of a record has refused.

    Args:
        record: the msgspec type.
    """

    def __init__(self, record: type[T]) -> None:
        self._record = record
        self._fit = _fitting(inspect.type_info(record))

    def __call__(self, raw: bytes | msgspec.Raw, refused: Exception) -> T:
        """Return the record, without what does not fit.

        Args:
            raw: a JSON object.
            refused: what the typed decoder raised for it.

        Raises:
            Exception: what was raised before, for what is no JSON object; else what is wrong with
                a field that identifies the event.
        """
        try:
            if isinstance(refused, RecursionError) or (value := _read(raw)) is None:
                raise refused
            try:
                fitted = self._fit(value)
            except _BrokenTextError as exc:
                if not isinstance(refused, msgspec.ValidationError):
                    raise refused from None
                why = f"half of a surrogate pair, or no UTF-8 - at `$.{exc}`"
                raise msgspec.ValidationError(why) from None
            return msgspec.convert(fitted, self._record)
        finally:
            del refused  # or its traceback and this frame, and so the claim, would hold each other


def _read(raw: bytes | msgspec.Raw) -> dict[str, Any] | None:
    """Return an object of JSON; None for what is none. What is no UTF-8 is lone surrogates."""
    try:
        text = bytes(raw).decode("utf-8", "surrogateescape")
        value = json.loads(text, parse_int=_whole, parse_constant=_no_json)
    except ValueError:
        return None
    return value if type(value) is dict else None


@cache
def lenient_decoder(record: type[T]) -> LenientDecoder[T]:
    """Return the lenient decoder of a record's type; it is made once."""
    return LenientDecoder(record)


def whole_characters(raw: bytes) -> bytes:
    """Return JSON in which halves of escaped surrogate pairs are replacement characters."""
    return _ESCAPE.sub(lambda match: rb"\ufffd" if match[1] else match[0], raw)


class _BrokenTextError(Exception):
    """A text that identifies an event is cut in the middle of a character."""


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_DIGITS else math.inf


def _no_json(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _fitting(info: inspect.Type) -> _Fit:
    """Return a function from a value to what of it is of a type; _ABSENT when it is of another."""
    if isinstance(info, inspect.StructType):
        return _object(info)
    if isinstance(info, inspect.UnionType):
        return _any_of([_fitting(member) for member in info.types])
    if isinstance(info, inspect.ListType):
        return _list(info)
    if isinstance(info, inspect.DictType):
        identified = _identified(info.value_type)
        return lambda v: (
            {key: identified(key, e) for key, e in v.items()} if type(v) is dict else _ABSENT
        )
    return _FITS.get(type(info), lambda value: value)


def _text(value: Any) -> Any:
    return _NO_CHARACTER.sub("\ufffd", value) if type(value) is str else _ABSENT


_FITS: Final[dict[type, _Fit]] = {
    inspect.StrType: _text,
    inspect.BoolType: lambda v: v if type(v) is bool else _ABSENT,
    inspect.IntType: lambda v: v if type(v) is int else _ABSENT,
    inspect.FloatType: lambda v: v if type(v) in (int, float) and _finite(v) else _ABSENT,
    inspect.NoneType: lambda v: v if v is None else _ABSENT,
}


def _finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # a whole number beyond all floats
        return False


def _any_of(fits: list[_Fit]) -> _Fit:
    def fit(value: Any) -> Any:
        for member in fits:
            if (fitted := member(value)) is not _ABSENT:
                return fitted
        return _ABSENT

    return fit


def _list(info: inspect.ListType) -> _Fit:
    item = info.item_type
    if isinstance(item, inspect.StructType) and any(field.required for field in item.fields):
        identified = _identified(item)
        return lambda v: [identified("", e) for e in v] if type(v) is list else _ABSENT
    fit_item = _fitting(item)
    return lambda value: (
        [fitted for element in value if (fitted := fit_item(element)) is not _ABSENT]
        if type(value) is list
        else _ABSENT
    )


def _object(info: inspect.StructType) -> _Fit:
    fields = [
        (f.encode_name, (_identified if f.required else _decorative)(f.type)) for f in info.fields
    ]

    def fit(value: Any) -> Any:
        if type(value) is not dict:
            return _ABSENT
        found = {n: fit_one(n, value[n]) for n, fit_one in fields if n in value}
        return {name: fitted for name, fitted in found.items() if fitted is not _ABSENT}

    return fit


def _decorative(info: inspect.Type) -> Callable[[str, Any], Any]:
    fit = _fitting(info)
    return lambda _, value: fit(value)


def _identified(info: inspect.Type) -> Callable[[str, Any], Any]:
    """Keep what does not fit: msgspec says what is wrong with it."""
    fit = _fitting(info)

    def fit_or_keep(name: str, value: Any) -> Any:
        if type(value) is str and _NO_CHARACTER.search(value):
            raise _BrokenTextError(name)
        fitted = fit(value)
        return value if fitted is _ABSENT else fitted

    return fit_or_keep
