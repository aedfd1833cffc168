"""What a notification of Amazon SES says, and the columns that come of it.

The sources, and what each column is, are named in ``ses``.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pepi_stream.events import Column, Constant
from pepi_stream.formats.base import FormatError, short_uids
from pepi_stream.formats.times import event_ms, with_ms
from pepi_stream.formats.verdicts import FAILURES, Verdict, add_verdicts

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
# Subtypes of bounces and complaints that were never sent: SES suppressed them.
_SUPPRESSED = {"Suppressed", "OnAccountSuppressionList", "UnsubscribedRecipient"}
# Events that come several times for a message and recipient: only their own time tells them apart.
_REPEATED = {"Open", "Click", "DeliveryDelay", "Subscription"}
_SUB_TYPES = {
    "NoEmail": "hard",
    "MailboxFull": "quota",
    "MessageTooLarge": "policy",
    "ContentRejected": "policy",
    "AttachmentRejected": "policy",
    "SpamDetected": "block",
    "IPFailure": "block",
    "BYOIPHostNameLookupUnavailable": "dns",
}
_REPORTS = {"Bounce", "Complaint", "DeliveryDelay"}
_COARSE = {"Permanent": "hard", "Transient": "soft"}


class _Recipient(msgspec.Struct, gc=False, rename="camel"):
    email_address: str
    status: str | None = None
    diagnostic_code: str | None = None


class _Topic(msgspec.Struct, gc=False, rename="camel"):
    subscription_status: str | None = None


class _Topics(msgspec.Struct, gc=False, rename="camel"):
    unsubscribe_all: bool | None = None
    topic_subscription_status: list[_Topic] | None = None


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
    """Return whom a notification is about; the same choice as in ``ses_recipients``.

    A bounce that names nobody, as automatic replies do, is not everybody's.
    """
    mail = event.mail
    if (event.event_type or event.notification_type) == "Bounce":
        return (event.bounce and event.bounce.bounced_recipients) or _NOBODY
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
    sent_at: Sequence[str | int | float | None],
) -> dict[str, Column]:
    """Return the columns of notifications.

    Args:
        events: one for each row.
        keys: what the envelope of each is known by; None for a bare one.
        people: whom each row is about.
        sent_at: when the envelope of each was sent, for want of better.

    Raises:
        FormatError: an event has no type, or names neither a message nor a recipient.
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
    recipients = [p.email_address if type(p) is _Recipient else p for p in people]
    if None in recipients and any(
        mail is _NO_MAIL and to is None for mail, to in zip(mails, recipients, strict=True)
    ):
        raise FormatError("field mail is missing")
    own_times = event_ms(
        [
            d.timestamp or (None if own in _REPEATED else m.timestamp)
            for d, m, own in zip(details, mails, own_names, strict=True)
        ]
    )
    times = with_ms(own_times, lambda: [m.timestamp for m in mails], lambda: sent_at)
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
                else None
                if ms is None or not m.message_id
                else f"{m.message_id}:{own}:{ms}:{recipient}:{d.link}"
                if d.link
                else f"{m.message_id}:{own}:{ms}:{recipient}"
                for key, m, d, own, ms, recipient in zip(
                    keys, mails, details, own_names, own_times, recipients, strict=True
                )
            ]
        ),
    }
    if not {"Bounce", "Complaint"}.isdisjoint(canonical):
        columns["event_name"] = names = [
            _failed(d, p) if own == "Bounce" else _complained(d) if own == "Complaint" else name
            for own, name, d, p in zip(own_names, names, details, people, strict=True)
        ]
    if "Subscription" in canonical:
        columns["event_name"] = names = [
            "unsubscribed" if name == "other" and _left_all(own, d) else name
            for own, name, d in zip(own_names, names, details, strict=True)
        ]
    if "other" in names:
        columns["reason"] = reasons = [
            own if name == "other" else reason
            for own, name, reason in zip(own_names, names, reasons, strict=True)
        ]
    if not canonical.keys().isdisjoint(_REPORTS):
        columns["reason"] = [
            _failure(d, p) if own in _REPORTS and name != "other" else reason
            for d, p, own, name, reason in zip(
                details, people, own_names, names, reasons, strict=True
            )
        ]
    if not FAILURES.isdisjoint(canonical.values()):
        add_verdicts(columns, lambda i: _verdict(own_names[i], details[i], people[i]))
    return columns


def _verdict(own: str | None, detail: _Detail, person: _Recipient | str | None) -> Verdict:
    if own == "Reject":
        return Verdict("block", None, None)
    return Verdict(
        _SUB_TYPES.get(detail.bounce_sub_type or detail.delay_type or ""),
        _COARSE.get(detail.bounce_type or (detail.delay_type and "Transient") or ""),
        type(person) is _Recipient and (person.diagnostic_code or person.status),
    )


def _failed(detail: _Detail, person: _Recipient | str | None) -> str:
    if detail.bounce_sub_type in _SUPPRESSED:
        return "dropped"
    return "other" if person is None else "bounced"


def _complained(detail: _Detail) -> str:
    if detail.complaint_sub_type in _SUPPRESSED:
        return "dropped"
    return "other" if detail.complaint_feedback_type == "not-spam" else "complained"


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


def _left_all(own: str | None, detail: _Detail) -> bool:
    topics = detail.new_topic_preferences
    if own != "Subscription" or topics is None:
        return False
    statuses = {topic.subscription_status for topic in topics.topic_subscription_status or ()}
    return topics.unsubscribe_all is True or statuses == {"OptOut"}
