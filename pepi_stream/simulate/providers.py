"""Payloads as the other providers' webhooks push them, and a mix of all.

Sources: those of the formats of the same names. The values are the simulator's; the keys, their
nesting and the kinds of values are the provider's.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from pepi_stream.simulate.event import SimulatedEvent

Encode = Callable[[SimulatedEvent], bytes]

_to_json: Final = msgspec.json.Encoder().encode


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _hard(event: SimulatedEvent) -> bool:
    return event.bounce_type == "HARDBOUNCE"


def _present(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in ("", None)}


def sendgrid(event: SimulatedEvent) -> bytes:
    """Return an array of one event, as SendGrid posts it when there is little to post."""
    name = event.event_name
    names = {
        "sent": "delivered",
        "opened": "open",
        "clicked": "click",
        "bounced": "bounce",
        "unsubscribed": "unsubscribe",
        "complained": "spamreport",
    }
    record = {
        "email": event.recipient,
        "timestamp": event.occurred_at,
        "event": names.get(name, name),
        "sg_event_id": f"{event.message_id}-{name}-{event.occurred_at}",
        "sg_message_id": f"{event.message_id}.filter0001.1",
        "category": [event.campaign],
        "useragent": event.user_agent,
        "ip": event.ip,
        "url": event.url,
        "response": event.response if name == "sent" else "",
        "reason": event.bounce_reason or (event.response if name == "dropped" else ""),
        "type": ("bounce" if _hard(event) else "blocked") if name == "bounced" else "",
    }
    return _to_json([_present(record)])


def ses(event: SimulatedEvent) -> bytes:
    """Return an SNS envelope around SES's event."""
    at, name = _iso(event.occurred_at), event.event_name
    mail = {
        "messageId": str(event.message_id),
        "timestamp": at,
        "source": event.sender,
        "destination": [event.recipient],
        "tags": {"campaign": [event.campaign]},
    }
    reader = {"timestamp": at, "ipAddress": event.ip, "userAgent": event.user_agent}
    to = {"emailAddress": event.recipient}
    kinds: dict[str, tuple[str, str, dict[str, Any]]] = {
        "sent": ("Send", "send", {}),
        "opened": ("Open", "open", reader),
        "clicked": ("Click", "click", reader | {"link": event.url}),
        "bounced": (
            "Bounce",
            "bounce",
            {
                "bounceType": "Permanent" if _hard(event) else "Transient",
                "bounceSubType": "General",
                "bouncedRecipients": [to | {"diagnosticCode": f"smtp; {event.bounce_reason}"}],
                "timestamp": at,
            },
        ),
        "dropped": ("Reject", "reject", {"reason": event.response or "Bad content"}),
        "complained": ("Complaint", "complaint", {"complainedRecipients": [to], "timestamp": at}),
        "unsubscribed": (
            "Subscription",
            "subscription",
            {
                "contactList": "all",
                "timestamp": at,
                "source": "UnsubscribeHeader",
                "newTopicPreferences": {"unsubscribeAll": True},
            },
        ),
    }
    event_type, key, detail = kinds[name]
    message = {"eventType": event_type, "mail": mail, key: detail}
    envelope = {
        "Type": "Notification",
        "MessageId": f"{event.message_id}-{name}-{event.occurred_at}",
        "TopicArn": "arn:aws:sns:eu-west-1:123456789012:ses-events",
        "Message": json.dumps(message),
        "Timestamp": at,
    }
    return _to_json(envelope)


