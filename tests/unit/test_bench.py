"""The pure parts of the benchmark: what it makes of what it saw."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from bench.__main__ import plan_of
from bench.arena import Result, Usage
from bench.contest import Contest
from bench.limit import commands_of, packets, without_questions
from bench.report import MARK, chart, put
from bench.steady import part_rates
from pepi_stream.local.errors import LocalError


def result(rate: float) -> Result:
    return Result(1000, 1000 / rate, Usage(), 0.0)


def test_ratios_are_taken_within_a_round() -> None:
    contest = Contest(
        results={
            "go": [result(100), result(50), result(10)],
            "ours-article": [result(200), result(150), result(10)],
        }
    )
    ratios = contest.ratios()
    assert ratios["article_vs_go"] == 2.0  # the median of 2, 3 and 1; of the rates it is 3
    assert ratios["article_vs_perl"] is None


@pytest.mark.parametrize("size", [0, 1, 0xFFFFF8, 0xFFFFFF, 0x1000003])
def test_a_statement_survives_its_packets(size: int) -> None:
    statement = b"\3INSERT" + b"x" * size
    login = (5).to_bytes(3, "little") + b"\1" + b"login"
    ping = (1).to_bytes(3, "little") + b"\0\x0e"
    bulk = b"\xfa" + b"y" * size
    said = login + packets(statement) + ping + packets(bulk) + packets(b"\3COMMIT")
    assert commands_of(said) == [statement, bulk, b"\3COMMIT"]


def test_the_rate_of_each_part_lies_between_the_looks() -> None:
    marks = [(1.0, 50), (2.0, 150), (4.0, 200), (6.0, 300)]
    assert part_rates(marks, 100, 300) == pytest.approx([100 / 1.5, 100 / 2.5, 100 / 2.0])
    with pytest.raises(ValueError, match="only 300 of 400"):
        part_rates(marks, 100, 400)


def test_the_plan_follows_the_environment() -> None:
    assert plan_of({}).rounds >= 3
    assert plan_of({"QUICK": "1", "EVENTS": "5"})[:2] == (True, 5)
    with pytest.raises(LocalError, match="ROUNDS should be a whole number above 0, and is '-1'"):
        plan_of({"ROUNDS": "-1"})


def test_the_chart_is_a_picture_of_the_medians() -> None:
    runs = [{"events_per_second": rate} for rate in (90, 100, 120)]
    report = {
        "events": 1000,
        "rounds": 3,
        "machine": {"cores": 2, "cpu": "A & B"},
        "races": {
            "go": {"about": "<as published>", "median_events_per_second": 100, "runs": runs},
            "ours-full": {"about": "", "median_events_per_second": 50, "runs": runs},
        },
    }
    svg = ElementTree.fromstring(chart(report))
    bars = [e for e in svg.iter("{http://www.w3.org/2000/svg}rect") if e.get("rx")]
    widths = [float(bar.get("width", "")) for bar in bars]
    assert widths[0] == pytest.approx(2 * widths[1], abs=0.2)


def test_the_table_replaces_the_one_in_the_document() -> None:
    document = f"before\n{MARK}\nold\n{MARK}\nafter\n"
    once = put("new\n", document)
    assert once == f"before\n{MARK}\nnew\n{MARK}\nafter\n"
    assert put("new\n", once) == once


def test_what_is_replayed_is_answered_with_one_packet() -> None:
    writing = [b"\x03BEGIN", b"\x16INSERT INTO t VALUES (?)", b"\xfa0000", b"\x03COMMIT"]
    asking = [b"\x03SELECT @@max_allowed_packet", b"\x03SHOW VARIABLES LIKE 'wsrep_on'"]
    assert without_questions([*asking, *writing]) == writing
