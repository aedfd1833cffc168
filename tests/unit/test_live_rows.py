"""A window's live rows: whole starts, a limit, and what changed."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pepi_stream.live.rows import RowTable, WindowRows, WindowSeed

FAR = 1 << 40


def rows(limit: int = 10, *found: tuple[int, tuple[str, ...], int], floor: int = 0) -> WindowRows:
    made = WindowRows("minute", 60, limit, {})
    made.become(WindowRows.of("minute", 60, limit, WindowSeed(floor, FAR, found)))
    made.changes()
    return made


def test_counts_add_up_and_only_new_totals_are_told() -> None:
    made = rows(10, (60, ("a",), 5), (60, ("b",), 1))
    made.add([(60, ("a",), 2), (120, ("c",), 1)])
    assert made.rows() == [[120, ["c"], 1], [60, ["a"], 7], [60, ["b"], 1]]
    assert sorted(made.changes()["rows"]) == [[60, ["a"], 7], [120, ["c"], 1]]
    assert made.changes() == {}


def test_the_oldest_start_goes_as_a_whole_and_does_not_come_back() -> None:
    made = rows(3, (0, ("a",), 1), (60, ("a",), 1), (60, ("b",), 1))
    made.add([(120, ("a",), 1), (120, ("b",), 1), (0, ("a",), 1)])
    assert (made.floor, made.size) == (120, 2)
    made.add([(0, ("a",), 9), (60, ("c",), 9)])
    assert made.rows() == [[120, ["a"], 1], [120, ["b"], 1]]
    assert made.changes()["floor"] == 120


def test_a_start_alone_is_kept_up_to_ten_times_the_limit() -> None:
    made = rows(2)
    made.add([(60, (str(i),), 1) for i in range(20)])
    assert made.size == 20
    assert not made.words
    made.add([(60, ("one more",), 1)])
    assert made.rows() == []
    assert made.floor == 120
    assert "more than 20 rows" in made.changes()["words"]
    made.add([(120, ("next",), 1)])
    assert made.changes() == {"rows": [[120, ["next"], 1]], "words": ""}


def test_what_was_not_read_is_not_added_to() -> None:
    made = WindowRows.of("minute", 60, 10, WindowSeed(60, 600, []))
    made.add([(0, ("a",), 1), (660, ("a",), 1)])
    assert made.rows() == []


def test_the_same_again_changes_nothing() -> None:
    found = [(60, ("a",), 5), (120, ("b",), 1)]
    made = rows(10, *found)
    assert not made.become(WindowRows.of("minute", 60, 10, WindowSeed(0, FAR, found)))
    assert made.changes() == {}


def test_a_row_that_is_gone_asks_for_a_snapshot_unless_it_is_below_the_floor() -> None:
    found = [(60, ("a",), 5), (120, ("b",), 1)]
    for seed, gone in [
        (WindowSeed(0, FAR, found[1:]), True),
        (WindowSeed(120, FAR, found[1:]), False),
        (WindowSeed(0, FAR, [*found, (120, ("c",), 1)]), False),
        (WindowSeed(0, FAR, [found[0], (120, ("c",), 1)]), True),
    ]:
        assert rows(10, *found).become(WindowRows.of("minute", 60, 10, seed)) is gone


def test_two_windows_share_a_table() -> None:
    table: RowTable = {}
    one, other = WindowRows("one", 60, 10, table), WindowRows("other", 60, 10, table)
    for made in (one, other):
        made.become(WindowRows.of(made.name, 60, 10, WindowSeed(0, FAR, [(60, ("a",), 1)])))
    one.add([(60, ("a",), 1)])
    assert (one.rows(), other.rows()) == ([[60, ["a"], 2]], [[60, ["a"], 1]])


def test_what_changed_is_bounded_while_nobody_asks_for_it() -> None:
    made = rows(10)
    for start in range(0, 6000, 60):
        made.add([(start, (f"{start} {i}",), 1) for i in range(5)])
    assert made.size == 10
    assert len(made._changed) == 2
    for start in range(6000, 12_000, 60):
        made.become(WindowRows.of("minute", 60, 10, WindowSeed(start, FAR, [(start, ("a",), 1)])))
    assert made._changed == {start: {("a",)}}
    made.become(WindowRows.of("minute", 60, 10, WindowSeed(start, FAR, [(start, ("b",), 1)])))
    assert made.changes()["rows"] == [[start, ["b"], 1]]


deltas = st.lists(
    st.tuples(st.integers(0, 6).map(lambda n: n * 60), st.sampled_from(["a", "b", "c"]))
)


@given(st.lists(st.tuples(deltas, st.booleans()), max_size=12), st.integers(1, 8))
def test_what_is_shown_is_whole_and_a_reader_of_changes_has_the_same(
    batches: list[tuple[list[tuple[int, str]], bool]], limit: int
) -> None:
    made = rows(limit)
    truth: Counter[tuple[int, str]] = Counter()
    reader: dict[tuple[int, str], int] = {}
    for batch, tell in batches:
        made.add([(start, (name,), 1) for start, name in batch])
        truth.update(batch)
        if tell:
            _apply(reader, made.changes(), made.floor)
    _apply(reader, made.changes(), made.floor)
    shown = {(start, values[0]): n for start, values, n in made.rows()}
    assert shown == {key: n for key, n in truth.items() if key[0] >= made.floor}
    assert shown == reader
    assert made.size == len(shown)
    starts = {start for start, _ in shown}
    assert made.size <= limit or len(starts) == 1


def _apply(reader: dict[tuple[int, str], int], new: dict[str, Any], floor: int) -> None:
    for start, values, n in new.get("rows", []):
        reader[start, values[0]] = n
    for key in [key for key in reader if key[0] < floor]:
        del reader[key]
