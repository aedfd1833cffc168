"""``auto``: each payload is read by the format whose keys it has.

A payload is told apart by the keys of its record (:data:`_KEYS`). That alone would cost as
much as decoding, so the first bytes of a payload serve as a guess: what began so last time
was of that format. All payloads of one guess are decoded in one go, by that format's own
record to which the telling keys of all *other* formats are added as fields that no value
fits. So a guess is never trusted: what a format accepts in this way has the keys of that format
and of no other, and is what the keys would have said. Everything else is told apart by its keys,
and read by the format they name; where that refuses it, by the others that the keys allow.

An array is of one provider: that of the first record whose keys tell. Payloads keep their order.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence, Set
from functools import cache
from typing import Any, Final

import msgspec

from pepi_stream.events import Column, Constant, DeadLetter, Origin
from pepi_stream.formats.arrays import begins_array, elements
from pepi_stream.formats.base import (
    REFUSALS,
    Decoded,
    Format,
    FormatError,
    JsonFormat,
    reason_of,
)
from pepi_stream.formats.lenient import whole_characters
from pepi_stream.formats.mailgun import MailgunFormat
from pepi_stream.formats.pepipost import PepipostFormat
from pepi_stream.formats.plain import PlainFormat, PlainRecord
from pepi_stream.formats.postmark import PostmarkFormat
from pepi_stream.formats.sendgrid import SendgridFormat
from pepi_stream.formats.ses import SesFormat
from pepi_stream.formats.sparkpost import SparkpostFormat
from pepi_stream.formats.strangers import looks_like

# In the order in which they are tried when a record has keys of several.
_FORMATS: Final[tuple[type[JsonFormat[Any]], ...]] = (
    *(PepipostFormat, SparkpostFormat, PostmarkFormat, SesFormat, MailgunFormat),
    *(SendgridFormat, PlainFormat),
)
# One of them tells its format.
_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "pepipost": ("TRANSID", "EVENT"),
    "sparkpost": ("msys",),
    "postmark": ("RecordType",),
    "ses": ("eventType", "notificationType", "Message"),
    "mailgun": ("event-data", "log-level", "client-info", "delivery-status"),
    "sendgrid": ("sg_event_id", "sg_message_id", "smtp-id"),
}
# Words that anybody may use: they tell a format where an object, with a key, is their value.
_OBJECTS: Final = {
    "ses": ("detail", {"eventType", "notificationType"}),
    "mailgun": ("message", {"headers"}),
}
# What Amazon's own records have beside an eventType, which others say, too (SesFormat.owns).
_SES_ALONE: Final = frozenset(("mail", "Message", "detail"))
# All of these together, where no key tells.
_LEGACY: Final = (
    frozenset(("event", "recipient", "message-id")),
    frozenset(("event", "recipient", "Message-Id")),
    frozenset(("event", "recipient", "token", "signature")),
)

_BEGINNING = 8  # bytes: '{"TRANSI', '[{"email', '{"eventT', '{"event"'
_MEMO_SIZE = 4096  # beginnings

Decode = Callable[[bytes], Any]


class _Foreign:
    """The type of a field that no value fits."""


def _no_value_fits(wanted: type, value: object) -> object:
    raise ValueError("of another format")


@cache
def _strict(format: type[JsonFormat[Any]]) -> Decode:
    """Return a decoder of a format's payloads that refuses the keys of other formats."""
    own = msgspec.structs.fields(format.record)
    taken = {field.encode_name for field in own}
    fields: list[Any] = []
    for name, keys in _KEYS.items():
        if name != format.name:
            fields += [(key, _Foreign) for key in keys if key not in taken]
    for name, (key, _) in _OBJECTS.items():
        if name != format.name and key not in taken:
            fields.append((key, str | float | bool | list[Any] | None))
    if format is PlainFormat:
        fields += [(key, _Foreign) for key in ("message-id", "Message-Id", "token")]
    record = msgspec.defstruct(
        f"Strict{format.record.__name__}",
        [
            (f"foreign_{n}", type_, msgspec.field(name=key, default=None))
            for n, (key, type_) in enumerate(fields)
        ],
        bases=(format.record,),
        gc=False,
    )
    decode = msgspec.json.Decoder(record | list[record], dec_hook=_no_value_fits).decode  # type: ignore[valid-type]
    return _strict_plain(decode) if format is PlainFormat else decode


def _strict_plain(decode: Decode) -> Decode:
    """Return a decoder of what is plain by its own evidence, the same as the keys'."""
    alone = msgspec.defstruct("PlainAlone", [], bases=(PlainRecord,), forbid_unknown_fields=True)
    decode_alone = msgspec.json.Decoder(alone | list[alone]).decode  # type: ignore[valid-type]

    def decode_plain(payload: bytes) -> Any:
        try:
            return decode_alone(payload)
        except msgspec.ValidationError:
            records = decode(payload)
        if any(r.event_name is None for r in (records if type(records) is list else [records])):
            raise FormatError("of another format")
        return records

    return decode_plain


