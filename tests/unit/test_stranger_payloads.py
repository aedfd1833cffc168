"""Payloads that strangers tried, through the whole pipeline with its default enrichers.

Each line of ``tests/data/stranger_payloads.jsonl`` says what is right about the first event.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.test_provider_cases import batch_of

FILE = Path(__file__).parents[1] / "data" / "stranger_payloads.jsonl"
CASES: list[dict[str, Any]] = [json.loads(line) for line in FILE.read_text("utf-8").splitlines()]


@pytest.mark.parametrize("case", CASES, ids=[f"{c['kind']}-{c['format']}" for c in CASES])
def test_a_strangers_payload_is_read_right(case: dict[str, Any]) -> None:
    batch = batch_of(case["format"], case["payload"])
    if case["expect"] == "not plain":
        assert len(batch) == 0
        [letter] = batch.dead
        assert letter.format is None
        assert "it looks like an event of " in letter.reason
        return
    assert batch.dead == []
    assert len(batch) == 1
    assert {name: batch.column(name)[0] for name in case["expect"]} == case["expect"]


@pytest.mark.parametrize("case", CASES, ids=[f"{c['kind']}-{c['format']}" for c in CASES])
def test_auto_reads_it_as_its_format_does(case: dict[str, Any]) -> None:
    if case["expect"] != "not plain":
        named = batch_of(case["format"], case["payload"])
        told = batch_of("auto", case["payload"])
        assert {k: list(v) for k, v in told.columns.items()} == {
            k: list(v) for k, v in named.columns.items()
        }
