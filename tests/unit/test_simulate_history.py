"""The past that a simulation begins with: how its events are spread, and what nothing can read."""

from __future__ import annotations

from collections import Counter
from itertools import islice, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pepi_stream.formats import load_format
from pepi_stream.simulate import FORMATS, MALFORMED, after_history, encoder, simulate

START = 1_767_225_600  # 2026-01-01 00:00 UTC
HOUR = 3600


@settings(max_examples=100, deadline=None)
@given(
    span=st.integers(min_value=1, max_value=20_000),
    count=st.integers(min_value=0, max_value=10**9),
    rate=st.floats(min_value=0.01, max_value=1e5),
)
def test_all_events_of_the_past_are_due_at_its_end_and_the_rate_follows(
    span: int, count: int, rate: float
) -> None:
    pace = after_history(span, count, rate)
    assert pace(0) == 0
    assert pace(span) == count
    assert pace(span + 100) == count + int(100 * rate)
    past = [pace(second) for second in range(span + 1)]
    assert all(earlier <= later for earlier, later in pairwise(past))


def test_an_hour_is_spread_over_sixty_minutes_with_ups_and_downs() -> None:
    pace = after_history(HOUR, 36_000, 10.0)
    events = list(simulate(seed=1, start=START, rate=10.0, count=36_600, pace=pace))
    minutes = Counter((event.occurred_at - START) // 60 for event in events)
    assert sorted(minutes) == list(range(61))
    assert minutes[60] == 600, "the rate, after the past"
    past = [minutes[minute] for minute in range(60)]
    assert sum(past) == 36_000
    assert 300 < min(past) < 500, "a valley, and no gap"
    assert 750 < max(past) < 1200
    assert 400 < past[-1] < 900, "it ends near the rate that follows"


def test_the_past_goes_on_in_what_follows() -> None:
    pace = after_history(HOUR, 36_000, 10.0)
    live = islice(simulate(seed=1, start=START, rate=10.0, pace=pace), 36_000, 36_600)
    # An id begins with the second of sending.
    names = Counter(e.event_name for e in live if e.message_id // 10**7 < START + HOUR)
    assert names["opened"] > 10


def test_a_past_without_a_second_is_refused() -> None:
    with pytest.raises(ValueError, match="span is 0"):
        after_history(0, 10, 1.0)
    with pytest.raises(ValueError, match="events -1"):
        after_history(10, -1, 1.0)
    with pytest.raises(ValueError, match="rate is 0"):
        after_history(10, 1, 0)


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_malformed_is_dead_in_every_format_and_spares_its_neighbours(name: str) -> None:
    good = list(map(encoder(name), simulate(seed=1, start=START, rate=50, count=1)))
    mixed = [payload for bad in MALFORMED for payload in (bad, *good)]
    decoded = load_format(name).decode(mixed)
    assert decoded.size == len(MALFORMED)
    assert sorted(dead.position for dead in decoded.dead) == list(range(0, len(mixed), 2))
    assert len({dead.reason for dead in decoded.dead}) > 2, "various reasons to look at"
