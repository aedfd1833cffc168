"""Back-off: how long to wait, decided without waiting."""

import pytest

from pepi_stream.backoff import Backoff


def longest(low: float, high: float) -> float:
    return high


def shortest(low: float, high: float) -> float:
    return low


def test_the_bound_doubles_up_to_the_cap() -> None:
    backoff = Backoff(0.1, 1.0, uniform=longest)

    assert [backoff.next() for _ in range(6)] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0])
    assert backoff.failures == 6


def test_no_wait_is_so_short_that_it_becomes_a_busy_loop() -> None:
    backoff = Backoff(0.1, 1.0, uniform=shortest)

    assert [backoff.next() for _ in range(5)] == pytest.approx([0.01, 0.02, 0.04, 0.08, 0.1])


def test_a_success_starts_from_the_first_wait_again() -> None:
    backoff = Backoff(0.1, 1.0, uniform=longest)
    for _ in range(4):
        backoff.next()

    backoff.reset()

    assert backoff.failures == 0
    assert backoff.next() == pytest.approx(0.1)


def test_waits_are_spread() -> None:
    backoff = Backoff(1.0, 1.0)

    waits = [backoff.next() for _ in range(200)]

    assert all(0.1 <= wait <= 1.0 for wait in waits)
    assert len(set(waits)) > 100


def test_no_number_of_failures_overflows() -> None:
    backoff = Backoff(0.1, 5.0, uniform=longest)
    backoff.failures = 10**6

    assert backoff.next() == 5.0


def test_a_cap_below_the_first_wait_holds() -> None:
    assert Backoff(3.0, 1.0, uniform=longest).next() == 1.0
