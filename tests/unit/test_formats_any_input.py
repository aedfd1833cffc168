"""Any input to any format; formats made of a user's function; formats by name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pepi_stream.errors import ConfigError
from pepi_stream.events import Event
from pepi_stream.formats import FORMATS, FormatError, FunctionFormat, load_format
from pepi_stream.formats.pepipost import PepipostFormat
from pepi_stream.formats.plain import PlainFormat
from tests.decoding import check_partition, origins, row


def pepipost(number: int) -> bytes:
    record = {"TRANSID": number, "EMAIL": "a@b.c", "TIMESTAMP": 1554375863, "EVENT": "sent"}
    return json.dumps(record).encode()


def numbers(payload: bytes) -> Iterable[Event]:
    """A user's function: one event a number."""
    for word in payload.split():
        yield Event(event_name="sent", id=word.decode(), occurred_at=int(word))


def refused(function: Callable[[bytes], Any]) -> str:
    """Give a function one payload between two good ones; return why it was refused."""

    def guarded(payload: bytes) -> Any:
        return numbers(payload) if payload.isdigit() else function(payload)

    decoded = FunctionFormat("m:f", guarded).decode([b"1", b"bad", b"3"])
    assert origins(decoded) == [(0, None), (2, None)]
    assert decoded.columns["id"] == ["1", "3"]
    [dead] = decoded.dead
    assert (dead.position, dead.element, dead.payload) == (1, None, b"bad")
    return dead.reason


def test_a_function_makes_one_event_or_several() -> None:
    decoded = FunctionFormat("m:f", numbers).decode([b"5", b"6 7"])
    assert decoded.columns["occurred_at"] == [5, 6, 7]
    assert decoded.columns["event_name"] == ["sent"] * 3
    assert decoded.columns["recipient"] == [None] * 3
    assert origins(decoded) == [(0, None), (1, 0), (1, 1)]


def test_one_bad_event_of_a_payload_keeps_the_payload_whole() -> None:
    decoded = FunctionFormat("m:f", numbers).decode([b"5 -6 7", b"8"])
    assert decoded.columns["id"] == ["8"]
    [dead] = decoded.dead
    assert (dead.position, dead.element, dead.payload) == (0, None, b"5 -6 7")


def test_what_a_function_raises_is_the_reason() -> None:
    def raising(exc: Exception) -> Callable[[bytes], Any]:
        def function(payload: bytes) -> Any:
            raise exc

        return function

    assert refused(raising(FormatError("no sender"))) == "no sender"
    assert refused(raising(ValueError("no sender"))) == "ValueError: no sender"
    assert refused(raising(KeyError("sender"))) == "KeyError: 'sender'"
    assert refused(raising(RecursionError())) == "nested too deeply"
    assert len(refused(raising(ValueError("long " * 1000)))) == 500
    assert refused(lambda payload: payload.decode("utf-16")).startswith("not valid UTF-8")


def test_a_function_that_raises_half_way_makes_no_event() -> None:
    def half(payload: bytes) -> Iterable[Event]:
        yield Event(event_name="sent")
        raise FormatError("the second half is missing")

    assert refused(half) == "the second half is missing"


def test_a_function_that_makes_no_event_is_refused() -> None:
    assert refused(lambda payload: []) == "no event in the payload"
    assert "NoneType" in refused(lambda payload: None)


@pytest.mark.parametrize(
    "made",
    [
        {"event_name": "sent"},
        "sent",
        7,
        None,
        SimpleNamespace(event_name="sent", occurred_at=1),  # looks like one at first
        Event,
    ],
    ids=lambda made: type(made).__name__,
)
def test_what_is_no_event_is_refused(made: object) -> None:
    assert "Event" in refused(lambda payload: [made])


@pytest.mark.parametrize("at", [-1, -(10**30), 253_402_300_800_000, 10**30])
def test_a_time_that_mysql_cannot_hold_is_refused(at: int) -> None:
    why = refused(lambda payload: [Event(event_name="sent", occurred_at=at)])
    assert why.startswith("field occurred_at is ")
    assert "1970" in why


@pytest.mark.parametrize("at", ["1554375863", 1554375863000.5, float("nan")])
def test_a_time_that_is_no_int_is_refused(at: Any) -> None:
    assert "occurred_at" in refused(lambda payload: [Event(event_name="sent", occurred_at=at)])


