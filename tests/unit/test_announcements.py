"""What workers say to each other, and what a reader makes of it."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest

from pepi_stream import announcements
from pepi_stream.announcements import Announcer
from pepi_stream.claims.claim import Claim, new_claim_id
from pepi_stream.events import WindowKey
from pepi_stream.outcome import Outcome

NOW = 1_700_000_000_000


def outcome(rows: int = 1, **fields: object) -> Outcome:
    claim = Claim(new_claim_id(NOW), [b"x"], delivery=1, received_at=NOW)
    counts = {"minute": Counter({WindowKey(60, ("sent", "\u00e9")): rows})}
    return Outcome([claim], [], [], rows, 0, counts, [(NOW - 250, None)])._replace(**fields)  # type: ignore[arg-type]


def test_a_commit_is_told_with_its_claims_counts_and_age() -> None:
    first, second = outcome(2), outcome(3)
    said = announcements.decode(Announcer(NOW).committed([first, second], NOW))
    assert (said.number, said.at, said.lags, said.doubt) == (1, NOW, [0.25, 0.25], False)
    assert [commit.claims for commit in said.commits] == [
        [first.committed[0].id],
        [second.committed[0].id],
    ]
    assert said.commits[1].windows == {"minute": [(60, ("sent", "\u00e9"), 3)]}


def test_messages_are_numbered_without_gaps_and_workers_are_told_apart() -> None:
    one, other = Announcer(NOW), Announcer(NOW + 1)
    said = [
        announcements.decode(message)
        for message in (
            one.committed([outcome()], NOW),
            one.alive(NOW, rows=5, dead=1, held=2),
            one.committed([outcome()], NOW),
        )
    ]
    assert [announcement.number for announcement in said] == [1, 2, 3]
    assert said[1].state is not None
    assert (said[1].state.rows, said[1].state.dead, said[1].state.held) == (5, 1, 2)
    assert one.worker != other.worker


def test_claims_that_somebody_else_committed_raise_a_doubt() -> None:
    nothing = outcome(0, committed=[], repeated=outcome().committed)
    said = announcements.decode(Announcer(NOW).committed([nothing], NOW))
    assert (said.commits, said.doubt) == ([], True)


def test_where_nothing_happened_nothing_is_said() -> None:
    announcer = Announcer(NOW)
    assert announcer.committed([outcome(0, committed=[])], NOW) == b""
    assert announcements.decode(announcer.alive(NOW, rows=0, dead=0, held=0)).number == 1


def test_a_worker_that_stops_as_asked_says_so() -> None:
    said = announcements.decode(Announcer(NOW).leaving(NOW))
    assert (said.number, said.leaves, said.commits, said.state) == (1, True, [], None)


def test_a_few_events_stand_for_the_age_of_all() -> None:
    many = [outcome(occurred=[(NOW - 1000, None)] * 4) for _ in range(100)]
    assert 1 <= len(announcements.decode(Announcer(NOW).committed(many, NOW)).lags) <= 64


def test_the_time_in_the_pipeline_is_counted_from_the_first_claim() -> None:
    young = Claim(new_claim_id(NOW), [b"x"], delivery=1, received_at=NOW)
    recovered = Claim(new_claim_id(NOW - 30_000), [b"x"], delivery=2, received_at=NOW)
    other = Claim("another-kind-of-id", [b"x"], delivery=1, received_at=NOW + 400)
    commit = outcome(committed=[young, recovered, other])
    said = announcements.decode(Announcer(NOW).committed([commit], NOW + 500))
    assert said.took == [0.5, 30.5, 0.1]
    many = [outcome() for _ in range(1000)]
    assert 1 <= len(announcements.decode(Announcer(NOW).committed(many, NOW)).took) <= 64


def test_whose_clock_has_whole_seconds_is_told_by_three_times_at_least() -> None:
    occurred = [
        *[(NOW + 1000 * n, "sendgrid") for n in range(4)],
        *[(NOW + 1000 * n, "two") for n in range(2)],
        *[(NOW + 1000 * n, "ses") for n in range(9)],
        *[(NOW + 1000 * n, None) for n in range(9)],
        (NOW + 1, "ses"),
        (NOW + 1, "postmark"),
    ]
    said = announcements.decode(Announcer(NOW).committed([outcome(occurred=occurred)], NOW))
    assert said.whole == {"sendgrid": True, "ses": False, "postmark": False}


@pytest.mark.parametrize("message", [b"", b"{}", b"[]", b"hello", b'{"v":2,"worker":1}'])
def test_what_is_no_message_is_refused(message: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        announcements.decode(message)
