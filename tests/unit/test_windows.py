"""Tumbling windows by event time, and the keys of their rows."""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pepi_stream.claims.claim import Claim, new_claim_id
from pepi_stream.errors import ConfigError
from pepi_stream.events import MAX_EPOCH_MS, Batch, Column, Constant, WindowKey
from pepi_stream.settings import WindowSettings
from pepi_stream.sink.literals import literals
from pepi_stream.windows import RESERVED, Window, count_windows

MINUTE = 60_000


def batch(occurred: Column, **columns: Column) -> Batch:
    claim = Claim(new_claim_id(1), [b""] * len(occurred), delivery=1, received_at=1)
    return Batch(
        claim, format="f", size=len(occurred), columns={"occurred_at": occurred, **columns}
    )


def window(*by: str, seconds: int = 60) -> Window:
    return Window("w", WindowSettings(seconds=seconds, by=by))


def test_an_event_counts_in_the_span_of_its_own_time() -> None:
    occurred = [0, MINUTE - 1, MINUTE, 3 * MINUTE + 5, 0]
    names = ["a", "a", "a", "a", "b"]
    assert window("event_name").count(batch(occurred, event_name=names)) == {
        WindowKey(0, ("a",)): 2,
        WindowKey(0, ("b",)): 1,
        WindowKey(60, ("a",)): 1,
        WindowKey(180, ("a",)): 1,
    }


def test_windows_of_a_day_start_at_midnight_utc() -> None:
    day = 86_400_000
    counted = window(seconds=86_400).count(batch([day - 1, day, MAX_EPOCH_MS]))
    assert [key.start for key in counted] == [0, 86_400, 253_402_214_400]


def test_a_window_by_nothing_counts_all() -> None:
    assert window().count(batch([5, 6, 7])) == {WindowKey(0, ()): 3}
    assert window().count(batch([5, 6, 7 * MINUTE])) == {
        WindowKey(0, ()): 2,
        WindowKey(420, ()): 1,
    }


def test_an_empty_batch_counts_nothing() -> None:
    assert window("event_name").count(batch([])) == {}


@pytest.mark.parametrize("occurred", [[0, 0, 0, 0], [0, 0, 0, MINUTE]])
def test_none_and_empty_text_are_one_dimension(occurred: list[int]) -> None:
    counted = window("campaign").count(batch(occurred, campaign=[None, "", "x", None]))
    by_value: Counter[str] = Counter()
    for key, n in counted.items():
        by_value[key.values[0]] += n
    assert by_value == {"": 3, "x": 1}


def test_a_column_that_nobody_filled_counts_as_empty() -> None:
    assert window("os").count(batch([1, 2])) == {WindowKey(0, ("",)): 2}


def test_a_constant_column_counts_like_any_other() -> None:
    counted = window("esp").count(batch([1, MINUTE], esp=Constant("pepipost", 2)))
    assert sum(counted.values()) == 2
    assert {key.values for key in counted} == {("pepipost",)}


def test_long_dimensions_are_cut_and_counted_together() -> None:
    counted = window("url").count(batch([1, 1, 1], url=["u" * 255, "u" * 256, "u" * 999]))
    assert counted == {WindowKey(0, ("u" * 255,)): 3}
    emoji = window("url").count(batch([1], url=["😀" * 300]))
    assert next(iter(emoji)).values == ("😀" * 255,)  # characters, as in VARCHAR(255)


def test_other_types_count_by_their_text() -> None:
    counted = window("is_machine").count(batch([1] * 4, is_machine=[True, False, None, True]))
    assert counted == {
        WindowKey(0, ("1",)): 2,
        WindowKey(0, ("0",)): 1,
        WindowKey(0, ("",)): 1,
    }
    assert window("n_th").count(batch([1, 1], n_th=[7, 7])) == {WindowKey(0, ("7",)): 2}


class Word(str, Enum):  # noqa: UP042
    """A user's text, which is told by another one."""

    GOLD = "gold"


def test_a_users_kind_of_text_counts_by_what_its_row_says() -> None:
    assert window("tier").count(batch([0, 0], tier=[Word.GOLD, "gold"])) == {
        WindowKey(0, ("gold",)): 2
    }
    assert literals([Word.GOLD]) == ["'gold'"]
    assert window("tier").count(batch([0], tier=[Word.GOLD])) == {WindowKey(0, ("gold",)): 1}


@pytest.mark.parametrize("name", sorted(RESERVED | {name.upper() for name in RESERVED}))
def test_the_window_tables_own_columns_are_refused(name: str) -> None:
    # In any case of letters: MySQL's column names are compared without regard to it.
    with pytest.raises(ConfigError, match=r"windows\.w\.by: .* is the window table's own"):
        window("event_name", name)


def test_all_windows_of_a_batch_are_counted() -> None:
    counted = batch([1, MINUTE], event_name=["a", "b"])
    count_windows([window("event_name"), Window("h", WindowSettings(seconds=3600, by=()))], counted)
    assert {name: dict(counts) for name, counts in counted.counts.items()} == {
        "w": {WindowKey(0, ("a",)): 1, WindowKey(60, ("b",)): 1},
        "h": {WindowKey(0, ()): 2},
    }
    count_windows([], counted)
    assert counted.counts == {}


dimensions = st.none() | st.booleans() | st.integers() | st.text(max_size=300)


@given(
    events=st.lists(st.tuples(st.integers(0, MAX_EPOCH_MS), dimensions, dimensions)),
    seconds=st.sampled_from([1, 60, 3600, 86_400]),
)
def test_the_sum_of_a_window_is_the_number_of_events(
    events: list[tuple[int, Any, Any]], seconds: int
) -> None:
    counted = window("a", "b", seconds=seconds).count(
        batch([e[0] for e in events], a=[e[1] for e in events], b=[e[2] for e in events])
    )
    assert sum(counted.values()) == len(events)
    starts = Counter(ms // 1000 // seconds * seconds for ms, _, _ in events)
    assert starts == Counter(key.start for key in counted.elements())
    assert all(len(value) <= 255 for key in counted for value in key.values)


tricky = st.text(st.sampled_from("0123456789:\0ab|,'\\"), max_size=6)


@given(one=st.lists(tricky, max_size=4), other=st.lists(tricky, max_size=4))
def test_different_values_have_different_hashes(one: list[str], other: list[str]) -> None:
    hashes = [WindowKey(0, tuple(values)).hash() for values in (one, other)]
    assert len(hashes[0]) == 16
    assert (hashes[0] == hashes[1]) == (one == other)


def test_hashes_tell_what_a_collation_does_not() -> None:
    values = ["a", "A", "a ", "ä", "a\u0308", "", " ", "\0", "ß", "ss", "\ud800"]
    assert len({WindowKey(0, (value,)).hash() for value in values}) == len(values)
    assert WindowKey(0, ("a",)).hash() == WindowKey(60, ("a",)).hash()
