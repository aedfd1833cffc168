"""Rows of parameters for MariaDB's bulk execution, read back by other code than made them."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pepi_stream.claims.claim import Claim, new_claim_id
from pepi_stream.columns import ColumnSpec
from pepi_stream.events import Batch, Column, Constant
from pepi_stream.sink.bulk import bulk_head, common_types
from pepi_stream.sink.parameters import STRING, UNTYPED
from pepi_stream.sink.rows import Rendered, RowRenderer
from tests.bulk_rows import read_rows

TINY, LONGLONG = 1, 8
texts = st.text(st.characters(exclude_categories=["Cs"]))
nullable = st.one_of(
    *(
        st.lists(values | st.none(), min_size=3, max_size=3)
        for values in (texts, st.booleans(), st.integers(-(2**63), 2**63 - 1))
    )
)


def render(*columns: Column, epoch_ms: bool = False, bulk: bool = True) -> Rendered:
    claim = Claim(new_claim_id(1), [], delivery=1, received_at=1)
    batch = Batch(claim, format="f", size=len(columns[0]), columns={})
    specs = [
        ColumnSpec(f"c{n}", "TEXT", lambda _, values=values: values, epoch_ms)  # type: ignore[misc]
        for n, values in enumerate(columns)
    ]
    renderer = RowRenderer([*specs, ColumnSpec("seq", "INT", None)])
    renderer.bulk = bulk
    return renderer.render(batch)


def read(rendered: Rendered) -> list[tuple[Any, ...]]:
    assert rendered.body is not None
    assert rendered.types is not None
    return list(read_rows(rendered.body, rendered.types))


def meant(value: Any) -> Any:
    return value.encode() if isinstance(value, str) else value


@given(columns=st.lists(nullable, min_size=1, max_size=6))
def test_values_come_back_as_they_went_in(columns: list[list[Any]]) -> None:
    expected = [tuple(map(meant, row)) for row in zip(*columns, strict=True)]
    assert read(render(*columns)) == expected
    constants = [Constant(column[0], 3) for column in columns]
    assert read(render(*constants)) == expected[:1] * 3


@pytest.mark.parametrize("size", [0, 1, 250, 251, 252, 255, 2**16 - 1, 2**16, 2**24 - 1, 2**24])
def test_a_string_may_be_of_any_length(size: int) -> None:
    [(text, short)] = read(render(["x" * size], ["y"]))
    assert (len(text), short) == (size, b"y")
    umlauts = "\u00e4" * (size // 2)
    assert read(render([umlauts, None])) == [(umlauts.encode(),), (None,)]


few = st.sampled_from(["", "a", "\u00e4\u20ac", "x" * 300, None])


@given(
    st.one_of(
        st.lists(few, min_size=100, max_size=100),
        st.lists(texts | st.none(), min_size=100, max_size=100, unique=True),
        st.lists(texts, min_size=100, max_size=100, unique=True),
        st.integers(0, 99).map(lambda at: [*(str(n) for n in range(at)), None, *"ab" * (99 - at)]),
    )
)
def test_texts_few_and_many_come_back_as_they_went_in(values: list[str | None]) -> None:
    assert read(render(values)) == [(meant(value),) for value in values]


class Folded(str):
    """A user's text, which holds what it likes and is equal to what it likes."""

    __slots__ = ("parsed",)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and self.lower() == other.lower()

    def __hash__(self) -> int:
        return hash(self.lower())


def test_a_users_kind_of_text_is_not_kept() -> None:
    assert render([*["few"] * 99, Folded("KEPT")]).rows()[-1] == "'KEPT'"
    assert read(render(["kept"] * 100)) == [(b"kept",)] * 100


@pytest.mark.parametrize("size", [63, 64, 65, 200])
@pytest.mark.parametrize("value", [True, 7, -(2**63)])
def test_a_value_after_many_nulls_has_its_type(size: int, value: int) -> None:
    assert read(render([*[None] * size, value])) == [*[(None,)] * size, (value,)]


