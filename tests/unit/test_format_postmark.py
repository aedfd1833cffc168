"""Postmark's webhooks: one object each."""

from __future__ import annotations

from typing import Any

import pytest

from tests.format_cases import Case, Refused, at, check_cases, check_refused

ID = "883953f4-6105-42a2-a16a-77a8eac79483"
TIME = "2014-08-01T13:28:10.2735393-04:00"
MS = at("2014-08-01T17:28:10.273+00:00")
CHROME = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_7_5) Chrome/35.0"


def event(type_: str, time: str, address: str = "Recipient", /, **fields: Any) -> dict[str, Any]:
    common = {"RecordType": type_, "ServerID": 23, "MessageStream": "outbound", "MessageID": ID}
    common |= {time: TIME, address: "john@example.com"}
    return {k: v for k, v in (common | fields).items() if v is not ...}


def bounce(type_: str, second: int, /, **fields: Any) -> dict[str, Any]:
    time = f"2014-08-01T17:28:{second:02}Z"
    return event("Bounce", "BouncedAt", "Email", Type=type_, **({"BouncedAt": time} | fields))


def row(name: str, type_: str, **fields: Any) -> dict[str, Any]:
    common = {
        "event_name": name,
        "id": ID,
        "recipient": "john@example.com",
        "occurred_at": MS,
        "esp": "postmark",
        "event_uid": f"{ID}:{type_}:{TIME}:john@example.com",
    }
    return {k: v for k, v in (common | fields).items() if v is not ...}


def bounced(name: str, second: int, reason: str, bounce_class: str | None = None) -> Any:
    time = f"2014-08-01T17:28:{second:02}Z"
    found = row(
        name,
        "Bounce",
        occurred_at=at(time),
        reason=reason,
        event_uid=f"{ID}:Bounce:{time}:john@example.com",
    )
    return found | ({"bounce_class": bounce_class} if bounce_class else {})


