"""Renders batches to SQL row text: one f-string a row, written for the batch's shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from pepi_stream.columns import ColumnSpec
from pepi_stream.events import Batch, Constant
from pepi_stream.sink.literals import NULL, is_clean_text, literal, literals, timestamp_literals


class Rendered:
    """A batch and the SQL text of its rows.

    The text is joined and encoded while its parts are still in the processor's cache, and the
    rows apart are made anew only when the server refuses one of them (docs/decisions/0010).

    Args:
        batch: what was rendered.
        names: the columns that the rows fill, in order.
        rows: SQL text of each event, without parentheses.
        again: makes the same rows anew; by default these are kept.

    Attributes:
        values: ``row),(row),(row`` in UTF-8; None when a row holds a lone surrogate, which is no
            Unicode text.
        weight: about how many bytes it costs in a statement and in memory.
    """

    __slots__ = ("_again", "batch", "names", "size", "values", "weight")

    def __init__(
        self,
        batch: Batch,
        names: Sequence[str],
        rows: list[str],
        again: Callable[[], list[str]] | None = None,
    ) -> None:
        self.batch = batch
        self.names = tuple(names)
        self.size = len(rows)
        text = "),(".join(rows)
        try:
            self.values: bytes | None = text.encode()
        except UnicodeEncodeError:
            self.values = None
        self.weight = len(self.values or text) + sum(len(d.payload) for d in batch.dead)
        self._again = again or (lambda: rows)

    @property
    def rows(self) -> list[str]:
        """SQL text of each event, without parentheses."""
        return self._again()


class RowRenderer:
    """Turns batches into row text for the configured columns.

    Each column of a batch is one of three kinds: constant (one literal for all rows), clean
    text (quoted by the f-string, no literal made per value) or made of literals. Making a
    literal for every value and joining them took twice as long (docs/decisions/0004).

    Args:
        columns: in table order; those that MySQL fills by itself are left out.

    Attributes:
        omittable: names of the columns that MySQL fills with NULL when an INSERT does not name
            them. One that is NULL in all of a batch's rows is then not sent.
    """

    def __init__(self, columns: Sequence[ColumnSpec]) -> None:
        self.columns = [c for c in columns if c.values is not None]
        self.names = [c.name for c in self.columns]
        self.omittable: frozenset[str] = frozenset()

    def render(self, batch: Batch) -> Rendered:
        """Render a batch.

        Raises:
            TypeError, ValueError: a column gave values that SQL has no literal for, or
                too few of them.
        """
        if not batch.size:
            return Rendered(batch, self.names, [])
        kinds = [(column, *_kind(column, batch)) for column in self.columns]
        sent = [
            (column, kind, values)
            for column, kind, values in kinds
            if not (kind == "c" and values[0] == NULL and column.name in self.omittable)
        ] or kinds
        columns = [column for column, _, _ in sent]
        rows = _write(batch.size, [(kind, values) for _, kind, values in sent])
        return Rendered(
            batch,
            [column.name for column in columns],
            rows,
            lambda: _write(batch.size, [_kind(column, batch) for column in columns]),
        )

    def render_all(self, batch: Batch) -> list[str]:
        """Return the rows of a batch with no column omitted; raises as :meth:`render` does."""
        return _write(batch.size, [_kind(column, batch) for column in self.columns])


def _write(size: int, columns: Sequence[tuple[str, Sequence[Any]]]) -> list[str]:
    """Return the rows of these columns, each as (kind, values) from :func:`_kind`."""
    kinds = ""
    constants: list[str] = []
    varying: list[Sequence[Any]] = []
    for kind, values in columns:
        if kind != "c":
            kinds += kind
            varying.append(values)
        elif kinds.endswith("c"):
            constants[-1] += "," + values[0]
        else:
            kinds += kind
            constants.append(values[0])
    if not varying:
        return constants * size
    return _row_writer(kinds)(varying, constants)


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
