"""Renders batches to SQL row text, column by column."""

from __future__ import annotations

from collections.abc import Sequence

from pepi_stream.columns import ColumnSpec
from pepi_stream.events import Batch
from pepi_stream.sink.literals import NULL, literals, timestamp_literals


class Rendered:
    """A batch and the SQL text of its rows: ``rows[i]`` is event i, without parentheses.

    Attributes:
        weight: about how many bytes it costs in a statement and in memory.
    """

    __slots__ = ("batch", "rows", "weight")

    def __init__(self, batch: Batch, rows: list[str]) -> None:
        self.batch = batch
        self.rows = rows
        self.weight = sum(map(len, rows)) + sum(len(d.payload) for d in batch.dead)


class RowRenderer:
    """Turns batches into row text for the configured columns.

    Args:
        columns: in table order; those that MySQL fills by itself are left out.
    """

    def __init__(self, columns: Sequence[ColumnSpec]) -> None:
        self.columns = [c for c in columns if c.values is not None]
        self.names = [c.name for c in self.columns]

    def render(self, batch: Batch) -> Rendered:
        """Render a batch.

        Raises:
            TypeError, ValueError: a column gave values that SQL has no literal for, or
                too few of them.
        """
        if not batch.size:
            return Rendered(batch, [])
        return Rendered(
            batch,
            list(
                map(",".join, zip(*(self._literals(c, batch) for c in self.columns), strict=True))
            ),
        )

    def _literals(self, column: ColumnSpec, batch: Batch) -> Sequence[str]:
        assert column.values is not None
        values = column.values(batch)
        if len(values) != batch.size:
            raise ValueError(
                f"column {column.name} gave {len(values)} values for {batch.size} events"
            )
        if column.epoch_ms:
            return timestamp_literals(values)
        if type(values) is tuple and values[0] is None:
            return (NULL,) * batch.size  # a column that nobody filled
        return literals(values)
