"""Rows laid out from columns, against rows that are joined one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pepi_stream.sink.cells import Cells, lay_out

SIZE = 3
cells = st.text("ab,", max_size=2) | st.lists(st.text("cd,", max_size=2), min_size=3, max_size=3)
columns = st.lists(st.lists(cells, min_size=1, max_size=3), min_size=1, max_size=5)


@given(columns=columns, separator=st.sampled_from(["", ","]))
def test_rows_are_the_columns_cells_in_order(columns: list[Cells], separator: str) -> None:
    expected = [
        separator.join(
            "".join(cell if isinstance(cell, str) else cell[row] for cell in column)
            for column in columns
        )
        for row in range(SIZE)
    ]
    table = lay_out(SIZE, columns, separator)
    assert table.text() == "".join(expected)
    assert table.rows() == expected


@pytest.mark.parametrize("size", [0, 1, 3])
@pytest.mark.parametrize("before", [[], ["a"], ["a", ["b", "c"]]])
def test_cells_for_other_rows_are_refused(size: int, before: Cells) -> None:
    with pytest.raises(ValueError, match=f"{size} cells for 2 rows"):
        lay_out(2, [[*before, ["x"] * size]])
