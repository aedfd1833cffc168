"""Events by minute and name: the last hour, and not too many names."""

from __future__ import annotations

from pepi_stream.live.series import HOUR, MAX_NAMES, OTHER, Series, SeriesSeed, span

NOW = 1_700_000_040  # at a full minute


def series(*found: tuple[int, str, int]) -> Series:
    made = Series({})
    made.become(Series.of(SeriesSeed(*span(NOW), found)))
    made.changes(NOW)
    return made


def test_points_add_up_and_changed_ones_are_told_whole() -> None:
    made = series((NOW, "sent", 2), (NOW, "opened", 1), (NOW - 60, "sent", 1))
    made.add([(NOW, "sent", 3)])
    assert made.changes(NOW) == [[NOW, {"sent": 5, "opened": 1}]]
    assert made.changes(NOW) == []
    assert made.points(NOW) == [[NOW - 60, {"sent": 1}], [NOW, {"sent": 5, "opened": 1}]]


def test_what_is_older_than_an_hour_goes() -> None:
    made = series((NOW - HOUR, "sent", 1), (NOW, "sent", 1))
    assert len(made.points(NOW)) == 2
    assert made.points(NOW + 60) == [[NOW, {"sent": 1}]]
    made.add([(NOW - HOUR, "sent", 1)])
    assert made.points(NOW + 60) == [[NOW, {"sent": 1}]]


def test_a_minute_of_the_future_is_kept_and_told_when_it_has_come() -> None:
    made = series()
    made.add([(NOW + 600, "sent", 1), (NOW + 2 * HOUR, "sent", 1)])
    assert (made.points(NOW), made.changes(NOW)) == ([], [])
    assert made.changes(NOW + 600) == [[NOW + 600, {"sent": 1}]]


def test_names_without_end_count_as_other() -> None:
    made = series()
    made.add([(NOW, f"name {i}", 1) for i in range(MAX_NAMES + 30)])
    [[_, point]] = made.points(NOW)
    assert len(point) == MAX_NAMES + 1
    assert point[OTHER] == 30


def test_the_same_again_changes_nothing_and_a_missing_point_is_noticed() -> None:
    found = [(NOW, "sent", 2), (NOW - 60, "sent", 1)]
    made = series(*found)
    assert not made.become(Series.of(SeriesSeed(*span(NOW), found)))
    assert made.changes(NOW) == []
    assert made.become(Series.of(SeriesSeed(*span(NOW), found[:1])))


def test_what_changed_is_bounded_while_nobody_asks_for_it() -> None:
    made = series()
    for minute in range(NOW, NOW + 100 * HOUR, 60):
        made.become(Series.of(SeriesSeed(*span(minute), [(minute, "sent", 1)])))
    made.expire(minute)
    assert made._changed == {minute}


def test_the_names_that_are_told_apart_come_with_what_was_read() -> None:
    made = series(*((NOW, f"name {i}", 1) for i in range(MAX_NAMES)))
    made.become(Series.of(SeriesSeed(*span(NOW), [(NOW, "sent", 2)])))
    made.add([(NOW, "sent", 3)])
    assert made.points(NOW) == [[NOW, {"sent": 5}]]
    made.become(Series.of(SeriesSeed(*span(NOW), [(NOW, f"{i}", 1) for i in range(MAX_NAMES)])))
    made.add([(NOW, "sent", 3)])
    [[_, point]] = made.points(NOW)
    assert point[OTHER] == 3
