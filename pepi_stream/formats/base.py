"""What a format is, and the two ways to write one.

``FunctionFormat`` wraps a user's function ``bytes -> events``. ``JsonFormat`` is the fast
way for JSON: a typed record, decoded by msgspec, and one function that turns a whole
claim's records into columns.
"""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any, ClassVar, Final, Generic, TypeVar

import msgspec

from pepi_stream.events import (
    EVENT_FIELDS,
    MAX_EPOCH_MS,
    MAX_REASON,
    Column,
    DeadLetter,
    Event,
    Origin,
)
from pepi_stream.formats.addresses import addresses
from pepi_stream.formats.arrays import begins_array, elements
from pepi_stream.formats.lenient import lenient_decoder

T = TypeVar("T")

_MAX_UID = 255  # characters
_TOGETHER = 32  # records; one that is refused costs a try of each of so many alone
_TRUTH: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


class FormatError(ValueError):
    """A record cannot become an event; the message says why, for a person to read."""


class Decoded:
    """What a format made of a claim: columns of Event fields, and dead letters.

    Of a recipient, whatever format it comes from, the address alone is kept.
    """

    __slots__ = ("columns", "dead", "origins", "size")

    def __init__(
        self,
        size: int,
        columns: dict[str, Column],
        origins: Sequence[Origin] | None = None,
        dead: list[DeadLetter] | None = None,
    ) -> None:
        if "recipient" in columns:
            columns["recipient"] = addresses(columns["recipient"])
        self.size = size
        self.columns = columns
        self.origins = origins
        self.dead = dead if dead is not None else []


class Format(ABC):
    """Turns a claim's payloads into columns.

    The rule for every format: each record is an event or a dead letter; no record makes
    decode raise, and none touches its neighbours.

    Attributes:
        name: shown in dead letters.
        wanted: the columns that anybody reads, if that is known; a format may leave others out.
    """

    name: str
    wanted: frozenset[str] | None = None

    @abstractmethod
    def decode(self, payloads: Sequence[bytes]) -> Decoded:
        """Decode payloads, in order. Never raises for what a payload holds."""

    def element(self, payload: bytes, index: int) -> bytes:
        """Return the bytes of element ``index`` of a payload that holds several events.

        They are a payload themselves: pushed alone, they make that one event.
        """
        return payload

    def taken_for(self, payload: bytes) -> str | None:
        """Return the name of the format that read a payload; None when it is this one."""
        return None

    def wants(self, column: str) -> bool:
        """Tell whether anybody reads a column; what nobody reads need not be made."""
        return self.wanted is None or column in self.wanted


class FunctionFormat(Format):
    """A format made of a function.

    Args:
        name: shown in dead letters.
        function: takes one payload, returns its events; raises
            :class:`FormatError` (or any ValueError) with a reason a person understands.
    """

    def __init__(self, name: str, function: Callable[[bytes], Iterable[Event]]) -> None:
        self.name = name
        self._function = function

    def decode(self, payloads: Sequence[bytes]) -> Decoded:
        """Call the function once a payload; what it raises makes a dead letter."""
        events: list[Event] = []
        origins: list[Origin] = []
        dead: list[DeadLetter] = []
        for position, payload in enumerate(payloads):
            try:
                made = list(self._function(payload))
                if not made:
                    raise FormatError("no event in the payload")
                for event in made:
                    _check_event(event)
            except Exception as exc:
                dead.append(DeadLetter(position, None, payload, reason_of(exc)))
                continue
            events += made
            origins += [(position, i if len(made) > 1 else None) for i in range(len(made))]
        columns: dict[str, Column] = {
            name: list(map(attrgetter(name), events)) for name in EVENT_FIELDS
        }
        return Decoded(len(events), columns, origins, dead)


_Item = tuple[T, Origin, bytes | msgspec.Raw]

#: What decoding raises for a payload that is no event, or not of the format.
REFUSALS: Final = (msgspec.MsgspecError, ValueError, RecursionError, OverflowError)


