"""Payloads: a simulated event in the bytes that a provider's webhook would push.

To add a format, write a function that returns an encoder and enter it in ``_ENCODERS``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

import msgspec

from pepi_stream.simulate import providers
from pepi_stream.simulate.event import SimulatedEvent
from pepi_stream.simulate.providers import canonical_name, format_in_mix

Encode = Callable[[SimulatedEvent], bytes]

_PEPIPOST_NAMES: Final = {
    "sent": "sent",
    "opened": "opened",
    "clicked": "clicked",
    "bounced": "bounced",
    "unsubscribed": "unsubscribed",
    "dropped": "dropped",
    "complained": "spam",
}


class _Pepipost(msgspec.Struct, gc=False, omit_defaults=True):
    """Pepipost's newer webhook record, in which numbers are numbers.

    Source: FORMATS.md and docs.pepipost.com, "What are the different Webhooks format?". The last
    seven fields are left out of events that they do not apply to.
    """

    transid: int = msgspec.field(name="TRANSID")
    response: str = msgspec.field(name="RESPONSE")
    email: str = msgspec.field(name="EMAIL")
    timestamp: int = msgspec.field(name="TIMESTAMP")
    event: str = msgspec.field(name="EVENT")
    msize: int = msgspec.field(name="MSIZE")
    tags: str = msgspec.field(name="TAGS")
    api_header: str = msgspec.field(name="X-APIHEADER")
    from_address: str = msgspec.field(name="FROMADDRESS")
    user_agent: str = msgspec.field(name="USERAGENT", default="")
    ip: str = msgspec.field(name="IPADDRESS", default="")
    url: str = msgspec.field(name="URL", default="")
    bounce_type: str = msgspec.field(name="BOUNCE_TYPE", default="")
    bounce_reason: str = msgspec.field(name="BOUNCE_REASON", default="")
    bounce_reason_id: int = msgspec.field(name="BOUNCE_REASONID", default=0)


class _Plain(msgspec.Struct, gc=False, omit_defaults=True):
    """The flat record of the format ``plain``, empty fields left out; ``ts`` is epoch seconds."""

    id: int
    event_name: str
    email: str
    campaign: str
    ts: int
    ip: str = ""
    url: str = ""
    user_agent: str = ""
    bounce_type: str = ""
    reason: str = ""


def _pepipost() -> Encode:
    """Return an encoder of one JSON object an event, as Pepipost sends."""
    to_json = msgspec.json.Encoder().encode
    names = _PEPIPOST_NAMES

    def encode_pepipost(event: SimulatedEvent) -> bytes:
        return to_json(
            _Pepipost(
                event.message_id, event.response, event.recipient, event.occurred_at,
                names[event.event_name], event.message_bytes, event.campaign, event.api_header,
                event.sender, event.user_agent, event.ip, event.url, event.bounce_type,
                event.bounce_reason, event.bounce_reason_id,
            )
        )  # fmt: skip

    return encode_pepipost


def _plain() -> Encode:
    """Return an encoder of one flat JSON object an event, with the canonical event names."""
    to_json = msgspec.json.Encoder().encode

    def encode_plain(event: SimulatedEvent) -> bytes:
        name = event.event_name
        # A drop's reason is not an SMTP reply; a send's response is no reason for anything.
        reason = event.response if name == "dropped" else event.bounce_reason
        return to_json(
            _Plain(
                event.message_id, name, event.recipient, event.campaign, event.occurred_at,
                event.ip, event.url, event.user_agent, event.bounce_type, reason,
            )
        )  # fmt: skip

    return encode_plain


def _mix(formats: tuple[str, ...]) -> Encode:
    """Return an encoder of each message's events in one of these formats."""
    encoders = {name: _ENCODERS[name]() for name in formats}

    def encode_mix(event: SimulatedEvent) -> bytes:
        return encoders[format_in_mix(event, formats)](event)

    return encode_mix


_ENCODERS: Final[dict[str, Callable[[], Encode]]] = {
    "pepipost": _pepipost,
    "plain": _plain,
    "sendgrid": lambda: providers.sendgrid,
    "ses": lambda: providers.ses,
    "mailgun": lambda: providers.mailgun,
    "postmark": lambda: providers.postmark,
    "sparkpost": lambda: providers.sparkpost,
}

FORMATS: Final = (*_ENCODERS, "auto")
"""Names of the formats that ``encoder`` knows; ``auto`` is a mix of the others."""


@cache
def formats_of(format: str) -> tuple[str, ...]:
    """Return the formats that make up one that ``encoder`` takes: several of a mix.

    Raises:
        ValueError: if one is unknown; the message names the known ones.
    """
    names = FORMATS[:-1] if format == "auto" else tuple(format.split(","))
    for name in names:
        if name not in _ENCODERS:
            known = ", ".join(FORMATS)
            raise ValueError(f"cannot simulate format {name!r}; known formats: {known}")
    return names


def event_name_in(format: str, event: SimulatedEvent) -> str | None:
    """Return how the row of an event in this format is called; None if it has no such event."""
    formats = formats_of(format)
    format = formats[0] if len(formats) == 1 else format_in_mix(event, formats)
    if format == "postmark" and event.event_name == "dropped":
        return None
    return canonical_name(format, event.event_name)


def encoder(format: str) -> Encode:
    """Return a function from an event to one payload in the given format, UTF-8 JSON.

    Args:
        format: one of ``FORMATS``, or several with commas between, for a mix of them.

    Raises:
        ValueError: if the format is unknown; the message names the known ones.
    """
    formats = formats_of(format)
    return _ENCODERS[formats[0]]() if len(formats) == 1 else _mix(formats)
