"""``auto``: payloads of all providers in one claim, in any order, and what belongs to none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pepi_stream.claims.claim import Claim, new_claim_id
from pepi_stream.formats import FORMATS, load_format
from pepi_stream.formats.auto import _FORMATS, AutoFormat
from pepi_stream.pipeline import Pipeline
from pepi_stream.settings import load_settings
from tests.decoding import check_partition, origins, row
from tests.format_cases import raw, rows_of
from tests.fuzzing.corpus import SAMPLES

#: Payloads, each with the format that it is of.
OF: dict[bytes, str] = {
    raw(payload): format
    for format, payload in [
        ("pepipost", {"TRANSID": 1, "EMAIL": "a@b", "TIMESTAMP": 1, "EVENT": "sent"}),
        ("pepipost", [{"TRANSID": "2", "EMAIL": "a@b", "TIMESTAMP": "1", "EVENT": "opened"}]),
        ("sendgrid", {"event": "open", "email": "a@b", "timestamp": 1, "sg_event_id": "e"}),
        ("sendgrid", [{"email": "a@b", "timestamp": 1, "event": "open", "sg_message_id": "m"}] * 2),
        ("sendgrid", {"event": "open", "email": "a@b", "timestamp": 1, "smtp-id": "<x>"}),
        ("ses", {"eventType": "Send", "mail": {"timestamp": "2020-01-01T00:00:00Z"}}),
        ("ses", {"mail": {"timestamp": "1", "destination": ["a", "b"]}, "notificationType": "S"}),
        ("ses", {"MessageId": "i", "Message": '{"eventType":"Send","mail":{"timestamp":"1"}}'}),
        ("ses", {"id": "x", "detail": {"eventType": "Send", "mail": {"timestamp": "1"}}}),
        ("mailgun", {"event-data": {"event": "opened", "timestamp": 1.5}}),
        ("mailgun", {"event": "opened", "timestamp": 1.5, "log-level": "info", "id": "i"}),
        ("mailgun", {"event": "opened", "timestamp": 1.5, "message": {"headers": {}}}),
        ("postmark", {"RecordType": "Open", "ReceivedAt": "2020-01-01T00:00:00Z"}),
        ("sparkpost", [{"msys": {"track_event": {"type": "open", "timestamp": "1"}}}]),
        ("sparkpost", {"msys": {"track_event": {"type": "open", "timestamp": "1"}}}),
        ("plain", {"event": "open", "email": "a@b", "timestamp": 1}),
        ("plain", {"event_name": "sent", "id": 1}),
        ("plain", {"event": "open", "url": '"sg_event_id":"x"'}),
        ("plain", {"event_name": "open", "message": "a text", "detail": 5, "x": {"y": 1}}),
        ("plain", {"event_name": "open", "message": {"of": "mine"}}),
        ("mailgun", {"event": "opened", "recipient": "a@b", "message-id": "m", "timestamp": "1"}),
        ("mailgun", {"event": "opened", "recipient": "a@b", "token": "t", "signature": "s"}),
        ("plain", {"event_name": "sent", "EVENT": "SENT"}),
        ("plain", {"event_name": "sent", "msys": None}),
    ]
}  # fmt: skip


@pytest.mark.parametrize("payload", OF, ids=lambda p: f"{OF[p]}-{p[:30].decode()}")
def test_a_payload_is_what_its_own_format_makes_of_it(payload: bytes) -> None:
    auto = load_format("auto")
    for _ in range(3):  # without a guess, and with
        decoded, own = auto.decode([payload]), load_format(OF[payload]).decode([payload])
        assert not decoded.dead
        assert rows_of(decoded) == rows_of(own)
        assert auto.taken_for(payload) == OF[payload]


@settings(max_examples=200)
@given(data=st.data())
def test_a_mixed_claim_is_as_each_payload_alone_in_order(data: st.DataObject) -> None:
    """Whatever was guessed before, and whatever the neighbours are."""
    auto = load_format("auto")
    for _ in range(2):
        claim = data.draw(
            st.lists(st.sampled_from([*OF, *SAMPLES, b"bad", b"{}", b"[1]", b'{"event":1}']))
        )
        decoded = auto.decode(claim)
        check_partition(auto, claim, decoded)
        assert [p for p, _ in origins(decoded)] == sorted(p for p, _ in origins(decoded))
        for position, payload in enumerate(claim):
            alone = load_format("auto").decode([payload])
            assert rows_of(decoded, position) == rows_of(alone)
            if payload in OF:
                assert rows_of(decoded, position) == rows_of(
                    load_format(OF[payload]).decode([payload])
                )
            dead = [(d.element, d.reason, d.format) for d in decoded.dead if d.position == position]
            assert dead == [(d.element, d.reason, d.format) for d in alone.dead]


@pytest.mark.parametrize("name", [cls.name for cls in _FORMATS])
def test_a_guess_accepts_only_what_is_of_that_format_alone(name: str) -> None:
    """Nothing rests on the guess: each format, made to decode every other's payloads, refuses."""
    for payload, of in OF.items():
        auto = AutoFormat()
        auto._guesses = dict.fromkeys([p[:8] for p in OF], name)
        made, own = auto.decode([payload]), load_format(of).decode([payload])
        assert rows_of(made) == rows_of(own), f"{payload!r} taken for {name}"


