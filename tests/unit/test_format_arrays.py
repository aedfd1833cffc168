"""Arrays of which one element is broken: the others are events, the broken one is dead alone."""

from __future__ import annotations

import json
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pepi_stream.formats import FORMATS, arrays, load_format
from pepi_stream.formats.limits import LimitedFormat
from tests.decoding import DEEP, check_partition
from tests.format_cases import raw, rows_of

GOOD = {
    "pepipost": {"TRANSID": 1, "EMAIL": "a@b", "TIMESTAMP": 1, "EVENT": "sent"},
    "sendgrid": {"event": "open", "email": "a@b", "timestamp": 1, "sg_event_id": "e"},
    "ses": {"eventType": "Open", "mail": {"timestamp": "1", "destination": ["a"]}},
    "mailgun": {"event-data": {"event": "opened", "timestamp": 1.5}},
    "postmark": {"RecordType": "Open", "ReceivedAt": "2020-01-01T00:00:00Z"},
    "sparkpost": {"msys": {"track_event": {"type": "open", "timestamp": "1"}}},
    "plain": {"event": "open", "email": "a@b"},
}
DEEPLY = "nested too deeply"
#: What may stand in place of a value, and how the reason begins; no decoder reads an array with it.
BROKEN = [
    (b"NaN", "not JSON: "),
    (b"-Infinity", "not JSON: "),
    (b"01", "not JSON: "),
    (b'"\x01"', "not JSON: "),
    (b'"\\q, ]"', "not JSON: "),
    # What Python 3.14 refuses is larger than an array that is taken apart.
    *(
        ((b"[" * DEEP + b"]" * DEEP, DEEPLY), (b'{"a":' * DEEP + b"1" + b"}" * DEEP, DEEPLY))
        if sys.version_info < (3, 14)
        else ()
    ),
    (b"{1:2}", "not JSON: "),
]


@pytest.mark.parametrize(("value", "why"), BROKEN, ids=range(len(BROKEN)))
@pytest.mark.parametrize("name", GOOD)
def test_the_neighbours_of_a_broken_element_are_events(name: str, value: bytes, why: str) -> None:
    good = raw(GOOD[name])
    bad = good[:-1] + b', "x" : ' + value + b"}"
    for at in range(3):
        array = [good, good]
        array.insert(at, bad)
        payload = b"[" + b" , ".join(array) + b"]\n"
        for format in (load_format(name), load_format("auto")):
            decoded = format.decode([payload, good])
            check_partition(format, [payload, good], decoded)
            own = rows_of(format.decode([good]))
            assert rows_of(decoded) == own * 2
            [letter] = decoded.dead
            assert (letter.element, letter.payload) == (at, bad)
            assert letter.reason.startswith(why)


@pytest.mark.parametrize("name", GOOD)
def test_half_a_character_costs_nothing(name: str) -> None:
    good = raw(GOOD[name])
    array = b"[" + good + b", " + good[:-1] + b', "client" : "half \\ud83d"}, ' + good + b"]"
    for format in (load_format(name), load_format("auto")):
        decoded = format.decode([array, good])
        assert decoded.dead == []
        rows = rows_of(decoded)
        assert rows[1].pop("client", None) in (None, "half \ufffd")
        assert rows == rows_of(format.decode([good])) * 3


@pytest.mark.parametrize("first", [{}, {"a": 1}, 5, None, [], "x", {"event": 5}])
@pytest.mark.parametrize("name", [name for name in GOOD if name != "plain"])
def test_a_first_element_of_no_provider_does_not_hide_what_the_others_are(
    name: str, first: Any
) -> None:
    good = raw(GOOD[name])
    auto = load_format("auto")
    payload = raw([first, GOOD[name], GOOD[name]])
    for _ in range(2):
        decoded = auto.decode([payload])
        assert rows_of(decoded) == rows_of(load_format(name).decode([good])) * 2
        assert [(d.element, d.format) for d in decoded.dead] == [(0, name)]


@pytest.mark.parametrize(
    "payload",
    [
        b'[{"event":"a"},{"event":"b"c","d":NaN}]',  # where does the text end?
        b'[{"event":"a"},{"event":NaN}',
        b'[{"event":"a"},{"event":NaN}]]',
        b'[{"event":"a"},{"event":NaN]}',
        b'[{"event":"a"},{"event":NaN}] x',
        b'[{"event":"a"},,{"event":NaN}]',
        b'[{"event":"a"},{"event":NaN},]',
        b'[{"event":"a"},{"event":"NaN]',
    ],
)
@pytest.mark.parametrize("name", ["plain", "auto"])
def test_an_array_that_cannot_be_told_apart_is_dead_whole(name: str, payload: bytes) -> None:
    decoded = load_format(name).decode([payload, b'{"event":"x"}'])
    assert [(d.position, d.element, d.payload) for d in decoded.dead] == [(0, None, payload)]
    assert decoded.size == 1


def test_a_large_array_is_not_taken_apart_in_the_slow_way(monkeypatch: pytest.MonkeyPatch) -> None:
    payload = b'[{"event":"a"},{"event":NaN}]'
    monkeypatch.setattr(arrays, "MAX_BYTES", len(payload))
    assert load_format("plain").decode([payload]).size == 1
    decoded = load_format("plain").decode([payload + b" "])
    assert [d.element for d in decoded.dead] == [None]


def test_a_broken_element_does_not_lift_the_limit_of_events() -> None:
    limited = LimitedFormat(load_format("plain"), max_bytes=10_000, max_events=3)
    for count, dead in ((2, [2]), (3, [None])):
        payload = b"[" + b'{"event":"a","b":"cc"},' * count + b"NaN]"
        assert [d.element for d in limited.decode([payload]).dead] == dead
        assert arrays.holds_more_than(payload, 3) is (dead == [None])


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text('ab\\"[]{},: \u20ac'),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('a"[,', max_size=2), inner),
    max_leaves=20,
)


@given(array=st.lists(values, min_size=1, max_size=5), plain=st.booleans(), indent=st.booleans())
def test_the_slow_way_finds_the_elements_that_the_decoder_finds(
    array: list[Any], plain: bool, indent: bool
) -> None:
    payload = json.dumps(array, ensure_ascii=plain, indent=1 if indent else None).encode()
    wanted = msgspec.json.decode(payload, type=list[msgspec.Raw])
    assert list(arrays._apart(payload)) == [bytes(element) for element in wanted]


def test_every_format_that_reads_arrays_is_here() -> None:
    assert GOOD.keys() == FORMATS.keys() - {"auto"}
