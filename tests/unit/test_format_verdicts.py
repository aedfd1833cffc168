"""What providers call a failure and is none, and what their words are worth beside a reply."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.test_provider_cases import batch_of

UNCLEAR = "550 blurb"  # no rule knows it


def pepipost(event: str, **fields: Any) -> dict[str, Any]:
    return {"TRANSID": 1, "EMAIL": "a@b.example", "EVENT": event, "TIMESTAMP": 1, **fields}


def sendgrid(event: str, **fields: Any) -> list[dict[str, Any]]:
    return [{"sg_event_id": "e", "email": "a@b.example", "event": event, "timestamp": 1, **fields}]


def bounce(type_: str, sub_type: str, to: Any = ({},), **fields: Any) -> dict[str, Any]:
    people = [{"emailAddress": "a@b.example", **person} for person in to]
    return {
        "eventType": "Bounce",
        "mail": {"messageId": "m", "destination": ["a@b.example", "c@b.example"]},
        "bounce": {"bounceType": type_, "bounceSubType": sub_type, "bouncedRecipients": people},
        **fields,
    }


def complaint(**fields: Any) -> dict[str, Any]:
    people = [{"emailAddress": "a@b.example"}]
    return {
        "eventType": "Complaint",
        "mail": {"messageId": "m"},
        "complaint": {"complainedRecipients": people, **fields},
    }


def subscription(**preferences: Any) -> dict[str, Any]:
    return {
        "eventType": "Subscription",
        "mail": {"messageId": "m", "destination": ["a@b.example"]},
        "subscription": {"newTopicPreferences": preferences},
    }


def mailgun(**fields: Any) -> dict[str, Any]:
    kebab = {name.replace("_", "-"): value for name, value in fields.items()}
    return {"event-data": {"event": "failed", "id": "i", "recipient": "a@b.example", **kebab}}


def postmark(type_: str, **fields: Any) -> dict[str, Any]:
    return {
        "RecordType": "Bounce",
        "Type": type_,
        "MessageID": "m",
        "Email": "a@b.example",
    } | fields


def change(suppress: bool, reason: str | None) -> dict[str, Any]:
    fields = {"SuppressSending": suppress, "SuppressionReason": reason, "Recipient": "a@b.example"}
    return {"RecordType": "SubscriptionChange", "MessageID": "m", **fields}


def sparkpost(type_: str, code: Any = None, **fields: Any) -> list[dict[str, Any]]:
    event = {"type": type_, "event_id": "e", "rcpt_to": "a@b.example", "bounce_class": code}
    return [{"msys": {"message_event": event | fields}}]


OUT = {"subscriptionStatus": "OptOut"}
IN = {"subscriptionStatus": "OptIn"}
NAMES: list[tuple[str, Any, str]] = [
    ("pepipost", pepipost("invalid"), "dropped"),
    ("pepipost", pepipost("abuse"), "complained"),
    ("sendgrid", sendgrid("dropped", reason="Bounced Address"), "dropped"),
    ("sendgrid", sendgrid("blocked"), "bounced"),
    *(
        ("ses", bounce("Permanent", sub_type), "dropped")
        for sub_type in ("Suppressed", "OnAccountSuppressionList", "UnsubscribedRecipient")
    ),
    ("ses", bounce("Permanent", "General"), "bounced"),
    ("ses", bounce("Transient", "General", to=()), "other"),
    ("ses", bounce("Transient", "General", bounce=5), "other"),
    ("ses", bounce("Transient", "General", bounce={"bouncedRecipients": None}), "other"),
    ("ses", complaint(complaintSubType="OnAccountSuppressionList"), "dropped"),
    ("ses", complaint(complaintFeedbackType="not-spam"), "other"),
    ("ses", complaint(complaintFeedbackType="abuse"), "complained"),
    ("ses", {"eventType": "Reject", "mail": {"messageId": "m"}}, "dropped"),
    ("ses", subscription(unsubscribeAll=True), "unsubscribed"),
    ("ses", subscription(unsubscribeAll=True, topicSubscriptionStatus=None), "unsubscribed"),
    ("ses", subscription(topicSubscriptionStatus=[OUT, OUT]), "unsubscribed"),
    ("ses", subscription(topicSubscriptionStatus=[OUT, IN]), "other"),
    ("ses", subscription(topicSubscriptionStatus=[OUT, 5]), "unsubscribed"),
    ("ses", subscription(topicSubscriptionStatus=[]), "other"),
    ("ses", subscription(unsubscribeAll="yes"), "other"),
    ("mailgun", mailgun(severity="permanent", reason="suppress-bounce"), "dropped"),
    ("mailgun", mailgun(severity="permanent", delivery_status={"code": 606}), "dropped"),
    ("mailgun", mailgun(severity="permanent", delivery_status={"code": "607"}), "dropped"),
    ("mailgun", mailgun(severity="temporary"), "deferred"),
    ("mailgun", {"event": "dropped", "recipient": "a@b.example", "message-id": "m"}, "dropped"),
    ("mailgun", {"event": "bounced", "recipient": "a@b.example", "message-id": "m"}, "bounced"),
    *(
        ("postmark", postmark(type_), "other")
        for type_ in ("AutoResponder", "ChallengeVerification", "AddressChange")
    ),
    *(
        ("postmark", postmark(type_), "dropped")
        for type_ in ("ManuallyDeactivated", "TemplateRenderingFailed", "SMTPApiError")
    ),
    ("postmark", postmark("Transient"), "deferred"),
    ("postmark", postmark("SpamNotification"), "complained"),
    ("postmark", postmark("Unsubscribe"), "unsubscribed"),
    ("postmark", postmark("Subscribe"), "subscribed"),
    ("postmark", change(True, "HardBounce"), "other"),
    ("postmark", change(True, "SpamComplaint"), "other"),
    ("postmark", change(True, "ManualSuppression"), "unsubscribed"),
    ("postmark", change(False, None), "subscribed"),
    ("sparkpost", sparkpost("bounce", "60"), "other"),
    ("sparkpost", sparkpost("out_of_band", 100), "other"),
    ("sparkpost", sparkpost("bounce", "80"), "subscribed"),
    ("sparkpost", sparkpost("bounce", 90), "unsubscribed"),
    ("sparkpost", sparkpost("bounce", "26"), "dropped"),
    ("sparkpost", sparkpost("delay", "60"), "deferred"),
    ("sparkpost", sparkpost("initial_open"), "other"),
    ("sparkpost", sparkpost("amp_initial_open"), "other"),
    ("sparkpost", sparkpost("open"), "opened"),
]


@pytest.mark.parametrize(("format", "payload", "name"), NAMES)
def test_what_an_event_is(format: str, payload: Any, name: str) -> None:
    for reader in (format, "auto"):
        batch = batch_of(reader, payload)
        assert batch.dead == []
        assert list(batch.column("event_name")) == [name]
        if name == "other":  # and never a row for each recipient of the mail
            assert batch.column("reason")[0]
        if name not in ("bounced", "deferred", "dropped"):
            assert batch.column("bounce_class")[0] is None


def diagnosed(text: str) -> tuple[dict[str, str]]:
    return ({"diagnosticCode": text},)


CLASSES: list[tuple[str, Any, str]] = [
    # Without a reply, a coarse word is all there is.
    ("pepipost", pepipost("bounced", BOUNCE_TYPE="HARDBOUNCE"), "hard"),
    ("sendgrid", sendgrid("bounce", type="bounce"), "hard"),
    ("ses", bounce("Permanent", "General"), "hard"),
    ("ses", bounce("Transient", "General"), "soft"),
    # A reply says more.
    ("pepipost", pepipost("bounced", BOUNCE_TYPE="HARDBOUNCE", RESPONSE="mailbox full"), "quota"),
    ("sendgrid", sendgrid("bounce", type="bounce", reason="mailbox full"), "quota"),
    ("sendgrid", sendgrid("bounce", type="blocked", reason="550 5.1.1 user unknown"), "hard"),
    ("ses", bounce("Permanent", "General", diagnosed("smtp; 552 mailbox full")), "quota"),
    ("ses", bounce("Transient", "General", diagnosed("smtp; 550 user unknown")), "hard"),
    ("postmark", postmark("SoftBounce", Details="mailbox full"), "quota"),
    # A reply that says nothing: what is coarse is a hint, but no reason to delete an address.
    ("pepipost", pepipost("bounced", BOUNCE_TYPE="HARDBOUNCE", RESPONSE=UNCLEAR), "other"),
    ("pepipost", pepipost("bounced", BOUNCE_TYPE="SOFTBOUNCE", RESPONSE=UNCLEAR), "soft"),
    ("sendgrid", sendgrid("bounce", type="bounce", reason=UNCLEAR), "other"),
    ("sendgrid", sendgrid("bounce", type="blocked", reason=UNCLEAR), "block"),
    ("ses", bounce("Permanent", "General", diagnosed(UNCLEAR)), "other"),
    ("ses", bounce("Transient", "General", diagnosed(UNCLEAR)), "soft"),
    ("mailgun", mailgun(severity="permanent", reason="bounce",
                        delivery_status={"message": UNCLEAR, "bounce-type": "hard"}), "other"),
    ("sparkpost", sparkpost("bounce", "20", raw_reason=UNCLEAR), "soft"),
    # Postmark says by it that the mailbox is unknown.
    ("postmark", postmark("HardBounce", Details=UNCLEAR), "hard"),
    # A cause is kept.
    ("ses", bounce("Transient", "MailboxFull", diagnosed("smtp; 550 user unknown")), "quota"),
    ("ses", bounce("Permanent", "NoEmail", diagnosed(UNCLEAR)), "hard"),
    ("ses", {"eventType": "Reject", "mail": {"messageId": "m"}}, "block"),
    ("sparkpost", sparkpost("bounce", "22", raw_reason="user unknown"), "quota"),
]  # fmt: skip


@pytest.mark.parametrize(("format", "payload", "bounce_class"), CLASSES)
def test_what_a_verdict_is_worth(format: str, payload: Any, bounce_class: str) -> None:
    for reader in (format, "auto"):
        assert list(batch_of(reader, payload).column("bounce_class")) == [bounce_class]