def mailgun(event: SimulatedEvent) -> bytes:
    """Return Mailgun's event with its signature beside it."""
    name = event.event_name
    data: dict[str, Any] = {
        "event": {"sent": "delivered", "bounced": "failed", "dropped": "rejected"}.get(name, name),
        "id": f"{event.message_id}-{name}-{event.occurred_at}",
        "timestamp": event.occurred_at + 0.25,
        "log-level": "info",
        "recipient": event.recipient,
        "message": {"headers": {"message-id": f"{event.message_id}@mail.example"}},
        "tags": [event.campaign],
        "ip": event.ip,
        "url": event.url,
    }
    if event.user_agent:
        data["client-info"] = {"user-agent": event.user_agent}
    if name == "bounced":
        data |= {
            "severity": "permanent",
            "reason": "bounce",
            "delivery-status": {
                "code": int(event.bounce_reason[:3]),
                "message": event.bounce_reason,
                "bounce-type": "hard" if _hard(event) else "soft",
            },
        }
    if name == "dropped":
        data["reject"] = {"reason": event.response or "Sandbox"}
    signature = {"timestamp": str(event.occurred_at), "token": "0" * 50, "signature": "0" * 64}
    return _to_json({"signature": signature, "event-data": _present(data)})


def postmark(event: SimulatedEvent) -> bytes:
    """Return Postmark's record of an event; it has none for a drop."""
    at, name = _iso(event.occurred_at), event.event_name
    kinds: dict[str, dict[str, Any]] = {
        "sent": {"RecordType": "Delivery", "DeliveredAt": at, "Details": event.response},
        "opened": {"RecordType": "Open", "ReceivedAt": at, "FirstOpen": True},
        "clicked": {"RecordType": "Click", "ReceivedAt": at, "OriginalLink": event.url},
        "bounced": {
            "RecordType": "Bounce",
            "BouncedAt": at,
            "Type": "HardBounce" if _hard(event) else "SoftBounce",
            "Details": event.bounce_reason,
        },
        "complained": {"RecordType": "SpamComplaint", "Type": "SpamComplaint", "BouncedAt": at},
        "unsubscribed": {
            "RecordType": "SubscriptionChange",
            "ChangedAt": at,
            "SuppressSending": True,
        },
    }
    record = {
        "MessageID": str(event.message_id),
        "Email" if name in ("bounced", "complained") else "Recipient": event.recipient,
        "Tag": event.campaign,
        "UserAgent": event.user_agent,
        **kinds[name],
    }
    if event.ip and name in ("opened", "clicked"):
        record["Geo"] = {"IP": event.ip}
    return _to_json(_present(record))


def sparkpost(event: SimulatedEvent) -> bytes:
    """Return SparkPost's array of one event, in its envelope."""
    name = event.event_name
    classes = {
        "sent": ("message_event", "delivery"),
        "opened": ("track_event", "open"),
        "clicked": ("track_event", "click"),
        "bounced": ("message_event", "bounce"),
        "dropped": ("message_event", "policy_rejection"),
        "complained": ("message_event", "spam_complaint"),
        "unsubscribed": ("unsubscribe_event", "link_unsubscribe"),
    }
    kind, type_ = classes[name]
    record = {
        "type": type_,
        "event_id": f"{event.message_id}{event.occurred_at}{type_}",
        "message_id": str(event.message_id),
        "rcpt_to": event.recipient,
        "timestamp": str(event.occurred_at),
        "campaign_id": event.campaign,
        "ip_address": event.ip,
        "user_agent": event.user_agent,
        "target_link_url": event.url,
        "raw_reason": event.bounce_reason or (event.response if name == "dropped" else ""),
        "bounce_class": ("10" if _hard(event) else "20") if name == "bounced" else "",
    }
    return _to_json([{"msys": {kind: _present(record)}}])


_SENT_IS_DELIVERED: Final = frozenset({"sendgrid", "mailgun", "postmark", "sparkpost"})


def canonical_name(format: str, event_name: str) -> str:
    """Return how the row of an event in this format is called: most providers tell of delivery."""
    if event_name == "sent" and format in _SENT_IS_DELIVERED:
        return "delivered"
    return event_name


def format_in_mix(event: SimulatedEvent, formats: tuple[str, ...]) -> str:
    """Return the format that a mix gives an event: all of a message in one."""
    chosen = formats[event.message_id % len(formats)]
    # Postmark tells of no drops.
    if (chosen, event.event_name) == ("postmark", "dropped"):
        return next((name for name in formats if name != "postmark"), chosen)
    return chosen
