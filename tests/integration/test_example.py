"""docs/extending.md, step by step."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.flow import Flow, MakeFlow

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLE = DOCS / "example"


@pytest.fixture
def flow(
    make_flow: MakeFlow, redis_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Flow:
    monkeypatch.syspath_prepend(str(EXAMPLE))  # load_settings looks the names up
    flow = make_flow(redis_url, database_url)
    del flow.env["PEPI_SOURCE__FORMAT"]
    flow.env |= {"PEPI_CONFIG": str(EXAMPLE / "acme.toml")}
    paths = [str(EXAMPLE), flow.env.get("PYTHONPATH", "")]
    flow.env["PYTHONPATH"] = ":".join(filter(None, paths))
    return flow


def test_the_guide_shows_what_happens(flow: Flow, tmp_path: Path) -> None:
    guide = (DOCS / "extending.md").read_text("utf-8")
    [printed] = re.findall(r"printf '%s\\n' (.+) > events\.txt", guide)
    lines = re.findall(r"'([^']*)'", printed)
    (tmp_path / "events.txt").write_text("\n".join(lines) + "\n")

    peeked = flow.command("peek", "--json", "--file", str(tmp_path / "events.txt"))
    assert peeked.returncode == 0, peeked.stderr
    row, dead = map(json.loads, peeked.stdout.splitlines())
    assert (row["row"]["tier"], row["row"]["customer"]) == ("GOLD", "1001")
    assert row["windows"]["tier"]["by"] == ["opened", "gold"]
    assert (dead["outcome"], dead["reason"]) == (
        "dead",
        "ValueError: not enough values to unpack (expected 5, got 2)",
    )

    checked = flow.command("check")
    assert "sink.columns" in checked.stdout
    assert flow.command("migrate").returncode == 0
    worker = flow.worker()
    worker.wait_claiming()
    [pushed] = re.findall(r"RPUSH pepi_queue '([^']*)'", guide)
    flow.push(
        [pushed.encode(), b"S|anne@yahoo.fr|1554375864|spring|7", *map(str.encode, lines[1:])]
    )
    flow.wait_drained()
    assert worker.stop() == 0
    assert flow.sql(
        "SELECT event_name, recipient, mailbox_provider, customer, tier "
        "FROM pepi_event ORDER BY seq"
    ) == [
        ("opened", "ben@gmail.com", "Google", "1001", "GOLD"),
        ("sent", "anne@yahoo.fr", "Yahoo", "7", "STANDARD"),
    ]
    assert flow.sql("SELECT event_name, tier, n FROM pepi_window_tier ORDER BY 1") == [
        ("opened", "gold", 1),
        ("sent", "standard", 1),
    ]
    assert [bytes(payload) for (payload,) in flow.sql("SELECT payload FROM pepi_dead_letter")] == [
        lines[1].encode()
    ]


def test_the_guide_names_files_that_are_there() -> None:
    guide = (DOCS / "extending.md").read_text("utf-8")
    for path in re.findall(r"\]\((example[^)]*)\)", guide):
        assert (DOCS / path).exists(), path
    for path in re.findall(r"`((?:pepi_stream|tests)/[^`]+)`", guide):
        assert (DOCS.parent / path).exists(), path


def test_a_name_that_cannot_be_imported_is_an_error_that_says_so(flow: Flow) -> None:
    flow.env["PEPI_SOURCE__FORMAT"] = "acme_mail.formats:missing"
    done = flow.command("check")
    assert done.returncode == 78
    assert "acme_mail.formats" in done.stderr
    assert "Traceback" not in done.stderr
