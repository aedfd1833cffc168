"""What would become of payloads: a dry run of everything before MySQL. Pure but for the log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pepi_stream.claims import Claim, new_claim_id
from pepi_stream.columns import ColumnSpec
from pepi_stream.events import Batch
from pepi_stream.pipeline import Pipeline
from pepi_stream.settings import Settings
from pepi_stream.sink import Sink, statements
from pepi_stream.sink.literals import timestamp_text


class Glimpse(NamedTuple):
    """What would become of one event, or of a record that is none.

    Attributes:
        position: index of its payload.
        element: index in the payload's array; None when it is the whole payload.
        format: name of the format that read it; what `auto` took it for.
        row: column -> value, as MySQL would keep it; None for a dead letter.
        sql: the INSERT that makes the row; '' for a dead letter.
        windows: window name -> (start in seconds since 1970 UTC, dimensions' values) that it
            would count in.
        payload: the record of a dead letter; empty for a row.
        reason: why it would be a dead letter; '' for a row.
    """

    position: int
    element: int | None
    format: str
    row: dict[str, Any] | None
    sql: str
    windows: dict[str, tuple[int, tuple[str, ...]]]
    payload: bytes
    reason: str


class Preview:
    """Looks at payloads as a worker with these settings would.

    What only MySQL can tell (a value too long for its column, a duplicate key, with `sink.dedupe` a
    repeat) is not known here.

    Args:
        settings: all of them.
        now_ms: wall clock in ms since 1970: when the payloads would be claimed.
    """

    def __init__(self, settings: Settings, *, now_ms: int) -> None:
        self._pipeline = Pipeline.from_settings(settings)
        self._sink = Sink(settings, self._pipeline, on_commit=lambda outcome: None)
        self._now_ms = now_ms

    def glimpses(self, payloads: Sequence[bytes]) -> Iterator[Glimpse]:
        """Yield what would become of a claim of these payloads, in their order."""
        claim = Claim(
            new_claim_id(self._now_ms), list(payloads), delivery=1, received_at=self._now_ms
        )
        rendered = self._sink.render(self._pipeline.count(self._pipeline.enrich(claim)))
        batch, name = rendered.batch, rendered.batch.format
        found = [self._row(batch, index, sql) for index, sql in enumerate(rendered.rows())]
        found += [
            Glimpse(d.position, d.element, d.format or name, None, "", {}, d.payload, d.reason)
            for d in batch.dead
        ]
        found.sort(key=lambda glimpse: (glimpse.position, glimpse.element or 0))
        yield from found

    def _row(self, batch: Batch, index: int, values: str) -> Glimpse:
        schema = self._sink.schema
        alone = batch.keep([index])
        specs = [spec for spec in schema.columns if spec.values is not None]
        position, element = batch.origin(index)
        head = statements.insert_head(schema.names.event, [spec.name for spec in specs])
        windows = {}
        for window in schema.windows:
            [key] = window.count(alone)
            windows[window.name] = (key.start, key.values)
        return Glimpse(
            position,
            element,
            self._pipeline.format.taken_for(batch.claim.payloads[position]) or batch.format,
            {spec.name: _shown(spec, alone) for spec in specs},
            f"{head}({values})",
            windows,
            b"",
            "",
        )


def _shown(spec: ColumnSpec, alone: Batch) -> Any:
    """Return a column's value of a batch of one event, as JSON has it."""
    assert spec.values is not None
    [value] = spec.values(alone)
    if value is None:
        return None
    if spec.epoch_ms:
        return timestamp_text(value)
    if isinstance(value, datetime):
        aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        return aware.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
    if isinstance(value, bytes):
        return value.hex()
    return value
