"""An enricher that raises, stalls or lies harms no claim, and the log says whose fault it was."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, Literal

import pytest

from pepi_stream.claims.claim import Claim, new_claim_id
from pepi_stream.enrich import Enricher, Enrichment
from pepi_stream.events import Batch, Column
from pepi_stream.formats import load_format
from pepi_stream.pipeline import Pipeline
from pepi_stream.settings import WindowSettings
from pepi_stream.windows import Window
from tests.enriching import batch_of

Fails = Callable[[Batch], Mapping[str, Column]]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Flaky:
    """Raises on its first calls, or on all of them."""

    def __init__(self, failures: int = 10**9) -> None:
        self.calls = 0
        self.failures = failures

    def __call__(self, batch: Batch) -> Mapping[str, Column]:
        self.calls += 1
        if self.calls <= self.failures:
            batch.columns["half"] = ["x"]  # what it did to the batch is undone
            raise RuntimeError("no map")
        return {"made": [1] * len(batch)}


def after(batch: Batch) -> Mapping[str, Column]:
    return {"after": ["y"] * len(batch)}


def running(
    enricher: Enricher, on_error: Literal["dead_letter", "skip"] = "skip", **more: Any
) -> Enrichment:
    return Enrichment({"my:enricher": enricher, "after": after}, on_error=on_error, **more)


def test_the_batch_is_tried_once_more(caplog: pytest.LogCaptureFixture) -> None:
    flaky = Flaky(failures=1)
    batch = running(flaky, "dead_letter").apply(batch_of(id=["1", "2"]))
    assert batch.columns == {"id": ["1", "2"], "made": [1, 1], "after": ["y", "y"]}
    assert flaky.calls == 2
    assert not caplog.records


def test_skip_goes_on_without_that_enrichers_columns(caplog: pytest.LogCaptureFixture) -> None:
    flaky = Flaky()
    batch = running(flaky).apply(batch_of(id=["1", "2"]))
    assert batch.columns == {"id": ["1", "2"], "after": ["y", "y"]}
    assert flaky.calls == 2
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage() == (
        "enricher my:enricher raised RuntimeError, twice, for a batch of 2 events; it goes on "
        "without that enricher's columns (enrich.on_error = skip)"
    )
    assert record.exc_info


@pytest.mark.parametrize("size", [0, 1, 3])
def test_skip_takes_no_column_of_the_wrong_length(size: int) -> None:
    def lies(batch: Batch) -> Mapping[str, Column]:
        return {"good": ["x"] * len(batch), "id": ["x"] * size}

    batch = running(lies).apply(batch_of(id=["1", "2"]))
    assert batch.columns == {"id": ["1", "2"], "after": ["y", "y"]}


def test_dead_letter_raises_what_the_enricher_raised(caplog: pytest.LogCaptureFixture) -> None:
    batch = batch_of(id=["1"])
    with pytest.raises(RuntimeError, match="no map"):
        running(Flaky(), "dead_letter").apply(batch)
    assert batch.columns == {"id": ["1"]}
    [record] = caplog.records
    assert "enricher my:enricher raised RuntimeError, twice, for a batch of 1" in record.message
    assert "taking it record by record (enrich.on_error = dead_letter)" in record.message


def test_the_log_names_an_enricher_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    enrichment = running(Flaky(), clock=clock)
    for now, lines in ((0, 1), (30, 1), (59, 1), (61, 2), (62, 2), (122, 3)):
        clock.now = 1000.0 + now
        enrichment.apply(batch_of(id=["1"]))
        assert len(caplog.records) == lines


def test_a_slow_enricher_is_named(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    seconds = 0.0

    def slow(batch: Batch) -> Mapping[str, Column]:
        clock.now += seconds
        return {}

    enrichment = running(slow, slow_seconds=0.5, clock=clock)
    for seconds, lines in ((0.4, 0), (12.25, 1), (3.0, 1), (60.0, 2)):  # noqa: B007
        enrichment.apply(batch_of(id=["1", "2"]))
        assert len(caplog.records) == lines
    assert caplog.records[0].levelno == logging.WARNING
    assert caplog.records[0].message.startswith(
        "enricher my:enricher took 12.2 s for 2 events (enrich.slow_seconds is 0.5)"
    )


# -- within the pipeline ------------------------------------------------------------------


def claim(*payloads: bytes) -> Claim:
    return Claim(new_claim_id(1), list(payloads), delivery=1, received_at=1)


def event(number: int) -> bytes:
    return json.dumps({"id": number, "event": "sent", "email": f"r{number}@x.y"}).encode()


def raises_for(recipient: str) -> Enricher:
    def enricher(batch: Batch) -> Mapping[str, Column]:
        if recipient in batch.column("recipient"):
            raise KeyError(recipient)
        return {"seen": [True] * len(batch)}

    return enricher


@pytest.mark.parametrize("on_error", ["dead_letter", "skip"])
def test_no_event_is_lost_or_counted_twice(
    on_error: Literal["dead_letter", "skip"], caplog: pytest.LogCaptureFixture
) -> None:
    window = Window("minute", WindowSettings(seconds=60, by=("event_name",)))
    own = Pipeline(load_format("plain"), running(raises_for("r2@x.y"), on_error), [window])
    batch = own.count(own.enrich(claim(event(1), event(2), b"bad", event(3))))
    rows = list(batch.column("id"))
    dead = [letter.position for letter in batch.dead]
    assert (rows, dead) == (
        (["1", "3"], [1, 2]) if on_error == "dead_letter" else (["1", "2", "3"], [2])
    )
    assert list(batch.column("after")) == ["y"] * len(rows)
    assert list(batch.column("seen")) == [True if on_error == "dead_letter" else None] * len(rows)
    assert sum(batch.counts["minute"].values()) == len(rows)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_skip_holds_record_by_record_too() -> None:
    own = Pipeline(load_format("plain"), running(raises_for("r2@x.y")), [])
    batch = own.enrich_each(claim(event(1), event(2), event(3)))
    assert list(batch.column("id")) == ["1", "2", "3"]
    assert list(batch.column("seen")) == [True, None, True]
