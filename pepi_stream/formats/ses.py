"""Amazon SES events and notifications, in the envelope of SNS or EventBridge, or bare.

Source: docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html and
-examples.html (types, fields, samples), notification-contents.html (the older form with
``notificationType``), monitoring-eventbridge.html, and for SNS "Parsing Amazon SNS message
formats" (docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html).

One notification is one event for each recipient that it names: of its own list
(``bouncedRecipients``, ``complainedRecipients``, ``delayedRecipients``, ``recipients``), else of
``mail.destination``. They are elements 0, 1, ... of the payload, counted through all
notifications of an array. The record that stands for one of them in a dead letter is the
notification with that recipient alone in the list, so that replaying it makes that event and no
other; it is otherwise unchanged.

- ``event_uid`` is the MessageId of SNS (the id of EventBridge) and the recipient, so that SNS's
  repeats of a notification agree. Bare: mail.messageId, type, time, recipient.
- ``campaign`` is the message tag ``campaign``. The configuration set is none: it says how mail is
  sent, and untagged mail would pile up under its name.
- ``bounce_class`` is by ``bounceType`` and ``bounceSubType``, or ``delayType``; Undetermined is no
  verdict. SES cannot tell machines from people: ``is_machine`` is left out.
- SNS also sends requests to confirm a subscription, and notes that it has ended. They are no
  events but dead letters that say what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from pepi_stream.events import Column, Constant, Origin
from pepi_stream.formats.arrays import begins_array
from pepi_stream.formats.base import (
    REFUSALS,
    Decoded,
    FormatError,
    JsonFormat,
    flatten,
    not_all_none,
    reason_of,
    short_uids,
)
from pepi_stream.formats.ses_recipients import one_each
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

#: The records of a payload, one for each recipient, have no more bytes than this together. SES
#: takes 50 recipients, and SNS 256 KiB.
_MAX_NARROWED = 16 << 20


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


class SesRecord(
    SesEvent,
    gc=False,
    rename={
        "sns_type": "Type",
        "sns_id": "MessageId",
        "message": "Message",
        "topic": "TopicArn",
        "bridge_id": "id",
    },
):
    """A payload: a notification in an envelope, or the notification itself."""

    sns_type: str | None = None
    sns_id: str | None = None
    message: str | None = None
    topic: str | None = None
    bridge_id: str | None = None
    detail: SesEvent | None = None


_NO_DETAIL = _Detail()
_NO_MAIL = _Mail()


class SesFormat(JsonFormat[SesRecord]):
    """``ses``."""

    name = "ses"
    record = SesRecord

    def __init__(self) -> None:
        super().__init__()
        self._decode_message = msgspec.json.Decoder(SesEvent).decode

    def at_once(
        self, payloads: Sequence[bytes], decode: Callable[[bytes], Any] | None = None
    ) -> Decoded:
        """Decode a clean claim; a notification is an event for each of its recipients."""
        records = list(map(decode or self._decode, payloads))
        origins: list[Origin] | None = None
        if list in set(map(type, records)):
            records, origins = flatten(records)
        columns, sizes = self._rows(records)
        if sizes is None:
            return Decoded(len(records), columns, origins)
        if origins is None:
            origins = [(position, None) for position in range(len(records))]
        origins = _spread(payloads, origins, sizes)
        return Decoded(len(origins), columns, origins)

    def columns(self, records: Sequence[SesRecord]) -> dict[str, Column]:
        """Turn records, each of one recipient, into columns."""
        columns, sizes = self._rows(records)
        if sizes is not None:
            raise FormatError(
                "a notification of several recipients that is too large, or not UTF-8, "
                "to be taken apart"
            )
        return columns

    def _rows(self, records: Sequence[SesRecord]) -> tuple[dict[str, Column], list[int] | None]:
        """Return columns, and how many rows each record has; None when it is one each."""
        events, keys = self._unwrap(records)
        people = list(map(_people, events))
        sizes = None
        if any(len(p) != 1 for p in people):
            sizes = [len(p) for p in people]
            rows = [i for i, size in enumerate(sizes) for _ in range(size)]
            events = [events[i] for i in rows]
            keys = [keys[i] for i in rows]
        return _columns(events, keys, [person for p in people for person in p]), sizes

    def _unwrap(self, records: Sequence[SesRecord]) -> tuple[list[SesEvent], list[str | None]]:
        """Return the notifications, and what their envelopes are known by."""
        if not {r.sns_type for r in records} <= {None, "Notification"}:
            raise FormatError(_not_a_notification(records))
        messages = [r.message for r in records]
        if None not in messages:
            return list(map(self._open, messages)), [r.sns_id or None for r in records]
        events: list[SesEvent] = []
        keys: list[str | None] = []
        for r in records:
            if r.message is not None:
                events.append(self._open(r.message))
                keys.append(r.sns_id or None)
            elif r.detail is not None:
                events.append(r.detail)
                keys.append(r.bridge_id or None)
            else:
                events.append(r)
                keys.append(None)
        return events, keys

    def _open(self, message: str | None) -> SesEvent:
        try:
            return self._decode_message(message or "")
        except REFUSALS as exc:
            if isinstance(exc, RecursionError):
                raise
            if not (message or "").lstrip().startswith("{"):
                raise FormatError(f"no SES event in the message of SNS: {message:.200}") from None
            raise FormatError(f"in field Message: {reason_of(exc)}") from None

    def _split(self, payload: bytes) -> Iterable[tuple[int | None, bytes | msgspec.Raw]]:
        """Return one record for each recipient; of a notification of one, itself."""
        records = [raw for _, raw in super()._split(payload)]
        is_array = begins_array(payload)
        pieces: list[bytes | msgspec.Raw] = []
        room = _MAX_NARROWED
        for raw in records:
            narrowed = one_each(raw, room)
            if narrowed:
                room -= sum(map(len, narrowed))
                pieces += narrowed
            else:
                pieces.append(raw)
        if len(pieces) == 1 and not is_array:
            return [(None, pieces[0])]
        return enumerate(pieces)


def _people(event: SesEvent) -> Sequence[_Recipient | str | None]:
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


_NOBODY = (None,)


def _spread(
    payloads: Sequence[bytes], origins: Sequence[Origin], sizes: Sequence[int]
) -> list[Origin]:
    """Return the origin of each row, numbered as :meth:`SesFormat._split` numbers them.

    Raises:
        ValueError: some payload is, or may be, more than ``_split`` would take apart.
    """
    spread: list[Origin] = []
    next_element: dict[int, int] = {}
    several: dict[int, int] = {}
    for (position, element), size in zip(origins, sizes, strict=True):
        if size == 1 and element is None:
            spread.append((position, None))
            continue
        first = next_element.get(position, 0)
        next_element[position] = first + size
        spread += [(position, first + n) for n in range(size)]
        if size > 1:
            several[position] = several.get(position, 0) + size
    for position, count in several.items():
        payload = payloads[position]
        if count * len(payload) > _MAX_NARROWED:
            raise ValueError("too large to be taken apart at once")
        payload.decode()
    return spread


def _columns(
    events: Sequence[SesEvent],
    keys: Sequence[str | None],
    people: Sequence[_Recipient | str | None],
) -> dict[str, Column]:
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


def _not_a_notification(records: Sequence[SesRecord]) -> str:
    record = next(r for r in records if r.sns_type not in (None, "Notification"))
    topic = (record.topic or "an unnamed topic")[:200]
    if record.sns_type == "SubscriptionConfirmation":
        return (
            f"no event: SNS asks to confirm the subscription to {topic}; "
            "open the SubscribeURL of this record to get its events"
        )
    if record.sns_type == "UnsubscribeConfirmation":
        return (
            f"no event: SNS says that the subscription to {topic} has ended; "
            "the SubscribeURL of this record restores it"
        )
    return f"no event: an envelope of SNS of the type {record.sns_type:.100}"
