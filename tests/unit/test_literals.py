"""SQL literals, and rows of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pepi_stream.claims.claim import Claim, new_claim_id
from pepi_stream.columns import ColumnSpec
from pepi_stream.events import MAX_EPOCH_MS, Batch, Column, Constant, DeadLetter
from pepi_stream.sink.literals import literals, quote, quote_bytes, timestamp_literals
from pepi_stream.sink.rows import RowRenderer


def unquote(literal: str) -> str:
    """Read a single-quoted literal as MySQL does without NO_BACKSLASH_ESCAPES."""
    assert len(literal) >= 2
    assert literal[0] == literal[-1] == "'"
    text, inside = "", iter(literal[1:-1])
    for character in inside:
        assert character != "'", "the literal ends here, and the rest is SQL"
        text += next(inside) if character == "\\" else character
    return text


texts = st.text(st.sampled_from("'\\\"\0%\nab😀") | st.characters(exclude_categories=["Cs"]))


@given(text=texts)
def test_text_is_quoted_so_that_it_is_read_back(text: str) -> None:
    assert unquote(quote(text)) == text


@given(raw=st.binary())
def test_bytes_are_quoted_so_that_they_are_read_back(raw: bytes) -> None:
    literal = quote_bytes(raw)
    assert literal.startswith(b"_binary'")
    assert unquote(literal.removeprefix(b"_binary").decode("latin-1")).encode("latin-1") == raw


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], []),
        ([None], ["NULL"]),
        (["a", None, "b'\\"], ["'a'", "NULL", "'b\\'\\\\'"]),
        ([1, -2, 2**70], ["1", "-2", str(2**70)]),
        ([True, False, None], ["1", "0", "NULL"]),
        ([1.5, 1e300], ["1.5", "1e+300"]),
        ([float("nan"), float("inf"), -float("inf")], ["NULL"] * 3),
        ([b"\x00\xff", b""], ["X'00ff'", "X''"]),
        (["1", 1, b"1"], ["'1'", "1", "X'31'"]),
        (["a"] * 10, ["'a'"] * 10),
        (["it's"] * 10 + [None], ["'it\\'s'"] * 10 + ["NULL"]),
    ],
)
def test_a_column_of_literals(values: list[Any], expected: list[str]) -> None:
    assert list(literals(values)) == expected


@pytest.mark.parametrize(
    ("value", "literal"),
    [
        (datetime(2024, 2, 29, 12, 0, 1, 5), "'2024-02-29 12:00:01.000005'"),
        (datetime(2024, 1, 1, tzinfo=UTC), "'2024-01-01 00:00:00.000000'"),
        (
            datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=5, minutes=30))),
            "'2023-12-31 18:30:00.000000'",
        ),
        (datetime(999, 1, 1), "'0999-01-01 00:00:00.000000'"),  # '999-..' is another year to MySQL
    ],
)
def test_times_are_written_in_utc(value: datetime, literal: str) -> None:
    assert list(literals([value])) == [literal]


@pytest.mark.parametrize("value", [object(), [], {}, {"a"}, ("a",), 1j, Exception])
@pytest.mark.parametrize("others", [[], ["a"], [None] * 9])
def test_other_types_are_refused_by_name(value: object, others: list[Any]) -> None:
    with pytest.raises(TypeError, match=f"of type {type(value).__name__} cannot be written"):
        literals([*others, value])


@given(ms=st.integers(0, MAX_EPOCH_MS))
def test_ms_since_1970_become_a_datetime(ms: int) -> None:
    expected = datetime(1970, 1, 1) + timedelta(milliseconds=ms)
    assert timestamp_literals([ms]) == [f"'{expected.isoformat(' ', 'milliseconds')}'"]


def test_times_that_are_not_there_are_null() -> None:
    assert list(timestamp_literals([None, 0, None])) == [
        "NULL",
        "'1970-01-01 00:00:00.000'",
        "NULL",
    ]
    assert list(timestamp_literals([])) == []


def render(*columns: Column, epoch_ms: bool = False) -> list[str]:
    claim = Claim(new_claim_id(1), [], delivery=1, received_at=1)
    batch = Batch(claim, format="f", size=len(columns[0]), columns={})
    specs = [
        ColumnSpec(f"c{n}", "TEXT", lambda _, values=values: values, epoch_ms)  # type: ignore[misc]
        for n, values in enumerate(columns)
    ]
    return RowRenderer([*specs, ColumnSpec("seq", "INT", None)]).render(batch).rows()


def test_rows_of_columns_of_every_kind() -> None:
    clean, awkward, constant = ["a", "b"], ["it's", None], Constant("c'", 2)
    assert render(constant, clean, constant, constant, awkward, [1, 2], constant) == [
        "'c\\'','a','c\\'','c\\'','it\\'s',1,'c\\''",
        "'c\\'','b','c\\'','c\\'',NULL,2,'c\\''",
    ]
    assert render(constant, constant) == ["'c\\'','c\\''"] * 2
    assert render(Constant(None, 3)) == ["NULL"] * 3
    assert render(Constant(0, 2), [0, 1], epoch_ms=True)[1] == (
        "'1970-01-01 00:00:00.000','1970-01-01 00:00:00.001'"
    )
    assert render([], clean[:0]) == []


def test_braces_and_percent_signs_are_text_like_any_other() -> None:
    assert render(["{v0}", "%s"], Constant("{constants}", 2)) == [
        "'{v0}','{constants}'",
        "'%s','{constants}'",
    ]


@given(columns=st.lists(st.lists(texts | st.none(), min_size=3, max_size=3), min_size=1))
def test_each_kind_of_column_renders_the_same(columns: list[list[str | None]]) -> None:
    separately = [[quote(v) if v is not None else "NULL" for v in values] for values in columns]
    assert render(*columns) == [",".join(row) for row in zip(*separately, strict=True)]


class Colour(str, Enum):  # noqa: UP042
    """As users of Python 3.10 wrote it; since 3.11 its format() is ``Colour.RED``."""

    RED = "red"
    BLUE = "blue'"


@pytest.mark.parametrize(
    "values", [[Colour.RED] * 2, [Colour.RED, None], [Colour.RED, Colour.BLUE]]
)
def test_text_of_a_subclass_is_the_text_or_refused_on_every_path(values: Sequence[Any]) -> None:
    try:
        rows = render(values)
    except TypeError:
        return
    assert rows == ["NULL" if v is None else quote(v.value) for v in values]


@pytest.mark.parametrize("values", [[1, 1.0, True], [1.0, True, 1], [False, 0, 0.0]])
def test_equal_values_of_different_types_are_written_each_its_own_way(values: list[Any]) -> None:
    assert literals(values * 2) == [text for value in values for text in literals([value])] * 2


@pytest.mark.parametrize("size", [0, 1, 3])
def test_a_column_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"column c1 gave {size} values for 2 events"):
        render(["a", "b"], ["a"] * size)


def test_the_names_are_of_the_columns_that_are_written() -> None:
    specs = [ColumnSpec("seq", "INT", None), ColumnSpec("a", "INT", lambda batch: [])]
    assert RowRenderer(specs).names == ["a"]


def test_the_weight_is_that_of_rows_and_dead_letters() -> None:
    claim = Claim(new_claim_id(1), [b"x"], delivery=1, received_at=1)
    dead = [DeadLetter(0, None, b"d" * 100, "why")]
    batch = Batch(claim, format="f", size=2, columns={}, dead=dead)
    spec = ColumnSpec("a", "TEXT", lambda batch: ["a" * 10, "b" * 20])
    assert (
        RowRenderer([spec]).render(batch).weight
        == len("'aaaaaaaaaa'),('bbbbbbbbbbbbbbbbbbbb'") + 100
    )


def test_a_column_of_nulls_is_left_out_where_mysql_fills_in_null() -> None:
    claim = Claim(new_claim_id(1), [b"x"], delivery=1, received_at=1)
    batch = Batch(claim, format="f", size=2, columns={})
    specs = [
        ColumnSpec("a", "TEXT", lambda batch: Constant(None, 2)),
        ColumnSpec("b", "TEXT", lambda batch: ["x", None]),
        ColumnSpec("c", "TEXT", lambda batch: Constant(None, 2)),
    ]
    renderer = RowRenderer(specs)
    assert renderer.render(batch).names == ("a", "b", "c")
    renderer.omittable = frozenset({"a", "b"})
    rendered = renderer.render(batch)
    assert (rendered.names, rendered.body) == (("b", "c"), b"'x',NULL),(NULL,NULL")
    assert rendered.rows() == ["'x',NULL", "NULL,NULL"]
    assert renderer.render_all(batch) == ["NULL,'x',NULL", "NULL,NULL,NULL"]
    nothing = RowRenderer(specs[:1])
    nothing.omittable = frozenset({"a"})
    assert nothing.render(batch).names == ("a",)  # an INSERT needs a column


def test_rows_that_are_no_unicode_have_no_joined_text() -> None:
    claim = Claim(new_claim_id(1), [b"x"], delivery=1, received_at=1)
    batch = Batch(claim, format="f", size=2, columns={})
    rendered = RowRenderer([ColumnSpec("a", "TEXT", lambda batch: ["x", "\ud800"])]).render(batch)
    assert (rendered.body, rendered.rows()) == (None, ["'x'", "'\ud800'"])