def test_a_claim_of_one_format_is_decoded_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    auto = AutoFormat()
    payload = next(p for p, of in OF.items() if of == "postmark")
    auto.decode([payload])

    def never(payload: bytes) -> list[str]:
        raise AssertionError("told apart one by one")

    monkeypatch.setattr(auto, "_candidates", never)
    assert auto.decode([payload] * 100).size == 100


@pytest.mark.parametrize(
    "bad",
    [
        {"RecordType": "Open", "ReceivedAt": 5, "Client": 5},
        {"RecordType": 5, "ReceivedAt": "noon"},
        [{"RecordType": "Open", "ReceivedAt": 1}, {"RecordType": 5, "ReceivedAt": 1}],
        {"RecordType": "Open", "ReceivedAt": 1, "TRANSID": 1},
    ],
)
def test_one_bad_payload_does_not_have_the_others_told_by_their_keys(
    monkeypatch: pytest.MonkeyPatch, bad: Any
) -> None:
    """That would cost a claim three times as much, and bad payloads come in every hour."""
    auto = AutoFormat()
    good = next(p for p, of in OF.items() if of == "postmark")
    claim = [*[good] * 50, raw(bad), *[good] * 50]
    wanted = auto.decode(claim)
    told: list[bytes] = []
    candidates = auto._candidates

    def counted(payload: bytes) -> list[str]:
        told.append(payload)
        return candidates(payload)

    monkeypatch.setattr(auto, "_candidates", counted)
    auto._guesses[raw(bad)[:8]] = "postmark"
    decoded = auto.decode(claim)
    assert set(told) == {raw(bad)}
    check_partition(auto, claim, decoded)
    for position in range(len(claim)):
        assert rows_of(decoded, position) == rows_of(wanted, position)
    assert decoded.dead == wanted.dead


@pytest.mark.parametrize(
    ("payload", "format", "reason"),
    [
        ({"sg_event_id": "e", "event": "open", "timestamp": 1}, "sendgrid", "field email is miss"),
        ({"RecordType": 5}, "postmark", "field RecordType must be str, not int"),
        ([{"TRANSID": 1}], "pepipost", "field EMAIL is missing"),
        ({"msys": {}}, "sparkpost", "no event: an empty msys"),
        ({"event-data": {}}, "mailgun", "field event is missing"),
        ({"event": 5}, "plain", "field event_name (or event) is missing"),
        ({"a": 1, "b": 2}, None, "of no known format; its keys: a, b"),
        ({}, None, "of no known format; its keys: none"),
        ([], None, "no event in the payload"),
        ([1, 2], None, "the record must be object, not int"),
        ([[]], None, "the record must be object, not array"),
        (b"", None, "empty payload"),
        (b"EVENT=sent", None, "not JSON"),
        (b'{"TRANSID":1', None, "not JSON: it ends too early"),
    ],
)
def test_a_dead_letter_says_what_it_was_taken_for(
    payload: Any, format: str | None, reason: str
) -> None:
    good = next(iter(OF))
    decoded = load_format("auto").decode([good, raw(payload), good])
    assert [p for p, _ in origins(decoded)] == [0, 2]
    [letter] = decoded.dead
    assert (letter.position, letter.format) == (1, format)
    assert letter.reason.startswith(reason)


def test_the_bad_element_of_an_array_is_dead_alone_and_named() -> None:
    batch = json.loads(next(p for p in OF if p.startswith(b"[") and OF[p] == "sendgrid"))
    payload = raw([*batch, {"event": "open", "timestamp": 1}])
    decoded = load_format("auto").decode([payload])
    assert origins(decoded) == [(0, 0), (0, 1)]
    assert [(d.element, d.format) for d in decoded.dead] == [(2, "sendgrid")]


def test_an_event_refused_later_on_is_named_too() -> None:
    """By an enricher, or MySQL: the record is found through the format that read it."""
    payloads = [p for p, of in OF.items() if of in ("ses", "pepipost", "sparkpost")]
    pipeline = Pipeline.from_settings(load_settings({"PEPI_SOURCE__FORMAT": "auto"}))
    batch = pipeline.enrich(Claim(new_claim_id(1), payloads, delivery=1, received_at=1))
    assert batch.format == "auto"
    for index in range(len(batch)):
        letter = pipeline.dead_letter(batch, index, "why")
        assert letter.format == OF[payloads[letter.position]]
        again = pipeline.format.decode([letter.payload])
        event = {name: column[index] for name, column in batch.columns.items()}
        assert row(again).items() <= event.items()


def test_limits_and_single_payloads_keep_the_name() -> None:
    """Where dead letters are made anew: beside a payload above a limit, and payload by payload."""
    limit = {"PEPI_SOURCE__PAYLOAD_MAX_BYTES": "1024", "PEPI_SOURCE__FORMAT": "auto"}
    pipeline = Pipeline.from_settings(load_settings(limit))
    claim = Claim(new_claim_id(1), [b"x" * 2000, b'{"RecordType":1}'], delivery=1, received_at=1)
    for batch in (pipeline.enrich(claim), pipeline.enrich_each(claim)):
        assert [(d.position, d.format) for d in batch.dead] == [(0, None), (1, "postmark")]


def test_beginnings_are_not_remembered_without_end() -> None:
    auto = AutoFormat()
    for n in range(5000):
        auto.decode([b'{"%06d":1,"event":"e"}' % n])
    assert len(auto._guesses) <= 4096


def test_each_built_in_format_but_auto_is_one_that_auto_knows() -> None:
    assert {cls.name for cls in _FORMATS} == FORMATS.keys() - {"auto"}
