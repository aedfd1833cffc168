"""Amazon SES: bare notifications, and in the envelopes of SNS and EventBridge."""

from __future__ import annotations

from typing import Any

import pytest

from tests.format_cases import Case, Refused, at, check_cases, check_refused
from tests.ses_notifications import GOOD, MS, SENT, THREE, TIME, TOPIC, UA, bounce, event, sns


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
                bounce_class=bounce_class,
                event_uid=f"sns-3:{address}",
            )
            for address, reason, bounce_class in [
                ("a@x.com", "smtp; 550 5.1.1 user unknown", ...),
                ("b@x.com", "5.0.0", ...),
                ("c@x.com", "Permanent General", "hard"),
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
        [row("dropped", "Reject", "m-6", reason="Bad content", bounce_class="block")],
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
                event_uid=f"m-8:Click:{MS}:r@example.com:http://docs.example/ses",
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
        Refused(sns('{"eventType": 1}'), "field eventType (or notificationType) is missing"),
        Refused(sns({"eventType": "Open"}), "field mail is missing"),
        Refused(
            sns({"mail": {"timestamp": SENT}}), "field eventType (or notificationType) is miss"
        ),
        Refused(sns("", Type="Strange"), "no event: an envelope of SNS of the type Strange"),
    ],
    ids=lambda refused: refused.reason[:40].replace(" ", "-"),
)
def test_what_is_refused(refused: Refused) -> None:
    check_refused("ses", refused, GOOD)
