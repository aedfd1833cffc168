"""Takes a notification of Amazon SES apart: one record for each recipient that it names."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pepi_stream.formats.base import REFUSALS
from pepi_stream.formats.narrow import JSON, narrow


class _ListsOf(msgspec.Struct, gc=False, rename="camel"):
    bounced_recipients: list[msgspec.Raw] | None = None
    complained_recipients: list[msgspec.Raw] | None = None
    delayed_recipients: list[msgspec.Raw] | None = None
    recipients: list[msgspec.Raw] | None = None
    destination: list[msgspec.Raw] | None = None


class _Lists(msgspec.Struct, gc=False, rename="camel"):
    """The lists of recipients of a notification, whatever they hold."""

    mail: _ListsOf | None = None
    delivery: _ListsOf | None = None
    bounce: _ListsOf | None = None
    complaint: _ListsOf | None = None
    delivery_delay: _ListsOf | None = None


class _Envelope(_Lists, gc=False, rename={"message": "Message"}):
    message: str | None = None
    detail: _Lists | None = None


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_lists = msgspec.json.Decoder(_Lists).decode


def one_each(raw: bytes | msgspec.Raw, room: int) -> list[bytes] | None:
    """Return the record as one for each of its recipients, whatever else is wrong with it.

    Args:
        raw: a notification, in its envelope or bare.
        room: bytes that the records may take together.

    Returns None for what is one event, or cannot be taken apart.
    """
    try:
        envelope = _decode_envelope(raw)
        path: list[str] = []
        lists: _Lists = envelope
        if envelope.message is not None:
            path = ["Message", JSON]
            lists = _decode_lists(envelope.message)
        elif envelope.detail is not None:
            path = ["detail"]
            lists = envelope.detail
        for *keys, found in _lists_of(lists):
            if found:
                if len(found) == 1 or len(found) * len(bytes(raw)) > room:
                    return None
                return narrow(raw, [*path, *keys])
    except (*REFUSALS, KeyError):
        pass  # decoding says what is wrong
    return None


def _lists_of(lists: _Lists) -> Iterable[tuple[str, str, list[msgspec.Raw] | None]]:
    if lists.bounce:
        yield "bounce", "bouncedRecipients", lists.bounce.bounced_recipients
    if lists.complaint:
        yield "complaint", "complainedRecipients", lists.complaint.complained_recipients
    if lists.delivery_delay:
        yield "deliveryDelay", "delayedRecipients", lists.delivery_delay.delayed_recipients
    if lists.delivery:
        yield "delivery", "recipients", lists.delivery.recipients
    if lists.mail:
        yield "mail", "destination", lists.mail.destination
