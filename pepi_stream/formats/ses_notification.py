"""What a notification of Amazon SES says, and the columns that come of it.

The sources, and what each column is, are named in ``ses``.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pepi_stream.events import Column, Constant
from pepi_stream.formats.base import FormatError, not_all_none, short_uids
from pepi_stream.formats.times import time_ms

_NAMES = {
    "Send": "sent",
    "Delivery": "delivered",
    "Bounce": "bounced",
    "Complaint": "complained",
    "Reject": "dropped",
    "Rendering Failure": "dropped",
    "RenderingFailure": "dropped",
    "Open": "opened",
    "Click": "clicked",
    "DeliveryDelay": "deferred",
    "Subscription": "other",  # unless it is of all topics
}
_SUB_TYPES = {
    "MailboxFull": "quota",
    "MessageTooLarge": "policy",
    "ContentRejected": "policy",
    "AttachmentRejected": "policy",
    "SpamDetected": "block",
    "IPFailure": "block",
    "BYOIPHostNameLookupUnavailable": "dns",
    "Undetermined": None,
}


class _Recipient(msgspec.Struct, gc=False, rename="camel"):
    email_address: str
    status: str | None = None
    diagnostic_code: str | None = None


class _Topic(msgspec.Struct, gc=False, rename="camel"):
    subscription_status: str | None = None


class _Topics(msgspec.Struct, gc=False, rename="camel"):
    unsubscribe_all: bool | None = None
    topic_subscription_status: list[_Topic] = []


class _Detail(msgspec.Struct, gc=False, rename="camel"):
    """The object of an event, whatever its type."""

    timestamp: str | int | float | None = None
    ip_address: str | None = None
    user_agent: str | None = None
    link: str | None = None
    bounce_type: str | None = None
    bounce_sub_type: str | None = None
    bounced_recipients: list[_Recipient] | None = None
    complained_recipients: list[_Recipient] | None = None
    delayed_recipients: list[_Recipient] | None = None
    recipients: list[str] | None = None
    delay_type: str | None = None
    complaint_feedback_type: str | None = None
    complaint_sub_type: str | None = None
    smtp_response: str | None = None
    reason: str | None = None
    error_message: str | None = None
    new_topic_preferences: _Topics | None = None


class _Tags(msgspec.Struct, gc=False):
    campaign: list[str] | str | None = None


class _Mail(msgspec.Struct, gc=False, rename="camel"):
    message_id: str | None = None
    timestamp: str | int | float | None = None
    destination: list[str] | None = None
    tags: _Tags | None = None


class SesEvent(msgspec.Struct, gc=False, rename="camel"):
    """One notification of SES, which may be of several recipients."""

    event_type: str | None = None
    notification_type: str | None = None
    mail: _Mail | None = None
    send: _Detail | None = None
    delivery: _Detail | None = None
    open: _Detail | None = None
    click: _Detail | None = None
    bounce: _Detail | None = None
    complaint: _Detail | None = None
    delivery_delay: _Detail | None = None
    reject: _Detail | None = None
    failure: _Detail | None = None
    subscription: _Detail | None = None


_NO_DETAIL = _Detail()
_NO_MAIL = _Mail()
_NOBODY = (None,)


def people_of(event: SesEvent) -> Sequence[_Recipient | str | None]:
    """Return whom a notification is about; the same choice as in ``ses_recipients``."""
    mail = event.mail
    return (
        (event.bounce and event.bounce.bounced_recipients)
        or (event.complaint and event.complaint.complained_recipients)
        or (event.delivery_delay and event.delivery_delay.delayed_recipients)
        or (event.delivery and event.delivery.recipients)
        or (mail and mail.destination)
        or _NOBODY
    )


def columns_of(
    events: Sequence[SesEvent],
    keys: Sequence[str | None],
    people: Sequence[_Recipient | str | None],
) -> dict[str, Column]:
    """Return the columns of notifications.

    Args:
        events: one for each row.
        keys: what the envelope of each is known by; None for a bare one.
        people: whom each row is about.

    Raises:
        FormatError: an event has no type, or no time that can be read.
    """
    own_names = [e.event_type or e.notification_type for e in events]
    if None in own_names:
        raise FormatError("field eventType (or notificationType) is missing")
    canonical = {name: _NAMES.get(name or "", "other") for name in set(own_names)}
    details = [
        e.open or e.delivery or e.click or e.send or e.bounce or e.complaint
        or e.delivery_delay or e.reject or e.failure or e.subscription or _NO_DETAIL
        for e in events
    ]  # fmt: skip
    mails = [e.mail or _NO_MAIL for e in events]
    stamps = [d.timestamp or m.timestamp for d, m in zip(details, mails, strict=True)]
    if None in stamps:
        raise FormatError("field mail.timestamp is missing")
    times = time_ms(stamps, "timestamp")
    recipients = [p.email_address if type(p) is _Recipient else p for p in people]
    names = [canonical[name] for name in own_names]
    reasons = [d.smtp_response or d.reason or d.error_message or None for d in details]
    columns: dict[str, Column] = {
        "event_name": names,
        "id": [m.message_id or None for m in mails],
        "recipient": recipients,
        "occurred_at": times,
        "campaign": [_campaign(m.tags) if m.tags else None for m in mails],
        "url": [d.link or None for d in details],
        "ip": [d.ip_address or None for d in details],
        "user_agent": [d.user_agent or None for d in details],
        "reason": reasons,
        "esp": Constant("ses", len(events)),
        "event_uid": short_uids(
            [
                f"{key}:{recipient}"
                if key
                else f"{m.message_id}:{own}:{ms}:{recipient}"
                if m.message_id or recipient
                else None
                for key, m, own, ms, recipient in zip(
                    keys, mails, own_names, times, recipients, strict=True
                )
            ]
        ),
    }
    if "other" in canonical.values():
        columns["event_name"] = names = [
            "unsubscribed" if name == "other" and _left_all(own, d) else name
            for own, name, d in zip(own_names, names, details, strict=True)
        ]
        columns["reason"] = [
            own if name == "other" else reason
            for own, name, reason in zip(own_names, names, reasons, strict=True)
        ]
    if not {"bounced", "deferred", "complained"}.isdisjoint(canonical.values()):
        columns["reason"] = [
            _failure(d, p) if name in ("bounced", "deferred", "complained") else reason
            for d, p, name, reason in zip(details, people, names, columns["reason"], strict=True)
        ]
        not_all_none(
            columns,
            "bounce_class",
            [
                _bounce_class(d) if name in ("bounced", "deferred") else None
                for d, name in zip(details, names, strict=True)
            ],
        )
    return columns


def _campaign(tags: _Tags) -> str | None:
    campaign = tags.campaign
    if isinstance(campaign, list):
        return campaign[0] or None if campaign else None
    return campaign or None


def _failure(detail: _Detail, person: _Recipient | str | None) -> str | None:
    if type(person) is _Recipient and (person.diagnostic_code or person.status):
        return person.diagnostic_code or person.status
    said = (detail.bounce_type, detail.bounce_sub_type, detail.delay_type)
    complaint = (detail.complaint_feedback_type, detail.complaint_sub_type)
    return " ".join(word for word in (*said, *complaint) if word) or None


def _bounce_class(detail: _Detail) -> str | None:
    own = detail.bounce_sub_type or detail.delay_type
    if own in _SUB_TYPES:
        return _SUB_TYPES[own]
    if detail.bounce_type == "Permanent":
        return "hard"
    return "soft" if detail.bounce_type == "Transient" or detail.delay_type else None


def _left_all(own: str | None, detail: _Detail) -> bool:
    topics = detail.new_topic_preferences
    if own != "Subscription" or topics is None:
        return False
    statuses = {topic.subscription_status for topic in topics.topic_subscription_status}
    return topics.unsubscribe_all is True or statuses == {"OptOut"}