@pytest.mark.parametrize("at", [0, 253_402_300_799_999])
def test_the_first_and_last_time_are_taken(at: int) -> None:
    format = FunctionFormat("m:f", lambda payload: [Event(event_name="sent", occurred_at=at)])
    assert format.decode([b"x"]).columns["occurred_at"] == [at]


def test_the_elements_of_a_functions_payload_are_the_payload() -> None:
    assert FunctionFormat("m:f", numbers).element(b"1 2", 1) == b"1 2"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "pepiposd",
            "no format 'pepiposd'; known: auto, mailgun, pepipost, plain, postmark, "
            "sendgrid, ses, sparkpost, or module:attr",
        ),
        ("no_such_module:f", "cannot import 'no_such_module'"),
        ("json:nothing", "module 'json' has no 'nothing'"),
        ("json:__name__", "json:__name__ is neither a Format nor a function"),
    ],
)
def test_a_format_that_does_not_exist(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=r"^source\.format: ") as caught:
        load_format(name)
    assert message in str(caught.value)


def test_formats_are_loaded_by_name() -> None:
    assert isinstance(load_format("pepipost"), PepipostFormat)
    own = load_format("pepi_stream.formats.plain:PlainFormat")
    assert isinstance(own, PlainFormat)
    function = load_format("json:loads")
    assert isinstance(function, FunctionFormat)
    assert function.name == "json:loads"


good_payloads = {
    "pepipost": st.builds(lambda n: pepipost(n), st.integers()),
    "plain": st.builds(lambda n: b'{"id":%d,"event":"sent"}' % n, st.integers()),
    "sendgrid": st.builds(
        lambda n: b'{"sg_event_id":"%d","event":"open","email":"a","timestamp":1}' % n,
        st.integers(),
    ),
    "ses": st.builds(
        lambda n: b'{"eventType":"Send","mail":{"timestamp":"1","messageId":"%d"}}' % n,
        st.integers(),
    ),
    "mailgun": st.builds(
        lambda n: b'{"event-data":{"event":"opened","timestamp":1.5,"id":"%d"}}' % n,
        st.integers(),
    ),
    "postmark": st.builds(
        lambda n: b'{"RecordType":"Open","MessageID":"%d","ReceivedAt":"1"}' % n, st.integers()
    ),
    "sparkpost": st.builds(
        lambda n: b'{"msys":{"x":{"type":"open","timestamp":"1","event_id":%d}}}' % n,
        st.integers(),
    ),
}
good_payloads["auto"] = st.one_of(*good_payloads.values())
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("EVENT", "TRANSID", "EMAIL", "TIMESTAMP", "event", "id", "ts", "timestamp"),
                    *("email", "sg_event_id", "eventType", "mail", "Message", "detail", "message"),
                    *("event-data", "RecordType", "ReceivedAt", "msys", "type", "destination"),
                ]
            ),
            inner,
        )
    ),
    max_leaves=8,
)
any_payloads = (
    st.binary(max_size=40)
    | json_values.map(lambda v: json.dumps(v).encode())
    | st.sampled_from([b"[", b"]", b"{", b"}", b",", b"[]", b'"', pepipost(1)[:50]])
    | st.lists(good_payloads["pepipost"], max_size=3).map(lambda p: b"[" + b",".join(p) + b"]")
    | st.lists(good_payloads["plain"], max_size=3).map(lambda p: b"[" + b",".join(p) + b"]")
    | st.lists(good_payloads["auto"], max_size=3).map(lambda p: b"[" + b",".join(p) + b"]")
)


@pytest.mark.parametrize("name", FORMATS)
@given(payloads=st.lists(any_payloads, max_size=8))
def test_each_record_is_an_event_or_a_dead_letter(name: str, payloads: list[bytes]) -> None:
    format = load_format(name)
    check_partition(format, payloads, format.decode(payloads))


@pytest.mark.parametrize("name", FORMATS)
@given(payloads=st.lists(any_payloads, max_size=8), data=st.data())
def test_a_good_neighbour_is_always_a_row(
    name: str, payloads: list[bytes], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(payloads)))
    good = data.draw(good_payloads[name])
    format = load_format(name)
    decoded = format.decode([*payloads[:place], good, *payloads[place:]])
    assert (place, None) in origins(decoded)
    assert row(decoded, origins(decoded).index((place, None))) == row(format.decode([good]))
