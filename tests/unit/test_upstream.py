"""What is said of a server that does not take what is written to it, and when."""

from __future__ import annotations

import logging

import pytest

from pepi_stream.errors import TransientError
from pepi_stream.upstream import Retry, Upstream


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def redis(clock: Clock, caplog: pytest.LogCaptureFixture) -> Upstream:
    caplog.set_level(logging.INFO, logger="pepi_stream")
    return Upstream("Redis", clock)


def refused(why: str = "acking claims: READONLY") -> TransientError:
    return TransientError(why)


def test_an_hour_of_trouble_is_two_lines_however_many_loops_meet_it(
    redis: Upstream, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    claiming, acking = Retry(redis, 0.1, 5), Retry(redis, 0.1, 5)
    end = clock.now + 3600
    while clock.now < end:
        acking.failed(refused())
        clock.now += claiming.failed(refused("claiming: READONLY"))
    claiming.succeeded()
    assert len(caplog.records) == 1
    acking.succeeded()
    assert redis.works
    begun, over = [record.getMessage() for record in caplog.records]
    assert begun == "acking claims: READONLY; trying on, with a line when Redis works again"
    assert over.startswith("Redis works again, after 36")


def test_the_back_off_grows_until_what_failed_succeeds(redis: Upstream) -> None:
    claiming, recovering = Retry(redis, 0.1, 5), Retry(redis, 0.1, 5)
    for number in range(8):
        wait = claiming.failed(refused())
        recovering.succeeded(wrote=False)
        assert min(5, 0.1 * 2**number) / 10 <= wait <= min(5, 0.1 * 2**number)
    claiming.succeeded()
    assert claiming.failed(refused()) <= 0.1


def test_another_reason_is_said_when_the_first_is_a_minute_old(
    redis: Upstream, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    retry = Retry(redis, 0.1, 5)
    for words in ("a: lost connection 1", "a: too many connections", "b: lost connection 2"):
        retry.failed(refused(words))
    assert len(caplog.records) == 1
    clock.now += 61
    for words in ("c: lost connection 3", "c: too many connections", "c: out of memory"):
        retry.failed(refused(words))
    assert [r.getMessage().partition(";")[0] for r in caplog.records] == [
        "a: lost connection 1",
        "c: too many connections",
    ]


def test_a_server_is_said_to_refuse_when_nothing_was_written_for_more_than_a_minute(
    redis: Upstream, clock: Clock
) -> None:
    one, other = Retry(redis, 0.1, 5), Retry(redis, 0.1, 5)
    one.failed(refused("x: READONLY no writes"))
    clock.now += 60
    assert redis.refusal == ""
    clock.now += 15
    assert redis.refusal == "Redis cannot be written to, for 75 s now: x: READONLY no writes"
    other.succeeded(wrote=False)
    assert redis.refusal != ""
    other.succeeded()  # it takes writes: what fails still has another cause
    assert redis.refusal == ""
    clock.now += 61
    assert redis.refusal.startswith("Redis cannot be written to, for 61 s now")
    one.succeeded()
    assert redis.refusal == ""


def test_a_failure_of_an_old_connection_does_not_count_against_new_ones(redis: Upstream) -> None:
    redis.distrust(0)
    redis.distrust(0)
    assert redis.turn == 1
    redis.distrust(1)
    assert redis.turn == 2
