"""Amazon SES: bare notifications, and in the envelopes of SNS and EventBridge."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pepi_stream.formats import load_format
from pepi_stream.formats.ses import SesFormat
from tests.decoding import check_partition, origins
from tests.format_cases import Case, Refused, at, check_cases, check_refused, raw, rows_of

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


def row(name: str, type_: str, id: str, **fields: Any) -> dict[str, Any]:
    common = {
        "event_name": name,
        "id": id,
        "recipient": "r@example.com",
        "occurred_at": MS,
        "campaign": "spring",
        "esp": "ses",
    }
    found = common | fields
    bare = f"{id}:{type_}:{found['occurred_at']}:{found['recipient']}"
    return {k: v for k, v in ({"event_uid": bare} | found).items() if v is not ...}


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
CASES = [
    GOOD,
    Case(
        "sent to two",
        event("Send", "m-1", to=["a@x.com", "b@x.com"], send={}),
        [
            row(
                "sent", "Send", "m-1", recipient=address, occurred_at=at("2017-08-05T00:40:02.012Z")
            )
            for address in ("a@x.com", "b@x.com")
        ],
    ),
    Case(
        "delivered to one of two",
        event(
            "Delivery",
            "m-2",
            to=["a@x.com", "r@example.com"],
            delivery={
                "timestamp": TIME,
                "recipients": ["r@example.com"],
                "smtpResponse": "250 2.6.0 Message received",
            },
        ),
        [row("delivered", "Delivery", "m-2", reason="250 2.6.0 Message received")],
    ),
    Case(
        "three of four bounced, through SNS",
        sns(THREE, "sns-3"),
        [
            row(
                "bounced",
                "",
                "m-3",
                recipient=address,
                reason=reason,
                bounce_class="hard",
                event_uid=f"sns-3:{address}",
            )
            for address, reason in [
                ("a@x.com", "smtp; 550 5.1.1 user unknown"),
                ("b@x.com", "5.0.0"),
                ("c@x.com", "Permanent General"),
            ]
        ],
    ),
    *(
        Case(
            f"a bounce, {type_} {sub_type}",
            event("Bounce", f"m-4{n}", bounce=bounce(type_, sub_type)),
            [
                row(
                    "bounced",
                    "Bounce",
                    f"m-4{n}",
                    reason=f"{type_} {sub_type}",
                    bounce_class=bounce_class,
                )
            ],
        )
        for n, (type_, sub_type, bounce_class) in enumerate(
            [
                ("Permanent", "NoEmail", "hard"),
                ("Permanent", "OnAccountSuppressionList", "hard"),
                ("Transient", "General", "soft"),
                ("Transient", "MailboxFull", "quota"),
                ("Transient", "ContentRejected", "policy"),
                ("Undetermined", "Undetermined", ...),
            ]
        )
    ),
    Case(
        "a complaint, in the older form",
        {
            "notificationType": "Complaint",
            "mail": {"timestamp": SENT, "messageId": "m-5", "destination": ["r@example.com", "z"]},
            "complaint": {
                "complainedRecipients": [{"emailAddress": "r@example.com"}],
                "timestamp": TIME,
                "complaintFeedbackType": "abuse",
                "complaintSubType": None,
            },
        },
        [row("complained", "Complaint", "m-5", reason="abuse", campaign=...)],
    ),
    Case(
        "rejected",
        event("Reject", "m-6", reject={"reason": "Bad content"}, mail={"timestamp": TIME}),
        [row("dropped", "Reject", "m-6", reason="Bad content")],
    ),
    Case(
        "a rendering failure",
        event(
            "Rendering Failure",
            "m-7",
            mail={"timestamp": TIME, "tags": {}},
            failure={"errorMessage": "Attribute 'name' is not present", "templateName": "T"},
        ),
        [
            row(
                "dropped",
                "Rendering Failure",
                "m-7",
                reason="Attribute 'name' is not present",
                campaign=...,
            )
        ],
    ),
    Case(
        "clicked",
        event(
            "Click",
            "m-8",
            click={
                "ipAddress": "192.0.2.1",
                "link": "http://docs.example/ses",
                "linkTags": {"k": ["v"]},
                "timestamp": TIME,
                "userAgent": UA,
            },
            mail={"tags": {"ses:configuration-set": ["only"]}},
        ),
        [
            row(
                "clicked",
                "Click",
                "m-8",
                url="http://docs.example/ses",
                ip="192.0.2.1",
                user_agent=UA,
                campaign=...,
            )
        ],
    ),
    Case(
        "delayed",
        event(
            "DeliveryDelay",
            "m-9",
            deliveryDelay={
                "timestamp": TIME,
                "delayType": "SpamDetected",
                "expirationTime": SENT,
                "delayedRecipients": [
                    {"emailAddress": "r@example.com", "status": "4.4.1"},
                    {"emailAddress": "s@example.com"},
                ],
            },
        ),
        [
            row("deferred", "DeliveryDelay", "m-9", reason="4.4.1", bounce_class="block"),
            row(
                "deferred",
                "DeliveryDelay",
                "m-9",
                recipient="s@example.com",
                reason="SpamDetected",
                bounce_class="block",
            ),
        ],
    ),
    *(
        Case(
            f"subscription: {preferences}",
            event(
                "Subscription",
                f"m-10{n}",
                subscription={
                    "contactList": "List",
                    "timestamp": TIME,
                    "source": "UnsubscribeHeader",
                    "newTopicPreferences": preferences,
                },
            ),
            [row(name, "Subscription", f"m-10{n}", reason=reason)],
        )
        for n, (preferences, name, reason) in enumerate(
            [
                ({"unsubscribeAll": True}, "unsubscribed", ...),
                (
                    {
                        "unsubscribeAll": False,
                        "topicSubscriptionStatus": [
                            {"topicName": "a", "subscriptionStatus": "OptOut"},
                            {"topicName": "b", "subscriptionStatus": "OptOut"},
                        ],
                    },
                    "unsubscribed",
                    ...,
                ),
                (
                    {
                        "topicSubscriptionStatus": [
                            {"topicName": "a", "subscriptionStatus": "OptOut"},
                            {"topicName": "b", "subscriptionStatus": "OptIn"},
                        ],
                    },
                    "other",
                    "Subscription",
                ),
                ({"topicSubscriptionStatus": []}, "other", "Subscription"),
            ]
        )
    ),
    Case(
        "through EventBridge",
        {
            "version": "0",
            "id": "bridge-1",
            "detail-type": "Email Opened",
            "source": "aws.ses",
            "detail": event("Open", "m-11", open={"timestamp": TIME}),
        },
        [row("opened", "", "m-11", event_uid="bridge-1:r@example.com")],
    ),
    Case(
        "an array of notifications, one of them of two recipients",
        [
            event("Send", "m-12", send={}, mail={"timestamp": TIME}),
            sns(event("Send", "m-13", to=["a", "b"], mail={"timestamp": TIME}), "sns-13"),
            event("Send", "m-14", to=[], send={}, mail={"timestamp": TIME}),
        ],
        [
            row("sent", "Send", "m-12"),
            row("sent", "", "m-13", recipient="a", event_uid="sns-13:a"),
            row("sent", "", "m-13", recipient="b", event_uid="sns-13:b"),
            row("sent", "", "m-14", recipient=..., event_uid=f"m-14:Send:{MS}:None"),
        ],
    ),
    Case(
        "a type that SES adds",
        event("Received", "m-15", mail={"timestamp": TIME, "tags": {"campaign": "text"}}),
        [row("other", "Received", "m-15", reason="Received", campaign="text")],
    ),
]


def test_each_notification_becomes_its_rows() -> None:
    check_cases("ses", CASES)


def confirmation(type_: str) -> dict[str, Any]:
    text = "You have chosen to subscribe to the topic. To confirm, visit the SubscribeURL."
    return sns(text, Type=type_, Token="t", SubscribeURL="https://sns.example/?Action=Confirm")


@pytest.mark.parametrize(
    "refused",
    [
        Refused(
            confirmation("SubscriptionConfirmation"),
            f"no event: SNS asks to confirm the subscription to {TOPIC}; open the SubscribeURL",
        ),
        Refused(
            confirmation("UnsubscribeConfirmation"),
            f"no event: SNS says that the subscription to {TOPIC} has ended",
        ),
        Refused(
            sns("Successfully validated SNS topic for Amazon SES event publishing."),
            "no SES event in the message of SNS: Successfully validated SNS topic",
        ),
        Refused(sns('{"eventType": "Open"'), "in field Message: not JSON: it ends too early"),
        Refused(sns('{"eventType": 1}'), "in field Message: field eventType must be str"),
        Refused(sns({"eventType": "Open", "mail": {}}), "field mail.timestamp is missing"),
        Refused(
            sns({"mail": {"timestamp": SENT}}), "field eventType (or notificationType) is miss"
        ),
        Refused(event("Open", "m", mail={"timestamp": "now"}), "field timestamp is now"),
        Refused(event("Open", "m", open=[]), "field open must be object | null, not array"),
        Refused(sns("", Type="Strange"), "no event: an envelope of SNS of the type Strange"),
    ],
    ids=lambda refused: refused.reason[:40].replace(" ", "-"),
)
def test_what_is_refused(refused: Refused) -> None:
    check_refused("ses", refused, GOOD)


@pytest.mark.parametrize("name", ["ses", "auto"])
@pytest.mark.parametrize("wrap", [lambda e: e, sns], ids=["bare", "sns"])
@pytest.mark.parametrize("in_array", [False, True])
def test_the_record_of_one_recipient_makes_that_event_alone(
    name: str, wrap: Any, in_array: bool
) -> None:
    """What a dead letter keeps of it can be replayed, and its neighbours do not come again."""
    payload = raw([wrap(THREE)] if in_array else wrap(THREE))
    format = load_format(name)
    rows = rows_of(format.decode([payload]))
    for n in range(3):
        one = format.element(payload, n)
        assert rows_of(format.decode([one])) == [rows[n]]
        found = json.loads(one)
        inner = json.loads(found["Message"]) if "Message" in found else found
        assert inner["bounce"].pop("bouncedRecipients") == [THREE["bounce"]["bouncedRecipients"][n]]
        rest = json.loads(json.dumps(THREE))
        del rest["bounce"]["bouncedRecipients"]
        assert inner == rest  # all else is there


@pytest.mark.parametrize(
    ("type_", "key", "object_"),
    [
        ("Delivery", "recipients", {"delivery": {"recipients": ["a", "b"]}}),
        ("Bounce", "bouncedRecipients", {"bounce": {"bouncedRecipients": 2}}),
        ("Complaint", "complainedRecipients", {"complaint": {"complainedRecipients": 2}}),
        ("DeliveryDelay", "delayedRecipients", {"deliveryDelay": {"delayedRecipients": 2}}),
        ("Open", "destination", {"mail": {"destination": ["a", "b"]}}),
    ],
)
def test_each_list_of_recipients_is_taken_apart(
    type_: str, key: str, object_: dict[str, dict[str, Any]]
) -> None:
    [(name, lists)] = object_.items()
    if lists[key] == 2:
        lists[key] = [{"emailAddress": "a"}, {"emailAddress": "b"}]
    payload = raw(event(type_, "m", to=["x", "y", "z"], **object_))
    rows = rows_of(SesFormat().decode([payload]))
    assert [made["recipient"] for made in rows] == ["a", "b"]
    one = json.loads(SesFormat().element(payload, 1))
    assert one[name][key] == lists[key][1:]
    assert rows_of(SesFormat().decode([raw(one)])) == rows[1:]


def test_a_bad_recipient_is_dead_alone() -> None:
    recipients = [{"emailAddress": "a"}, {"emailAddress": 5}, {"emailAddress": "c"}]
    payload = raw(
        event("Bounce", "m", bounce=bounce("Permanent", "", bouncedRecipients=recipients))
    )
    decoded = SesFormat().decode([raw(GOOD.payload), payload])
    check_partition(SesFormat(), [raw(GOOD.payload), payload], decoded)
    assert decoded.origins == [(0, None), (1, 0), (1, 2)]
    assert list(decoded.columns["recipient"])[1:] == ["a", "c"]
    [letter] = decoded.dead
    assert (letter.position, letter.element) == (1, 1)
    assert letter.reason == "field bounce.bouncedRecipients[0].emailAddress must be str, not int"
    assert json.loads(letter.payload)["bounce"]["bouncedRecipients"] == [{"emailAddress": 5}]


@pytest.mark.parametrize("neighbour", [raw(GOOD.payload), b"bad"])
def test_recipients_that_would_fill_memory_are_one_dead_letter(neighbour: bytes) -> None:
    """Taken apart, 2,000 recipients of a message of 20,000 bytes would be 40 MB."""
    many = [f"user{n}@example.com" for n in range(2000)]
    payload = raw(event("Send", "m", to=many, send={"x": "y" * 20_000}))
    decoded = SesFormat().decode([neighbour, payload])
    assert [(d.position, d.element) for d in decoded.dead if d.position] == [(1, None)]
    assert decoded.dead[-1].payload == payload
    assert "too large" in decoded.dead[-1].reason


def test_what_is_not_utf8_is_not_taken_apart() -> None:
    payload = raw(THREE)[:-1] + b',"\xff":1}'
    for claim in ([payload], [payload, b"bad"]):
        decoded = SesFormat().decode(claim)
        assert (decoded.dead[0].element, decoded.dead[0].payload) == (None, payload)


addresses = st.lists(st.sampled_from(["a@x", "b@x", "c@x"]), max_size=3)
notifications = st.builds(
    lambda to, wrapped: sns(event("Send", "m", to=to)) if wrapped else event("Send", "m", to=to),
    addresses,
    st.booleans(),
)


@given(
    claim=st.lists(st.one_of(notifications, st.lists(notifications, min_size=1)), max_size=5),
    bad=st.booleans(),
)
def test_rows_and_elements_are_the_same_whole_and_one_by_one(claim: list[Any], bad: bool) -> None:
    """With a bad neighbour, the claim is taken apart; that must not show."""
    format = SesFormat()
    payloads = list(map(raw, claim))
    decoded = format.decode([*payloads, b"bad"] if bad else payloads)
    for position, (payload, sent) in enumerate(zip(payloads, claim, strict=True)):
        wanted = rows_of(format.decode([payload]))
        assert rows_of(decoded, position) == wanted
        elements = [element for where, element in origins(decoded) if where == position]
        if elements == [None]:
            assert not isinstance(sent, list)
            continue
        assert elements == list(range(len(wanted)))
        for element, made in enumerate(wanted):
            assert rows_of(format.decode([format.element(payload, element)])) == [made]
