"""Batches for tests of enrichers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pepi_stream.claims.claim import Claim, new_claim_id
from pepi_stream.enrich import Enricher
from pepi_stream.events import Batch, Column


def batch_of(**columns: Sequence[Any]) -> Batch:
    """Return a batch with these columns, all of the same length."""
    size = len(next(iter(columns.values())))
    claim = Claim(new_claim_id(1), [b""] * size, delivery=1, received_at=1)
    return Batch(claim, format="f", size=size, columns=dict(columns))


def enrich(enricher: Enricher, **columns: Sequence[Any]) -> Batch:
    """Return a batch with the enricher's columns added, as the pipeline adds them."""
    batch = batch_of(**columns)
    added: dict[str, Column] = dict(enricher(batch))
    assert all(len(column) == len(batch) for column in added.values())
    batch.columns.update(added)
    return batch