GOOD = Case(
    "delivered",
    event("Delivery", "DeliveredAt", Details="smtp;250 OK", Tag="welcome", Metadata={"a": "b"}),
    [row("delivered", "Delivery", reason="smtp;250 OK", campaign="welcome")],
)
CASES = [
    GOOD,
    Case(
        "the sample of an open",
        b'{"RecordType":"Open","FirstOpen":true,"Client":{"Name":"Gmail","Company":"Google",'
        b'"Family":"Gmail"},"MessageID":"f4830d10-9c35-4f0c-bca3-3d9b459821f8","ReceivedAt":'
        b'"2016-04-27T16:21:41.2493688-04:00","Recipient":"recipient@example.com"}',
        [
            {
                "event_name": "opened",
                "id": "f4830d10-9c35-4f0c-bca3-3d9b459821f8",
                "recipient": "recipient@example.com",
                "occurred_at": at("2016-04-27T20:21:41.249+00:00"),
                "client": "Gmail",
                "esp": "postmark",
                "event_uid": "f4830d10-9c35-4f0c-bca3-3d9b459821f8:Open:"
                "2016-04-27T16:21:41.2493688-04:00:recipient@example.com",
            }
        ],
    ),
    Case(
        "opened, with all that Postmark tells",
        event(
            "Open",
            "ReceivedAt",
            Client={"Name": "Chrome 35.0.1916.153", "Company": "Google", "Family": "Chrome"},
            OS={"Name": "OS X 10.7 Lion", "Family": "OS X 10", "Company": "Apple"},
            Platform="WebMail",  # is no device
            UserAgent=CHROME,
            Geo={"IP": "188.2.95.4", "City": "Novi Sad"},
            Tag="welcome",
            Metadata={"campaign": "not this"},
        ),
        [
            row(
                "opened",
                "Open",
                client="Chrome",
                os="Mac OS X",
                user_agent=CHROME,
                ip="188.2.95.4",
                campaign="welcome",
            )
        ],
    ),
    Case(
        "clicked twice at once, and nothing known of the reader",
        event(
            "Click",
            "ReceivedAt",
            OriginalLink="https://example.com/a",
            Client={},
            OS={"Name": "Unknown"},
            Geo={},
            Platform="Unknown",
            Tag="",
            Metadata={"campaign": "spring"},
        ),
        [
            row(
                "clicked",
                "Click",
                url="https://example.com/a",
                campaign="spring",
                event_uid=f"{ID}:Click:{TIME}:john@example.com:https://example.com/a",
            )
        ],
    ),
    Case(
        "the other link",
        event("Click", "ReceivedAt", OriginalLink="https://example.com/b"),
        [
            row(
                "clicked",
                "Click",
                url="https://example.com/b",
                event_uid=f"{ID}:Click:{TIME}:john@example.com:https://example.com/b",
            )
        ],
    ),
    Case(
        "a hard bounce",
        event(
            "Bounce",
            "BouncedAt",
            "Email",
            ID=4323372036854775807,
            Type="HardBounce",
            TypeCode=1,
            Description="The server was unable to deliver your message",
            Details="Test bounce details",
            Inactive=True,
        ),
        [row("bounced", "Bounce", reason="Test bounce details", bounce_hint="hard")],
    ),
    *(
        Case(type_, bounce(type_, n), [bounced(name, n, type_, bounce_class)])
        for n, (type_, name, bounce_class) in enumerate(
            [
                ("SoftBounce", "bounced", "soft"),
                ("Transient", "deferred", "soft"),
                ("DnsError", "bounced", "dns"),
                ("Blocked", "bounced", "block"),
                ("DMARCPolicy", "bounced", "policy"),
                ("VirusNotification", "bounced", "policy"),
                ("BadEmailAddress", "bounced", "hard"),
                ("AutoResponder", "other", None),
                ("ChallengeVerification", "other", None),
                ("AddressChange", "other", None),
                ("ManuallyDeactivated", "dropped", "policy"),
                ("TemplateRenderingFailed", "dropped", "other"),
                ("SMTPApiError", "dropped", "other"),
                ("SpamNotification", "complained", None),
                ("SpamComplaint", "complained", None),
                ("Unsubscribe", "unsubscribed", None),
                ("Subscribe", "subscribed", None),
                ("SomethingNew", "bounced", None),
            ]
        )
    ),
    Case(
        "a complaint",
        event("SpamComplaint", "BouncedAt", "Email", Type="SpamComplaint", TypeCode=512),
        [row("complained", "SpamComplaint", reason="SpamComplaint")],
    ),
    Case(
        "unsubscribed",
        event(
            "SubscriptionChange",
            "ChangedAt",
            ChangedAt="2020-02-01T10:53:34.416071Z",
            SuppressSending=True,
            SuppressionReason="ManualSuppression",
            Origin="Recipient",
        ),
        [
            row(
                "unsubscribed",
                "",
                occurred_at=at("2020-02-01T10:53:34.416+00:00"),
                reason="ManualSuppression",
                event_uid=f"{ID}:SubscriptionChange:2020-02-01T10:53:34.416071Z:john@example.com",
            )
        ],
    ),
    Case(
        "subscribed again",
        event("SubscriptionChange", "ChangedAt", SuppressSending=False, SuppressionReason=None),
        [row("subscribed", "SubscriptionChange")],
    ),
    Case(
        "a record type that Postmark adds",
        event("SmtpApiError", "ReceivedAt", Details="why"),
        [row("other", "SmtpApiError", reason="SmtpApiError")],
    ),
]


def test_each_event_becomes_its_row() -> None:
    check_cases("postmark", CASES)


@pytest.mark.parametrize(
    "refused",
    [
        Refused(event("Open", "ReceivedAt", RecordType=7), "field RecordType must be str, not int"),
    ],
    ids=["type"],
)
def test_what_is_refused(refused: Refused) -> None:
    check_refused("postmark", refused, GOOD)
