"""Amazon SES: a notification of several recipients is several events, each with its own record."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pepi_stream.formats import load_format
from pepi_stream.formats.ses import SesFormat
from tests.decoding import check_partition, origins
from tests.format_cases import raw, rows_of
from tests.ses_notifications import GOOD, THREE, bounce, event, sns


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
