"""SendGrid (Twilio) event webhook.

Source: twilio.com/docs/sendgrid/for-developers/tracking-events/event, "Event Webhook
Reference" (fields by event; ``type`` of a bounce; ``bounce_classification``, whose values are
in the Bounces API reference), and batches that users published. A payload is an array of
events, or one. Custom arguments lie beside SendGrid's own fields and are ignored, except where
they take the name of one.

- ``event_uid`` is ``sg_event_id``, which SendGrid repeats when it sends an event again. Where it
  is missing (accounts of long ago): message id, event, time, recipient and link.
- ``campaign`` is the first ``category``, else the name of a Marketing Campaign.
- Events of the account (``account_status_change``) have no ``email``: they are ``other``.
- ``bounce_class`` is the classification. The types ``bounce`` and ``blocked`` are coarse.
- An event needs ``event``, and ``email`` unless it is ``other``.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pepi_stream.events import Column, Constant
from pepi_stream.formats.base import (
    FormatError,
    JsonFormat,
    not_all_none,
    short_uids,
    truth,
    without_time,
)
from pepi_stream.formats.times import event_ms
from pepi_stream.formats.verdicts import Verdict, add_verdicts

_NAMES = {
    "processed": "queued",
    "deferred": "deferred",
    "delivered": "delivered",
    "bounce": "bounced",
    "blocked": "bounced",  # an event of its own in some older accounts
    "dropped": "dropped",
    "open": "opened",
    "click": "clicked",
    "spamreport": "complained",
    "unsubscribe": "unsubscribed",
    "group_unsubscribe": "unsubscribed",
    "group_resubscribe": "subscribed",
}
_CLASSIFICATIONS = {
    "invalid address": "hard",
    "technical": "soft",
    "technical failure": "soft",
    "mailbox unavailable": "soft",
    "content": "policy",
    "reputation": "block",
    "frequency or volume too high": "policy",
}
_TYPES = {"bounce": "hard", "blocked": "block"}


class SendgridRecord(
    msgspec.Struct,
    gc=False,
    rename={
        "id": "sg_message_id",
        "smtp_id": "smtp-id",
        "uid": "sg_event_id",
        "user_agent": "useragent",
        "machine_open": "sg_machine_open",
        "classification": "bounce_classification",
        "campaign_name": "marketing_campaign_name",
        "single_send": "singlesend_name",
    },
):
    """One event of the array that SendGrid posts."""

    event: str
    timestamp: int | float | str | None = None
    email: str | None = None
    id: str | None = None
    smtp_id: str | None = None
    uid: str | None = None
    category: str | list[str] | None = None
    reason: str | None = None
    response: str | None = None
    status: str | int | None = None
    type: str | None = None
    classification: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    url: str | None = None
    machine_open: bool | int | str | None = None
    campaign_name: str | None = None
    single_send: str | None = None


class SendgridFormat(JsonFormat[SendgridRecord]):
    """``sendgrid``."""

    name = "sendgrid"
    record = SendgridRecord

    def owns(self, records: Sequence[SendgridRecord]) -> bool:
        """Tell whether each record has an id of SendGrid's making."""
        return None not in [r.uid or r.id or r.smtp_id or None for r in records]

    def columns(self, records: Sequence[SendgridRecord]) -> dict[str, Column]:
        """Turn records into columns; an unknown event becomes ``other``, its name the reason."""
        own_names = [r.event for r in records]
        names = {name: _NAMES.get(name, "other") for name in set(own_names)}
        recipients = [r.email for r in records]
        if None in recipients and not all(r.email or names[r.event] == "other" for r in records):
            raise FormatError("field email is missing")
        reasons = [r.reason or r.response or r.status or None for r in records]
        if "other" in names.values() or int in set(map(type, reasons)):
            reasons = [
                own if names[own] == "other" else None if reason is None else str(reason)
                for own, reason in zip(own_names, reasons, strict=True)
            ]
        times = event_ms([r.timestamp for r in records])
        columns: dict[str, Column] = {
            "event_name": [names[own] for own in own_names],
            "id": [r.id or r.smtp_id or None for r in records],
            "recipient": recipients,
            "occurred_at": times,
            "campaign": [
                (c if type(c := r.category) is str else c and c[0])
                or r.campaign_name
                or r.single_send
                or None
                for r in records
            ],
            "url": [r.url or None for r in records],
            "ip": [r.ip or None for r in records],
            "user_agent": [r.user_agent or None for r in records],
            "reason": reasons,
            "esp": Constant("sendgrid", len(records)),
            "event_uid": _uids(records, times),
        }
        add_verdicts(columns, lambda index: _verdict(records[index], reasons[index]))
        not_all_none(columns, "is_machine", [truth(r.machine_open) for r in records])
        return columns


def _verdict(record: SendgridRecord, reply: object) -> Verdict:
    exact = _CLASSIFICATIONS.get((record.classification or "").lower())
    return Verdict(exact, _TYPES.get(record.type or ""), reply)


def _uids(records: Sequence[SendgridRecord], times: Sequence[int | None]) -> Column:
    uids = [r.uid for r in records]
    if None in uids or "" in uids:
        made = without_time(
            [
                f"{id}:{r.event}:{ms}:{r.email}:{r.url or ''}"
                if (id := r.id or r.smtp_id)
                else None
                for r, ms in zip(records, times, strict=True)
            ],
            times,
        )
        uids = [uid or other for uid, other in zip(uids, made, strict=True)]
    return short_uids(uids)
