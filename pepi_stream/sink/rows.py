"""Renders batches to SQL row text: one f-string a row, written for the batch's shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from pepi_stream.columns import ColumnSpec
from pepi_stream.events import Batch, Constant
from pepi_stream.sink.literals import is_clean_text, literal, literals, timestamp_literals


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

    Each column of a batch is one of three kinds: constant (one literal for all rows), clean
    text (quoted by the f-string, no literal made per value) or made of literals. Making a
    literal for every value and joining them took twice as long (docs/decisions/0004).

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
        kinds = ""
        constants: list[str] = []
        varying: list[Sequence[Any]] = []
        for column in self.columns:
            kind, values = _kind(column, batch)
            if kind != "c":
                kinds += kind
                varying.append(values)
            elif kinds.endswith("c"):
                constants[-1] += "," + values[0]
            else:
                kinds += kind
                constants.append(values[0])
        if not varying:
            return Rendered(batch, constants * batch.size)
        return Rendered(batch, _row_writer(kinds)(varying, constants))


def _kind(column: ColumnSpec, batch: Batch) -> tuple[str, Sequence[Any]]:
    """Return ("c", [literal]), ("t", clean text) or ("l", literals)."""
    assert column.values is not None
    values = column.values(batch)
    if len(values) != batch.size:
        raise ValueError(f"column {column.name} gave {len(values)} values for {batch.size} events")
    if column.epoch_ms:
        if isinstance(values, Constant):
            return "c", timestamp_literals([values.value])
        return "l", timestamp_literals(values)
    if isinstance(values, Constant):
        return "c", [literal(values.value)]
    if is_clean_text(values):
        return "t", values
    return "l", literals(values)


@lru_cache(maxsize=256)
def _row_writer(kinds: str) -> Callable[[list[Sequence[Any]], list[str]], list[str]]:
    """Write the function that renders rows of this shape.

    Only column kinds and made-up names get into its source; values are its arguments.
    """
    parts: list[str] = []
    names: list[str] = []
    constants = 0
    for kind in kinds:
        if kind == "c":
            parts.append(f"{{constants[{constants}]}}")
            constants += 1
            continue
        name = f"v{len(names)}"
        names.append(name)
        parts.append(f"'{{{name}}}'" if kind == "t" else f"{{{name}}}")
    source = (
        "lambda varying, constants: "
        f'[f"{",".join(parts)}" for {",".join(names)}, in zip(*varying, strict=True)]'
    )
    writer: Callable[[list[Sequence[Any]], list[str]], list[str]] = eval(source)
    return writer
