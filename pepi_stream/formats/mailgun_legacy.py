"""Mailgun's legacy webhooks: the fields of a form, side by side, as JSON.

Source: documentation.mailgun.com, "Webhooks" as of 2018 (fields by event), and what receivers of
them published (django-anymail's tests, users' gists). The id is ``message-id``, or ``Message-Id``
with angle brackets, or stands in ``message-headers``, a list of pairs as text. The tag is ``tag``.
The custom variables of a message lie beside Mailgun's own fields, so ``id`` is anybody's, and not
read: where no message id is, nothing tells two events apart, and they have no ``event_uid``.
"""

from __future__ import annotations

import msgspec

from pepi_stream.formats.base import REFUSALS
from pepi_stream.formats.mailgun_event import (
    Client,
    Headers,
    MailgunEvent,
    MailgunRecord,
    Message,
    Status,
)

_pairs = msgspec.json.Decoder(list[tuple[str, str]]).decode


def is_legacy(record: MailgunRecord) -> bool:
    """Tell whether a payload is of the legacy form, which has neither envelope nor parts."""
    return bool(
        (record.message_id or record.sent_id or record.headers or record.token)
        and record.recipient
        and record.event_data is None
        and record.message is None
        and record.log_level is None
    )


def modern(record: MailgunRecord) -> MailgunEvent:
    """Return a legacy event in today's form."""
    id = record.message_id or record.sent_id or _message_id(record.headers)
    tags = record.tag if isinstance(record.tag, list) else [record.tag] if record.tag else None
    campaign = [record.campaign] if record.campaign else None
    text = record.error or record.description
    client = Client(record.client_name, record.client_os, record.device_type, record.user_agent)
    return MailgunEvent(
        event=record.event,
        timestamp=record.timestamp,
        recipient=record.recipient,
        reason=record.reason,
        tags=tags or campaign,
        ip=record.ip,
        url=record.url,
        message=Message(Headers(id.strip(" <>"))) if id else None,
        delivery_status=Status(record.code, text) if text or record.code else None,
        client_info=client if record.user_agent or record.client_name else None,
    )


def _message_id(headers: str | None) -> str | None:
    try:
        pairs = _pairs(headers or "[]")
    except REFUSALS:
        return None
    return next((value for name, value in pairs if name.lower() == "message-id"), None)