class JsonFormat(Format, Generic[T]):
    """A format whose payloads are JSON objects, or arrays of them.

    Subclasses set ``name`` and ``record`` (a msgspec type for one object) and write
    :meth:`columns`. The happy path decodes every payload with one typed decoder and
    converts all records in one call; when anything raises, the claim is taken record
    by record, so that each bad record is found and no other is touched. Of a record that does not
    fit its type, what does not identify the event is left out (``lenient``).

    One ``decode`` per payload, not one over the joined claim: joining was measured
    slower, and lets a crafted payload swallow its neighbours (docs/decisions/0003).
    """

    record: ClassVar[Any]

    def __init__(self) -> None:
        record = self.record
        self._decode = msgspec.json.Decoder(record | list[record]).decode  # type: ignore[valid-type]
        self._decode_one = msgspec.json.Decoder(self.record).decode
        self._split_payload = b""
        self._split_elements: list[bytes | msgspec.Raw] = []

    @abstractmethod
    def columns(self, records: Sequence[T]) -> dict[str, Column]:
        """Turn records into columns of :class:`Event` fields.

        Raises ValueError (a FormatError with the reason, for one record alone) when any
        record cannot become an event.
        """

    def decode(self, payloads: Sequence[bytes]) -> Decoded:
        """Decode a claim, the whole of it at once if it is clean."""
        try:
            return self.at_once(payloads)
        except REFUSALS:
            return self.record_by_record(payloads)

    def at_once(
        self, payloads: Sequence[bytes], decode: Callable[[bytes], Any] | None = None
    ) -> Decoded:
        """Decode a clean claim.

        Args:
            payloads: of the claim.
            decode: from one payload to a record, or a list of them; then each record has to
                be one that only this format knows. By default any payload of this format.

        Raises:
            REFUSALS: something in it is no event.
        """
        records = list(map(decode or self._decode, payloads))
        origins: list[Origin] | None = None
        if list in set(map(type, records)):
            records, origins = flatten(records)
        if decode and not self.owns(records):
            raise FormatError("not of this format alone")
        return Decoded(len(records), self.columns(records), origins)

    def owns(self, records: Sequence[T]) -> bool:
        """Tell whether each record holds something that no other format's records hold."""
        return True

    def element(self, payload: bytes, index: int) -> bytes:
        """Return the bytes of element ``index`` of a payload that holds several events.

        Keeps the last payload's elements: those of one payload are asked for together.
        """
        if self._split_payload is not payload:
            self._split_payload = payload
            self._split_elements = [raw for _, raw in self._split(payload)]
        return bytes(self._split_elements[index])

    def record_by_record(self, payloads: Sequence[bytes]) -> Decoded:
        """Decode a claim that is not clean: what is wrong with a record is its dead letter."""
        good: list[_Item[T]] = []
        dead: list[DeadLetter] = []
        same: dict[str, str] = {}  # an array of numbers: one reason, not a million copies of it
        for position, payload in enumerate(payloads):
            try:
                for element, raw in self._split(payload):
                    try:
                        good.append((self._read(raw), (position, element), raw))
                    except Exception as exc:
                        reason = reason_of(exc, raw)
                        reason = same.setdefault(reason, reason)
                        dead.append(DeadLetter(position, element, bytes(raw), reason))
            except Exception as exc:
                dead.append(DeadLetter(position, None, payload, reason_of(exc)))
        try:
            columns = self.columns([record for record, _, _ in good])
        except Exception:
            some = (good[n : n + _TOGETHER] for n in range(0, len(good), _TOGETHER))
            good = [item for items in some for item in self._accepted(items, dead)]
            columns = self.columns([record for record, _, _ in good])
        dead.sort(key=lambda letter: (letter.position, letter.element or 0))
        return Decoded(len(good), columns, [origin for _, origin, _ in good], dead)

    def _read(self, raw: bytes | msgspec.Raw) -> T:
        try:
            record: T = self._decode_one(raw)
        except REFUSALS as exc:
            record = lenient_decoder(self.record)(raw, exc)
        return record

    def _accepted(self, items: list[_Item[T]], dead: list[DeadLetter]) -> list[_Item[T]]:
        try:
            self.columns([record for record, _, _ in items])
        except Exception:
            return [item for item in items if not self._refused(item, dead)]
        return items

    def _refused(self, item: _Item[T], dead: list[DeadLetter]) -> bool:
        record, (position, element), raw = item
        try:
            self.columns([record])
        except Exception as exc:
            dead.append(DeadLetter(position, element, bytes(raw), reason_of(exc, raw)))
            return True
        return False

    def _split(self, payload: bytes) -> Iterable[tuple[int | None, bytes | msgspec.Raw]]:
        """Return (element, bytes) of each record; raise when it is an array, but not of JSON."""
        if not begins_array(payload):
            return [(None, payload)]
        found = elements(payload)
        if not found:
            raise FormatError("no event in the payload")
        return enumerate(found)