_FORMAT_OF: Final = {key: name for name, keys in _KEYS.items() for key in keys}
_PLAIN_KEYS: Final = frozenset(PlainRecord.__struct_fields__)
_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

#: Payloads by their positions in the claim (None: all of it), the format, what it made of them.
_Part = tuple[Sequence[int] | None, str | None, Decoded]


class AutoFormat(Format):
    """``auto``."""

    name = "auto"

    def __init__(self) -> None:
        self._formats = {cls.name: cls() for cls in _FORMATS}
        self._strict = {cls.name: _strict(cls) for cls in _FORMATS}
        self._guesses: dict[bytes, str] = {}
        self._told: tuple[bytes, str | None] = (b"", None)

    def decode(self, payloads: Sequence[bytes]) -> Decoded:
        """Decode a claim: in one go for each format that its payloads begin like."""
        for format in self._formats.values():
            format.wanted = self.wanted
        guesses = [self._guesses.get(payload[:_BEGINNING]) for payload in payloads]
        by_guess: dict[str | None, list[int]] = {guess: [] for guess in dict.fromkeys(guesses)}
        if len(by_guess) > 1:
            for position, guess in enumerate(guesses):
                by_guess[guess].append(position)
        parts: list[_Part] = []
        unsure: list[int] = []
        for guess, found in by_guess.items():
            positions = found if len(by_guess) > 1 else None
            some = payloads if positions is None else [payloads[n] for n in positions]
            if guess is not None:
                try:
                    decoded = self._formats[guess].at_once(some, self._strict[guess])
                except REFUSALS:
                    pass
                else:
                    parts.append((positions, guess, decoded))
                    continue
            left: Sequence[int] = range(len(payloads)) if positions is None else positions
            if guess is not None and len(left) > 1:
                part, left = self._without_the_bad(guess, payloads, left)
                parts += part
            unsure += left
        if unsure:
            parts += self._by_keys(payloads, sorted(unsure))
        return _merged(parts)

    def element(self, payload: bytes, index: int) -> bytes:
        """Return what the format that read the payload says is element ``index``."""
        name = self.taken_for(payload)
        return payload if name is None else self._formats[name].element(payload, index)

    def taken_for(self, payload: bytes) -> str | None:
        """Return the name of the format that reads a payload; None when none does."""
        if self._told[0] is not payload:
            try:
                names = self._candidates(payload)
            except REFUSALS:
                names = []
            whole = (n for n in names if not self._formats[n].decode([payload]).dead)
            self._told = (payload, next(whole, names[0] if names else None))
        return self._told[1]

    def _without_the_bad(
        self, guess: str, payloads: Sequence[bytes], positions: Sequence[int]
    ) -> tuple[list[_Part], Sequence[int]]:
        """Decode those of a guess that are of that format alone; return the other positions, too.

        To tell a thousand payloads by their keys because one is bad would cost three times as much.
        """
        format, decode = self._formats[guess], self._strict[guess]
        sure: list[int] = []
        found: list[Any] = []
        for n in positions:
            try:
                records = decode(payloads[n])
                if format.owns(records if type(records) is list else [records]):
                    found.append(records)
                    sure.append(n)
            except REFUSALS:
                pass
        if not sure:
            return [], positions
        some = [payloads[n] for n in sure]
        again = iter(found)
        refused: set[int] = set()
        try:
            decoded = format.at_once(some, lambda _: next(again))
        except REFUSALS:
            decoded = format.record_by_record(some)
            refused = {letter.position for letter in decoded.dead}
            if any(letter.element is not None for letter in decoded.dead):
                decoded = format.decode([p for at, p in enumerate(some) if at not in refused])
                sure = [n for at, n in enumerate(sure) if at not in refused]
                refused.clear()
            decoded.dead = []
        good = frozenset(n for at, n in enumerate(sure) if at not in refused)
        return [(sure, guess, decoded)], [n for n in positions if n not in good]

    def _by_keys(self, payloads: Sequence[bytes], positions: Sequence[int]) -> list[_Part]:
        candidates: dict[int, list[str]] = {}
        by_format: dict[str, list[int]] = {}
        unknown: list[DeadLetter] = []
        for position in positions:
            payload = payloads[position]
            try:
                names = self._candidates(payload)
            except Exception as exc:
                unknown.append(DeadLetter(position, None, payload, reason_of(exc, payload)))
                continue
            candidates[position] = names
            by_format.setdefault(names[0], []).append(position)
        parts: list[_Part] = [(None, None, Decoded(0, {}, [], unknown))] if unknown else []
        for name, group in by_format.items():
            decoded = self._formats[name].decode([payloads[n] for n in group])
            refused = {group[letter.position] for letter in decoded.dead}
            elsewhere: set[int] = set()
            for position in refused:
                for other in candidates[position][1:]:
                    second = self._formats[other].decode([payloads[position]])
                    if not second.dead:
                        parts.append(([position], other, second))
                        elsewhere.add(position)
                        break
            for position in group:
                if position not in refused:
                    self._learn(payloads[position], name)
            if elsewhere:
                group = [n for n in group if n not in elsewhere]
                decoded = self._formats[name].decode([payloads[n] for n in group])
            parts.append((group, name, decoded))
        return parts

    def _learn(self, payload: bytes, name: str) -> None:
        if len(self._guesses) >= _MEMO_SIZE:
            self._guesses.clear()
        self._guesses[payload[:_BEGINNING]] = name

    def _candidates(self, payload: bytes) -> list[str]:
        """Return the formats that the keys of a payload allow, the likeliest first.

        Raises:
            FormatError: there is none.
            Exception: it is not JSON.
        """
        if not begins_array(payload):
            return self._names(payload)
        found = elements(payload)
        if not found:
            raise FormatError("no event in the payload")
        objects = [e for e in found if bytes(memoryview(e)[:1]) == b"{"] or found[:1]
        refused: Exception | None = None
        plain: list[str] = []
        for record in objects:
            try:
                names = self._names(record)
            except Exception as exc:
                refused = refused or exc
                continue
            # A record of a provider that is broken may look like plain: one that tells decides.
            if names[0] != PlainFormat.name:
                return names
            plain = names
        if plain or refused is None:
            return plain
        raise refused

    def _names(self, record: bytes | msgspec.Raw) -> list[str]:
        """Return the formats that the keys of a record allow; raises as :meth:`_candidates`."""
        found = _keys(record)
        of = {_FORMAT_OF[key] for key in found if key in _FORMAT_OF}
        names = [name for name in _KEYS if name in of]
        told = bool(names)
        names += [
            name
            for name, (key, inner) in _OBJECTS.items()
            if name not in names and key in found and _holds(found[key], inner)
        ]
        if not names and any(keys <= found.keys() for keys in _LEGACY):
            names.append(MailgunFormat.name)
        # Everybody says "event": it is plain only where each other key is a column's own name. Of a
        # record of a provider's that is broken, and of a stranger's, plain would make a row.
        named = "event_name" in found and bytes(found["event_name"])[:1] not in b"[{"
        if named or ("event" in found and not told and found.keys() <= _PLAIN_KEYS):
            names.append(PlainFormat.name)
        # Others say eventType, too; with a mail beside it, it is SES's whatever else is there.
        if not names or (names == [SesFormat.name] and _SES_ALONE.isdisjoint(found)):
            stranger = looks_like(found.keys())
            if stranger or not names:
                raise FormatError(_no_format(found.keys(), stranger))
        return names


