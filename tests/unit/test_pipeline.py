"""From a claim to a counted batch; what fails is one record, not its neighbours."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pepi_stream.claims.claim import Claim, new_claim_id
from pepi_stream.enrich import Enricher
from pepi_stream.enrich.mailbox_provider import MailboxProvider
from pepi_stream.errors import ConfigError
from pepi_stream.events import Batch, Column, DeadLetter, WindowKey
from pepi_stream.formats import load_format
from pepi_stream.formats.plain import PlainFormat, PlainRecord
from pepi_stream.pipeline import Pipeline, join
from pepi_stream.settings import WindowSettings, load_settings
from pepi_stream.windows import Window

RECEIVED_MS = 1_700_000_000_123


def claim(*payloads: bytes) -> Claim:
    return Claim(new_claim_id(1), list(payloads), delivery=1, received_at=RECEIVED_MS)


def pipeline(*enrichers: Enricher, format: str = "plain") -> Pipeline:
    window = Window("minute", WindowSettings(seconds=60, by=("event_name",)))
    return Pipeline(load_format(format), enrichers, [window])


def event(number: int, **fields: Any) -> bytes:
    return json.dumps({"id": number, "event": "sent", "email": f"r{number}@x.y", **fields}).encode()


def look(batch: Batch) -> tuple[Any, ...]:
    """Everything that a batch says, without how it says it."""
    columns = {name: list(column) for name, column in batch.columns.items()}
    filled = {name: c for name, c in columns.items() if any(v is not None for v in c)}
    return batch.size, filled, [batch.origin(i) for i in range(len(batch))], batch.dead


def raises_for(*unlucky: str | None) -> Enricher:
    def enricher(batch: Batch) -> Mapping[str, Column]:
        for recipient in batch.column("recipient"):
            if recipient in unlucky:
                raise KeyError(recipient)
        return {"seen": [True] * len(batch)}

    return enricher


class TellsTheReader(PlainFormat):
    """A user's format on top of a built-in one, whose columns it reads."""

    def columns(self, records: Sequence[PlainRecord]) -> dict[str, Column]:
        columns = super().columns(records)
        columns["client"] = [agent.split("/")[0] for agent in columns["user_agent"]]
        return columns


def test_a_format_of_ones_own_made_of_a_built_in_one_gets_all_its_columns() -> None:
    settings = load_settings(
        {
            "PEPI_SOURCE__FORMAT": f"{__name__}:TellsTheReader",
            "PEPI_ENRICH__ENRICHERS": "[]",
            "PEPI_SINK__COLUMNS": '["id", "event_name", "client"]',
            "PEPI_WINDOWS": "{}",
        }
    )
    batch = Pipeline.from_settings(settings).enrich(claim(event(1, user_agent="Opera/9")))
    assert batch.dead == []
    assert list(batch.column("client")) == ["Opera"]


def test_the_configured_pipeline() -> None:
    configured = Pipeline.from_settings(load_settings({}))
    assert configured.format.name == "pepipost"
    assert list(configured.enrichment.enrichers) == [
        *("mailbox_provider", "user_agent", "bounce_class", "machine")
    ]
    assert [w.name for w in configured.windows] == ["minute", "hour"]
    with pytest.raises(ConfigError):
        Pipeline.from_settings(load_settings({"PEPI_SOURCE__FORMAT": "pipepost"}))
    with pytest.raises(ConfigError):
        Pipeline.from_settings(load_settings({"PEPI_ENRICH__ENRICHERS": "mailbox"}))


def test_a_clean_claim() -> None:
    taken = claim(event(1, ts=5), event(2, ts=65), event(3, ts=66))
    batch = pipeline(MailboxProvider()).enrich(taken)
    assert batch.claim is taken
    assert (batch.format, len(batch), batch.dead) == ("plain", 3, [])
    assert list(batch.column("id")) == ["1", "2", "3"]
    assert list(batch.column("mailbox_provider")) == ["Other"] * 3
    counted = pipeline().count(batch)
    assert counted.counts == {"minute": {WindowKey(0, ("sent",)): 1, WindowKey(60, ("sent",)): 2}}


def test_an_event_without_a_time_happened_when_it_was_received() -> None:
    batch = pipeline().enrich(claim(event(1), event(2, ts=5), event(3)))
    assert list(batch.column("occurred_at")) == [RECEIVED_MS, 5000, RECEIVED_MS]


def test_a_claim_of_nothing_or_of_nothing_good() -> None:
    for payloads in ([], [b"bad"]):
        batch = pipeline(MailboxProvider()).enrich(claim(*payloads))
        assert (len(batch), len(batch.dead)) == (0, len(payloads))
        assert pipeline().count(batch).counts == {"minute": {}}


def test_an_enricher_sees_the_columns_of_those_before_it() -> None:
    def first(batch: Batch) -> Mapping[str, Column]:
        return {"campaign": ["c"] * len(batch)}

    def second(batch: Batch) -> Mapping[str, Column]:
        return {"device": [f"{c}!" for c in batch.column("campaign")]}

    batch = pipeline(first, second).enrich(claim(event(1)))
    assert list(batch.column("device")) == ["c!"]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_enricher_that_raises_for_one_record_costs_that_record(place: int) -> None:
    payloads = [event(1), event(2), event(3)]
    payloads[place] = event(9)
    batch = pipeline(raises_for("r9@x.y")).enrich(claim(*payloads))
    assert batch.dead == [DeadLetter(place, None, event(9), "KeyError: 'r9@x.y'")]
    assert [batch.origin(i) for i in range(2)] == [(n, None) for n in range(3) if n != place]
    assert list(batch.column("seen")) == [True, True]
    assert sum(pipeline().count(batch).counts["minute"].values()) == 2


