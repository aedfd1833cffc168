"""The formats: each record is an event or a dead letter, and none touches its neighbours."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pepi_stream.events import DeadLetter
from pepi_stream.formats import Decoded, arrays, base, load_format
from pepi_stream.formats.pepipost import PepipostFormat
from pepi_stream.formats.plain import PlainFormat
from tests.decoding import DEEP

SAMPLE = (  # of Pepipost's documentation
    b'{"TRANSID":15543162084122748,"RESPONSE":"","EMAIL":"someone@example.com",'
    b'"TIMESTAMP":1554375863,"EVENT":"opened","MSIZE":6368,"USERAGENT":"Mozilla/5.0 (Windows NT '
    b'5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)","TAGS":"tag1",'
    b'"X-APIHEADER":"xapi1","IPADDRESS":"64.233.173.70"}'
)
ARTICLE = b'{"id": 1, "event_name": "sent"}'
GOOD = {"pepipost": SAMPLE, "plain": ARTICLE}


def pepipost(**fields: Any) -> bytes:
    record = {"TRANSID": 1, "EMAIL": "a@b.c", "TIMESTAMP": 1554375863, "EVENT": "sent", **fields}
    return json.dumps({k: v for k, v in record.items() if v is not ...}).encode()


def row(decoded: Decoded, index: int = 0) -> dict[str, Any]:
    return {name: column[index] for name, column in decoded.columns.items()}


def origins(decoded: Decoded) -> list[tuple[int, int | None]]:
    return list(decoded.origins or [(n, None) for n in range(decoded.size)])


def reason(payload: bytes, format: str = "pepipost") -> str:
    """Decode a bad payload between two good ones; return why it was refused."""
    good = GOOD[format]
    decoded = load_format(format).decode([good, payload, good])
    assert origins(decoded) == [(0, None), (2, None)]
    [dead] = decoded.dead
    assert (dead.position, dead.element, dead.payload) == (1, None, payload)
    assert all(len(column) == 2 for column in decoded.columns.values())
    return dead.reason


def test_pepiposts_own_sample() -> None:
    decoded = PepipostFormat().decode([SAMPLE])
    assert decoded.dead == []
    assert row(decoded) == {
        "event_name": "opened",
        "id": "15543162084122748",
        "recipient": "someone@example.com",
        "occurred_at": 1_554_375_863_000,
        "campaign": "tag1",
        "url": None,
        "ip": "64.233.173.70",
        "user_agent": "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com "
        "GoogleImageProxy)",
        "reason": None,
        "esp": "pepipost",
        "event_uid": "15543162084122748:opened:1554375863",
    }


def test_pepipost_of_older_accounts_sends_numbers_as_strings() -> None:
    old = json.loads(SAMPLE)
    as_text = json.dumps({name: str(value) for name, value in old.items()} | {"RCPTID": "1"})
    new = PepipostFormat().decode([SAMPLE])
    assert row(PepipostFormat().decode([as_text.encode()])) == row(new)


@pytest.mark.parametrize(
    ("own", "canonical"),
    [
        *((n, n) for n in ("sent", "delivered", "opened", "clicked", "bounced")),
        *((n, n) for n in ("unsubscribed", "dropped")),
        ("invalid", "dropped"),
        ("spam", "complained"),
        ("abuse", "complained"),
        ("Opened", "opened"),
        ("SPAM", "complained"),
    ],
)
def test_pepiposts_event_names(own: str, canonical: str) -> None:
    decoded = PepipostFormat().decode([pepipost(EVENT=own)])
    assert row(decoded)["event_name"] == canonical
    assert row(decoded)["reason"] is None


@pytest.mark.parametrize("own", ["resurrected", "Opened ", "", "'); DROP TABLE pepi_event; --"])
def test_an_unknown_event_is_other_and_keeps_its_name(own: str) -> None:
    payloads = [pepipost(EVENT="bounced", BOUNCE_REASON="full"), pepipost(EVENT=own, RESPONSE="r")]
    decoded = PepipostFormat().decode(payloads)
    assert list(decoded.columns["event_name"]) == ["bounced", "other"]
    assert list(decoded.columns["reason"]) == ["full", own]


def test_the_bounce_reason_goes_before_the_response() -> None:
    payloads = [pepipost(RESPONSE="250"), pepipost(RESPONSE="550", BOUNCE_REASON="no such user")]
    assert PepipostFormat().decode(payloads).columns["reason"] == ["250", "no such user"]


def test_an_array_is_one_event_an_element() -> None:
    array = b"[" + b",".join(pepipost(TRANSID=n) for n in range(1000)) + b"]"
    decoded = PepipostFormat().decode([SAMPLE, array, b" [" + SAMPLE + b"]\n"])
    assert decoded.size == 1002
    assert list(decoded.columns["id"])[1:1001] == [str(n) for n in range(1000)]
    assert origins(decoded) == [(0, None), *((1, n) for n in range(1000)), (2, 0)]


@pytest.mark.parametrize("bad", [b'{"EVENT": "sent"}', b"[]", b"7", b'{ "a" :\n1 }'])
def test_a_bad_element_is_kept_alone_and_unchanged(bad: bytes) -> None:
    array = b"[\n" + b" ,\t".join([pepipost(TRANSID=1), bad, pepipost(TRANSID=2)]) + b" ]"
    decoded = PepipostFormat().decode([SAMPLE, array])
    assert origins(decoded) == [(0, None), (1, 0), (1, 2)]
    [dead] = decoded.dead
    assert (dead.position, dead.element, dead.payload) == (1, 1, bad)
    assert PepipostFormat().element(array, 1) == bad
    assert PepipostFormat().element(array, 2) == pepipost(TRANSID=2)


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"", "empty payload"),
        (b" \n\t", "empty payload"),
        (b"not json", "not JSON: invalid character (byte 4)"),
        (b"EVENT=sent", "not JSON: invalid character (byte 0)"),
        (SAMPLE[:-1], "not JSON: it ends too early"),
        (SAMPLE + b"x", "not JSON: trailing characters (byte"),
        (SAMPLE + b"\n" + SAMPLE, "not JSON: trailing characters (byte"),
        (SAMPLE + b"\0", "not JSON: trailing characters (byte"),
        (b"\0", "not JSON: invalid character (byte 0)"),
        (b"\xef\xbb\xbf" + SAMPLE, "not JSON: invalid character (byte 0)"),
        (b"\xff\xfe{\0}\0", "not JSON: invalid character (byte 0)"),
        (b"null", "the record must be object, not null"),
        (b'"sent"', "the record must be object, not str"),
        (b"1", "the record must be object, not int"),
        (b"{}", "field TRANSID is missing"),
        (pepipost(EMAIL=...), "field EMAIL is missing"),
        (pepipost(TRANSID=...), "field TRANSID is missing"),
        (pepipost(EVENT=None), "field EVENT must be str, not null"),
        (pepipost(EMAIL=5), "field EMAIL must be str, not int"),
        (pepipost(TRANSID={}), "field TRANSID must be int | str, not object"),
    ],
)
def test_what_is_no_event_is_dead_with_a_reason(payload: bytes, why: str) -> None:
    assert reason(payload).startswith(why)


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"[]", "no event in the payload"),
        (b" [ \n ] ", "no event in the payload"),
        (b"[" + SAMPLE, "not JSON: it ends too early"),
        (b"[" + SAMPLE + b",]", "not JSON: "),
        (b"[" + SAMPLE + b"]]", "not JSON: trailing characters"),
        (b"[,]", "not JSON: invalid character"),
    ],
)
def test_a_broken_or_empty_array_is_dead_whole(payload: bytes, why: str) -> None:
    # Not "must be object, not array": arrays are fine, this one is broken.
    assert reason(payload).startswith(why)


def test_a_nested_array_is_a_dead_element() -> None:
    decoded = PepipostFormat().decode([b"[[" + SAMPLE + b"]]", SAMPLE])
    assert origins(decoded) == [(1, None)]
    assert decoded.dead == [
        DeadLetter(0, 0, b"[" + SAMPLE + b"]", "the record must be object, not array")
    ]


def test_invalid_utf8_is_dead_with_a_reason() -> None:
    why = "not valid UTF-8: invalid start byte in a text value"
    assert reason(SAMPLE.replace(b"someone", b"some\xffone")) == why
    assert reason(SAMPLE.replace(b"someone", b"\xc0\xaf")) == why
    assert "not valid UTF-8" in reason(SAMPLE.replace(b"someone", b"\xed\xa0\x80"))


@pytest.mark.parametrize("text", [b"\\ud800", b"\\udc00", b"\\ud83dx", b"\\ud800\\ud800"])
def test_a_lone_surrogate_is_dead(text: bytes) -> None:
    assert "surrogate" in reason(SAMPLE.replace(b"someone", text))


def test_nul_quotes_and_four_byte_characters_are_text() -> None:
    text = "'); DROP TABLE pepi_event; -- \\ \" \0 😀 %s"
    assert row(PepipostFormat().decode([pepipost(TAGS=text)]))["campaign"] == text
    assert "not JSON: invalid character" in reason(SAMPLE.replace(b"someone", b"\0"))


@pytest.mark.parametrize("number", [2**63, 2**64, -(2**63) - 1, 10**40])
def test_an_integer_beyond_64_bits_is_an_id_like_any_other(number: int) -> None:
    assert row(PepipostFormat().decode([pepipost(TRANSID=number)]))["id"] == str(number)


def test_an_integer_of_5000_digits_is_dead() -> None:
    payload = pepipost().replace(b'"TRANSID": 1', b'"TRANSID": 1' + b"0" * 5000)
    assert reason(payload) == "field TRANSID must be int | str, not float"


@pytest.mark.parametrize(
    ("sent", "ms"),
    [
        (0, 0),
        ("0", 0),
        (1554375863.25, 1_554_375_863_250),
        ("1554375863.25", 1_554_375_863_250),
        (1.5543e9, 1_554_300_000_000),
        (253_402_300_799, 253_402_300_799_000),
        (253_402_300_799.999, 253_402_300_799_999),
        (1_554_375_863_250, 1_554_375_863_250),  # milliseconds
        ("1554375863250", 1_554_375_863_250),
        (253_402_300_800, 253_402_300_800),
        (253_402_300_799_999, 253_402_300_799_999),
        ("2019-04-04T11:04:23.250Z", 1_554_375_863_250),
    ],
)
def test_timestamps_are_seconds_since_1970(sent: object, ms: int) -> None:
    decoded = PepipostFormat().decode([pepipost(TIMESTAMP=sent)])
    assert decoded.columns["occurred_at"] == [ms]


@pytest.mark.parametrize(
    "sent",
    [
        *("-1", "-0.001", "-1e400", "253402300800000"),
        *("1" + "0" * 30, "1" + "0" * 5000, "1e308", "1e400", "true", "null", "[]", "{}"),
        *('"-5"', '"1e400"', '"nan"', '"inf"', '"Infinity"', '"yesterday"', '""', '"0x10"'),
        *('"2019-04-04T11:04:61Z"', f'"{"9" * 5000}"'),
    ],
)
def test_a_timestamp_that_is_no_time_until_9999_is_none(sent: str) -> None:
    """The event takes the time of its arrival, and nothing tells it from its neighbours."""
    payload = pepipost(TIMESTAMP="@", TRANSID=7).replace(b'"@"', sent.encode())
    decoded = PepipostFormat().decode([SAMPLE, payload, SAMPLE])
    assert decoded.dead == []
    assert decoded.columns["occurred_at"][1] is None
    assert decoded.columns["event_uid"][1] is None
    assert row(decoded, 0) == row(decoded, 2) == row(PepipostFormat().decode([SAMPLE]))


@pytest.mark.parametrize("sent", [b"NaN", b"Infinity", b"-Infinity", b"nan"])
def test_a_number_that_json_does_not_know_is_dead(sent: bytes) -> None:
    assert reason(pepipost(TIMESTAMP="@").replace(b'"@"', sent)).startswith("not JSON: ")


@pytest.mark.parametrize("format", ["pepipost", "plain"])
@pytest.mark.parametrize(
    "bomb",
    [
        b"[" * DEEP,
        b"[" * DEEP + b"]" * DEEP,
        b'{"a":' * DEEP,
        b'{"a":' * DEEP + b"1" + b"}" * DEEP,
        b'{"event":"a","TAGS":' + b"[" * DEEP + b"]" * DEEP + b"}",
        b'{"x":' + b"[" * DEEP + b"]" * DEEP + b"}",
        b'[{"x":' * DEEP + b"1" + b"}]" * DEEP,
    ],
    ids=range(7),
)
def test_a_nesting_bomb_is_dead_and_harmless(format: str, bomb: bytes) -> None:
    good = GOOD[format]
    decoded = load_format(format).decode([good, bomb, good])
    assert origins(decoded) == [(0, None), (2, None)]
    [dead] = decoded.dead
    assert dead.position == 1
    assert dead.reason in (
        "nested too deeply",
        "the record must be object, not array",
        "not JSON: it ends too early",
    )


def test_a_bomb_inside_an_array_leaves_the_payload_in_one_piece() -> None:
    bomb = b"[" + SAMPLE + b"," + b"[" * DEEP + b"]" * DEEP + b"]"
    decoded = PepipostFormat().decode([SAMPLE, bomb, SAMPLE])
    assert {(0, None), (2, None)} <= set(origins(decoded))
    assert sum(position == 1 for position, _ in origins(decoded)) + len(decoded.dead) >= 1


@pytest.mark.parametrize(
    "halves",
    [
        (b'{"id":1,"event_name":"sent"', b'"x":1}'),
        (b'{"id":1,"event_name":"sent","x":[1', b"2]}"),
        (b'{"id":1,"event_name":"sent"},{"id":2,"event_name":"a"', b'"b":1}'),
        (b'[{"id":1,"event_name":"sent"}', b'{"id":2,"event_name":"sent"}]'),
        (b'{"id":1,"event_name":"se', b'nt"}'),
        (b'{"id":1,"event_name":"sent"}]', b'[{"id":1,"event_name":"sent"}'),
        (b'{"id":1,"event_name":"sent"},{"id":2,"event_name":"sent"}', b"{}"),
    ],
)
def test_payloads_that_would_merge_if_joined_stay_apart(halves: tuple[bytes, bytes]) -> None:
    decoded = PlainFormat().decode([ARTICLE, *halves, ARTICLE])
    assert origins(decoded) == [(0, None), (3, None)]
    assert [(d.position, d.payload) for d in decoded.dead] == [(1, halves[0]), (2, halves[1])]


def test_plain_reads_the_articles_events_and_columns_by_their_names() -> None:
    decoded = PlainFormat().decode(
        [
            ARTICLE,
            b'{"id":"a","event":"open","email":"x@y.z","ts":"1.5","is_machine":true}',
            b'{"event_name":"e","recipient":"r@y.z","timestamp":2,"campaign":"c","esp":"own"}',
        ]
    )
    assert decoded.columns["event_name"] == ["sent", "open", "e"]
    assert decoded.columns["id"] == ["1", "a", None]
    assert decoded.columns["recipient"] == [None, "x@y.z", "r@y.z"]
    assert decoded.columns["occurred_at"] == [None, 1500, 2000]
    assert decoded.columns["campaign"] == [None, None, "c"]
    assert decoded.columns["is_machine"] == [None, True, None]
    assert decoded.columns["esp"] == [None, None, "own"]


@pytest.mark.parametrize(
    "name",
    [
        *("campaign", "ip", "client", "os", "device", "url", "bounce_class", "reason", "esp"),
        *("user_agent", "event_uid"),
    ],
)
def test_plain_takes_any_column_by_its_own_name(name: str) -> None:
    decoded = PlainFormat().decode([b'{"event":"sent","%s":"its value"}' % name.encode()])
    assert list(decoded.columns.get(name, [])) == ["its value"]


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b'{"id": 1}', "field event_name (or event) is missing"),
        (b'{"event": null}', "field event_name (or event) is missing"),
        (b'{"event": 1}', "field event_name (or event) is missing"),
    ],
)
def test_what_plain_refuses(payload: bytes, why: str) -> None:
    assert reason(payload, "plain").startswith(why)


@pytest.mark.parametrize(
    ("sent", "bounce_class"), [("HARDBOUNCE", "hard"), ("SOFTBOUNCE", "soft"), ("", None)]
)
def test_pepiposts_own_verdict_on_a_bounce_is_kept(sent: str, bounce_class: str | None) -> None:
    bounced = json.loads(SAMPLE) | {"EVENT": "bounced", "BOUNCE_TYPE": sent}
    decoded = PepipostFormat().decode([json.dumps(bounced).encode()])
    assert row(decoded).get("bounce_class") == bounce_class


def test_the_elements_of_a_payload_are_split_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else an array of n refused events costs n squared, and holds up the worker for minutes."""
    format = PepipostFormat()
    split: list[bytes] = []
    apart = arrays.elements

    def counted(payload: bytes) -> Any:
        split.append(payload)
        return apart(payload)

    monkeypatch.setattr(base, "elements", counted)
    first, second = b'[{"a": 1}, {"a": 2}]', b'[{"b": 1}]'
    elements = [format.element(first, 0), format.element(first, 1), format.element(second, 0)]
    assert elements == [b'{"a": 1}', b'{"a": 2}', b'{"b": 1}']
    assert split == [first, second]


@pytest.mark.parametrize(
    ("format", "record"),
    [
        ("pepipost", {"TRANSID": "", "EMAIL": "a@b", "TIMESTAMP": 1, "EVENT": "sent"}),
        ("sendgrid", {"event": "new", "timestamp": 1}),
        ("ses", {"eventType": "Send", "mail": {"timestamp": "1"}}),
        ("mailgun", {"event": "accepted", "timestamp": 1}),
        ("postmark", {"RecordType": "Open", "ReceivedAt": "2020-01-01T00:00:00Z"}),
        ("sparkpost", {"msys": {"track_event": {"type": "open", "timestamp": 1}}}),
    ],
)
def test_what_no_id_tells_apart_is_no_repeat(format: str, record: dict[str, Any]) -> None:
    """With ``dedupe`` on, two events with the same uid would take effect once."""
    other = json.loads(json.dumps(record))
    decoded = load_format(format).decode([json.dumps(r).encode() for r in (record, other)])
    assert decoded.size == 2
    assert list(decoded.columns["event_uid"]) == [None, None]
