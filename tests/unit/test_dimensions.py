"""A window that counts by a column which nothing delivers is an error, and not a heap of ''."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from pepi_stream.errors import ConfigError
from pepi_stream.events import Batch, Column, Constant
from pepi_stream.pipeline import Pipeline
from pepi_stream.preview import Preview
from pepi_stream.settings import Settings, load_settings
from tests.sinking import claim_of, event


def tenant(batch: Batch) -> Mapping[str, Column]:
    """Always delivers its column."""
    return {"tenant": Constant("a", len(batch))}


def some_tenant(batch: Batch) -> Mapping[str, Column]:
    """Delivers its column for batches in which an event has a campaign, and nothing for others."""
    return tenant(batch) if any(batch.column("campaign")) else {}


class Declared:
    """Delivers one column always, and says that another may come."""

    delivers = ("region",)

    def __call__(self, batch: Batch) -> Mapping[str, Column]:
        return tenant(batch)


def settings(by: str, *enrichers: str, **environ: str) -> Settings:
    windows = {"day": {"seconds": 86_400, "by": ["event_name", by]}}
    names = [f"tests.unit.test_dimensions:{name}" for name in enrichers]
    return load_settings(
        {
            "PEPI_WINDOWS": json.dumps(windows),
            "PEPI_ENRICH__ENRICHERS": json.dumps(["mailbox_provider", *names]),
            **environ,
        }
    )


def test_with_built_in_steps_alone_it_is_known_at_start() -> None:
    with pytest.raises(ConfigError, match="did you mean campaign") as caught:
        Pipeline.from_settings(settings("campain"))
    assert str(caught.value).startswith("windows.day.by: no column 'campain': neither")


@pytest.mark.parametrize(
    ("by", "says"),
    [
        ("tennant", "did you mean tenant?"),
        ("campain", "did you mean campaign?"),
        ("zzz", "neither the format nor an enricher delivers it"),
    ],
)
def test_with_an_enricher_of_ones_own_the_first_batch_tells(by: str, says: str) -> None:
    wrong = settings(by, "tenant")
    pipeline = Pipeline.from_settings(wrong)
    pipeline.enrich(claim_of([b"no event"]))  # of nothing, nothing can be told
    with pytest.raises(ConfigError) as caught:
        pipeline.enrich(claim_of([event(1)]))
    assert f"no column {by!r}" in str(caught.value)
    assert says in str(caught.value)
    with pytest.raises(ConfigError):  # and `peek` says so, too
        list(Preview(wrong, now_ms=1).glimpses([event(1)]))


@pytest.mark.parametrize("by", ["tenant", "campaign", "mailbox_provider", "is_machine"])
def test_what_is_delivered_is_counted_by(by: str) -> None:
    pipeline = Pipeline.from_settings(settings(by, "tenant"))
    assert pipeline.count(pipeline.enrich(claim_of([event(1)]))).counts["day"]


def test_a_batch_for_which_the_enricher_gave_nothing_proves_nothing() -> None:
    pipeline = Pipeline.from_settings(settings("tenant", "some_tenant"))
    for payload in (event(1, TAGS=None), event(2), event(3, TAGS=None)):
        assert pipeline.enrich(claim_of([payload])).size == 1


def test_a_column_that_was_there_once_is_no_mistake() -> None:
    pipeline = Pipeline.from_settings(settings("tenant", "some_tenant", "Declared"))
    assert pipeline.enrich(claim_of([event(1, TAGS=None)])).size == 1


def test_an_enricher_may_say_that_a_column_comes_later() -> None:
    pipeline = Pipeline.from_settings(settings("region", "Declared"))
    assert pipeline.enrich(claim_of([event(1)])).size == 1
