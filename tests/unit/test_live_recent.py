"""Rates, lags and workers: the clock is an argument."""

from __future__ import annotations

from pepi_stream.announcements import VERSION, Announcement, Announcer, WorkerState, decode
from pepi_stream.live.letters import readable
from pepi_stream.live.recent import Recent, Samples
from pepi_stream.live.workers import Workers

NOW_MS = 1_700_000_000_000


def test_the_rate_is_that_of_the_last_seconds() -> None:
    recent = Recent(0.0)
    for tenth in range(100):
        recent.committed(100, 0, tenth / 10)
    assert recent.rate(10.0) == 1000
    assert recent.rate(12.5) == 600
    assert recent.rate(20.0) == 0
    assert recent.idle(20.0) == 20.0 - 9.9


def test_a_young_worker_does_not_divide_by_time_before_it() -> None:
    recent = Recent(100.0)
    recent.committed(500, 0, 100.5)
    assert recent.rate(101.0) == 500


def test_samples_are_told_as_median_and_99th_percentile() -> None:
    samples = Samples()
    assert samples.middle_and_high(0.0) is None
    samples.add([float(n) for n in range(100)], 1.0)
    samples.add([], 1.5)
    assert samples.middle_and_high(2.0) == (50.0, 99.0)
    assert samples.middle_and_high(12.0) is None


def test_a_clock_has_whole_seconds_while_nobody_has_seen_parts_of_them() -> None:
    recent = Recent(0.0)
    recent.told({"sendgrid": True, "ses": False}, 1.0)
    recent.told({"pepipost": True}, 100.0)
    assert recent.whole_seconds(200.0) == ["pepipost", "sendgrid"]
    recent.told({"sendgrid": False}, 200.0)
    assert recent.whole_seconds(200.0) == ["pepipost"]
    assert recent.whole_seconds(401.0) == []
    for n in range(1000):
        recent.told({f"made up {n}": n % 2 == 0}, 500.0)
    assert len(recent.whole_seconds(500.0)) <= 64


def test_dead_letters_have_their_share() -> None:
    recent = Recent(0.0)
    recent.committed(90, 10, 1.0)
    assert recent.dead_share(2.0) == (10, 100)
    assert recent.dead_share(400.0) == (0, 0)


def test_memory_is_bounded() -> None:
    recent = Recent(0.0)
    for tenth in range(20_000):
        recent.committed(1, 0, tenth / 10)
        recent.ages.add([0.1], tenth / 10)
    assert len(recent._seconds) <= 302
    assert len(recent.ages._some) <= 128


def alive(worker: str, number: int, at: int, rows: int, pid: int = 1) -> Announcement:
    state = WorkerState("host", pid, NOW_MS, rows, 0, 4)
    return Announcement(VERSION, worker, number, at, state=state)


def test_a_worker_that_leaves_is_forgotten_at_once() -> None:
    workers, announcer = Workers(), Announcer(NOW_MS)
    workers.hear(decode(announcer.alive(NOW_MS, rows=1, dead=0, held=0)), NOW_MS)
    assert workers.alive(NOW_MS) == 1
    assert not workers.hear(decode(announcer.leaving(NOW_MS)), NOW_MS)
    assert (workers.alive(NOW_MS), workers.silent(NOW_MS + 60_000), workers.listed()) == (0, [], [])


def test_workers_are_listed_with_their_rate_and_forgotten_when_silent() -> None:
    workers = Workers()
    for second in range(4):
        at = NOW_MS + second * 1000
        assert not workers.hear(alive("host:1:0", second, at, 500 * second), at)
    [listed] = workers.listed()
    assert (listed["id"], listed["rate"], listed["rows"]) == ("host:1", 500.0, 1500)
    assert workers.alive(NOW_MS + 4000) == 1
    assert workers.silent(NOW_MS + 13_000) == [("host:1", 10.0)]
    workers.forget(NOW_MS + 62_000)
    assert workers.listed()
    workers.forget(NOW_MS + 64_000)
    assert not workers.listed()


def test_a_clock_that_is_set_back_costs_neither_memory_nor_the_rate() -> None:
    workers = Workers()
    for second in range(10):
        workers.hear(alive("host:1:0", second, NOW_MS + second * 1000, 500 * second), NOW_MS)
    for second in range(10, 20):
        at = NOW_MS + (second - 3600) * 1000
        workers.hear(alive("host:1:0", second, at, 500 * second), NOW_MS)
    assert workers.listed()[0]["rate"] == 500.0
    assert len(workers._heard["host:1:0"].totals) == 6


def test_a_missing_number_is_a_gap_and_a_new_worker_is_none() -> None:
    workers = Workers()
    assert not workers.hear(alive("a", 9, NOW_MS, 0), NOW_MS)
    assert not workers.hear(alive("b", 3, NOW_MS, 0, 2), NOW_MS)
    assert not workers.hear(alive("a", 10, NOW_MS, 0), NOW_MS)
    assert workers.hear(alive("a", 12, NOW_MS, 0), NOW_MS)
    assert not workers.hear(alive("a", 13, NOW_MS, 0), NOW_MS)


def test_a_clock_that_is_behind_is_noticed() -> None:
    workers = Workers()
    assert workers.behind_ms() == 0
    workers.hear(alive("ahead", 1, NOW_MS + 90_000, 0), NOW_MS)
    assert workers.behind_ms() == 0
    workers.hear(alive("behind", 1, NOW_MS - 90_000, 0), NOW_MS)
    assert workers.behind_ms() == 90_000


def test_a_payload_is_read_as_text_or_shown_as_bytes() -> None:
    assert readable("é".encode(), cut=False) == ("utf-8", "é")
    assert readable("aé".encode()[:-1], cut=True) == ("utf-8", "a")
    assert readable("aé".encode()[:-1], cut=False) == ("hex", "61c3")
    assert readable(b"\xff\xfe", cut=False) == ("hex", "fffe")
