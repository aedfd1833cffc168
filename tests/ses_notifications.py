"""Notifications of Amazon SES, for the tests of that format."""

from __future__ import annotations

import json
from typing import Any

from tests.format_cases import Case, at

SENT = "2017-08-05T00:40:02.012Z"
TIME = "2017-08-05T00:41:02.669Z"
MS = at("2017-08-05T00:41:02.669+00:00")
UA = "Mozilla/5.0 (iPhone; CPU iPhone OS 10_3_3 like Mac OS X)"
TOPIC = "arn:aws:sns:us-east-1:123456789012:ses"


def event(type_: str, id: str, /, to: Any = ("r@example.com",), **objects: Any) -> dict[str, Any]:
    """Return a notification; each message has an id of its own."""
    mail = {
        "timestamp": SENT,
        "source": "Sender Name <sender@example.com>",
        "messageId": id,
        "destination": list(to),
        "headersTruncated": False,
        "headers": [{"name": "From", "value": "sender@example.com"}],
        "tags": {"ses:configuration-set": ["ConfigSet"], "campaign": ["spring", "more"]},
    }
    return {"eventType": type_, "mail": mail | objects.pop("mail", {}), **objects}


def sns(message: Any, id: str = "sns-1", **fields: Any) -> dict[str, Any]:
    text = message if isinstance(message, str) else json.dumps(message)
    return {
        "Type": "Notification",
        "MessageId": id,
        "TopicArn": TOPIC,
        "Message": text,
        "Timestamp": TIME,
        **fields,
    }


def bounce(type_: str, sub_type: str, **fields: Any) -> dict[str, Any]:
    return {
        "bounceType": type_,
        "bounceSubType": sub_type,
        "bouncedRecipients": [{"emailAddress": "r@example.com"}],
        "timestamp": TIME,
        "feedbackId": "f",
    } | fields


GOOD = Case(
    "the sample of an open",
    b'{"eventType":"Open","mail":{"destination":["recipient@example.com"],"messageId":'
    b'"7c191be45-e9aedb9a-02f9-4d12-a87d-dd0099a07f8a-000000"},"open":{"ipAddress":"192.0.2.1",'
    b'"timestamp":"2017-08-09T22:00:19.652Z","userAgent":"Mozilla/5.0 (iPhone; CPU iPhone OS '
    b'10_3_3 like Mac OS X)"}}',
    [
        {
            "event_name": "opened",
            "id": "7c191be45-e9aedb9a-02f9-4d12-a87d-dd0099a07f8a-000000",
            "recipient": "recipient@example.com",
            "occurred_at": at("2017-08-09T22:00:19.652+00:00"),
            "ip": "192.0.2.1",
            "user_agent": UA,
            "esp": "ses",
            "event_uid": "7c191be45-e9aedb9a-02f9-4d12-a87d-dd0099a07f8a-000000:Open:1502316019652:"
            "recipient@example.com",
        }
    ],
)
THREE = event(
    "Bounce",
    "m-3",
    to=["a@x.com", "b@x.com", "c@x.com", "d@x.com"],
    bounce=bounce(
        "Permanent",
        "General",
        bouncedRecipients=[
            {
                "emailAddress": "a@x.com",
                "action": "failed",
                "status": "5.1.1",
                "diagnosticCode": "smtp; 550 5.1.1 user unknown",
            },
            {"emailAddress": "b@x.com", "status": "5.0.0"},
            {"emailAddress": "c@x.com"},
        ],
    ),
)
