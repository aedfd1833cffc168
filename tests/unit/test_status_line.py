"""`make run`'s status line: what it says of a backlog, and that it fits, whatever the numbers."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pepi_stream.local.status import Figures, Speed, duration, outlook, rounded, status

FIGURES = Figures(rows=1_234_567, dead=0, queued=0, claimed=1, age=0.042)
HUGE = 10**30


def test_speed_is_the_mean_of_the_last_seconds() -> None:
    speed = Speed(seconds=5.0)
    assert speed.add(100.0, 1_000) is None, "one value tells nothing"
    assert speed.add(102.0, 3_000) == 1_000.0
    assert speed.add(105.0, 6_000) == 1_000.0
    assert speed.add(108.0, 15_000) == 2_000.0  # since 102
    assert speed.add(120.0, 15_000) == 0.0
    assert speed.add(125.0, 10_000) == -1_000.0


def test_the_time_to_a_row_is_of_this_run_and_has_the_wait_in_the_list() -> None:
    assert status(FIGURES, 1000.4, 0.0, 60.0) == (
        "1,000 events/s  queue 0  wait 42 ms  1,234,567 rows"
    )
    assert "  wait -  " in status(FIGURES._replace(age=90.0), 0.0, 0.0, 60.0)
    assert "  wait -  " in status(FIGURES._replace(age=None), 0.0, 0.0, 60.0)
    waiting = FIGURES._replace(queued=3_000)
    assert "  wait 3.0 s  " in status(waiting, 1000.0, 0.0, 60.0)
    assert "  wait -  " in status(waiting, 0.0, 0.0, 60.0), "nobody knows how long it waits"
    assert "  wait -  " in status(waiting, None, None, 60.0)
    assert status(FIGURES._replace(dead=2), 0.0, 0.0, 60.0).endswith("rows  2 dead letters")
    assert status(FIGURES._replace(dead=1), 0.0, 0.0, 60.0).endswith("rows  1 dead letter")
    assert status(FIGURES, None, None, 60.0).startswith("- events/s  ")


def test_a_backlog_that_drains_has_an_eta_and_one_that_grows_has_none() -> None:
    assert outlook(12_000, 2_000.0, -1_000.0) == "done in 12 s"
    assert outlook(12_000, 20.0, -0.01) == "done in >99 h"
    assert outlook(12_000, 2_000.0, 1.0) == "growing"
    assert outlook(12_000, 0.0, 0.0) == "not draining"
    assert outlook(12_000, None, None) == "", "not known yet"
    assert outlook(900, 1_000.0, 30.0) == "", "less than a second of work is no backlog"
    assert outlook(0, 0.0, -10.0) == ""
    backlog = FIGURES._replace(queued=359_000)
    assert "  queue 359,000, done in 4.4 s  " in status(backlog, 81_234.0, -81_134.0, 60.0)
    assert "  queue 359,000, growing  " in status(backlog, 81_234.0, 5.0, 60.0)


@given(
    rows=st.integers(0, HUGE),
    dead=st.integers(0, HUGE),
    queued=st.integers(0, HUGE),
    age=st.none() | st.floats(0, 1e12),
    speed=st.none() | st.floats(0, 1e30),
    growth=st.none() | st.floats(-1e30, 1e30),
)
@example(rows=HUGE, dead=HUGE, queued=HUGE, age=1e11, speed=1e25, growth=-1e-3)
@example(rows=99_999, dead=9_999, queued=99_999, age=9.0, speed=99_999.0, growth=-1.0)
def test_it_fits_in_80_columns_and_every_number_is_whole(
    rows: int, dead: int, queued: int, age: float | None, speed: float | None, growth: float | None
) -> None:
    figures = Figures(rows, dead, queued, 0, age)
    line = status(figures, speed, growth, 1e12)
    assert 0 < len(line) < 80
    number = r"(?:[\d,]+|\d\.\d\d[kMGTPE]|\d\d\.\d[kMGTPE]|\d{3}[kMGTPE]|>999E)"
    time = r"(?:\d+ ms|\d\.\d s|\d+ (?:s|min|h)|>99 h)"
    parts = (
        rf"(?:-|{number}) events/s",
        rf"queue {number}(?:, done in {time}|, growing|, not draining)?",
        rf"wait (?:-|{time})",
        rf"{number} rows",
        rf"{number} dead(?: letters?)?",
    )
    said = line.split("  ")
    assert len(said) >= 4, "rows are there, too"
    assert len(said) == 4 + bool(dead)
    assert all(re.fullmatch(part, text) for part, text in zip(parts, said, strict=False)), line


@pytest.mark.parametrize("width", range(0, 100, 3))
def test_on_a_narrower_terminal_whole_parts_are_left_out(width: int) -> None:
    figures = FIGURES._replace(dead=12, queued=500_000)
    line = status(figures, 2_000.0, -1_000.0, 60.0, width)
    assert len(line) <= width
    wide = "2,000 events/s  queue 500,000, done in 8 min  wait 4 min  1,234,567 rows  12 dead"
    short = [
        "2,000 events/s",
        "queue 500k, done in 8 min",
        "wait 4 min",
        "1.23M rows",
        "12 dead",
    ]
    if width >= len(wide):
        assert line.removesuffix(" letters") == wide
    else:
        said = line.split("  ") if line else []
        assert said == short[: len(said)]
        assert len("  ".join(short[: len(said) + 1])) > width or len(said) == len(short)


def test_numbers_and_times_are_short() -> None:
    assert [rounded(n) for n in (0, 9_999, 10_000, 99_960, 999_499, 999_500, 1.005e9)] == [
        *("0", "9,999", "10.0k", "100k", "999k", "1.00M"),
        "1.00G",
    ]
    assert [duration(s) for s in (0.042, 0.9996, 9.94, 9.96, 99.4, 100, 5_900, 6_000, 1e9)] == [
        *("42 ms", "1.0 s", "9.9 s", "10 s", "99 s", "2 min", "98 min", "2 h"),
        ">99 h",
    ]