def test_a_column_is_of_one_type_to_its_end() -> None:
    for first in (["a"] * 100, [str(n) for n in range(100)], [None] * 100):
        for last in (0, False, b"", b"x", 1.5, datetime(2024, 1, 1)):
            rendered = render([*first, "b", last])
            assert rendered.types is None
            assert len(rendered.rows()) == len(first) + 2


@pytest.mark.parametrize(
    "values", ["yn", deque("yn"), {"y": 1, "n": 2}, {1: "y", 2: "n"}.values()], ids=repr
)
@pytest.mark.parametrize("bulk", [True, False])
def test_a_column_may_be_whatever_has_a_length_and_values(values: Column, bulk: bool) -> None:
    rendered = render(["a", "b"], values, ["c", "d"], bulk=bulk)
    if bulk:
        assert read(rendered) == [(b"a", b"y", b"c"), (b"b", b"n", b"d")]
    else:
        assert rendered.body == b"'a','y','c'),('b','n','d'"
    assert rendered.rows() == ["'a','y','c'", "'b','n','d'"]


def test_times_are_text_in_utc() -> None:
    at = int(datetime(2024, 2, 29, 12, 0, 1, tzinfo=UTC).timestamp() * 1000) + 7
    assert read(render([at, None], Constant(0, 2), epoch_ms=True)) == [
        (b"2024-02-29 12:00:01.007", b"1970-01-01 00:00:00.000"),
        (None, b"1970-01-01 00:00:00.000"),
    ]


def test_each_column_has_its_type() -> None:
    columns: Sequence[Column] = ([None] * 2, ["a", None], [True, None], [1, 2], Constant(None, 2))
    assert render(*columns).types == bytes([UNTYPED, STRING, TINY, LONGLONG, UNTYPED])


@pytest.mark.parametrize(
    "values",
    [
        [1.5, 2.5],
        [b"x", None],
        [datetime(2024, 1, 1), None],
        [2**63, 1],
        [-(2**63) - 1, 1],
        ["a", 1],
        [True, 1],
        Constant(1.5, 2),
        ["\ud800", "a"],
    ],
)
def test_what_mysql_might_read_otherwise_is_sent_as_text(values: Column) -> None:
    rendered = render(["a", "b"], values)
    assert rendered.types is None
    assert rendered.rows()[0].startswith("'a',")


def test_the_same_rows_are_there_as_text() -> None:
    rendered = render(["a", "it's"], [None, True], Constant(None, 2))
    assert rendered.rows() == ["'a',NULL,NULL", "'it\\'s',1,NULL"]


def test_a_users_column_is_asked_once() -> None:
    asked = []

    def values(batch: Batch) -> Column:
        asked.append(batch)
        return ["a"] * len(batch)

    for bulk in (True, False):
        renderer = RowRenderer([ColumnSpec("a", "TEXT", values)])
        renderer.bulk = bulk
        claim = Claim(new_claim_id(1), [b"x"], delivery=1, received_at=1)
        rendered = renderer.render(Batch(claim, format="f", size=1, columns={}))
        assert rendered.rows() == rendered.rows() == ["'a'"]
    assert len(asked) == 2


def test_rows_with_and_without_values_go_together() -> None:
    one, other = bytes([UNTYPED, STRING, UNTYPED]), bytes([STRING, UNTYPED, UNTYPED])
    assert common_types(one, one) == one
    assert common_types(one, other) == bytes([STRING, STRING, UNTYPED])
    assert common_types(one, bytes([TINY, TINY, TINY])) is None
    assert common_types(one, one[:2]) is None


def test_the_head_names_the_statement_and_types_that_a_server_knows() -> None:
    assert bulk_head(7, bytes([UNTYPED, LONGLONG])) == bytes.fromhex("07000000 8000 fd00 0800")
