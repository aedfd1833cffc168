"""`make run`: rows grow, the page answers, Ctrl-C leaves data and no process."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pepi_stream.local.lock import DirectoryLock
from pepi_stream.local.run import gap
from pepi_stream.local.status import Figures
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
OURS = ("PEPI_", "REDIS_URL", "DATABASE_URL", "RATE", "HISTORY", "PORT")


class Run:
    """A `run` in a session of its own, with what it has printed so far."""

    def __init__(self, directory: Path, **environ: str) -> None:
        self._output = directory / f"output-{time.monotonic_ns()}"
        env = {k: v for k, v in os.environ.items() if not k.startswith(OURS)} | environ
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pepi_stream.local", "run"],
                cwd=directory,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        """What it has printed."""
        return self._output.read_text()

    @property
    def rows(self) -> list[int]:
        """The rows of each status line."""
        return [
            int(n.replace(",", "")) for n in re.findall(r"events/s .* ([\d,]+) rows", self.output)
        ]

    async def ended(self, *, seconds: float = 30.0) -> int:
        """Wait for its end; return its exit status."""
        await wait_until(lambda: self.process.poll() is not None, seconds=seconds)
        return self.process.wait()


@contextlib.contextmanager
def _run(directory: Path, **environ: str) -> Iterator[Run]:
    run = Run(directory, **environ)
    try:
        yield run
    finally:
        if run.process.poll() is None:
            run.process.terminate()
        run.process.wait(60)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "Procfile", tmp_path)
    return tmp_path


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False


def _snapshot(port: str) -> Any:
    address = f"http://127.0.0.1:{port}/live/snapshot"
    with urllib.request.urlopen(address, timeout=10) as response:
        return json.load(response)


def _assert_no_process_is_left(checkout: Path) -> None:
    for name in ("run", "run/redis", "run/mariadb"):
        # Every process that a run starts holds one of these until it ends.
        lock = DirectoryLock(checkout / ".local" / name)
        lock.acquire(0)
        lock.release()


async def test_ctrl_c_keeps_the_data_and_a_dead_worker_ends_the_run(checkout: Path) -> None:
    with _run(checkout, HISTORY="0") as first:
        await wait_until(lambda: len(set(first.rows)) > 1, seconds=30)
        page = re.findall(r"http://127\.0\.0\.1:\d+/", first.output)[-1]
        await wait_until(lambda: _answers(f"{page}healthz"))
        os.killpg(first.process.pid, signal.SIGINT)
        assert await first.ended() == 0, first.output
    _assert_no_process_is_left(checkout)
    assert not _answers(f"{page}healthz")
    stopped = re.search(r"^stopped: ([\d,]+) rows, 0 dead letters", first.output, re.MULTILINE)
    assert stopped is not None, first.output
    kept = int(stopped[1].replace(",", ""))
    assert kept >= first.rows[-1] > 0

    log = checkout / ".local/run/worker.log"
    before = len(log.read_text())
    with _run(checkout) as second:
        began = time.monotonic()
        await wait_until(lambda: bool(second.rows), seconds=30)
        assert time.monotonic() - began < 10
        assert second.rows[0] >= kept
        await wait_until(lambda: "draining the list" in log.read_text()[before:])
        worker = int(re.findall(r"\[(\d+)\] \[INFO\]", log.read_text()[before:])[0])
        os.kill(worker, signal.SIGKILL)
        assert await second.ended() == 1
    assert "run: web.1 has ended with status -9; the end of" in second.output
    assert "draining the list" in second.output
    _assert_no_process_is_left(checkout)


async def test_a_run_without_a_procfile_says_so_and_stops_its_servers(tmp_path: Path) -> None:
    with _run(tmp_path) as run:
        assert await run.ended() == 1
    assert "run: there is no Procfile here; run this in the checkout's root" in run.output
    _assert_no_process_is_left(tmp_path)


async def test_an_hour_of_history_is_counted_and_a_second_run_is_told_of_the_first(
    checkout: Path,
) -> None:
    with _run(checkout, RATE="10") as first:
        await wait_until(lambda: any(rows >= 36_000 for rows in first.rows), seconds=60)
        page = re.findall(r"http://127\.0\.0\.1:(\d+)/live/", first.output)[-1]
        await wait_until(lambda: len(_snapshot(page)["dead"]) == 12)
        snapshot = _snapshot(page)
        points = snapshot["series"]["points"]
        assert len(points) >= 60
        assert sum(sum(counts.values()) for _, counts in points[1:-1]) > 30_000
        assert snapshot["windows"]["hour"]["rows"]
        assert snapshot["figures"]["dead"]["value"] == 12
        # The page's rates have one base: nobody's `sent` means `delivered`.
        names = {name for _, counts in points for name in counts}
        assert {"delivered", "opened", "clicked", "bounced"} < names
        assert "sent" not in names
        assert all(
            len(line) < 80 for line in first.output.splitlines() if "events/s  queue" in line
        )

        # The port that is asked for is the first one's: that is not what is wrong.
        with _run(checkout, PORT=page) as second:
            assert await second.ended() == 1
        told = (
            f"run: one is already running in .local/run, as process {first.process.pid}.\n"
            f"Its page is http://127.0.0.1:{page}/live/\n"
        )
        assert second.output.startswith(told)
        assert "-m pepi_stream.local stop` does" in second.output
        assert len(second.output.splitlines()) == 3
        os.kill(first.process.pid, signal.SIGINT)
        assert await first.ended() == 0, first.output
    assert re.search(r"^stopped: .* rows, 12 dead letters, 0 queued", first.output, re.MULTILINE)

    # What the tables have of the last hour is not simulated again.
    with _run(checkout, RATE="10") as third:
        await wait_until(lambda: len(third.rows) > 1, seconds=30)
        assert "of the past" not in third.output
    assert re.search(r"^stopped: .* rows, 12 dead letters", third.output, re.MULTILINE)


def test_only_what_is_missing_of_the_past_is_simulated() -> None:
    nothing = Figures(rows=0, dead=0, queued=0, claimed=0, age=None)
    assert gap(nothing, 3600) == 3600
    assert gap(nothing, 0) == 0
    assert gap(nothing._replace(age=5.0), 3600) == 0
    assert gap(nothing._replace(age=600.5), 3600) == 600
    assert gap(nothing._replace(age=86_400.0), 3600) == 3600
    assert gap(nothing._replace(queued=1), 3600) == 0
    assert gap(nothing._replace(claimed=1), 3600) == 0
