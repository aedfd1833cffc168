"""Takes a notification of Amazon SES apart: one record for each recipient that it names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from pepi_stream.formats.base import REFUSALS
from pepi_stream.formats.lenient import whole_characters
from pepi_stream.formats.narrow import JSON, narrow

_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_text = msgspec.json.Decoder(str).decode

# Where recipients stand; the first list that names any counts.
_OBJECTS: Final = (
    ("bounce", "bouncedRecipients"),
    ("complaint", "complainedRecipients"),
    ("deliveryDelay", "delayedRecipients"),
)
_TEXTS: Final = (("delivery", "recipients"), ("mail", "destination"))
_Raw = bytes | msgspec.Raw


def one_each(raw: _Raw, room: int) -> list[bytes] | None:
    """Return the record as one for each of its recipients, whatever else is wrong with it.

    Args:
        raw: a notification, in its envelope or bare.
        room: bytes that the records may take together.

    Returns None for what is one event, or cannot be taken apart.
    """
    try:
        raw = whole_characters(bytes(raw))
        path, notification = _unwrapped(raw)
        for keys, found, named in _lists_of(notification):
            if True in named:
                if sum(named) == 1 or len(found) * len(raw) > room:
                    return None
                pieces = narrow(raw, [*path, *keys])
                return [piece for piece, names in zip(pieces, named, strict=True) if names]
    except (*REFUSALS, KeyError):
        pass  # decoding says what is wrong
    return None


def _unwrapped(raw: bytes) -> tuple[list[str], _Raw]:
    """Return the way to the notification, and that: the same choice as in ``unwrap``."""
    envelope = _object(raw)
    message, detail = envelope.get("Message"), envelope.get("detail")
    if message is not None and _begins(message, b'"'):
        return ["Message", JSON], whole_characters(_text(message).encode())
    if detail is not None and _begins(detail, b"{"):
        return ["detail"], detail
    return [], raw


def _lists_of(raw: _Raw) -> Iterator[tuple[tuple[str, str], list[msgspec.Raw], list[bool]]]:
    """Yield each list of recipients: its keys, its elements, and which of them name one.

    The same choice as in ``people_of``. Of what is wrong in a list of objects, a dead letter tells.
    """
    notification = _object(raw)
    types = (notification.get(key) for key in ("eventType", "notificationType"))
    type_ = next((t for t in types if t is not None and _begins(t, b'"')), None)
    bounced = type_ is not None and _text(type_) == "Bounce"
    for keys in _OBJECTS[:1] if bounced else (*_OBJECTS, *_TEXTS):
        outer = notification.get(keys[0])
        if outer is None or not _begins(outer, b"{"):
            continue
        found = _object(outer).get(keys[1])
        if found is not None and _begins(found, b"["):
            elements = _list(found)
            yield keys, elements, [keys in _OBJECTS or _begins(e, b'"') for e in elements]


def _begins(raw: _Raw, mark: bytes) -> bool:
    return bytes(raw).startswith(mark)
