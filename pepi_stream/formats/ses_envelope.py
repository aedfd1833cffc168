"""The envelopes in which notifications of Amazon SES come: SNS's, EventBridge's, or none.

SNS puts the notification into ``Message``, as a string of JSON; EventBridge into ``detail``. SNS
also sends requests to confirm a subscription, and notes that it has ended.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pepi_stream.formats.base import REFUSALS, FormatError, reason_of
from pepi_stream.formats.lenient import lenient_decoder
from pepi_stream.formats.ses_notification import SesEvent


class SesRecord(
    SesEvent,
    gc=False,
    rename={
        "sns_type": "Type",
        "sns_id": "MessageId",
        "message": "Message",
        "topic": "TopicArn",
        "sns_time": "Timestamp",
        "bridge_id": "id",
        "bridge_time": "time",
    },
):
    """A payload: a notification in an envelope, or the notification itself."""

    sns_type: str | None = None
    sns_id: str | None = None
    message: str | None = None
    topic: str | None = None
    sns_time: str | None = None
    bridge_id: str | None = None
    bridge_time: str | None = None
    detail: SesEvent | None = None


_decode = msgspec.json.Decoder(SesEvent).decode
_NOTES = {
    "SubscriptionConfirmation": "no event: SNS asks to confirm the subscription to {topic}; "
    "open the SubscribeURL of this record to get its events",
    "UnsubscribeConfirmation": "no event: SNS says that the subscription to {topic} has ended; "
    "the SubscribeURL of this record restores it",
}


def unwrap(
    records: Sequence[SesRecord],
) -> tuple[list[SesEvent], list[str | None], list[str | None]]:
    """Return the notifications, what their envelopes are known by, and when those were sent.

    Raises:
        FormatError: an envelope holds none, but a request of SNS or a text.
    """
    messages = [r.message for r in records]
    if None not in messages:
        events = list(map(_open, records))
        return events, [r.sns_id or None for r in records], [r.sns_time for r in records]
    events = []
    keys: list[str | None] = []
    sent_at: list[str | None] = []
    for r in records:
        if r.message is not None:
            events.append(_open(r))
            keys.append(r.sns_id or None)
            sent_at.append(r.sns_time)
        elif r.detail is not None:
            events.append(r.detail)
            keys.append(r.bridge_id or None)
            sent_at.append(r.bridge_time)
        else:
            events.append(r)
            keys.append(None)
            sent_at.append(None)
    return events, keys, sent_at


def _open(record: SesRecord) -> SesEvent:
    message = record.message or ""
    try:
        event: SesEvent = _decode(message)
    except REFUSALS as exc:
        return _open_leniently(record, message, exc)
    return event


def _open_leniently(record: SesRecord, message: str, refused: Exception) -> SesEvent:
    try:
        if note := _NOTES.get(record.sns_type or ""):
            raise FormatError(note.format(topic=(record.topic or "an unnamed topic")[:200]))
        raw = message.encode("utf-8", "surrogatepass")
        event: SesEvent = lenient_decoder(SesEvent)(raw, refused)
        return event
    except (FormatError, RecursionError):
        raise
    except REFUSALS as exc:
        raise FormatError(_no_event(record, message, exc)) from None
    finally:
        del refused


def _no_event(record: SesRecord, message: str, exc: Exception) -> str:
    if message.lstrip().startswith("{"):
        return f"in field Message: {reason_of(exc)}"
    if record.sns_type in (None, "Notification"):
        return f"no SES event in the message of SNS: {message:.200}"
    return f"no event: an envelope of SNS of the type {record.sns_type:.100}"