def test_what_the_format_refused_stays_refused_when_an_enricher_raises() -> None:
    array = b"[" + event(1) + b",{}," + event(2) + b"]"
    batch = pipeline(raises_for("r9@x.y")).enrich(claim(b"bad", array, event(9), event(3)))
    assert [batch.origin(i) for i in range(len(batch))] == [(1, 0), (1, 2), (3, None)]
    assert [(d.position, d.element, d.payload) for d in batch.dead] == [
        (0, None, b"bad"),
        (1, 1, b"{}"),
        (2, None, event(9)),
    ]


@pytest.mark.parametrize("size", [0, 1, 4])
def test_a_column_of_the_wrong_length_is_refused_and_lands_nowhere(size: int) -> None:
    def enricher(batch: Batch) -> Mapping[str, Column]:
        return {"os": ["x"] * size}

    batch = pipeline(enricher).enrich(claim(event(1), event(2), event(3)))
    assert all(len(column) == len(batch) for column in batch.columns.values())
    assert len(batch) + len(batch.dead) == 3
    if size != 1:  # alone, one value is right
        assert len(batch) == 0
        assert f"returned {size} values of 'os' for 1 events" in batch.dead[0].reason


def test_an_enricher_that_always_raises_kills_no_more_than_records() -> None:
    def broken(batch: Batch) -> Mapping[str, Column]:
        raise RuntimeError("no map")

    batch = pipeline(broken).enrich(claim(event(1), b"bad"))
    assert [d.position for d in batch.dead] == [0, 1]
    assert batch.dead[0].reason == "RuntimeError: no map"


payloads = st.lists(
    st.one_of(
        st.builds(event, st.integers(0, 5)),
        st.builds(lambda n, ts: event(n, ts=ts), st.integers(0, 5), st.integers(-1, 10**12)),
        st.binary(max_size=8),
        st.lists(st.builds(event, st.integers(0, 5)) | st.just(b"{}"), max_size=3).map(
            lambda events: b"[" + b",".join(events) + b"]"
        ),
    ),
    max_size=8,
)


@given(payloads=payloads)
def test_record_by_record_is_the_same_as_the_whole(payloads: list[bytes]) -> None:
    taken = claim(*payloads)
    whole = pipeline(MailboxProvider()).enrich(taken)
    each = pipeline(MailboxProvider()).enrich_each(taken)
    assert look(each) == look(whole)
    assert pipeline().count(each).counts == pipeline().count(whole).counts


@given(payloads=payloads)
def test_a_record_is_an_event_or_a_dead_letter_whatever_an_enricher_does(
    payloads: list[bytes],
) -> None:
    batch = pipeline(raises_for("r1@x.y", None)).enrich(claim(*payloads))
    positions = [batch.origin(i)[0] for i in range(len(batch))] + [d.position for d in batch.dead]
    assert set(positions) == set(range(len(payloads)))
    assert "r1@x.y" not in batch.column("recipient")


def test_refuse_makes_a_dead_letter_of_the_whole_payload() -> None:
    taken = claim(event(1), event(2))
    batch = pipeline().refuse(taken, 1, "it kills workers")
    assert len(batch) == 0
    assert batch.claim is taken
    assert batch.dead == [DeadLetter(1, None, event(2), "it kills workers")]


def test_the_dead_letter_of_an_event_is_its_record() -> None:
    array = b"[" + event(1) + b" , " + event(2) + b"]"
    batch = pipeline().enrich(claim(event(0), array))
    letters = [pipeline().dead_letter(batch, i, "why") for i in range(3)]
    assert letters == [
        DeadLetter(0, None, event(0), "why"),
        DeadLetter(1, 0, event(1), "why"),
        DeadLetter(1, 1, event(2), "why"),
    ]


def test_batches_of_a_claim_are_joined_in_order() -> None:
    taken = claim(event(1), b"bad", event(3, url="u"))
    parts = [pipeline().enrich_one(taken, position) for position in range(3)]
    joined = join(taken, "plain", parts)
    assert [joined.origin(i) for i in range(2)] == [(0, None), (2, None)]
    assert list(joined.column("url")) == [None, "u"]
    assert [d.position for d in joined.dead] == [1]
    assert len(join(taken, "plain", [])) == 0


@pytest.mark.parametrize("keep", [[], [2], [0, 2], [2, 0]])
def test_a_batch_keeps_what_it_is_told(keep: Sequence[int]) -> None:
    batch = pipeline(MailboxProvider()).enrich(claim(event(0), event(1), b"bad", event(2)))
    kept = batch.keep(keep)
    assert list(kept.column("id")) == [str(n) for n in keep]
    assert [kept.origin(i) for i in range(len(kept))] == [batch.origin(i) for i in keep]
    assert kept.dead == batch.dead
    assert kept.dead is not batch.dead


def test_an_enricher_that_raises_for_one_element_costs_that_element() -> None:
    array = b"[" + b",".join(event(n) for n in range(10)) + b"]"
    batch = pipeline(raises_for("r4@x.y")).enrich(claim(event(20), array))
    assert list(batch.column("id")) == ["20", *(str(n) for n in range(10) if n != 4)]
    [letter] = batch.dead
    assert (letter.position, letter.element, letter.payload) == (1, 4, event(4))
    assert list(batch.column("seen")) == [True] * 10


def test_a_lone_surrogate_in_a_dimension_counts_as_a_question_mark() -> None:
    def enricher(batch: Batch) -> Mapping[str, Column]:
        return {"event_name": ["a\ud800"] * len(batch)}

    own = pipeline(enricher)
    batch = own.count(own.enrich(claim(event(1, ts=0))))
    assert batch.counts["minute"] == {WindowKey(0, ("a?",)): 1}
