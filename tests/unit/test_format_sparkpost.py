"""SparkPost's webhook batches."""

from __future__ import annotations

from typing import Any

import pytest

from pepi_stream.formats import load_format
from tests.format_cases import Case, Refused, at, check_cases, check_refused, raw

MS = 1460989507000
CLASSES = {
    **dict.fromkeys(("open", "initial_open", "click", "amp_click", "amp_open"), "track_event"),
    **dict.fromkeys(("generation_failure", "generation_rejection"), "gen_event"),
    **dict.fromkeys(("list_unsubscribe", "link_unsubscribe"), "unsubscribe_event"),
}


def event(type_: str, uid: Any, **fields: Any) -> dict[str, Any]:
    common = {
        "type": type_,
        "event_id": uid,
        "message_id": "000443ee14578172be22",
        "transmission_id": "65832150921904138",
        "rcpt_to": "recipient@example.com",
        "raw_rcpt_to": "Recipient@example.com",
        "timestamp": "1460989507",
        "campaign_id": "Example Campaign Name",
        "rcpt_meta": {"customKey": "customValue"},
        "rcpt_tags": ["male", "US"],
    }
    found = {k: v for k, v in (common | fields).items() if v is not ...}
    return {"msys": {CLASSES.get(type_, "message_event"): found}}


def row(name: str, uid: str, **fields: Any) -> dict[str, Any]:
    common = {
        "event_name": name,
        "id": "000443ee14578172be22",
        "recipient": "recipient@example.com",
        "occurred_at": MS,
        "campaign": "Example Campaign Name",
        "esp": "sparkpost",
        "event_uid": uid,
    }
    return {k: v for k, v in (common | fields).items() if v is not ...}


def bounces(*codes: Any) -> list[dict[str, Any]]:
    return [event("bounce", f"code {code}", bounce_class=code) for code in codes]


