"""The records of Mailgun's events, in its envelope, alone, and of the legacy webhooks.

The sources, and what becomes of the fields, are named in ``mailgun`` and ``mailgun_legacy``.
"""

from __future__ import annotations

import msgspec


class Headers(msgspec.Struct, gc=False, rename={"message_id": "message-id"}):
    """What is kept of a message's headers."""

    message_id: str | None = None
    to: str | None = None


class Message(msgspec.Struct, gc=False):
    """The message that an event is about."""

    headers: Headers | None = None


class Status(msgspec.Struct, gc=False, rename="kebab"):
    """What the server, or Mailgun itself, said."""

    code: int | str | None = None
    message: str | None = None
    description: str | None = None
    bounce_type: str | None = None


class Client(msgspec.Struct, gc=False, rename="kebab"):
    """What a reader reads with."""

    client_name: str | None = None
    client_os: str | None = None
    device_type: str | None = None
    user_agent: str | None = None
    bot: str | None = None


class Reject(msgspec.Struct, gc=False):
    """Why Mailgun took no message."""

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
    message: Message | None = None
    delivery_status: Status | None = None
    client_info: Client | None = None
    reject: Reject | None = None
    log_level: str | None = None


class Signature(msgspec.Struct, gc=False):
    """What signs the envelope: for whoever received it, but for when that was."""

    timestamp: str | int | float | None = None


class MailgunRecord(
    MailgunEvent,
    gc=False,
    rename={
        **{name: name.replace("_", "-") for name in MailgunEvent.__struct_fields__},
        "event_data": "event-data",
        "message_id": "message-id",
        "sent_id": "Message-Id",
        "headers": "message-headers",
        "campaign": "campaign-name",
        "user_agent": "user-agent",
        "client_name": "client-name",
        "client_os": "client-os",
        "device_type": "device-type",
    },
):
    """A payload: an event in its envelope, the event itself, or a legacy one."""

    event_data: MailgunEvent | None = None
    signature: Signature | str | None = None
    token: str | None = None
    message_id: str | None = None
    sent_id: str | None = None
    headers: str | None = None
    tag: str | list[str] | None = None
    campaign: str | None = None
    code: int | str | None = None
    error: str | None = None
    description: str | None = None
    user_agent: str | None = None
    client_name: str | None = None
    client_os: str | None = None
    device_type: str | None = None
