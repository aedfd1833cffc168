"""The pure parts of the latency benchmark: what is due, what has been seen, and percentiles."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.latency import LowWater, percentile
from bench.producer import Steady


def test_percentiles_are_of_the_nearest_rank() -> None:
    hundred = [float(n) for n in range(1, 101)]
    assert percentile(hundred, 50) == 50
    assert percentile(hundred, 99) == 99
    assert percentile(hundred, 100) == 100
    assert percentile([1.0, 2.0, 3.0], 50) == 2
    assert percentile([1.0, 2.0, 3.0, 4.0], 50) == 2
    assert percentile([7.0], 1) == percentile([7.0], 99) == 7


def test_events_are_due_one_by_one_and_never_more_than_all() -> None:
    steady = Steady(rate=100.0, total=10)
    assert [steady.due(s) for s in (-1.0, 0.0, 0.005, 0.012, 0.095, 5.0)] == [0, 1, 1, 2, 10, 10]
    assert steady.due_at(5) == 0.05


@given(st.integers(1, 100_000), st.integers(1, 5000))
def test_probes_are_distinct_events_in_order_one_a_tick(rate: int, total: int) -> None:
    probes = Steady(rate, total).probes()
    stride = max(1, rate // 200)
    assert [p // stride for p in probes] == list(range(-(-total // stride)))
    assert probes[-1] < total


def look(water: LowWater, visible: set[int], now: float = 0.0) -> set[int]:
    """Look as the reader does; return what it saw."""
    rows = {seq for seq in visible if seq > water.seq}
    water.advance(
        rows=len(rows),
        newest=max(rows, default=0),
        up_to_mark=sum(seq <= water.mark for seq in rows),
        now=now,
    )
    return rows


def test_the_low_water_mark_waits_for_a_lower_number_that_commits_later() -> None:
    water = LowWater(10)
    assert look(water, {14, 15, 16}) == {14, 15, 16}
    assert water.seq == 10
    assert look(water, {14, 15, 16, 20}) == {14, 15, 16, 20}
    assert water.seq == 10
    # 11 to 13 are there at last; 17 to 19 are still to come, as something always is.
    assert look(water, {11, 12, 13, 14, 15, 16, 20}) >= {11, 12, 13}
    assert water.seq == 16
    look(water, set(range(11, 21)))
    assert water.seq == 20


def test_the_low_water_mark_passes_a_number_that_never_comes_in_the_end() -> None:
    water = LowWater(0)
    look(water, {2, 3}, now=0.0)
    look(water, {2, 3}, now=2.0)
    assert water.seq == 0
    look(water, {2, 3, 4}, now=3.5)
    assert water.seq == 3
    look(water, {2, 3, 4}, now=3.6)
    assert water.seq == 4


@pytest.mark.parametrize("seq", [0, 7])
@given(
    commits=st.lists(st.integers(1, 5), max_size=30).flatmap(
        lambda sizes: st.tuples(st.just(sizes), st.permutations(range(len(sizes))))
    )
)
def test_whatever_the_order_of_commits_no_row_is_missed_and_the_mark_reaches_the_end(
    seq: int, commits: tuple[list[int], list[int]]
) -> None:
    sizes, order = commits
    starts = [seq + 1 + sum(sizes[:k]) for k in range(len(sizes))]
    water, visible, seen = LowWater(seq), set[int](), set[int]()
    for k in order:
        visible |= set(range(starts[k], starts[k] + sizes[k]))
        seen |= look(water, visible)
        assert seen == visible
    assert water.seq == seq + sum(sizes)
