"""SendGrid's event webhook: its documentation's events, and what users' accounts sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pepi_stream.formats import load_format
from tests.format_cases import Case, Refused, at, check_cases, check_refused

ID = "14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0"
SECOND = 1513299569
MS = 1513299569000


def event(name: Any, uid: Any, **fields: Any) -> dict[str, Any]:
    """Return an event with what all of them have."""
    common = {
        "email": "example@test.com",
        "timestamp": SECOND,
        "smtp-id": "<14c5d75ce93.dfd.64b469@ismtpd-555>",
        "event": name,
        "sg_event_id": uid,
        "sg_message_id": ID,
    }
    return {k: v for k, v in (common | fields).items() if v is not ...}


def row(name: str, uid: str, **fields: Any) -> dict[str, Any]:
    common = {
        "event_name": name,
        "id": ID,
        "recipient": "example@test.com",
        "occurred_at": MS,
        "esp": "sendgrid",
        "event_uid": uid,
    }
    return {k: v for k, v in (common | fields).items() if v is not ...}


FORMATS_SAMPLE = Case(
    "the sample of a bounce",
    b'{"ip":"167.89.17.173","status":"5.1.1","sg_event_id":"lC0Rc-FuQmKbnxCWxX1jRQ","reason":"550'
    b' 5.1.1 The email account that you tried to reach does not exist.","tls":1,"event":"bounce",'
    b'"email":"noreply@example.com","timestamp":1461095250,"type":"bounce"}',
    [
        {
            "event_name": "bounced",
            "recipient": "noreply@example.com",
            "occurred_at": at("2016-04-19T19:47:30Z"),
            "ip": "167.89.17.173",
            "reason": "550 5.1.1 The email account that you tried to reach does not exist.",
            "esp": "sendgrid",
            "event_uid": "lC0Rc-FuQmKbnxCWxX1jRQ",
        }
    ],
)
CASES = [
    FORMATS_SAMPLE,
    Case(
        "a batch of two",
        [
            event("processed", "p1", category="cat facts"),
            event("deferred", "d1", category=["a", "b"], response="400 try later", attempt="5"),
        ],
        [
            row("queued", "p1", campaign="cat facts"),
            row("deferred", "d1", campaign="a", reason="400 try later"),
        ],
    ),
    Case(
        "delivered",
        [event("delivered", "d2", response="250 OK", ip="167.89.92.110", tls=1)],
        [row("delivered", "d2", reason="250 OK", ip="167.89.92.110")],
    ),
    Case(
        "opened by Apple's machines",
        [event("open", "o1", useragent="Mozilla/5.0", ip="17.58.1.1", sg_machine_open=True)],
        [row("opened", "o1", user_agent="Mozilla/5.0", ip="17.58.1.1", is_machine=True)],
    ),
    Case(
        "opened by a person",
        [event("open", "o2", useragent="UA", sg_machine_open=False, sg_content_type="html")],
        [row("opened", "o2", user_agent="UA", is_machine=False)],
    ),
    Case(
        "clicked",
        [
            event(
                "click", "c1", url="https://x.example/?a=1", url_offset={"index": 0, "type": "html"}
            )
        ],
        [row("clicked", "c1", url="https://x.example/?a=1")],
    ),
    Case(
        "blocked for its content",
        [
            event(
                "bounce", "b1", type="blocked", bounce_classification="Content", reason="550 spam"
            ),
            event("bounce", "b2", type="blocked", reason="554 listed", status="5.7.1"),
            event("bounce", "b3", type="bounce", bounce_classification="Invalid Address"),
            event("bounce", "b4", bounce_classification="Unclassified", status=5),
        ],
        [
            row("bounced", "b1", bounce_class="policy", reason="550 spam"),
            row("bounced", "b2", bounce_hint="block", reason="554 listed"),
            row("bounced", "b3", bounce_class="hard"),
            row("bounced", "b4", reason="5"),
        ],
    ),
    Case(
        "dropped",
        [event("dropped", "d3", reason="Bounced Address", status="5.0.0")],
        [row("dropped", "d3", reason="Bounced Address")],
    ),
    Case(
        "complaints and subscriptions",
        [
            event("spamreport", "s1"),
            event("unsubscribe", "u1"),
            event("group_unsubscribe", "u2", asm_group_id=10, url="https://unsub.example"),
            event("group_resubscribe", "u3", asm_group_id=10),
        ],
        [
            row("complained", "s1"),
            row("unsubscribed", "u1"),
            row("unsubscribed", "u2", url="https://unsub.example"),
            row("subscribed", "u3"),
        ],
    ),
    Case(
        "custom arguments beside its own fields",
        event("open", "o3", account={"deep": [1]}, campaign="mine", id=5, recipient=None),
        [row("opened", "o3")],
    ),
    Case(
        "a campaign of Marketing Campaigns",
        [
            event("open", "m1", marketing_campaign_name="Spring", marketing_campaign_id=1),
            event("open", "m2", singlesend_name="Single", category=[]),
        ],
        [row("opened", "m1", campaign="Spring"), row("opened", "m2", campaign="Single")],
    ),
    Case(
        "an event that SendGrid adds",
        [event("account_status_change", "a1", reason="why")],
        [row("other", "a1", reason="account_status_change")],
    ),
    Case(
        "an event of the account, which has no recipient",
        {"event": "account_status_change", "sg_event_id": "a2", "timestamp": SECOND, "type": "x"},
        [row("other", "a2", id=..., recipient=..., reason="account_status_change")],
    ),
    Case(
        "times as text, with a fraction, and ISO",
        [
            event("open", "t1", timestamp="1513299569"),
            event("open", "t2", timestamp=1513299569.25),
            event("open", "t3", timestamp="2017-12-15T00:59:29Z"),
        ],
        [
            row("opened", "t1"),
            row("opened", "t2", occurred_at=MS + 250),
            row("opened", "t3"),
        ],
    ),
    Case(
        "an old account without event ids",
        [
            event("click", ..., sg_message_id=..., url="https://x.example"),
            event("click", ..., sg_message_id=..., url="https://y.example"),
        ],
        [
            row(
                "clicked",
                f"<14c5d75ce93.dfd.64b469@ismtpd-555>:click:{MS}:example@test.com:{url}",
                id="<14c5d75ce93.dfd.64b469@ismtpd-555>",
                url=url,
            )
            for url in ("https://x.example", "https://y.example")
        ],
    ),
]


def test_each_event_becomes_its_row() -> None:
    check_cases("sendgrid", CASES)


@pytest.mark.parametrize(
    "refused",
    [
        Refused(event(..., "e"), "field event is missing"),
        Refused(event("open", "e", email=...), "field email is missing"),
    ],
    ids=lambda refused: refused.reason.replace(" ", "-"),
)
def test_what_is_refused(refused: Refused) -> None:
    check_refused("sendgrid", refused, FORMATS_SAMPLE)


@pytest.mark.parametrize("name", ["sendgrid", "auto"])
def test_a_bad_event_of_a_batch_is_dead_alone(name: str) -> None:
    batch = [event("open", "1"), event("open", "2", email=5), event("open", "3")]
    decoded = load_format(name).decode([json.dumps(batch).encode()])
    assert list(decoded.columns["event_uid"]) == ["1", "3"]
    assert decoded.origins == [(0, 0), (0, 2)]
    assert [(d.element, json.loads(d.payload)) for d in decoded.dead] == [(1, batch[1])]


def test_a_repeat_has_the_same_uid_whatever_else_changed() -> None:
    one = json.dumps(event("open", "same")).encode()
    again = json.dumps([event("open", "same", timestamp=str(SECOND))]).encode()
    decoded = load_format("sendgrid").decode([one, again])
    assert list(decoded.columns["event_uid"]) == ["same", "same"]
