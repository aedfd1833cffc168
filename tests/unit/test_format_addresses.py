"""Recipients: the address alone, its domain in one form, in every format."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pepi_stream.events import Constant, Event
from pepi_stream.formats import FunctionFormat, load_format
from pepi_stream.formats.addresses import addresses
from tests.format_cases import raw
from tests.unit.test_provider_cases import batch_of

BUCHER = "ann@xn--bcher-kva.example"
ALONE = [
    ("ann@gmail.com", "ann@gmail.com"),
    ("Ann <ann@gmail.com>", "ann@gmail.com"),
    ('"Name, User" <ann@gmail.com>', "ann@gmail.com"),
    ('"Ann <ann@work.example>" <ann@gmail.com>', "ann@gmail.com"),
    ('"ann@work.example" ann@gmail.com', "ann@gmail.com"),
    ("=?utf-8?q?Ann_=C3=9C?= <ann@gmail.com>", "ann@gmail.com"),
    ("Ann Ü <ann@gmail.com>", "ann@gmail.com"),
    ("<ann@gmail.com>", "ann@gmail.com"),
    ("ann@gmail.com <Ann>", "ann@gmail.com"),
    ("Ann <ann@gmail.com", "ann@gmail.com"),
    ("ann@gmail.com>", "ann@gmail.com"),
    ("<@a.example,@b.example:ann@gmail.com>", "ann@gmail.com"),
    (" ann@gmail.com\t\r\n", "ann@gmail.com"),
    ("\ufeffann@gmail.com\u200b", "ann@gmail.com"),
    ("ann @ gmail.com", "ann@gmail.com"),
    ("ann@gmail.com.", "ann@gmail.com"),
    ("Ann <ann@gmail.com.>", "ann@gmail.com"),
    ("ann@gmail.com (home (not work))", "ann@gmail.com"),
    ("(Ann) ann(x)@gmail.com", "ann@gmail.com"),
    ("'ann@gmail.com'", "ann@gmail.com"),
    ('"ann@gmail.com"', "ann@gmail.com"),
    ("'ann@gmail.com' <ann@gmail.com>", "ann@gmail.com"),
    ("mailto:ann@gmail.com?subject=Hi", "ann@gmail.com"),
    ("<MAILTO:ann%40gmail.com>", "ann@gmail.com"),
    ("rfc822; ann@gmail.com", "ann@gmail.com"),
    ("ann@gmail.com, bob@x.example", "ann@gmail.com"),
    ("Ann <ann@gmail.com>; Bob <bob@x.example>", "ann@gmail.com"),
    ("Friends: ann@gmail.com, bob@x.example;", "ann@gmail.com"),
    ("undisclosed-recipients:;", None),
    ("   ", None),
    ("ann\uff20gmail.com", "ann@gmail.com"),
    ("o'brien@x.example", "o'brien@x.example"),
    ('<"john doe"@x.example>', '"john doe"@x.example'),
    ("ann@[192.0.2.1]", "ann@[192.0.2.1]"),
    ("ann@[IPv6:2001:db8::1]", "ann@[IPv6:2001:db8::1]"),
    ("Ann.B+tag@GMAIL.com", "Ann.B+tag@GMAIL.com"),
    ("ann@bücher.example", BUCHER),
    ("Ann <ann@BÜCHER.example.>", BUCHER),
    ("ann@bu\u0308cher.example", BUCHER),
    ("ann@bücher\u3002example", BUCHER),
    ("ann@XN--BCHER-KVA.example", BUCHER),
    ("ann@Xn--Bcher-Kva.example", BUCHER),
    (BUCHER, BUCHER),
    ("用户@例え.jp", "用户@xn--r8jz45g.jp"),
    # What cannot be converted, or is no address, stays.
    ("ann@xn--a.example", "ann@xn--a.example"),
    ("ann@-Bü-.example", "ann@-bü-.example"),
    ("ann@" + "ü" * 300 + ".example", "ann@" + "ü" * 300 + ".example"),
    ("a@b@c.example", "a@b@c.example"),
    ("nobody", "nobody"),
    ("@", "@"),
    ("ann@", "ann@"),
    ("", ""),
]


@pytest.mark.parametrize(("sent", "alone"), ALONE)
def test_the_address_alone(sent: str, alone: str | None) -> None:
    assert addresses([sent])[0] == alone
    assert list(addresses(["a@b", None, sent, "x@y"])) == ["a@b", None, alone, "x@y"]
    assert list(addresses(Constant(sent, 2))) == [alone, alone]
    assert list(addresses([alone, "a@b"])) == [alone, "a@b"]  # once is enough


def test_a_column_of_plain_addresses_is_left_as_it_is() -> None:
    column = [f"user{n}.x+{n}@mail-{n}.example" for n in range(1000)]
    assert addresses(column) is column


@given(st.lists(st.none() | st.text(max_size=30) | st.text('@<>()":;,. \\aü[]', max_size=30)))
def test_any_text_is_something(texts: list[str | None]) -> None:
    found = addresses(texts)
    assert len(found) == len(texts)
    assert [text is None for text in texts] <= [alone is None for alone in found]
    for text, alone in zip(texts, found, strict=True):
        assert list(addresses([text])) == [alone]  # whatever the neighbours are


@pytest.mark.parametrize("mark", ["@", "<", '"', "(", "\\", "a@", "ü@", "(@"])
def test_a_long_text_costs_no_more_than_its_length(mark: str) -> None:
    assert addresses([mark * 100_000]) == [mark * 100_000]
    assert len(addresses([mark * 300])) == 1


SAID = "User Name <ann@BÜCHER.example.>"
OF_EACH: dict[str, Any] = {
    "pepipost": {"TRANSID": 1, "EVENT": "sent", "EMAIL": SAID, "TIMESTAMP": 1},
    "sendgrid": {"event": "open", "email": SAID, "timestamp": 1, "sg_event_id": "e"},
    "ses": {"eventType": "Send", "mail": {"messageId": "m", "destination": [SAID]}},
    "mailgun": {"event-data": {"event": "opened", "recipient": SAID}},
    "postmark": {"RecordType": "Open", "Recipient": SAID, "MessageID": "m"},
    "sparkpost": {"msys": {"track_event": {"type": "open", "rcpt_to": SAID}}},
    "plain": {"event_name": "sent", "recipient": SAID},
}
ELSEWHERE: list[tuple[str, Any]] = [
    ("ses", {"eventType": "Bounce", "bounce": {"bouncedRecipients": [{"emailAddress": SAID}]}}),
    ("ses", {"eventType": "Delivery", "delivery": {"recipients": [SAID]}}),
    ("mailgun", {"event": "rejected", "log-level": "x", "message": {"headers": {"to": SAID}}}),
    ("mailgun", {"event": "opened", "recipient": SAID, "message-id": "m"}),
    ("postmark", {"RecordType": "Bounce", "Email": SAID}),
    ("sparkpost", {"msys": {"track_event": {"type": "open", "raw_rcpt_to": SAID}}}),
    ("plain", {"event": "sent", "email": SAID}),
]


@pytest.mark.parametrize(("format", "payload"), [*OF_EACH.items(), *ELSEWHERE])
def test_in_every_format_wherever_it_stands(format: str, payload: Any) -> None:
    for name in (format, "auto"):
        for _ in range(2):
            batch = batch_of(name, payload)
            assert batch.dead == []
            assert list(batch.column("recipient")) == [BUCHER]
            assert list(batch.column("recipient_domain")) == ["xn--bcher-kva.example"]


def test_in_a_users_format_too() -> None:
    format = FunctionFormat("m:f", lambda payload: [Event(event_name="sent", recipient=SAID)])
    assert list(format.decode([b"x"]).columns["recipient"]) == [BUCHER]


def test_every_format_has_a_payload_here() -> None:
    assert OF_EACH.keys() == {n for n in OF_EACH if load_format(n).decode([raw(OF_EACH[n])]).size}