GOOD = Case(
    "delivery",
    [event("delivery", "d1", ip_address="1.2.3.4")],
    [row("delivered", "d1", ip="1.2.3.4")],
)
CASES = [
    GOOD,
    Case(
        "the sample of a bounce",
        b'{"msys":{"message_event":{"type":"bounce","bounce_class":"10","error_code":"550",'
        b'"event_id":"84345317653491230","raw_reason":"550 5.1.1 <bounce@example.com>: Recipient '
        b'address rejected: User unknown","rcpt_to":"bounce@example.com","timestamp":"1464824548",'
        b'"transmission_id":"84345317650824116"}}}',
        [
            {
                "event_name": "bounced",
                "id": "84345317650824116",
                "recipient": "bounce@example.com",
                "occurred_at": at("2016-06-01T23:42:28Z"),
                "reason": "550 5.1.1 <bounce@example.com>: Recipient address rejected: "
                "User unknown",
                "bounce_class": "hard",
                "esp": "sparkpost",
                "event_uid": "84345317653491230",
            }
        ],
    ),
    Case(
        "what becomes of a message",
        [
            event("injection", "i1"),
            event("delay", "d2", bounce_class="21", raw_reason="454 4.4.4 [internal] no MX"),
            event("out_of_band", "o1", bounce_class=22, reason="552 full"),
            event("policy_rejection", "p1", bounce_class="25", raw_reason="550 spam"),
            event("spam_complaint", "s1", fbtype="abuse", report_by="server.email.com"),
            event("generation_failure", "g1", raw_reason="no template"),
            event("generation_rejection", "g2"),
        ],
        [
            row("queued", "i1"),
            row("deferred", "d2", bounce_class="dns", reason="454 4.4.4 [internal] no MX"),
            row("bounced", "o1", bounce_class="quota", reason="552 full"),
            row("dropped", "p1", bounce_class="policy", reason="550 spam"),
            row("complained", "s1"),
            row("dropped", "g1", reason="no template"),
            row("dropped", "g2"),
        ],
    ),
    Case(
        "bounce classes",
        bounces(*("1", "20", "30", "40", "50", "51", "53", "70", "80", "90", "100", "999", 10))
        + bounces("60", "26", "23"),
        [
            row("bounced", "code 1"),
            row("bounced", "code 20", bounce_class="soft"),
            row("bounced", "code 30", bounce_class="hard"),
            row("bounced", "code 40", bounce_class="soft"),
            row("bounced", "code 50", bounce_class="block"),
            row("bounced", "code 51", bounce_class="block"),
            row("bounced", "code 53", bounce_class="policy"),
            row("bounced", "code 70", bounce_class="soft"),
            row("subscribed", "code 80"),
            row("unsubscribed", "code 90"),
            row("other", "code 100", reason="bounce"),
            row("bounced", "code 999"),
            row("bounced", "code 10", bounce_class="hard"),
            row("other", "code 60", reason="bounce"),
            row("dropped", "code 26", bounce_class="policy"),
            row("bounced", "code 23", bounce_class="policy"),
        ],
    ),
    Case(
        "opened, prefetched or not",
        [
            event("open", "o2", is_prefetched=True, user_agent="UA", ip_address="1.2.3.4"),
            event("initial_open", "o3", is_prefetched="false"),
            event("amp_open", "o4", user_agent_parsed={"is_prefetched": True}),
            event("amp_initial_open", "o5"),
        ],
        [
            row("opened", "o2", is_machine=True, user_agent="UA", ip="1.2.3.4"),
            row("other", "o3", is_machine=False, reason="initial_open"),
            row("opened", "o4", is_machine=True),
            row("other", "o5", reason="amp_initial_open"),
        ],
    ),
    Case(
        "the user agent as SparkPost reads it",
        [
            event(
                "click",
                "c1",
                target_link_url="https://example.com/",
                user_agent_parsed={
                    "agent_family": "Chrome",
                    "device_brand": "Apple",
                    "device_family": "Other",
                    "os_family": "Mac OS X",
                    "is_mobile": False,
                },
                geo_ip={"country": "US"},
            ),
            event("amp_click", "c2", user_agent_parsed={"agent_family": "Other", "os_family": ""}),
        ],
        [
            row("clicked", "c1", url="https://example.com/", client="Chrome", os="Mac OS X"),
            row("clicked", "c2"),
        ],
    ),
    Case(
        "unsubscribed",
        [event("list_unsubscribe", "u1"), event("link_unsubscribe", "u2", user_agent="UA")],
        [row("unsubscribed", "u1"), row("unsubscribed", "u2", user_agent="UA")],
    ),
    Case(
        "an ISO time, and times as numbers",
        [
            event("open", "t1", timestamp="2016-04-18T14:25:07.000Z"),
            event("open", "t2", timestamp=1460989507),
            event("open", "t3", timestamp="2016-04-18T16:25:07.5+02:00"),
        ],
        [row("opened", "t1"), row("opened", "t2"), row("opened", "t3", occurred_at=MS + 500)],
    ),
    Case(
        "a class and a type that SparkPost adds",
        {"msys": {"relay_event": {"type": "relay_injection", "event_id": 7, "timestamp": "1"}}},
        [
            {
                "event_name": "other",
                "reason": "relay_injection",
                "occurred_at": 1000,
                "esp": "sparkpost",
                "event_uid": "7",
            }
        ],
    ),
    Case(
        "without an event id, and with what is null",
        [event("click", ..., campaign_id=None, user_agent=None, target_link_url="u", rcpt_to=...)],
        [
            row(
                "clicked",
                f"000443ee14578172be22:click:{MS}:Recipient@example.com:u",
                campaign=...,
                recipient="Recipient@example.com",
                url="u",
            )
        ],
    ),
]


def test_each_event_becomes_its_row() -> None:
    check_cases("sparkpost", CASES)


def test_an_event_too_many_does_not_stand_in_for_one_that_is_missing() -> None:
    two = {"msys": event("open", "1")["msys"] | event("bounce", "2")["msys"]}
    decoded = load_format("sparkpost").decode([raw([{"msys": {}}, two, event("open", "3")])])
    assert list(decoded.columns["event_uid"]) == ["3"]
    assert [d.element for d in decoded.dead] == [0, 1]


@pytest.mark.parametrize(
    "refused",
    [
        Refused([{"msys": {}}], "no event: an empty msys is SparkPost's test of a new webhook"),
        Refused(
            {"msys": event("open", "1")["msys"] | event("bounce", "2")["msys"]},
            "field msys holds several events",
        ),
        Refused({"msys": None}, "field msys must be object, not null"),
        Refused({"msys": {"relay_message": {"content": {}}}}, "field type is missing"),
    ],
    ids=["ping", "several", "null", "inbound"],
)
def test_what_is_refused(refused: Refused) -> None:
    check_refused("sparkpost", refused, GOOD)


def test_an_event_that_nothing_tells_apart_has_no_uid() -> None:
    bare = b'{"msys": {"relay_event": {"type": "relay_delivery", "timestamp": "1"}}}'
    decoded = load_format("sparkpost").decode([bare, bare])
    assert list(decoded.columns["event_uid"]) == [None, None]
