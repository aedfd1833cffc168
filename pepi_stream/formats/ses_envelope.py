"""The envelopes in which notifications of Amazon SES come: SNS's, EventBridge's, or none.

SNS puts the notification into ``Message``, as a string of JSON; EventBridge into ``detail``. SNS
also sends requests to confirm a subscription, and notes that it has ended.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pepi_stream.formats.base import REFUSALS, FormatError, reason_of
from pepi_stream.formats.ses_notification import SesEvent


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


_decode = msgspec.json.Decoder(SesEvent).decode


def unwrap(records: Sequence[SesRecord]) -> tuple[list[SesEvent], list[str | None]]:
    """Return the notifications, and what their envelopes are known by.

    Raises:
        FormatError: an envelope holds none, but a request of SNS or a text.
    """
    if not {r.sns_type for r in records} <= {None, "Notification"}:
        raise FormatError(_not_a_notification(records))
    messages = [r.message for r in records]
    if None not in messages:
        return list(map(_open, messages)), [r.sns_id or None for r in records]
    events: list[SesEvent] = []
    keys: list[str | None] = []
    for r in records:
        if r.message is not None:
            events.append(_open(r.message))
            keys.append(r.sns_id or None)
        elif r.detail is not None:
            events.append(r.detail)
            keys.append(r.bridge_id or None)
        else:
            events.append(r)
            keys.append(None)
    return events, keys


def _open(message: str | None) -> SesEvent:
    try:
        return _decode(message or "")
    except REFUSALS as exc:
        if isinstance(exc, RecursionError):
            raise
        if not (message or "").lstrip().startswith("{"):
            raise FormatError(f"no SES event in the message of SNS: {message:.200}") from None
        raise FormatError(f"in field Message: {reason_of(exc)}") from None


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
