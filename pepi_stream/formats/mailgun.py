"""Mailgun webhooks, and the events of Mailgun's Events API.

Source: documentation.mailgun.com, "Webhooks" and "Events" (event structure, severity, reasons,
``client-info``), and payloads published with django-anymail and in users' repositories
(``bounce-type``, ``enhanced-code``, rejected events without a recipient). A payload is
``{"signature": ..., "event-data": event}``, or the event alone, or an array of either. The
signature is for whoever received the webhook to check; it is ignored here.

- ``event_uid`` is the event's ``id``; where it is missing: message id, event, time, recipient and
  link.
- ``campaign`` is the first tag.
- ``client``, ``os`` and ``device`` are those of ``client-info``, in the words that all formats
  share (``mobile`` is ``phone``); ``unknown`` is left out.
- ``bounce_class`` is ``bounce-type``, else by ``reason``. A severity alone is no verdict: it
  says whether Mailgun tries again, not what is wrong.
- ``is_machine``: ``bot`` names a machine ("Open and Click Bot Detection"): ``apple``, ``gmail``,
  ``generic``. An open through Gmail's proxy that Mailgun does not call a bot's is a person's.
"""

from __future__ import annotations

from collections.abc import Sequence
from email.utils import parseaddr

import msgspec

from pepi_stream.events import Column, Constant
from pepi_stream.formats.base import FormatError, JsonFormat, not_all_none, short_uids
from pepi_stream.formats.readers import NOBODY, reader
from pepi_stream.formats.times import time_ms

_NAMES = {
    "accepted": "queued",
    "rejected": "dropped",
    "delivered": "delivered",
    "failed": "bounced",
    "opened": "opened",
    "clicked": "clicked",
    "unsubscribed": "unsubscribed",
    "complained": "complained",
}
# Mailgun's own codes for addresses that it no longer sends to: after a bounce, an unsubscription
# or a complaint.
_SUPPRESSED = {"605", "606", "607"}
_BOUNCE_CLASS = {"hard": "hard", "soft": "soft"}
_REASON_CLASS = {"espblock": "block", "greylisted": "soft"}


class _Headers(msgspec.Struct, gc=False, rename={"message_id": "message-id"}):
    message_id: str | None = None
    to: str | None = None


class _Message(msgspec.Struct, gc=False):
    headers: _Headers | None = None


class _Status(msgspec.Struct, gc=False, rename="kebab"):
    code: int | str | None = None
    message: str | None = None
    description: str | None = None
    bounce_type: str | None = None


class _Client(msgspec.Struct, gc=False, rename="kebab"):
    client_name: str | None = None
    client_os: str | None = None
    device_type: str | None = None
    user_agent: str | None = None
    bot: str | None = None


class _Reject(msgspec.Struct, gc=False):
    reason: str | None = None
    description: str | None = None


class MailgunEvent(msgspec.Struct, gc=False, rename="kebab"):
    """One event: what ``event-data`` holds."""

    event: str | None = None
    timestamp: float | int | str | None = None
    id: str | None = None
    recipient: str | None = None
    severity: str | None = None
    reason: str | None = None
    tags: list[str] | None = None
    ip: str | None = None
    url: str | None = None
    message: _Message | None = None
    delivery_status: _Status | None = None
    client_info: _Client | None = None
    reject: _Reject | None = None
    log_level: str | None = None


class MailgunRecord(MailgunEvent, gc=False, rename="kebab"):
    """A payload: an event in its envelope, or the event itself."""

    event_data: MailgunEvent | None = None


class MailgunFormat(JsonFormat[MailgunRecord]):
    """``mailgun``."""

    name = "mailgun"
    record = MailgunRecord

    def owns(self, records: Sequence[MailgunRecord]) -> bool:
        """Tell whether each record is in its envelope, or has a part of Mailgun's making."""
        return None not in [
            r.event_data or r.message or r.client_info or r.delivery_status or r.log_level or None
            for r in records
        ]

    def columns(self, records: Sequence[MailgunRecord]) -> dict[str, Column]:
        """Turn records into columns; an unknown event becomes ``other``, its name the reason."""
        events = [r.event_data or r for r in records]
        own_names = [e.event for e in events]
        if None in own_names:
            raise FormatError("field event is missing, in event-data and beside it")
        stamps = [e.timestamp for e in events]
        if None in stamps:
            raise FormatError("field timestamp is missing")
        canonical = {name: _NAMES.get(name or "", "other") for name in set(own_names)}
        names = [canonical[name] for name in own_names]
        if "bounced" in canonical.values():
            names = [
                _failed(e) if name == "bounced" else name
                for e, name in zip(events, names, strict=True)
            ]
        times = time_ms(stamps, "timestamp")
        headers = [e.message.headers if e.message else None for e in events]
        ids = [(h and h.message_id) or None for h in headers]
        recipients = [e.recipient or None for e in events]
        if None in recipients:  # a rejected event has none
            recipients = [
                r or (parseaddr(h.to)[1] if h and h.to else None) or None
                for r, h in zip(recipients, headers, strict=True)
            ]
        clients = [e.client_info for e in events]
        columns: dict[str, Column] = {
            "event_name": names,
            "id": ids,
            "recipient": recipients,
            "occurred_at": times,
            "campaign": [e.tags[0] or None if e.tags else None for e in events],
            "url": [e.url or None for e in events],
            "ip": [e.ip or None for e in events],
            "reason": [
                e.event if name == "other" else _reason(e)
                for e, name in zip(events, names, strict=True)
            ],
            "esp": Constant("mailgun", len(events)),
            "event_uid": short_uids(
                [
                    e.id
                    or (
                        f"{id}:{e.event}:{ms}:{recipient}:{e.url or ''}"
                        if id or recipient
                        else None
                    )
                    for e, id, ms, recipient in zip(events, ids, times, recipients, strict=True)
                ]
            ),
        }
        if clients.count(None) < len(clients):
            columns["user_agent"] = [(c and c.user_agent) or None for c in clients]
            readers = [
                reader(c.client_name, c.client_os, c.device_type) if c else NOBODY for c in clients
            ]
            not_all_none(columns, "client", [r.client for r in readers])
            not_all_none(columns, "os", [r.os for r in readers])
            not_all_none(columns, "device", [r.device for r in readers])
            bots = [c.bot if c else None for c in clients]
            machines = [True if bot else None for bot in bots]
            not_all_none(columns, "is_machine", machines)
        not_all_none(
            columns,
            "bounce_class",
            [_bounce_class(e) if e.event == "failed" else None for e in events],
        )
        return columns


def _failed(event: MailgunEvent) -> str:
    status = event.delivery_status
    if (event.reason or "").startswith("suppress-") or (status and str(status.code) in _SUPPRESSED):
        return "dropped"
    return "deferred" if event.severity == "temporary" else "bounced"


def _bounce_class(event: MailgunEvent) -> str | None:
    if _failed(event) == "dropped":
        return None
    said = event.delivery_status and _BOUNCE_CLASS.get(event.delivery_status.bounce_type or "")
    if said:
        return said
    if event.reason == "bounce" and event.severity == "permanent":
        return "hard"
    return _REASON_CLASS.get(event.reason or "")


def _reason(event: MailgunEvent) -> str | None:
    status = event.delivery_status
    if status and (text := status.message or status.description):
        code = str(status.code or "")
        return text if not code or text.startswith(code) else f"{code} {text}"
    if event.reject:
        return event.reject.reason or event.reject.description or event.reason or None
    return event.reason or None
