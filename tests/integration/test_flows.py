"""Two flows in one database: each has tables of its own, or is told to."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pepi_stream.sink.schema import Flow as FlowOfTables
from tests.flow import Flow, MakeFlow, plain, wait_for

SECOND = {"PEPI_SOURCE__QUEUE": "other_queue", "PEPI_SINK__PREFIX": "other_"}


def refusals(flow: Flow) -> Sequence[tuple[int, str]]:
    """Exit code and output of all that a flow may be started or looked at with."""
    return [
        (done.returncode, done.stdout + done.stderr)
        for done in flow.commands(["migrate"], ["check"], ["worker", "-l", "info", "--without-web"])
    ]


def test_two_flows_with_prefixes_of_their_own_share_a_database(
    make_flow: MakeFlow, redis_url: str, database_url: str
) -> None:
    first, second = make_flow(redis_url, database_url), make_flow(redis_url, database_url, **SECOND)
    for flow in (first, second):
        flow.migrate()
        flow.worker().wait_claiming()
    pushed = [*plain(range(300)), b"no JSON"]
    first.push(pushed)
    second.redis.rpush("other_queue", *pushed[:100], b"no JSON")
    first.wait_drained()
    wait_for(
        lambda: (
            not second.redis.llen("other_queue") and not second.redis.zcard("{other_queue}:claims")
        )
    )
    for worker in (*first.workers, *second.workers):
        assert worker.stop() == 0, worker.log

    first.check_books(301)
    [counts] = second.sql(
        "SELECT (SELECT COUNT(*) FROM other_event), (SELECT SUM(n) FROM other_window_minute), "
        "(SELECT SUM(n) FROM other_window_hour), (SELECT SUM(payloads) FROM other_claim), "
        "(SELECT COUNT(*) FROM other_dead_letter)"
    )
    assert tuple(map(int, counts)) == (100, 100, 100, 101, 1)


@pytest.mark.parametrize(
    "other", [{"PEPI_SOURCE__QUEUE": "other_queue"}, {"PEPI_SINK__TABLE": "other_event"}]
)
def test_a_flow_is_kept_out_of_the_tables_of_another(
    make_flow: MakeFlow, redis_url: str, database_url: str, other: dict[str, str]
) -> None:
    first, second = make_flow(redis_url, database_url), make_flow(redis_url, database_url, **other)
    first.migrate()
    second.make_tables()  # its event table alone is missing
    codes, said = zip(*refusals(second), strict=True)

    assert codes == (70, 1, 70)
    for text in said:
        assert (
            "table pepi_claim belongs to another flow (queue 'pepi_queue', table pepi_event)"
            in (text)
        )
        assert "set sink.prefix" in text
        assert "migrate --take-over" in text
    assert [code for code, _ in refusals_without_worker(first)] == [0, 0]


def refusals_without_worker(flow: Flow) -> Sequence[tuple[int, str]]:
    return [(done.returncode, done.stdout) for done in flow.commands(["migrate"], ["check"])]


def test_the_tables_of_a_flow_that_was_renamed_are_taken_over(
    make_flow: MakeFlow, redis_url: str, database_url: str
) -> None:
    old = make_flow(redis_url, database_url)
    new = make_flow(redis_url, database_url, PEPI_SOURCE__QUEUE='it\'s "new" \\ \N{SNOWMAN}')
    old.migrate()
    taken = new.command("migrate", "--take-over")

    assert (taken.returncode, taken.stderr) == (0, "")
    assert "pepi_claim: upgraded: taken over from the queue 'pepi_queue'" in taken.stdout
    again, check = new.commands(["migrate"], ["check"])
    assert "pepi_claim: there already" in again.stdout
    assert check.returncode == 0, check.stdout
    assert old.command("check").returncode == 1


def test_tables_of_an_older_release_are_marked_by_migrate_and_work_unmarked(flow: Flow) -> None:
    flow.sql("ALTER TABLE pepi_claim COMMENT='pepi_stream: claims that have taken effect'")
    flow.worker()
    flow.push(plain(range(10)))
    flow.wait_drained()
    assert flow.workers[0].stop() == 0
    done = flow.command("migrate")
    assert "pepi_claim: upgraded: marked" in done.stdout
    [(comment,)] = flow.sql(
        "SELECT TABLE_COMMENT FROM information_schema.TABLES "
        "WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'pepi_claim'"
    )
    assert FlowOfTables.of(comment) == FlowOfTables("pepi_queue", "pepi_event", "pepi_")
    flow.check_books(10)


@pytest.mark.parametrize("queue", ["other_queue", "pepi_queue"])
def test_two_flows_with_prefixes_of_their_own_may_not_fill_one_event_table(
    make_flow: MakeFlow, redis_url: str, database_url: str, queue: str
) -> None:
    """Neither's windows would be the counts of its rows."""
    first = make_flow(redis_url, database_url)
    other = {
        "PEPI_SOURCE__QUEUE": queue,
        "PEPI_SINK__PREFIX": "other_",
        "PEPI_SINK__TABLE": "pepi_event",
    }
    second = make_flow(redis_url, database_url, **other)
    first.migrate()
    second.make_tables()  # all but the event table
    codes, said = zip(*refusals(second), strict=True)

    assert codes == (70, 1, 70)
    for text in said:
        assert "table pepi_event belongs to another flow (queue 'pepi_queue'" in text
        assert "prefix pepi_)" in text
        assert "set sink.table" in text
    assert second.command("migrate", "--take-over").returncode == 0
    assert second.command("check").returncode == 0
    assert first.command("check").returncode == 1


def test_an_event_table_that_a_person_made_is_left_as_it_is(flow: Flow) -> None:
    flow.sql("ALTER TABLE pepi_event COMMENT='the shop''s'")
    assert "pepi_event: there already" in flow.command("migrate", "--take-over").stdout
    flow.push(plain(range(10)))
    flow.worker()
    flow.wait_drained()
    assert flow.workers[0].stop() == 0
    flow.check_books(10)


@pytest.mark.parametrize(
    ("comment", "found"),
    [
        ('of the flow ["q", "t"]', ("q", "t", None)),
        ('of the flow ["q", "t", "p_"]', ("q", "t", "p_")),
        ('of the flow ["q", "t", "p_", "x"]', None),
        ('of the flow ["q", 1]', None),
        ('of the flow ["q]', None),
        ("of the flow []", None),
        ("events", None),
    ],
)
def test_what_a_comment_says_of_its_flow(
    comment: str, found: tuple[str, str, str | None] | None
) -> None:
    assert FlowOfTables.of(f"pepi_stream: {comment}") == found


def test_a_mark_without_a_prefix_is_of_any() -> None:
    own = FlowOfTables("q", "t", "p_")
    assert not FlowOfTables("q", "t", None).is_other(own)
    for other in (("q", "t", "x_"), ("q", "x", "p_"), ("x", "t", None)):
        assert FlowOfTables(*other).is_other(own)


def test_a_queue_whose_name_is_too_long_for_a_comment_has_tables_too(
    make_flow: MakeFlow, redis_url: str, database_url: str
) -> None:
    long = "\N{SNOWMAN}" * 511
    flow = make_flow(redis_url, database_url, PEPI_SOURCE__QUEUE=f"{long}a")
    other = make_flow(redis_url, database_url, PEPI_SOURCE__QUEUE=f"{long}b")
    flow.migrate()
    assert flow.command("migrate").returncode == 0
    refused = other.command("migrate")
    assert refused.returncode == 70
    assert "belongs to another flow (queue 'blake2b " in refused.stderr
