"""What one payload may hold, for every format: bytes, and events however it holds them."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pepi_stream.events import Event
from pepi_stream.formats import Decoded, Format, FunctionFormat, LimitedFormat, load_format
from pepi_stream.pipeline import Pipeline
from pepi_stream.settings import load_settings
from tests.decoding import DEEP, check_partition, origins

MANY = "the payload holds more events than source.payload_max_events (5)"


def good(number: int) -> bytes:
    return b'{"id":%d,"event":"sent"}' % number


def array(*elements: bytes) -> bytes:
    return b"[" + b",".join(elements) + b"]"


def limited(name: str = "plain", *, max_bytes: int = 1 << 20, max_events: int = 5) -> LimitedFormat:
    return LimitedFormat(load_format(name), max_bytes=max_bytes, max_events=max_events)


def between(format: Format, *payloads: bytes) -> tuple[Decoded, list[str]]:
    """Decode payloads, each between two good ones, which are rows; return the reasons too."""
    claim = [good(1)]
    for payload in payloads:
        claim += [payload, good(2)]
    decoded = format.decode(claim)
    check_partition(format, claim, decoded)
    assert {(n, None) for n in range(0, len(claim), 2)} <= set(origins(decoded))
    whole = [d for d in decoded.dead if d.element is None]
    assert [d.payload for d in whole] == [claim[d.position] for d in whole]
    return decoded, [d.reason for d in decoded.dead]


def test_within_the_limits_nothing_changes() -> None:
    claim = [good(1), array(good(2), b"{}", good(3)), b"bad", good(4)]
    inner, outer = load_format("plain").decode(claim), limited().decode(claim)
    assert (outer.columns, outer.origins, outer.dead) == (inner.columns, inner.origins, inner.dead)


@pytest.mark.parametrize("excess", [0, 1])
def test_a_payload_above_the_bytes_is_refused_and_is_named_with_size_limit_and_setting(
    excess: int,
) -> None:
    payload = good(7) + b" " * (100 - len(good(7)) + excess)
    decoded, reasons = between(limited(max_bytes=100), payload)
    assert reasons == ["the payload has 101 bytes, above source.payload_max_bytes (100)"] * excess
    assert decoded.size == 3 - excess


@pytest.mark.parametrize("element", [b"1", b"[]", b"{}", b'""', b'","', b"[[1,2,3,4,5,6],{}]"])
@pytest.mark.parametrize("space", [b"", b" \r\n\t"])
def test_an_array_of_too_many_is_refused_whole(element: bytes, space: bytes) -> None:
    padding = b'"' + b"," * 30 + b'"'  # long enough to be looked at, with commas that count not
    for extra in (0, 1):
        elements = [padding, *([space + element + space] * (4 + extra))]
        _, reasons = between(limited(), space + array(*elements) + space)
        assert (reasons == [MANY]) is bool(extra), elements


def test_good_events_are_counted_as_bad_ones_are() -> None:
    decoded, reasons = between(limited(), array(*map(good, range(5))), array(*map(good, range(6))))
    assert reasons == [MANY]
    assert decoded.size == 3 + 5


def test_what_is_no_json_array_is_left_to_the_format() -> None:
    cut = array(*[b"1"] * 4)[:-1] + b"," + b" " * 30
    deep = b"[" + b"1," * 2 + b"[" * DEEP
    elsewhere = b"[" + b"," * 40
    inside = b'{"id":1,"event":"sent","x":' + array(*[b"1"] * 50) + b"}"
    decoded, reasons = between(limited(), cut, deep, elsewhere, inside)
    assert decoded.size == 5 + 1
    assert MANY not in reasons
    assert reasons[0].startswith("not JSON")
    assert reasons[1] == "nested too deeply"
    assert reasons[2].startswith("not JSON")


@given(
    elements=st.lists(
        st.sampled_from(
            [good(1), b"{}", b'"],["', b"[[],[]]", b'{"a":[1,2,{}]}', b"1", b'"\\",\\""']
        ),
        max_size=12,
    ),
    filler=st.integers(0, 40),
)
def test_an_array_is_refused_exactly_when_it_holds_too_many(
    elements: Sequence[bytes], filler: int
) -> None:
    payload = b" " * filler + array(*elements)
    _, reasons = between(limited(), payload)
    assert len(elements) == len(json.loads(payload))
    assert (MANY in reasons) is (len(elements) > 5)


def test_a_users_function_that_makes_too_many_is_refused() -> None:
    def words(payload: bytes) -> Iterable[Event]:
        return (Event(event_name=word.decode()) for word in payload.split())

    format = LimitedFormat(FunctionFormat("m:f", words), max_bytes=100, max_events=5)
    claim = [b"a", b"a b c d e", b"a b c d e f", b"x" * 101, b"a b"]
    decoded = format.decode(claim)
    check_partition(format, claim, decoded)
    assert [(d.position, d.element, d.payload) for d in decoded.dead] == [
        (2, None, claim[2]),
        (3, None, claim[3]),
    ]
    assert decoded.dead[0].reason == MANY
    assert decoded.columns["event_name"] == ["a", *"abcde", "a", "b"]


def test_many_payloads_of_a_claim_may_hold_more_than_one_may() -> None:
    decoded, reasons = between(limited(), *[array(good(1), good(2))] * 10)
    assert reasons == []
    assert decoded.size == 20 + 11


@pytest.mark.parametrize("element", [b"1", b"[]", b"{}", good(1)])
def test_finding_too_many_takes_no_memory(element: bytes) -> None:
    format = limited(max_bytes=16 << 20, max_events=10_000)
    payload = array(*[element] * ((8 << 20) // len(element)))
    format.decode([payload])  # the first one makes the decoder, for all that follow
    tracemalloc.start()
    try:
        assert len(format.decode([payload]).dead) == 1
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20, f"{peak} bytes for a payload of {len(payload)}"


def test_the_pipeline_has_the_limits_of_the_settings() -> None:
    settings = load_settings(
        {"PEPI_SOURCE__PAYLOAD_MAX_BYTES": "1024", "PEPI_SOURCE__PAYLOAD_MAX_EVENTS": "5"}
    )
    format = Pipeline.from_settings(settings).format
    assert format.name == "pepipost"
    long, crowd = b"x" * 1025, array(*[b"1"] * 10)
    assert [d.reason for d in format.decode([long, crowd]).dead] == [
        "the payload has 1025 bytes, above source.payload_max_bytes (1024)",
        MANY,
    ]


def test_what_is_above_a_limit_is_taken_for_nothing() -> None:
    """A body is asked about before it is pushed, which may cost no more than its claim does."""
    auto = LimitedFormat(load_format("auto"), max_bytes=1000, max_events=3)
    event = b'{"event_name": "sent"}'
    assert auto.taken_for(event) == "plain"
    assert auto.taken_for(b"[" + b",".join([event] * 3) + b"]") == "plain"
    assert auto.taken_for(b"[" + b",".join([event] * 4) + b"]") is None
    assert auto.taken_for(event[:-1] + b" " * 1000 + b"}") is None
