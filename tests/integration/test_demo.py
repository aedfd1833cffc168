"""`make demo`: every event is accounted for, and what does not add up is named."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pepi_stream.local.books import Found, Groups
from pepi_stream.local.demo import mismatches, report
from pepi_stream.local.lock import DirectoryLock

ROOT = Path(__file__).parents[2]
OURS = ("PEPI_", "REDIS_URL", "DATABASE_URL", "WORKERS")
PUSHED = {"sent": 70, "opened": 30}


def _demo(directory: Path, events: int, **environ: str) -> subprocess.CompletedProcess[str]:
    shutil.copy(ROOT / "Procfile", directory)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(OURS)}
    return subprocess.run(
        [sys.executable, "-m", "pepi_stream.local", "demo", "--events", str(events)],
        cwd=directory,
        env=inherited | environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_every_event_is_accounted_for(tmp_path: Path) -> None:
    finished = _demo(tmp_path, 20_000)
    assert finished.returncode == 0, finished.stderr
    figures = json.loads(finished.stdout.splitlines()[-1])
    assert figures.pop("seconds") > 0
    assert figures.pop("events_per_second") > 0
    assert figures == {
        "pushed": 20_000,
        "rows": 20_000,
        "dead": 0,
        "queued": 0,
        "claimed": 0,
        "windows": {"minute": 20_000, "hour": 20_000},
    }
    for name in ("demo", "demo/redis", "demo/mariadb"):
        lock = DirectoryLock(tmp_path / ".local" / name)
        lock.acquire(0)  # raises if any process of the demo is left
        lock.release()


def test_it_starts_afresh_and_leaves_the_servers_of_the_environment_alone(tmp_path: Path) -> None:
    foreign = {
        "PEPI_REDIS__URL": "redis://127.0.0.1:1/0",
        "DATABASE_URL": "mysql://nobody@127.0.0.1:1/pepi",
        "PEPI_SOURCE__FORMAT": "plain",
        "WORKERS": "2",
    }
    left = tmp_path / ".local/demo/redis/left-by-an-earlier-demo"
    left.parent.mkdir(parents=True)
    left.touch()
    finished = _demo(tmp_path, 1_000, **foreign)
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout.splitlines()[-1])["rows"] == 1_000
    assert not left.exists()


def test_a_demo_that_cannot_work_says_why(tmp_path: Path) -> None:
    finished = _demo(tmp_path, 10, WORKERS="many")
    assert finished.returncode == 1
    assert finished.stderr == (
        "demo: WORKERS should be a number of processes, 1 to 64, and is 'many'\n"
    )


def _found() -> Found:
    """What a good run of `PUSHED` leaves."""
    groups: Groups = {("1767225600", "sent"): 70, ("1767225600", "opened"): 30}
    return Found(
        rows=100,
        ledger=100,
        by_event=dict(PUSHED),
        windows={"minute": 100},
        window_groups={"minute": dict(groups)},
        row_groups={"minute": dict(groups)},
    )


def test_nothing_is_wrong_with_a_good_run() -> None:
    assert mismatches(PUSHED, _found()) == []


def test_dead_letters_may_stand_for_rows() -> None:
    found = _found()
    found.rows, found.dead, found.windows = 98, 2, {"minute": 98}
    found.by_event = {"sent": 69, "opened": 29}
    assert mismatches(PUSHED, found) == []


def _lose_a_row(found: Found) -> None:
    found.rows -= 1


def _repeat_a_row(found: Found) -> None:
    found.rows += 1


def _miss_a_ledger_row(found: Found) -> None:
    found.ledger -= 50


def _leave_a_payload(found: Found) -> None:
    found.queued = 1


def _leave_a_claim(found: Found) -> None:
    found.claimed, found.leases = 1, 1


def _leave_a_lease(found: Found) -> None:
    found.leases = 1


def _leave_a_key(found: Found) -> None:
    found.stray.append("{pepi_queue}:deliveries")


def _swap_an_event(found: Found) -> None:
    found.by_event = {"sent": 69, "opened": 31}


def _invent_an_event(found: Found) -> None:
    found.by_event = {"sent": 70, "opened": 29, "other": 1}


def _lose_a_count(found: Found) -> None:
    found.windows["minute"] -= 1


def _misplace_a_count(found: Found) -> None:
    found.window_groups["minute"][("1767225600", "sent")] -= 1
    found.window_groups["minute"][("1767225660", "sent")] = 1


@pytest.mark.parametrize(
    ("sabotage", "named"),
    [
        (_lose_a_row, ["the number of rows is 99, and should be 100: -1"]),
        (_repeat_a_row, ["rows + dead letters + queued + claimed is 101", "sum of window minute"]),
        (_miss_a_ledger_row, ["the ledger's sum of payloads is 50, and should be 100: -50"]),
        (_leave_a_payload, ["the number of queued payloads is 1"]),
        (_leave_a_claim, ["the number of claimed payloads is 1", "open claims is 1"]),
        (_leave_a_lease, ["the number of open claims is 1"]),
        (_leave_a_key, ["Redis still has {pepi_queue}:deliveries"]),
        (_swap_an_event, ["event 'sent' are 69, and 70 were", "event 'opened' are 31, and 30"]),
        (_invent_an_event, ["event 'other' are 1, and 0 were", "event 'opened' are 29"]),
        (_lose_a_count, ["the sum of window minute is 99, and should be 100: -1"]),
        (
            _misplace_a_count,
            [
                "window minute counts 69 of 1767225600, sent, and there are 70 rows of it",
                "window minute counts 1 of 1767225660, sent, and there are 0 rows of it",
            ],
        ),
    ],
)
def test_each_mismatch_is_named(sabotage: Callable[[Found], None], named: list[str]) -> None:
    found = _found()
    sabotage(found)
    lines = mismatches(PUSHED, found)
    for text in named:
        assert any(text in line for line in lines), lines


def test_the_report_is_one_json_object_of_fixed_form() -> None:
    assert report(100, _found(), 0.5) == (
        '{"pushed":100,"rows":100,"dead":0,"queued":0,"claimed":0,"windows":{"minute":100},'
        '"seconds":0.5,"events_per_second":200}'
    )
