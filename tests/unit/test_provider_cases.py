"""Real events of each provider, from the payload to the row: through ``auto`` and by name.

The payloads in ``tests/data/provider_cases`` are written after the providers' documentation and
what users published, the rows after the documentation of the fields. What is said of each row is
all of: event name, recipient, time to the millisecond, bounce class, client, whether it was a
machine and why that is thought, and what makes a repeat recognisable.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from pepi_stream.claims.claim import Claim, new_claim_id
from pepi_stream.events import EVENT_NAMES, Batch
from pepi_stream.formats import FORMATS
from pepi_stream.pipeline import Pipeline
from pepi_stream.settings import load_settings
from tests.format_cases import at

DIRECTORY = Path(__file__).parents[1] / "data" / "provider_cases"
RECEIVED_MS = 1_700_000_000_123
CASES: dict[str, list[dict[str, Any]]] = {
    file.stem: json.loads(file.read_text("utf-8")) for file in sorted(DIRECTORY.glob("*.json"))
}
COLUMNS = (
    *("event_name", "recipient", "occurred_at", "bounce_class", "client", "is_machine"),
    *("machine_reason", "event_uid"),
)


@cache
def pipeline_of(format: str) -> Pipeline:
    return Pipeline.from_settings(load_settings({"PEPI_SOURCE__FORMAT": format}))


def batch_of(format: str, *payloads: Any) -> Batch:
    """Return what the pipeline with its default enrichers makes of a claim."""
    claim = Claim(
        new_claim_id(1),
        [json.dumps(payload).encode() for payload in payloads],
        delivery=1,
        received_at=RECEIVED_MS,
    )
    pipeline = pipeline_of(format)
    return pipeline.count(pipeline.enrich(claim))


def rows(batch: Batch) -> list[dict[str, Any]]:
    columns = [batch.column(name) for name in COLUMNS]
    return [dict(zip(COLUMNS, values, strict=True)) for values in zip(*columns, strict=True)]


def wanted(case: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for row in case["rows"]:
        time = RECEIVED_MS if row["at"] is None else at(row["at"])
        found.append({name: row.get(name) for name in COLUMNS} | {"occurred_at": time})
    return found


@pytest.mark.parametrize(
    ("provider", "case"),
    [(provider, case) for provider, cases in CASES.items() for case in cases],
    ids=[f"{provider}-{case['title']}" for provider, cases in CASES.items() for case in cases],
)
def test_an_event_becomes_its_row(provider: str, case: dict[str, Any]) -> None:
    for format in (provider, "auto"):
        batch = batch_of(format, case["payload"])
        assert batch.dead == []
        assert rows(batch) == wanted(case)


@pytest.mark.parametrize("provider", CASES)
def test_all_of_a_provider_in_one_claim(provider: str) -> None:
    payloads = [case["payload"] for case in CASES[provider]]
    expected = [row for case in CASES[provider] for row in wanted(case)]
    for format in (provider, "auto"):
        assert rows(batch_of(format, *payloads)) == expected


def test_all_providers_in_one_claim() -> None:
    cases = [case for cases in zip(*CASES.values(), strict=False) for case in cases]
    batch = batch_of("auto", *(case["payload"] for case in cases))
    assert batch.dead == []
    assert rows(batch) == [row for case in cases for row in wanted(case)]


@pytest.mark.parametrize("provider", CASES)
def test_there_are_enough_cases(provider: str) -> None:
    cases = CASES[provider]
    assert "sample" in cases[0]["title"]
    assert len(cases) >= 1 + 8
    if provider != "plain":
        assert {row["event_name"] for case in cases for row in case["rows"]} <= EVENT_NAMES


def test_every_provider_has_cases() -> None:
    assert CASES.keys() == FORMATS.keys() - {"auto"}
