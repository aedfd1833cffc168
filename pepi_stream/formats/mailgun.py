"""Mailgun webhooks, and the events of Mailgun's Events API.

Source: documentation.mailgun.com, "Webhooks" and "Events" (event structure, severity, reasons,
``client-info``), and payloads published with django-anymail and in users' repositories
(``bounce-type``, ``enhanced-code``, rejected events without a recipient). A payload is
``{"signature": ..., "event-data": event}``, or the event alone, or an array of either. The
signature is for whoever received the webhook to check. Legacy webhooks: ``mailgun_legacy``.

- ``event_uid`` is the event's ``id``; where it is missing: message id, event, time, recipient and
  link. Without a message id, or a time of its own, two events could not be told apart: no uid.
- ``occurred_at`` is the event's ``timestamp``, else the signature's. An event needs ``event``.
- ``campaign`` is the first tag.
- ``client``, ``os`` and ``device`` are those of ``client-info``, in the words that all formats
  share (``mobile`` is ``phone``); ``unknown`` is left out.
- ``bounce_class`` is by ``reason``, where that is a cause. ``bounce-type`` is coarse. A severity
  alone is no verdict: it says whether Mailgun tries again, not what is wrong.
- ``is_machine``: ``bot`` names a machine ("Open and Click Bot Detection"): ``apple``, ``gmail``,
  ``generic``. An open through Gmail's proxy that Mailgun does not call a bot's is a person's.
"""

from __future__ import annotations

from collections.abc import Sequence

from pepi_stream.events import Column, Constant
from pepi_stream.formats.base import FormatError, JsonFormat, not_all_none, short_uids, without_time
from pepi_stream.formats.mailgun_event import MailgunEvent, MailgunRecord, Signature, Status
from pepi_stream.formats.mailgun_legacy import is_legacy, modern
from pepi_stream.formats.readers import NOBODY, reader
from pepi_stream.formats.times import event_ms, with_ms
from pepi_stream.formats.verdicts import Verdict, add_verdicts

_NAMES = {
    "accepted": "queued",
    "rejected": "dropped",
    "delivered": "delivered",
    "failed": "bounced",
    "opened": "opened",
    "clicked": "clicked",
    "unsubscribed": "unsubscribed",
    "complained": "complained",
    # Of the legacy webhooks.
    "bounced": "bounced",
    "dropped": "dropped",
}
# Mailgun's own codes for addresses that it no longer sends to: after a bounce, an unsubscription
# or a complaint.
_SUPPRESSED = {"605", "606", "607"}
_REASON_CLASS = {"espblock": "block", "greylisted": "soft"}


class MailgunFormat(JsonFormat[MailgunRecord]):
    """``mailgun``."""

    name = "mailgun"
    record = MailgunRecord

    def owns(self, records: Sequence[MailgunRecord]) -> bool:
        """Tell whether each record is in its envelope, or has a part of Mailgun's making."""
        return None not in [
            r.event_data
            or (r.message and r.message.headers)
            or r.client_info
            or r.delivery_status
            or r.log_level
            or ((r.message_id or r.sent_id) and r.recipient)
            or None
            for r in records
        ]

    def columns(self, records: Sequence[MailgunRecord]) -> dict[str, Column]:
        """Turn records into columns; an unknown event becomes ``other``, its name the reason."""
        events = [r.event_data or (modern(r) if is_legacy(r) else r) for r in records]
        own_names = [e.event for e in events]
        if None in own_names:
            raise FormatError("field event is missing, in event-data and beside it")
        canonical = {name: _NAMES.get(name or "", "other") for name in set(own_names)}
        names = [canonical[name] for name in own_names]
        if "bounced" in canonical.values():
            names = [
                _failed(e) if e.event == "failed" else name
                for e, name in zip(events, names, strict=True)
            ]
        own_times = event_ms([e.timestamp for e in events])
        times = with_ms(own_times, lambda: list(map(_signed_at, records)))
        headers = [e.message.headers if e.message else None for e in events]
        ids = [(h and h.message_id) or None for h in headers]
        recipients = [e.recipient or None for e in events]
        if None in recipients:  # a rejected event has none
            recipients = [
                r or (h.to if h else None) or None for r, h in zip(recipients, headers, strict=True)
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
            "event_uid": short_uids(_uids(events, ids, own_times, recipients)),
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
        if "failed" in canonical:
            add_verdicts(columns, lambda index: _verdict(events[index]))
        return columns


def _failed(event: MailgunEvent) -> str:
    status = event.delivery_status
    if (event.reason or "").startswith("suppress-") or (status and str(status.code) in _SUPPRESSED):
        return "dropped"
    return "deferred" if event.severity == "temporary" else "bounced"


def _verdict(event: MailgunEvent) -> Verdict:
    status = event.delivery_status
    coarse: str | None = None
    if status and status.bounce_type in ("hard", "soft"):
        coarse = status.bounce_type
    elif (event.reason, event.severity) == ("bounce", "permanent"):
        coarse = "hard"
    return Verdict(_REASON_CLASS.get(event.reason or ""), coarse, status and _reply(status))


def _reply(status: Status) -> str | None:
    if text := status.message or status.description:
        code = str(status.code or "")
        return text if not code or text.startswith(code) else f"{code} {text}"
    return None


def _reason(event: MailgunEvent) -> str | None:
    if event.delivery_status and (reply := _reply(event.delivery_status)):
        return reply
    if event.reject:
        return event.reject.reason or event.reject.description or event.reason or None
    return event.reason or None


def _signed_at(record: MailgunRecord) -> str | int | float | None:
    signature = record.signature
    return signature.timestamp if isinstance(signature, Signature) else None


def _uids(
    events: Sequence[MailgunEvent],
    ids: Sequence[str | None],
    times: Sequence[int | None],
    recipients: Sequence[str | None],
) -> Sequence[str | None]:
    uids = [e.id or None for e in events]
    if None not in uids:
        return uids
    made = [
        f"{id}:{e.event}:{ms}:{recipient}:{e.url or ''}" if id else None
        for e, id, ms, recipient in zip(events, ids, times, recipients, strict=True)
    ]
    return [uid or own for uid, own in zip(uids, without_time(made, times), strict=True)]
