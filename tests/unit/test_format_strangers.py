"""``auto`` and what is of no provider that it reads: a dead letter that names whose it looks like.

The payloads are written after the providers' documentation of their webhooks.
"""

from __future__ import annotations

from typing import Any

import pytest

from pepi_stream.formats import load_format
from pepi_stream.formats.strangers import looks_like
from tests.format_cases import raw, rows_of

STRANGERS: list[tuple[str, dict[str, Any]]] = [
    ("Mandrill", {"event": "open", "ts": 1, "_id": "a", "msg": {"email": "a@b"}, "ip": "::1"}),
    ("Mailjet", {"event": "open", "time": 1, "MessageID": 1, "email": "a@b", "CustomID": ""}),
    ("Mailjet", {"event": "unsub", "time": 1, "email": "a@b", "mj_contact_id": 1, "ip": "::1"}),
    (
        "Brevo (Sendinblue)",
        {"event": "delivered", "email": "a@b", "id": 1, "ts": 1, "message-id": "m", "ts_event": 1},
    ),
    (
        "Brevo (Sendinblue)",
        {"event": "request", "email": "a@b", "id": 1, "date": "d", "message-id": "m", "tag": "t"},
    ),
    ("Brevo (Sendinblue)", {"event": "click", "camp_id": 1, "email": "a@b", "URL": "u"}),
    ("Resend", {"type": "email.sent", "created_at": "t", "data": {"to": ["a@b"]}}),
    ("MailerSend", {"type": "activity.sent", "webhook_id": "w", "data": {}, "created_at": "t"}),
    ("Mailchimp", {"type": "unsubscribe", "fired_at": "t", "data": {"email": "a@b"}}),
    ("Mailchimp", {"type": "unsubscribe", "fired_at": "t", "data[email]": "a@b"}),
    ("Postal", {"event": "MessageSent", "timestamp": 1.5, "payload": {}, "uuid": "u"}),
    ("Elastic Email", {"transaction": "t", "messageid": "m", "status": "Sent", "to": "a@b"}),
    ("SocketLabs", {"Type": "Delivered", "ServerId": 1, "MessageId": "m", "Address": "a@b"}),
    ("Customer.io", {"metric": "sent", "event_id": "e", "object_type": "email", "data": {}}),
    ("Iterable", {"eventName": "emailSend", "email": "a@b", "dataFields": {}}),
    ("Loops", {"eventName": "email.opened", "eventTime": 1, "webhookSchemaVersion": "1.0.0"}),
    ("ActiveCampaign", {"type": "open", "date_time": "t", "initiated_from": "system"}),
    ("Campaign Monitor", {"ListID": "l", "Events": [{"Type": "Subscribe"}]}),
    (
        "Azure Communication Services",
        {
            "eventType": "Microsoft.Communication.EmailDeliveryReportReceived",
            "eventTime": "t",
            "subject": "s",
            "dataVersion": "1.0",
            "data": {"recipient": "a@b", "status": "Delivered"},
        },
    ),
    ("SMTP2GO", {"event": "open", "email_id": "e", "rcpt": "a@b", "time": "t", "sendtime": "t"}),
    ("ZeptoMail", {"event_name": ["hardbounce"], "event_message": [{}], "mailagent_key": "k"}),
    ("Mailtrap", {"event": "delivery", "message_id": "m", "sending_stream": "s", "email": "a@b"}),
    ("Scaleway", {"type": "email_sent", "email_id": "e", "organization_id": "o"}),
]
UNKNOWN: list[dict[str, Any]] = [
    {"event": "sent", "email": "a@b", "when": 1},
    {"event": "open", "timestamp": 1, "email": "a@b", "message": {"of": "somebody"}},
    {"event": "open", "timestamp": 1, "email": "a@b", "detail": {"of": "somebody"}},
    {"event": "open", "recipient": "a@b", "provider": "x"},
    {"event": {"name": "open"}, "email": "a@b", "subject": "s"},
]


@pytest.mark.parametrize(("provider", "payload"), STRANGERS, ids=[name for name, _ in STRANGERS])
def test_a_stranger_is_named(provider: str, payload: dict[str, Any]) -> None:
    why = f"of no known format; it looks like an event of {provider}, which no format reads"
    good = raw({"event": "sent", "email": "a@b"})
    auto = load_format("auto")
    for sent in (payload, [payload, payload]):
        for _ in range(2):  # without a guess, and with
            decoded = auto.decode([good, raw(sent), good])
            assert [(d.position, d.reason, d.format) for d in decoded.dead] == [(1, why, None)]
            assert decoded.size == 2


@pytest.mark.parametrize("payload", UNKNOWN)
def test_a_stranger_that_nobody_knows_is_not_plain(payload: dict[str, Any]) -> None:
    auto = load_format("auto")
    good = raw({"event": "sent", "email": "a@b"})
    decoded = auto.decode([good, raw(payload)])
    [letter] = decoded.dead
    assert letter.reason.startswith("of no known format; its keys: event, ")
    assert "event_name" in letter.reason  # the remedy
    assert rows_of(load_format("plain").decode([raw({**payload, "event": "x"})]))  # by name, it is


@pytest.mark.parametrize(
    "payload",
    [
        {"id": 1, "event_name": "sent"},
        {"event": "sent"},
        {"event": "sent", "id": 1, "recipient": "a@b", "ts": 1, "campaign": "c", "event_uid": "u"},
        {"event_name": "sent", "of": "mine", "nested": {"as": ["I", "like"]}, "msg": {}},
        {"event_name": "sent", "payload": {}, "timestamp": 1},
    ],
)
def test_plain_by_its_own_evidence(payload: dict[str, Any]) -> None:
    auto, own = load_format("auto"), load_format("plain")
    for sent in (payload, [payload]):
        for _ in range(2):
            decoded = auto.decode([raw(sent)])
            assert decoded.dead == []
            assert rows_of(decoded) == rows_of(own.decode([raw(sent)]))
            assert auto.taken_for(raw(sent)) == "plain"


def test_a_guess_of_plain_takes_no_stranger() -> None:
    """Whose payloads begin in the same way."""
    auto = load_format("auto")
    good = raw({"event": "open", "ts": 1355493600})
    stranger = raw({"event": "open", "ts": 1355493600, "_id": "8606", "msg": {}})
    for claim in ([good], [good, stranger], [stranger, good], [stranger]):
        decoded = auto.decode(claim)
        assert [d.payload for d in decoded.dead] == [p for p in claim if p == stranger]


def test_what_a_format_reads_looks_like_nobody() -> None:
    assert looks_like({"event", "recipient", "message-id"}) is None
    assert looks_like(set()) is None
