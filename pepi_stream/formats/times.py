"""Providers' times, as columns of ms since 1970 UTC: epoch seconds or ms, and ISO 8601.

ISO 8601 times (as RFC 3339 has them) may have a fraction of any length, and ``Z``, an
offset or nothing, which is UTC. What is finer than a millisecond is cut off, never rounded
up into the next second. Events of a claim share their seconds, so the text before the
fraction is looked up; the rest is two more look-ups. A number that would be past the year 9999 in
seconds is in milliseconds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from pepi_stream.events import MAX_EPOCH_MS, Column, Constant
from pepi_stream.formats.base import FormatError
from pepi_stream.memo import Memo, look_up

_MEMO_SIZE = 50_000  # distinct seconds, or offsets; made-up ones must not grow memory
# Values; a set of whole numbers that were chosen to have one hash takes quadratic time.
_TOGETHER = 1000
_DIGITS = "0123456789"
# Not 24:00, which Python 3.14 reads as the next day's midnight, and those before it do not.
_HOUR = r"(?:[01][0-9]|2[0-3])"
_SECOND = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]" + _HOUR + r":[0-9]{2}:[0-9]{2}")
_ISO = re.compile(_SECOND.pattern + r"(?:[.,]([0-9]+))?(?P<zone>[Zz]?|[+-][0-9]{2}(?::?[0-9]{2})?)")
_ZONE = re.compile(r"([+-])([0-9]{2})(?::?([0-9]{2}))?")


def event_ms(own: Sequence[Any], *others: Callable[[], Sequence[Any]]) -> Column:
    """Return when events happened, in ms since 1970; None where nobody can tell.

    A time never costs an event: where there is none, or a broken one, another column's counts.

    Args:
        own: times, as the provider writes them; a value may be anything.
        others: each returns a column of times to fall back to.
    """
    return with_ms(_known_ms(own), *others)


def with_ms(found: Column, *others: Callable[[], Sequence[Any]]) -> Column:
    """Return a column of ms with other columns' times where it has none, as :func:`event_ms`."""
    for other in others:
        if None not in found:
            break
        column = other()
        if isinstance(found, Constant):
            found = _known_ms(column)
            continue
        missing = [index for index, ms in enumerate(found) if ms is None]
        again = _known_ms([column[index] for index in missing])
        found = list(found)
        for index, ms in zip(missing, again, strict=True):
            found[index] = ms
    return found


def _known_ms(values: Sequence[Any]) -> Column:
    try:
        return (time_ms if values and type(values[0]) is str else epoch_ms)(values, "")
    except FormatError:
        known = [value for value in values if value is not None]
    if not known:
        return Constant(None, len(values))
    if len(known) < len(values):
        made = iter(_known_ms(known))
        return [None if value is None else next(made) for value in values]
    return [_ms_or_none(value) for value in values]


def _ms_or_none(value: Any) -> int | None:
    try:
        return time_ms([value], "")[0]
    except FormatError:
        return None


