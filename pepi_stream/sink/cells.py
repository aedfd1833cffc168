"""Rows of text from columns of text: what the rows share is written once, the rest in steps.

All parts of all rows, row after row, are one list. It begins as one row many times over, with what
all rows have in common; then each column that varies is laid over every n-th place. Nothing is done
a row (docs/decisions/0018).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

#: What a column adds to a row, in order: a text that is the same in all rows, or one a row.
Cells = Sequence[str | Sequence[str]]


class Table(NamedTuple):
    """Rows, laid out.

    Attributes:
        cells: of all rows, row after row.
        width: cells of a row.
    """

    cells: list[str]
    width: int

    def text(self) -> str:
        """Return all rows as one text."""
        return "".join(self.cells)

    def rows(self) -> list[str]:
        """Return the text of each row."""
        cells, width = self.cells, self.width
        return ["".join(cells[at : at + width]) for at in range(0, len(cells), width)]


def lay_out(size: int, columns: Iterable[Cells], separator: str = "") -> Table:
    """Lay out rows.

    Args:
        size: how many rows.
        columns: one at least.
        separator: stands between two columns.

    Raises:
        ValueError: a column is not of so many rows.
    """
    row: list[str] = []
    varying: dict[int, Sequence[str]] = {}
    for number, column in enumerate(columns):
        for cell in (separator, *column) if number else column:
            if not isinstance(cell, str):
                if len(cell) != size:
                    raise ValueError(f"{len(cell)} cells for {size} rows")
                varying[len(row)] = cell
                row.append("")
            elif row and len(row) - 1 not in varying:
                row[-1] += cell
            elif cell or not row:
                row.append(cell)
    cells = row * size
    for place, texts in varying.items():
        cells[place :: len(row)] = texts
    return Table(cells, len(row))