def _keys(record: bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
    try:
        return _object(record)
    except msgspec.ValidationError:
        raise
    except UnicodeDecodeError:  # of some key; a decoder of records skips those it does not know
        return _keys(bytes(record).decode(errors="replace").encode())
    except msgspec.DecodeError:  # maybe for half of a character in some text
        mended = whole_characters(bytes(record))
        if mended == record:
            raise
        return _keys(mended)


def _holds(value: msgspec.Raw, keys: Set[str]) -> bool:
    try:
        return not keys.isdisjoint(_keys(value))
    except REFUSALS:
        return False


def _no_format(keys: Collection[str], stranger: str | None) -> str:
    if stranger:
        return f"of no known format; it looks like an event of {stranger}, which no format reads"
    shown = ", ".join(key[:40] for key in list(keys)[:10]) or "none"
    remedy = "; plain events say event_name beside such keys" if "event" in keys else ""
    return f"of no known format; its keys: {shown}{remedy}"


def _merged(parts: Sequence[_Part]) -> Decoded:
    """Join what formats made of a claim's payloads, in the order of the payloads."""
    if len(parts) == 1 and parts[0][0] is None:
        return parts[0][2]
    names = dict.fromkeys(name for _, _, decoded in parts for name in decoded.columns)
    origins: list[Origin] = []
    dead: list[DeadLetter] = []
    for positions, format, decoded in parts:
        at = range(len(decoded.dead) + decoded.size) if positions is None else positions
        own = decoded.origins or [(n, None) for n in range(decoded.size)]
        origins += [(at[position], element) for position, element in own]
        if format is None:
            dead += decoded.dead
        else:
            dead += [
                msgspec.structs.replace(letter, position=at[letter.position], format=format)
                for letter in decoded.dead
            ]
    order = sorted(range(len(origins)), key=[position for position, _ in origins].__getitem__)
    columns: dict[str, Column] = {}
    for name in names:
        joined: list[Any] = []
        for _, _, decoded in parts:
            joined += decoded.columns.get(name, Constant(None, decoded.size))
        columns[name] = list(map(joined.__getitem__, order))
    dead.sort(key=lambda letter: (letter.position, letter.element or 0))
    return Decoded(len(order), columns, [origins[n] for n in order], dead)
