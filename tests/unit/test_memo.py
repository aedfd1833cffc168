"""What is kept of what was worked out, and that it is bounded."""

from __future__ import annotations

import pytest

from pepi_stream.memo import ColumnMemo, Memo, look_up


def test_a_memo_is_bounded_at_every_moment() -> None:
    made: list[int] = []

    def make(key: int) -> int:
        made.append(key)
        return key * 2

    memo = Memo(make, 3)
    assert [memo[n] for n in (1, 1, 2, 1, 3)] == [2, 2, 4, 2, 6]
    assert made == [1, 2, 3]
    for key in range(100):
        assert memo[key] == key * 2
        assert len(memo) <= 3


@pytest.mark.parametrize("keys", [[], ["a"], ["b", "a", "b"], ("a", "a")])
def test_keys_are_looked_up_in_order(keys: list[str]) -> None:
    assert list(look_up({"a": 1, "b": 2}, keys)) == [{"a": 1, "b": 2}[key] for key in keys]


@pytest.mark.parametrize("keys", [["c"], ["a", "c"]])
def test_a_key_that_is_not_there_is_an_error(keys: list[str]) -> None:
    with pytest.raises(KeyError):
        look_up({"a": 1, "b": 2}, keys)


class Loud:
    """Makes texts loud, and counts how often."""

    def __init__(self) -> None:
        self.made: list[str | None] = []

    def __call__(self, text: str | None) -> str:
        self.made.append(text)
        return (text or "nothing").upper()


def test_each_distinct_text_is_made_once() -> None:
    loud = Loud()
    memo = ColumnMemo(loud, size=10, longest=10)
    assert list(memo([])) == []
    assert list(memo(["a"])) == ["A"]
    assert list(memo(["b", None, "a", "b"])) == ["B", "NOTHING", "A", "B"]
    assert list(memo([None, "a", "b"])) == ["NOTHING", "A", "B"]
    assert sorted(loud.made, key=str) == [None, "a", "b"]
    assert len(memo) == 3


def test_long_texts_are_made_but_not_kept() -> None:
    loud = Loud()
    memo = ColumnMemo(loud, size=10, longest=3)
    for _ in range(2):
        assert list(memo(["abcd", "abc", "abcd"])) == ["ABCD", "ABC", "ABCD"]
    assert sorted(loud.made, key=str) == ["abc", "abcd", "abcd"]
    assert len(memo) == 1


@pytest.mark.parametrize("column", [1, 2, 3, 4, 7])
def test_a_column_memo_is_bounded_whatever_the_columns(column: int) -> None:
    memo = ColumnMemo(Loud(), size=3, longest=3)
    for first in range(0, 100, column):
        texts = [str(n) for n in range(first, first + column)]
        assert list(memo(texts)) == texts
        assert len(memo) <= 3
