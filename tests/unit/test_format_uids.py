"""Made-up event uids: they hold what tells two events apart, and are NULL where nothing does."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from pepi_stream.formats import load_format
from tests.format_cases import raw, rows_of

#: Events without a key of the provider's making, and what else may tell two of them apart.
EVENTS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "pepipost": (
        {"TRANSID": 1, "EVENT": "clicked", "EMAIL": "a@b", "TIMESTAMP": 5, "URL": "u"},
        ["TRANSID", "EVENT", "TIMESTAMP", "URL"],
    ),
    "sendgrid": (
        {"event": "click", "email": "a@b", "timestamp": 5, "sg_message_id": "m", "url": "u"},
        ["event", "email", "timestamp", "sg_message_id", "url"],
    ),
    "ses": (
        {
            "eventType": "Click",
            "mail": {"messageId": "m", "destination": ["a@b"], "timestamp": "1"},
            "click": {"timestamp": "5", "link": "u"},
        },
        ["eventType", "mail.messageId", "mail.destination", "click.timestamp", "click.link"],
    ),
    "mailgun": (
        {
            "event": "clicked",
            "recipient": "a@b",
            "timestamp": 5,
            "url": "u",
            "message": {"headers": {"message-id": "m"}},
        },
        ["event", "recipient", "timestamp", "url", "message.headers.message-id"],
    ),
    "mailgun legacy": (
        {"event": "clicked", "recipient": "a@b", "timestamp": "5", "url": "u", "message-id": "m"},
        ["event", "recipient", "timestamp", "url", "message-id"],
    ),
    "postmark": (
        {
            "RecordType": "Click",
            "MessageID": "m",
            "Recipient": "a@b",
            "ReceivedAt": "2020-01-01T00:00:00Z",
            "OriginalLink": "u",
        },
        ["RecordType", "MessageID", "Recipient", "ReceivedAt", "OriginalLink"],
    ),
    "sparkpost": (
        {
            "msys": {
                "track_event": {
                    "type": "click",
                    "message_id": "m",
                    "rcpt_to": "a@b",
                    "timestamp": "5",
                    "target_link_url": "u",
                }
            }
        },
        [
            f"msys.track_event.{key}"
            for key in ("type", "message_id", "rcpt_to", "timestamp", "target_link_url")
        ],
    ),
}
MESSAGE_ID = {"TRANSID", "sg_message_id", "messageId", "message-id", "MessageID", "message_id"}
TIME = {"TIMESTAMP", "timestamp", "ReceivedAt"}
OTHER: dict[str, Any] = {"timestamp": "6", "TIMESTAMP": 6, "ReceivedAt": "2020-01-01T00:00:01Z"}


def uid(name: str, payload: Any) -> str | None:
    format = load_format(name.partition(" ")[0])
    decoded = format.decode([raw(payload)])
    if decoded.dead:
        return None
    found: str | None = rows_of(decoded)[0].get("event_uid")
    return found


def changed(payload: dict[str, Any], way: str, **new: Any) -> dict[str, Any]:
    copied = copy.deepcopy(payload)
    *keys, last = way.split(".")
    at = copied
    for key in keys:
        at = at[key]
    if not new:
        del at[last]
    elif last in ("RecordType", "eventType", "event", "EVENT", "type"):
        at[last] = "opened"
    else:
        at[last] = new["value"] if not isinstance(at[last], list) else [new["value"]]
    return copied


@pytest.mark.parametrize("name", EVENTS)
def test_what_tells_two_events_apart_is_in_the_uid(name: str) -> None:
    payload, ways = EVENTS[name]
    uids = [uid(name, payload)]
    for way in ways:
        last = way.rpartition(".")[2]
        uids.append(uid(name, changed(payload, way, value=OTHER.get(last, "x@y"))))
    assert None not in uids
    assert len(set(uids)) == len(uids)


@pytest.mark.parametrize("name", EVENTS)
def test_without_message_or_time_there_is_none(name: str) -> None:
    """Two events would share it, and one of them be dropped as the other's repeat."""
    payload, ways = EVENTS[name]
    for way in ways:
        if way.rpartition(".")[2] in MESSAGE_ID | TIME:
            assert uid(name, changed(payload, way)) is None, way
            assert uid(name, changed(payload, way, value=[])) is None, way


def test_openings_of_ses_never_share_the_time_of_their_mail() -> None:
    mail = {"messageId": "m", "destination": ["a@b"], "timestamp": "2020-01-01T00:00:00Z"}
    for kind in ("Open", "Click", "DeliveryDelay", "Subscription"):
        assert uid("ses", {"eventType": kind, "mail": mail}) is None
    for kind in ("Send", "Reject", "Rendering Failure", "Delivery"):
        assert uid("ses", {"eventType": kind, "mail": mail}) is not None
    assert uid("ses", {"MessageId": "i", "Message": '{"eventType":"Open","mail":{}}'}) == "i:None"


def test_a_customers_variable_is_no_id_of_mailguns() -> None:
    """In the legacy form they lie beside Mailgun's own fields."""
    legacy = {"event": "opened", "recipient": "a@b", "timestamp": "5", "token": "t", "id": "42"}
    assert uid("mailgun", legacy) is None
    assert uid("mailgun", legacy | {"message-id": "m"}) == "m:opened:5000:a@b:"


def test_an_event_of_mailguns_own_id_needs_no_more() -> None:
    assert uid("mailgun", {"event": "opened", "id": "i", "log-level": "info"}) == "i"
