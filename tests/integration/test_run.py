"""`make run`: rows grow, the page answers, Ctrl-C leaves data and no process."""

import contextlib
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

import pytest

from pepi_stream.local.lock import DirectoryLock
from pepi_stream.local.run import Figures, Speed, status
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
OURS = ("PEPI_", "REDIS_URL", "DATABASE_URL", "RATE", "PORT")
URL = "http://127.0.0.1:6066/live/"


class Run:
    """A `run` in a session of its own, with what it has printed so far."""

    def __init__(self, directory: Path) -> None:
        self._output = directory / "output"
        env = {k: v for k, v in os.environ.items() if not k.startswith(OURS)}
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
def _run(directory: Path) -> Iterator[Run]:
    run = Run(directory)
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


def _assert_no_process_is_left(checkout: Path) -> None:
    for name in ("run", "run/redis", "run/mariadb"):
        # Every process that a run starts holds one of these until it ends.
        lock = DirectoryLock(checkout / ".local" / name)
        lock.acquire(0)
        lock.release()


async def test_ctrl_c_keeps_the_data_and_a_dead_worker_ends_the_run(checkout: Path) -> None:
    with _run(checkout) as first:
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


def test_speed_is_the_mean_of_the_last_seconds() -> None:
    speed = Speed(seconds=5.0)
    assert speed.add(100.0, 1_000) == 0.0
    assert speed.add(102.0, 3_000) == 1_000.0
    assert speed.add(105.0, 6_000) == 1_000.0
    assert speed.add(108.0, 15_000) == 2_000.0  # since 102
    assert speed.add(120.0, 15_000) == 0.0


def test_the_lag_is_of_this_run_and_has_the_wait_in_the_list() -> None:
    figures = Figures(rows=1_234_567, dead=0, queued=0, claimed=1, age=0.042)
    assert status(figures, 1000.4, 60.0, URL) == (
        f"{URL}  1,000 events/s  queue 0  lag 42 ms  1,234,567 rows"
    )
    assert "lag -" in status(figures._replace(age=90.0), 0.0, 60.0, URL)
    assert "lag -" in status(figures._replace(age=None), 0.0, 60.0, URL)
    assert "lag 3.0 s" in status(figures._replace(queued=3_000), 1000.0, 60.0, URL)
    assert status(figures._replace(dead=2), 0.0, 60.0, URL).endswith("rows  2 dead letters")
