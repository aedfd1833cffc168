"""Mailgun's webhooks: with the signature around the event, and without."""

from __future__ import annotations

from typing import Any

import pytest

from tests.format_cases import Case, Refused, at, check_cases, check_refused

SECOND = 1521472262.908181
MS = 1521472262908
SIGNATURE = {"timestamp": "1529006854", "token": "a8ce0edb2dd8301dee6c2405235584e45aa9", "x": ""}
MESSAGE = {"headers": {"message-id": "20130503182626.18666.16540@example.com"}}
CHROME = "Mozilla/5.0 (X11; Linux x86_64) Chrome/31.0"


def event(name: str, uid: str, **fields: Any) -> dict[str, Any]:
    """Return an event with what all of them have; _ in a field's name is - in Mailgun's."""
    common = {
        "event": name,
        "id": uid,
        "timestamp": SECOND,
        "log-level": "info",
        "recipient": "alice@example.com",
        "recipient-domain": "example.com",
        "tags": ["my_tag_1", "my_tag_2"],
        "campaigns": [],
        "user-variables": {"my_var_1": "Mailgun Variable #1"},
        "message": MESSAGE,
    }
    found = common | {k.replace("_", "-"): v for k, v in fields.items()}
    return {k: v for k, v in found.items() if v is not ...}


def signed(data: Any) -> dict[str, Any]:
    return {"signature": SIGNATURE, "event-data": data}


def row(name: str, uid: str, **fields: Any) -> dict[str, Any]:
    common = {
        "event_name": name,
        "id": "20130503182626.18666.16540@example.com",
        "recipient": "alice@example.com",
        "occurred_at": MS,
        "campaign": "my_tag_1",
        "esp": "mailgun",
        "event_uid": uid,
    }
    return {k: v for k, v in (common | fields).items() if v is not ...}


def failed(uid: str, severity: str, reason: str, /, **status: Any) -> dict[str, Any]:
    kebab = {k.replace("_", "-"): v for k, v in status.items()}
    return signed(event("failed", uid, severity=severity, reason=reason, delivery_status=kebab))


