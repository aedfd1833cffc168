"""Renders batches to rows: a column at a time, never a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from pepi_stream.columns import ColumnSpec, is_built_in
from pepi_stream.events import Batch, Column, Constant
from pepi_stream.sink.cells import Cells, lay_out
from pepi_stream.sink.literals import NULL, is_clean_text, literals, timestamp_literals
from pepi_stream.sink.parameters import parameters, timestamps


class Rendered(NamedTuple):
    """A batch and its rows, ready to send.

    The rows are joined and encoded while their parts are still in the processor's cache. The SQL
    text of each row apart is made only when the server refuses one (docs/decisions/0010).

    Attributes:
        batch: what was rendered.
        names: the columns that the rows fill, in order.
        size: how many rows.
        body: the rows; None when one holds a lone surrogate, which is no Unicode text.
        types: of the parameters, when ``body`` is rows of them; None when it is SQL text in
            UTF-8, ``row),(row),(row``.
        weight: about how many bytes it costs in a statement and in memory.
        rows: makes the SQL text of each row, without parentheses.
    """

    batch: Batch
    names: tuple[str, ...]
    size: int
    body: bytes | None
    types: bytes | None
    weight: int
    rows: Callable[[], list[str]]


def rendered_text(batch: Batch, names: Sequence[str], rows: list[str]) -> Rendered:
    """Return a batch of which each row's SQL text, without parentheses, is there."""
    return _text(batch, names, "),(".join(rows), lambda: rows)


def _text(batch: Batch, names: Sequence[str], text: str, rows: Callable[[], list[str]]) -> Rendered:
    try:
        body = text.encode()
    except UnicodeEncodeError:
        body = None
    weight = len(body or text) + _dead_bytes(batch)
    return Rendered(batch, tuple(names), batch.size, body, None, weight, rows)


def _dead_bytes(batch: Batch) -> int:
    return sum(len(letter.payload) for letter in batch.dead)


class RowRenderer:
    """Turns batches into rows of the configured columns.

    Args:
        columns: in table order; those that MySQL fills by itself are left out.
        drop: drop the columns of a batch that was rendered, where they can be made anew.

    Attributes:
        bulk: make rows of parameters, where all of a batch's values can be some.
        omittable: names of the columns that MySQL fills with NULL when an INSERT does not name
            them. One that is NULL in all of a batch's rows is then not in their SQL text.
    """

    def __init__(self, columns: Sequence[ColumnSpec], *, drop: bool = False) -> None:
        self.columns = [c for c in columns if c.values is not None]
        # A user's column is asked once: asked again it might say something else, or raise.
        self._drop = drop and all(map(is_built_in, self.columns))
        self.names = [c.name for c in self.columns]
        self.bulk = False
        self.omittable: frozenset[str] = frozenset()

    def render(self, batch: Batch) -> Rendered:
        """Render a batch.

        Raises:
            TypeError, ValueError: a column gave values that SQL has no literal for, or
                too few of them.
        """
        if not batch.size:
            return rendered_text(batch, self.names, [])
        rendered = self._render(batch)
        if self._drop:
            batch.drop_columns()
        return rendered

    def render_all(self, batch: Batch) -> list[str]:
        """Return the SQL text of rows with no column omitted; raises as :meth:`render` does."""
        return _rows(batch.size, self._evaluate(batch))

    def _render(self, batch: Batch) -> Rendered:
        evaluated = self._evaluate(batch)
        if self.bulk and (rendered := self._parameters(batch, evaluated)):
            return rendered
        columns = [_literals(spec, values) for spec, values in evaluated]
        sent = [
            at
            for at, cells in enumerate(columns)
            if not (cells == [NULL] and self.names[at] in self.omittable)
        ] or range(len(columns))
        first, *rest = (columns[at] for at in sent)
        table = lay_out(batch.size, [["),(", *first], *rest], ",")
        return _text(
            batch,
            [self.names[at] for at in sent],
            table.text().removeprefix("),("),
            self._rows_again(batch, evaluated, sent),
        )

    def _evaluate(self, batch: Batch) -> list[_Evaluated]:
        return [(spec, _values(spec, batch)) for spec in self.columns]

    def _rows_again(
        self, batch: Batch, evaluated: Sequence[_Evaluated], sent: Sequence[int]
    ) -> Callable[[], list[str]]:
        """Return what makes the SQL text of each row, of the columns that are sent."""
        kept = None if self._drop else evaluated

        def rows() -> list[str]:
            columns = kept or self._evaluate(batch)
            return _rows(batch.size, [columns[at] for at in sent])

        return rows

    def _parameters(self, batch: Batch, evaluated: Sequence[_Evaluated]) -> Rendered | None:
        columns: list[Cells] = []
        types: list[int] = []
        try:
            for spec, values in evaluated:
                found = timestamps(values) if spec.epoch_ms else parameters(values)
                if found is None:
                    return None
                types.append(found[0])
                columns.append(found[1])
        except UnicodeEncodeError:
            return None
        body = lay_out(batch.size, columns).text().encode("latin-1")
        return Rendered(
            batch,
            tuple(self.names),
            batch.size,
            body,
            bytes(types),
            len(body) + _dead_bytes(batch),
            self._rows_again(batch, evaluated, range(len(evaluated))),
        )


#: A column and its values of a batch.
_Evaluated = tuple[ColumnSpec, Column]


def _values(spec: ColumnSpec, batch: Batch) -> Column:
    assert spec.values is not None
    values = spec.values(batch)
    if len(values) != batch.size:
        raise ValueError(f"column {spec.name} gave {len(values)} values for {batch.size} events")
    # A str would be taken for a cell of all rows, and a deque or a dict's view has no slices.
    return values if isinstance(values, list | tuple | Constant) else list(values)


def _rows(size: int, evaluated: Sequence[_Evaluated]) -> list[str]:
    return lay_out(size, [_literals(spec, values) for spec, values in evaluated], ",").rows()


def _literals(spec: ColumnSpec, values: Column) -> Cells:
    """Render a column to SQL text."""
    render = timestamp_literals if spec.epoch_ms else literals
    if isinstance(values, Constant):
        return list(render([values.value]))
    if not spec.epoch_ms and is_clean_text(values):
        return ["'", values, "'"]
    return [render(values)]