def epoch_ms(values: Sequence[Any], field: str) -> Sequence[int]:
    """Convert a column of epoch seconds, or ms, to epoch ms.

    Args:
        values: ints, floats, or their decimal text.
        field: the provider's field name, for the message.

    Raises:
        FormatError: one of them is no number, or not between 1970 and 9999.
    """
    if len(values) > _TOGETHER:
        some = (values[at : at + _TOGETHER] for at in range(0, len(values), _TOGETHER))
        return [ms for part in some for ms in epoch_ms(part, field)]
    distinct = list(set(values))
    types = set(map(type, distinct))
    if types <= {int}:
        ms = [v * 1000 for v in distinct]
    elif types <= {int, float}:
        try:
            ms = [round(v * 1000) for v in distinct]
        except (ValueError, OverflowError):  # not finite
            ms = [_one_epoch_ms(v, field) for v in distinct]
    else:
        ms = [_one_epoch_ms(v, field) for v in distinct]
    if ms and max(ms) > MAX_EPOCH_MS:
        ms = [m // 1000 if m > MAX_EPOCH_MS else m for m in ms]
    if ms and (min(ms) < 0 or max(ms) > MAX_EPOCH_MS):
        _refuse(distinct, ms, field, "seconds since 1970, up to the year 9999, expected")
    return look_up(dict(zip(distinct, ms, strict=True)), values)


def iso_ms(values: Sequence[str], field: str) -> list[int]:
    """Convert a column of ISO 8601 times to epoch ms.

    Raises:
        FormatError: one of them is no such time, or not between 1970 and 9999.
    """
    second, fraction, zone = _seconds.__getitem__, _FRACTIONS.__getitem__, _zones.__getitem__
    try:
        ms = [second(t[:19]) + fraction(t[19:23]) + zone(t[23:].lstrip(_DIGITS)) for t in values]
    except (KeyError, ValueError):
        ms = [_one_iso_ms(t, field) for t in values]
    if ms and (min(ms) < 0 or max(ms) > MAX_EPOCH_MS):
        _refuse(values, ms, field, "a time since 1970, up to the year 9999, expected")
    return ms


def time_ms(values: Sequence[Any], field: str) -> Sequence[int]:
    """Convert a column of times, each epoch seconds or an ISO 8601 text, to epoch ms.

    Raises:
        FormatError: one of them is neither, or not between 1970 and 9999.
    """
    iso = [isinstance(v, str) and v[4:5] == "-" == v[7:8] for v in values]
    if True not in iso:
        return epoch_ms(values, field)
    if False not in iso:
        return iso_ms(values, field)
    return [
        (iso_ms if is_iso else epoch_ms)([v], field)[0]
        for v, is_iso in zip(values, iso, strict=True)
    ]


def _second_ms(text: str) -> int:
    if not _SECOND.fullmatch(text):
        raise ValueError
    at = datetime.fromisoformat(f"{text[:10]}T{text[11:]}+00:00")
    return int(at.timestamp()) * 1000


def _zone_ms(text: str) -> int:
    """Return what is to be added to the local time."""
    if text in ("", "Z", "z"):
        return 0
    match = _ZONE.fullmatch(text)
    if not match or int(match[2]) > 23 or int(match[3] or 0) > 59:
        raise ValueError
    ms = (int(match[2]) * 60 + int(match[3] or 0)) * 60_000
    return -ms if match[1] == "+" else ms


_FRACTIONS = {f".{ms:03}": ms for ms in range(1000)}
_seconds = Memo(_second_ms, _MEMO_SIZE)
_zones = Memo(_zone_ms, _MEMO_SIZE)


def _one_iso_ms(text: str, field: str) -> int:
    try:
        match = _ISO.fullmatch(text)
        if not match:
            raise ValueError
        fraction = int((match[1] or "0").ljust(3, "0")[:3])
        return _seconds[text[:19]] + fraction + _zones[match["zone"]]
    except ValueError:
        shown = text[:40] or "empty"
        raise FormatError(f"field {field} is {shown}: a time as of ISO 8601 expected") from None


def _one_epoch_ms(value: Any, field: str) -> int:
    if isinstance(value, int):
        return value * 1000
    try:
        if isinstance(value, str) and ("_" in value or not value.isascii()):
            raise ValueError  # digits for Python, but no provider's
        # Through float, milliseconds are exact until the year 9999 (2**53 ms is later).
        return int(value) * 1000 if str(value).isdecimal() else round(float(value) * 1000)
    except (TypeError, ValueError, OverflowError):
        shown = str(value)[:40] or "empty"
        raise FormatError(f"field {field} is {shown}: seconds since 1970 expected") from None


def _refuse(values: Sequence[Any], ms: Sequence[int], field: str, expected: str) -> None:
    wrong = next(v for v, m in zip(values, ms, strict=True) if not 0 <= m <= MAX_EPOCH_MS)
    raise FormatError(f"field {field} is {wrong!s:.40}: {expected}")
