"""Renders batches to rows: one f-string a row, written for the batch's shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from pepi_stream.columns import ColumnSpec
from pepi_stream.events import Batch, Column, Constant
from pepi_stream.sink.literals import NULL, is_clean_text, literal, literals, timestamp_literals
from pepi_stream.sink.parameters import PREFIXES, parameters, timestamps


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


def rendered_text(
    batch: Batch,
    names: Sequence[str],
    rows: list[str],
    again: Callable[[], list[str]] | None = None,
) -> Rendered:
    """Return a batch rendered to SQL text.

    Args:
        batch: what was rendered.
        names: the columns that the rows fill, in order.
        rows: SQL text of each event, without parentheses.
        again: makes the same rows anew; by default these are kept.
    """
    text = "),(".join(rows)
    try:
        body = text.encode()
    except UnicodeEncodeError:
        body = None
    weight = len(body or text) + _dead_bytes(batch)
    return Rendered(batch, tuple(names), len(rows), body, None, weight, again or (lambda: rows))


def _dead_bytes(batch: Batch) -> int:
    return sum(len(letter.payload) for letter in batch.dead)


class RowRenderer:
    """Turns batches into rows of the configured columns.

    Each column of a batch is one of three kinds: constant ("c": one literal for all rows), clean
    text ("t": the f-string completes it, nothing is made per value) or literals ("l"). Making a
    literal for every value and joining them took twice as long (docs/decisions/0004).

    Args:
        columns: in table order; those that MySQL fills by itself are left out.

    Attributes:
        bulk: make rows of parameters, where all of a batch's values can be some.
        omittable: names of the columns that MySQL fills with NULL when an INSERT does not name
            them. One that is NULL in all of a batch's rows is then not in their SQL text.
    """

    def __init__(self, columns: Sequence[ColumnSpec]) -> None:
        self.columns = [c for c in columns if c.values is not None]
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
        columns = self._evaluate(batch)
        if self.bulk and (rendered := self._parameters(batch, columns)):
            return rendered
        kinds = [_kind(spec, values) for spec, values in columns]
        sent = [
            at
            for at, (kind, values) in enumerate(kinds)
            if not (kind == "c" and values[0] == NULL and self.names[at] in self.omittable)
        ] or range(len(kinds))
        return rendered_text(
            batch,
            [self.names[at] for at in sent],
            _write(batch.size, [kinds[at] for at in sent]),
            lambda: _write(batch.size, [_kind(*columns[at]) for at in sent]),
        )

    def render_all(self, batch: Batch) -> list[str]:
        """Return the SQL text of rows with no column omitted; raises as :meth:`render` does."""
        return _write(batch.size, [_kind(*column) for column in self._evaluate(batch)])

    def _evaluate(self, batch: Batch) -> list[_Evaluated]:
        return [(spec, _values(spec, batch)) for spec in self.columns]

    def _parameters(self, batch: Batch, columns: Sequence[_Evaluated]) -> Rendered | None:
        kinds: list[_Kind] = []
        types: list[int] = []
        try:
            for spec, values in columns:
                found = timestamps(values) if spec.epoch_ms else parameters(values)
                if found is None:
                    return None
                types.append(found[0])
                kinds.append(found[1:])
        except UnicodeEncodeError:
            return None
        body = "".join(_write(batch.size, kinds, parameters=True)).encode("latin-1")
        return Rendered(
            batch,
            tuple(self.names),
            batch.size,
            body,
            bytes(types),
            len(body) + _dead_bytes(batch),
            lambda: _write(batch.size, [_kind(*column) for column in columns]),
        )


#: A column and its values of a batch.
_Evaluated = tuple[ColumnSpec, Column]

#: ("c", [literal]), ("t", clean text) or ("l", literals).
_Kind = tuple[str, Sequence[Any]]


def _values(spec: ColumnSpec, batch: Batch) -> Column:
    assert spec.values is not None
    values = spec.values(batch)
    if len(values) != batch.size:
        raise ValueError(f"column {spec.name} gave {len(values)} values for {batch.size} events")
    return values


def _kind(spec: ColumnSpec, values: Column) -> _Kind:
    """Render a column to SQL text."""
    if spec.epoch_ms:
        if isinstance(values, Constant):
            return "c", timestamp_literals([values.value])
        return "l", timestamp_literals(values)
    if isinstance(values, Constant):
        return "c", [literal(values.value)]
    if is_clean_text(values):
        return "t", values
    return "l", literals(values)


def _write(size: int, columns: Sequence[_Kind], *, parameters: bool = False) -> list[str]:
    """Return the rows of these columns: SQL text, or parameters."""
    separator = "" if parameters else ","
    kinds = ""
    constants: list[str] = []
    varying: list[Sequence[Any]] = []
    for kind, values in columns:
        if kind != "c":
            kinds += kind
            varying.append(values)
        elif kinds.endswith("c"):
            constants[-1] += separator + values[0]
        else:
            kinds += kind
            constants.append(values[0])
    if not varying:
        return constants * size
    return _row_writer(kinds, parameters)(varying, constants)


@lru_cache(maxsize=256)
def _row_writer(
    kinds: str, parameters: bool
) -> Callable[[list[Sequence[Any]], list[str]], list[str]]:
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
        if kind == "l":
            parts.append(f"{{{name}}}")
        elif parameters:
            parts.append(f"{{prefixes[len({name})]}}{{{name}}}")
        else:
            parts.append(f"'{{{name}}}'")
    row = ("" if parameters else ",").join(parts)
    source = (
        "lambda varying, constants, prefixes=prefixes, len=len: "
        f'[f"{row}" for {",".join(names)}, in zip(*varying, strict=True)]'
    )
    writer: Callable[[list[Sequence[Any]], list[str]], list[str]] = eval(
        source, {"prefixes": PREFIXES}
    )
    return writer
