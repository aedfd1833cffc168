"""A batch whose columns were dropped, and what is left of it until they are made anew."""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass

import pytest

from pepi_stream.claims.claim import Claim, new_claim_id
from pepi_stream.columns import ColumnSpec, load_columns
from pepi_stream.events import Batch, Column
from pepi_stream.formats import FORMATS
from pepi_stream.pipeline import Pipeline
from pepi_stream.settings import load_settings
from pepi_stream.sink.rows import RowRenderer
from tests.fuzzing.corpus import SAMPLES

OWN_ENRICHER = "tests.unit.test_dropped_columns:own"


def own(batch: Batch) -> dict[str, list[str]]:
    """A user's enricher."""
    return {"campaign": ["own"] * len(batch)}


def claim() -> Claim:
    payloads = [*SAMPLES, b"bad", b"[]", *SAMPLES]
    random.Random(5).shuffle(payloads)
    return Claim(new_claim_id(1), payloads, delivery=1, received_at=1_700_000_000_123)


def dropped(batch: Batch) -> bool:
    return batch._columns is None


@pytest.mark.parametrize("format", FORMATS)
def test_columns_are_made_anew_as_they_were(format: str) -> None:
    settings = load_settings({"PEPI_SOURCE__FORMAT": format})
    pipeline = Pipeline.from_settings(settings)
    batch = pipeline.count(pipeline.enrich(claim()))
    assert len(batch)
    before = {name: list(column) for name, column in batch.columns.items()}
    occurred = list(batch.occurred())
    names = batch.column("event_name")
    rendered = RowRenderer(load_columns(settings.sink.columns), drop=True).render(batch)
    assert dropped(batch)
    assert sys.getrefcount(names) <= 2, "somebody else than this test holds a column"
    assert list(batch.occurred()) == occurred
    assert dropped(batch)
    assert {name: list(column) for name, column in batch.columns.items()} == before
    assert rendered.body == "),(".join(rendered.rows()).encode()
    assert [sum(counts.values()) for counts in batch.counts.values()] == [len(batch)] * 2


def test_what_a_users_code_made_is_kept() -> None:
    settings = load_settings({"PEPI_ENRICH__ENRICHERS": OWN_ENRICHER})
    batch = Pipeline.from_settings(settings).enrich(claim())
    RowRenderer(load_columns(settings.sink.columns), drop=True).render(batch)
    assert not dropped(batch)


def test_columns_are_kept_for_a_users_column() -> None:
    batch = Pipeline.from_settings(load_settings({})).enrich(claim())
    spec = ColumnSpec("own", "TEXT", lambda batch: ["x"] * len(batch))
    RowRenderer([spec], drop=True).render(batch)
    assert not dropped(batch)


@dataclass
class Tier:
    """A user's column: an instance that can be called, and cannot be hashed."""

    name: str

    def __call__(self, batch: Batch) -> list[str]:
        return [self.name] * len(batch)


def test_a_users_column_need_not_be_hashable() -> None:
    batch = Pipeline.from_settings(load_settings({})).enrich(claim())
    spec = ColumnSpec("tier", "TEXT", Tier("gold"))
    assert RowRenderer([spec], drop=True).render(batch).rows() == ["'gold'"] * len(batch)
    assert not dropped(batch)


def test_columns_are_evaluated_once_for_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = Pipeline.from_settings(load_settings({})).enrich(claim())
    specs = load_columns(load_settings({}).sink.columns)
    rendered = RowRenderer(specs, drop=True).render(batch)
    assert batch.columns  # made anew
    asked: list[str] = []
    column = Batch.column

    def counted(batch: Batch, name: str) -> Column:
        asked.append(name)
        return column(batch, name)

    monkeypatch.setattr(Batch, "column", counted)
    rendered.rows()
    assert len(asked) == len(set(asked))


def test_other_events_are_not_taken_for_these() -> None:
    batch = Pipeline.from_settings(load_settings({})).enrich(claim())
    batch.again = lambda: Batch(batch.claim, format="f", size=1, columns={})
    batch.drop_columns()
    with pytest.raises(RuntimeError, match="was made anew as <Batch of 1 events"):
        batch.column("id")
