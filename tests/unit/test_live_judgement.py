"""What a tired operator is told."""

from __future__ import annotations

from typing import Any

import pytest

from pepi_stream.live.judgement import Facts, judge

WELL = Facts(
    rate=1000.0,
    idle=0.2,
    backlog=0,
    oldest=0.0,
    took=(0.1, 0.3),
    ages=(0.4, 900.0),
    claims=3,
    claim_age=0.5,
    dead=0,
    workers=2,
)


def test_all_is_well() -> None:
    figures, health = judge(WELL)
    assert {figure["level"] for figure in figures.values()} == {"ok"}
    assert health == {"level": "ok", "words": "All is well: nothing waits, nothing is lost."}


@pytest.mark.parametrize(
    ("figure", "level", "words", "facts"),
    [
        ("backlog", "ok", "", {"backlog": 10_000}),
        ("backlog", "warn", "11 s of work", {"backlog": 11_000}),
        ("backlog", "bad", "6 min of work", {"backlog": 360_000}),
        ("backlog", "ok", "", {"backlog": 5, "rate": 0.0, "idle": 0.5}),
        ("backlog", "warn", "nothing committed for 5 s", {"backlog": 5, "rate": 0.0, "idle": 5.0}),
        ("backlog", "warn", "waiting", {"backlog": 5, "rate": 0.0, "idle": 40.0}),
        ("backlog", "bad", "growing", {"backlog": 5, "rate": 0.0, "idle": 40.0, "grew": 2}),
        ("backlog", "ok", "not looked at yet", {"backlog": None}),
        ("oldest", "ok", "", {"oldest": 59.0}),
        ("oldest", "warn", "the next event happened 61 s ago", {"oldest": 61.0}),
        ("oldest", "bad", "16 min", {"oldest": 960.0}),
        ("oldest", "ok", "too large", {"oldest": None, "oldest_words": "too large"}),
        ("pipeline_p99", "warn", "6 s", {"took": (0.1, 6.0)}),
        ("pipeline_p99", "bad", "61 s", {"took": (0.1, 61.0)}),
        ("pipeline_p99", "ok", "nothing was committed", {"took": None}),
        ("lag_p99", "ok", "nothing was committed", {"ages": None}),
        ("lag_p99", "ok", "whole-second clocks (sendgrid)", {"whole_seconds": ["sendgrid"]}),
        ("lag_p50", "ok", "whole-second clocks (ses, x)", {"whole_seconds": ["ses", "x"]}),
        ("claims", "warn", "more than a lease", {"claim_age": 31.0}),
        ("claims", "bad", "no living worker", {"claim_age": 151.0}),
        ("dead", "warn", "3 in the last hour", {"dead": 7, "dead_hour": 3}),
        ("dead", "bad", "2.0 %", {"dead": 7, "dead_hour": 3, "dead_share": (2, 100)}),
        ("dead", "warn", "", {"dead": 7, "dead_hour": 3, "dead_share": (1, 100)}),
        ("dead", "ok", "grant", {"dead": None, "dead_words": "grant SELECT"}),
        ("workers", "bad", "no worker", {"workers": 0}),
        ("workers", "warn", "a:1 has been silent", {"silent": [("a:1", 7.0)]}),
    ],
)
def test_a_figure_has_its_level_and_words(
    figure: str, level: str, words: str, facts: dict[str, Any]
) -> None:
    figures, health = judge(WELL._replace(**facts))
    assert figures[figure]["level"] == level
    assert words in figures[figure]["words"]
    assert health["level"] == level
    if level != "ok":
        assert figures[figure]["words"] in health["words"]


def test_a_server_that_does_not_answer_is_the_first_thing_to_say() -> None:
    facts = WELL._replace(workers=0, redis="is Redis up, and REDIS_URL right?", backlog=None)
    figures, health = judge(facts)
    assert health["level"] == "bad"
    assert "is Redis up" in health["words"]
    assert figures["backlog"]["value"] is None
    _, health = judge(WELL._replace(mysql="is MySQL up?"))
    assert (health["level"], "MySQL" in health["words"]) == ("bad", True)


def test_counts_that_may_be_old_are_said_to_be() -> None:
    assert judge(WELL._replace(stale=5.0))[1]["level"] == "ok"
    _, health = judge(WELL._replace(stale=75.0, stale_words="a message was missed"))
    assert health == {
        "level": "warn",
        "words": "The counts may be 75 s old: a message was missed.",
    }