GOOD = Case(
    "delivered",
    signed(
        event(
            "delivered",
            "d1",
            delivery_status={"code": 250, "message": "OK", "description": "", "tls": True},
        )
    ),
    [row("delivered", "d1", reason="250 OK")],
)
CASES = [
    GOOD,
    Case(
        "the sample of a failure",
        b'{"event-data":{"event":"failed","severity":"permanent","reason":"bounce","recipient":'
        b'"invalid@example.com","timestamp":1534110422.389832,"delivery-status":{"code":550,'
        b'"message":"5.1.1 The email account that you tried to reach does not exist.","mx-host":'
        b'"aspmx.l.example.org"}}}',
        [
            {
                "event_name": "bounced",
                "recipient": "invalid@example.com",
                "occurred_at": at("2018-08-12T21:47:02.390Z"),
                "reason": "550 5.1.1 The email account that you tried to reach does not exist.",
                "esp": "mailgun",
            }
        ],
    ),
    Case("accepted", event("accepted", "a1", tags=None), [row("queued", "a1", campaign=...)]),
    Case(
        "accepted without a status",
        signed(event("accepted", "a2", delivery_status=None, tags=[])),
        [row("queued", "a2", campaign=...)],
    ),
    Case(
        "rejected, which has no recipient",
        signed(
            event(
                "rejected",
                "r1",
                recipient=...,
                reject={"reason": "Sandbox subdomains are for test purposes only."},
                message={"headers": {"to": "Bob <bob@example.org>", "message-id": "m@x"}},
            )
        ),
        [
            row(
                "dropped",
                "r1",
                id="m@x",
                recipient="bob@example.org",
                reason="Sandbox subdomains are for test purposes only.",
            )
        ],
    ),
    Case(
        "failed for now",
        failed("f1", "temporary", "generic", code=498, message="No MX for nomx.example.com"),
        [row("deferred", "f1", reason="498 No MX for nomx.example.com")],
    ),
    Case(
        "greylisted",
        failed("f2", "temporary", "greylisted", code="450", message="450 Greylisted"),
        [row("deferred", "f2", reason="450 Greylisted", bounce_class="soft")],
    ),
    Case(
        "suppressed by Mailgun itself",
        [
            failed("f3", "permanent", "suppress-bounce", code=605, message="Not delivering"),
            failed("f4", "permanent", "suppress-unsubscribe", description="unsubscribed"),
            failed("f5", "permanent", "generic", code=607),
        ],
        [
            row("dropped", "f3", reason="605 Not delivering"),
            row("dropped", "f4", reason="unsubscribed"),
            row("dropped", "f5", reason="generic"),
        ],
    ),
    Case(
        "with the type of the bounce",
        [
            failed("f6", "permanent", "generic", bounce_type="hard", enhanced_code="5.5.0"),
            failed("f7", "temporary", "generic", bounce_type="soft"),
            failed("f8", "permanent", "espblock", code=421, message="4.7.0 blocked"),
            failed("f9", "permanent", "old", code=602, message="Too old"),
        ],
        [
            row("bounced", "f6", reason="generic", bounce_class="hard"),
            row("deferred", "f7", reason="generic", bounce_class="soft"),
            row("bounced", "f8", reason="421 4.7.0 blocked", bounce_class="block"),
            row("bounced", "f9", reason="602 Too old"),
        ],
    ),
    Case(
        "opened in a browser",
        signed(
            event(
                "opened",
                "o1",
                ip="50.56.129.169",
                geolocation={"country": "US"},
                client_info={
                    "client-type": "browser",
                    "client-os": "Linux",
                    "device-type": "desktop",
                    "client-name": "Chrome",
                    "user-agent": CHROME,
                    "bot": "",
                },
            )
        ),
        [
            row(
                "opened",
                "o1",
                ip="50.56.129.169",
                client="Chrome",
                os="Linux",
                device="desktop",
                user_agent=CHROME,
            )
        ],
    ),
    Case(
        "opened by machines",
        [
            event("opened", "o2", client_info={"bot": "apple", "client-name": "unknown"}),
            event("opened", "o3", client_info={"bot": "generic", "device-type": "unknown"}),
            event("opened", "o4", client_info={"bot": "gmail", "client-os": "Windows"}),
        ],
        [
            row("opened", "o2", is_machine=True),
            row("opened", "o3", is_machine=True),
            row("opened", "o4", os="Windows", is_machine=True),
        ],
    ),
    Case(
        "clicked, the event alone",
        event("clicked", "c1", url="https://example.com/test", timestamp="1521472262.908181"),
        [row("clicked", "c1", url="https://example.com/test")],
    ),
    Case(
        "unsubscribed and complained",
        [
            event("unsubscribed", "u1", timestamp=1521472262, message={}),
            signed(event("complained", "x1", message=None)),
        ],
        [
            row("unsubscribed", "u1", occurred_at=1521472262000, id=...),
            row("complained", "x1", id=...),
        ],
    ),
    Case(
        "legacy: the fields of a form, with custom variables among them",
        {
            "event": "opened",
            "recipient": "alice@example.com",
            "domain": "mg.example.com",
            "message-id": "one@y.example",
            "tag": "spring",
            "ip": "50.56.129.169",
            "user-agent": CHROME,
            "client-name": "Chrome",
            "client-os": "Linux",
            "device-type": "desktop",
            "timestamp": "1490700000",
            "token": "a8ce",
            "signature": "d227",
            "id": "42",
            "my_var": "x",
        },
        [
            {
                "event_name": "opened",
                "id": "one@y.example",
                "recipient": "alice@example.com",
                "occurred_at": 1490700000000,
                "campaign": "spring",
                "ip": "50.56.129.169",
                "user_agent": CHROME,
                "client": "Chrome",
                "os": "Linux",
                "device": "desktop",
                "esp": "mailgun",
                "event_uid": "one@y.example:opened:1490700000000:alice@example.com:",
            }
        ],
    ),
    Case(
        "legacy: the id in angle brackets, or among the headers",
        [
            {
                "event": "delivered",
                "recipient": "alice@example.com",
                "Message-Id": "<two@y.example>",
                "tag": ["a", "b"],
                "timestamp": 1490700000,
            },
            {
                "event": "bounced",
                "recipient": "alice@example.com",
                "message-headers": '[["Received", "by x"], ["Message-Id", "<three@y.example>"]]',
                "code": "550",
                "error": "5.1.1 no such user",
                "campaign-name": "c",
                "timestamp": "1490700000",
                "token": "t",
                "signature": "s",
            },
            {
                "event": "dropped",
                "recipient": "alice@example.com",
                "reason": "hardfail",
                "code": "605",
                "description": "Not delivering to previously bounced address",
                "message-headers": "no JSON",
                "timestamp": "1490700000",
                "token": "t",
                "signature": "s",
            },
        ],
        [
            {
                "event_name": "delivered",
                "id": "two@y.example",
                "recipient": "alice@example.com",
                "occurred_at": 1490700000000,
                "campaign": "a",
                "esp": "mailgun",
                "event_uid": "two@y.example:delivered:1490700000000:alice@example.com:",
            },
            {
                "event_name": "bounced",
                "id": "three@y.example",
                "recipient": "alice@example.com",
                "occurred_at": 1490700000000,
                "campaign": "c",
                "reason": "550 5.1.1 no such user",
                "esp": "mailgun",
                "event_uid": "three@y.example:bounced:1490700000000:alice@example.com:",
            },
            {
                "event_name": "dropped",
                "recipient": "alice@example.com",
                "occurred_at": 1490700000000,
                "reason": "605 Not delivering to previously bounced address",
                "esp": "mailgun",
            },
        ],
    ),
    Case("stored", event("stored", "s1"), [row("other", "s1", reason="stored")]),
]


def test_each_event_becomes_its_row() -> None:
    check_cases("mailgun", CASES)


@pytest.mark.parametrize(
    "refused",
    [
        Refused({"signature": SIGNATURE, "event-data": {}}, "field event is missing"),
        Refused(signed("opened"), "field event is missing, in event-data and beside it"),
    ],
    ids=lambda refused: refused.reason.replace(" ", "-"),
)
def test_what_is_refused(refused: Refused) -> None:
    check_refused("mailgun", refused, GOOD)
