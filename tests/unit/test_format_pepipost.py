"""Pepipost's webhooks, newer and older; more of what is refused is in test_formats.py."""

from __future__ import annotations

from typing import Any

from pepi_stream.formats import load_format
from tests.format_cases import Case, at, check_cases, raw

CHROME = "Mozilla/5.0 (Windows NT 6.1) Chrome/51.0"


def event(name: str, id: int | str, **fields: Any) -> dict[str, Any]:
    common = {
        "TRANSID": id,
        "RESPONSE": "",
        "EMAIL": "someone@example.com",
        "TIMESTAMP": 1554375863,
        "EVENT": name,
        "X-APIHEADER": "xapi1",
    }
    return common | fields


def row(name: str, own: str, id: int | str, **fields: Any) -> dict[str, Any]:
    return {
        "event_name": name,
        "id": str(id),
        "recipient": "someone@example.com",
        "occurred_at": at("2019-04-04T11:04:23Z"),
        "esp": "pepipost",
        "event_uid": f"{id}:{own}:1554375863",
    } | fields


CASES = [
    Case(
        "sent",
        event("sent", 1, RESPONSE="250 2.0.0 OK", MSIZE=6368, TAGS="tag1", FROMADDRESS="a@b.c"),
        [row("sent", "sent", 1, reason="250 2.0.0 OK", campaign="tag1")],
    ),
    Case(
        "sent, of an older account",
        b'[{"TRANSID":"14652378013752608","RCPTID":"0","RESPONSE":"smtp;250 2.0.0 OK","EMAIL":'
        b'"test@example.com","TIMESTAMP":"1465237803","CLIENTID":"1234","EVENT":"sent"}]',
        [
            row(
                "sent",
                "sent",
                "14652378013752608",
                recipient="test@example.com",
                occurred_at=at("2016-06-06T18:30:03Z"),
                reason="smtp;250 2.0.0 OK",
                event_uid="14652378013752608:sent:1465237803",
            )
        ],
    ),
    Case("delivered", [event("delivered", 2)], [row("delivered", "delivered", 2)]),
    Case(
        "opened",
        [event("opened", 3, USERAGENT=CHROME, IPADDRESS="10.1.2.3", TAGS="", URL="")],
        [row("opened", "opened", 3, user_agent=CHROME, ip="10.1.2.3")],
    ),
    Case(
        "two links clicked in one second",
        [event("clicked", 4, URL="https://x/a"), event("clicked", "4", URL="https://x/b")],
        [
            row("clicked", "clicked", 4, url=u, event_uid=f"4:clicked:1554375863:{u}")
            for u in ("https://x/a", "https://x/b")
        ],
    ),
    Case(
        "bounced, hard and soft",
        [
            event(
                "bounced",
                5,
                BOUNCE_TYPE="HARDBOUNCE",
                BOUNCE_REASON="550 5.1.1 no such user",
                BOUNCE_REASONID="1",
            ),
            event("bounced", 6, BOUNCE_TYPE="SOFTBOUNCE", RESPONSE="452 4.2.2 full"),
        ],
        [
            row("bounced", "bounced", 5, reason="550 5.1.1 no such user"),
            row("bounced", "bounced", 6, reason="452 4.2.2 full", bounce_hint="soft"),
        ],
    ),
    Case(
        "never sent",
        [event("dropped", 7, RESPONSE="blacklisted user"), event("invalid", 8)],
        [row("dropped", "dropped", 7, reason="blacklisted user"), row("dropped", "invalid", 8)],
    ),
    Case(
        "complaints, by the newer and the older name",
        [event("spam", 9), event("abuse", 10, USERAGENT=CHROME)],
        [row("complained", "spam", 9), row("complained", "abuse", 10, user_agent=CHROME)],
    ),
    Case("unsubscribed", event("unsubscribed", 11), [row("unsubscribed", "unsubscribed", 11)]),
    Case(
        "an event that Pepipost adds", event("Read", 12), [row("other", "read", 12, reason="Read")]
    ),
    Case(
        "a time with a fraction",
        event("opened", 13, TIMESTAMP=1554375863.5),
        [
            row(
                "opened",
                "opened",
                13,
                occurred_at=at("2019-04-04T11:04:23.500+00:00"),
                event_uid="13:opened:1554375863.5",
            )
        ],
    ),
]


def test_each_event_becomes_its_row() -> None:
    check_cases("pepipost", CASES)


def test_repeats_agree_whether_numbers_or_text() -> None:
    one, again = event("Opened", 1), event("opened", "1", TIMESTAMP="1554375863", RESPONSE="new")
    decoded = load_format("pepipost").decode([raw(one), raw(again)])
    assert len(set(decoded.columns["event_uid"])) == 1


def test_a_long_link_is_hashed_into_the_uid() -> None:
    links = ["https://x/" + "a" * 300 + end for end in "1213"]
    claim = [raw(event("clicked", 1, URL=link)) for link in links]
    uids = load_format("pepipost").decode(claim).columns["event_uid"]
    assert [len(uid) for uid in uids] == [64] * 4
    assert len(set(uids)) == 3


def test_a_uid_that_nobody_reads_is_not_made() -> None:
    format = load_format("pepipost")
    format.wanted = frozenset(["id", "event_name"])
    assert "event_uid" not in format.decode([raw(event("sent", 1))]).columns