def flatten(items: Sequence[Any]) -> tuple[list[Any], list[Origin]]:
    """Take arrays apart: return all records, and where each came from."""
    records: list[Any] = []
    origins: list[Origin] = []
    for position, item in enumerate(items):
        if type(item) is list:
            if not item:
                raise FormatError("no event in the payload")
            records += item
            origins += [(position, i) for i in range(len(item))]
        else:
            records.append(item)
            origins.append((position, None))
    return records, origins


_EXPECTED = re.compile(r"^Expected (.+?)(?:, got `(.+?)`)?(?: - at `\$\.?(.*?)`)?$", re.S)
_AT = re.compile(r"^(.+) - at `\$\.(.+)`$", re.S)
_FIRST_HALF = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])")
_MISSING = re.compile(r"^Object missing required field `(.+?)`")


def reason_of(exc: Exception, raw: bytes | msgspec.Raw = b"x") -> str:
    """Say in words why a record was refused."""
    if not len(bytes(raw).strip()):
        return "empty payload"
    text = str(exc)
    if isinstance(exc, UnicodeDecodeError):
        reason = f"not valid UTF-8: {exc.reason} in a text value"
    elif isinstance(exc, msgspec.ValidationError):
        if missing := _MISSING.match(text):
            reason = f"field {missing[1]} is missing"
        elif expected := _EXPECTED.match(text):
            where = f"field {expected[3]}" if expected[3] else "the record"
            got = f", not {expected[2]}" if expected[2] else ""
            reason = f"{where} must be {expected[1].replace('`', '')}{got}"
        elif at := _AT.match(text):
            reason = f"field {at[2]}: {at[1]}"
        else:
            reason = text
    elif isinstance(exc, msgspec.DecodeError):
        detail = text.removeprefix("JSON is malformed: ")
        if _FIRST_HALF.search(bytes(raw)):
            detail = "half of an escaped utf-16 surrogate pair in a text value"
        elif "truncated" in text:
            detail = "it ends too early"
        reason = f"not JSON: {detail}"
    elif isinstance(exc, RecursionError):
        reason = "nested too deeply"
    elif isinstance(exc, FormatError):
        reason = text
    else:
        reason = f"{type(exc).__name__}: {text}"
    return reason[:MAX_REASON]


def short_uids(uids: Sequence[str | None]) -> Sequence[str | None]:
    """Make event uids fit their column: what is too long becomes its SHA-256 in hex."""
    try:
        longest = max(set(map(len, uids)), default=0)  # type: ignore[arg-type]
    except TypeError:  # a None
        longest = max(map(len, filter(None, uids)), default=0)
    if longest <= _MAX_UID:
        return uids
    return [
        uid
        if uid is None or len(uid) <= _MAX_UID
        else hashlib.sha256(uid.encode("utf-8", "surrogatepass")).hexdigest()
        for uid in uids
    ]


def without_time(uids: Sequence[str | None], times: Sequence[int | None]) -> Sequence[str | None]:
    """Leave out the event uids that were made of a time which is not known."""
    if None not in times:
        return uids
    return [None if ms is None else uid for uid, ms in zip(uids, times, strict=True)]


def truth(value: bool | float | str | None) -> bool | None:
    """Return a provider's yes or no, however it writes it; None for what is neither."""
    if value is None or type(value) is bool:
        return value
    return _TRUTH.get(str(value).lower())


def not_all_none(columns: dict[str, Column], name: str, values: list[Any]) -> None:
    """Add a column, unless nobody filled it."""
    if values.count(None) < len(values):
        columns[name] = values


def _check_event(event: object) -> None:
    if not isinstance(event, Event):
        raise FormatError(f"the format made a {type(event).__name__}, not an Event")
    at = event.occurred_at
    if at is not None and not (type(at) is int and 0 <= at <= MAX_EPOCH_MS):
        raise FormatError(
            f"field occurred_at is {at!s:.40}: whole ms since 1970, up to the year 9999, expected"
        )
