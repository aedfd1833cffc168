"""How commands and workers start, what they say of themselves, and which signals they obey."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pepi_stream.commands import COMMANDS
from tests.flow import Flow, plain, wait_for

PEPI = (sys.executable, "-c", "from pepi_stream.commands.main import main; main()")
FAUST = (sys.executable, "-m", "faust", "-A", "pepi_stream")


def ran(flow: Flow, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env=flow.env,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )


def shell(flow: Flow, line: str, redirect: str) -> subprocess.Popen[bytes]:
    """Start a command with some of its streams closed or full."""
    words = " ".join(f"'{word}'" for word in PEPI)
    return subprocess.Popen(
        ["/bin/sh", "-c", f"exec {words} {line} {redirect}"],
        env=flow.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_help_lists_our_commands_first_and_none_that_is_about_kafka(flow: Flow) -> None:
    for command in (PEPI, FAUST):
        done = ran(flow, *command, "--help")
        assert done.returncode == 0
        listed = done.stdout.partition("Commands:\n")[2].splitlines()
        assert [line.split()[0] for line in listed] == list(COMMANDS)
        assert "kafka" not in done.stdout.lower()
    of_worker = ran(flow, *PEPI, "worker", "--help").stdout
    assert "--without-web" in of_worker
    assert "console" not in of_worker


def test_pepi_has_a_version_and_no_command_of_others(flow: Flow) -> None:
    assert ran(flow, *PEPI, "--version").stdout == "pepi_stream 0.1.0\n"
    assert ran(flow, *PEPI, "agents").returncode == 2
    assert ran(flow, *FAUST, "agents").returncode == 0  # as it ever was


def test_help_needs_no_settings(flow: Flow) -> None:
    flow.env["REDIS_URL"] = "wrong"
    done = ran(flow, *PEPI, "worker", "--help")
    assert done.returncode == 0, done.stderr
    done = ran(flow, *PEPI, "check")
    assert done.returncode == 78
    assert done.stderr.startswith("Error: redis.url: ")


@pytest.mark.parametrize("command", [PEPI, FAUST], ids=["pepi", "faust"])
def test_the_banner_says_what_is_connected_and_a_worker_is_not_mute(
    flow: Flow, command: tuple[str, ...]
) -> None:
    log = flow.directory / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "worker", "--without-web"], env=flow.env, stdout=out, stderr=out
        )
    wait_for(lambda: "draining the list" in log.read_text())
    process.terminate()
    assert process.wait(30) == 0
    text = log.read_text()
    banner = text[: text.index("[")].splitlines()
    assert banner[0] == "pepi_stream 0.1.0"
    assert "queue     pepi_queue in unix://" in banner[1]
    assert "database  mysql://pepi:***@localhost/" in banner[2]
    assert flow.settings.database.connect_args()["password"] not in text
    assert "page      none (--without-web)" in banner[3]
    assert "SIGTERM: stopping" in text
    for word in ("kafka", "agent", "faust", "transport", "[^"):
        assert word not in text.lower()


@pytest.mark.parametrize("signum", [signal.SIGHUP, signal.SIGQUIT, signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_ends_lets_the_worker_settle_what_it_holds(
    flow: Flow, signum: signal.Signals
) -> None:
    before = signal.signal(signum, signal.SIG_DFL)  # a shell may ignore it for what it runs
    try:
        worker = flow.worker()
    finally:
        signal.signal(signum, before)
    worker.wait_claiming()
    pushed = flow.push(plain(range(1000)))
    wait_for(lambda: flow.queued() < pushed)
    worker.process.send_signal(signum)
    assert worker.process.wait(30) == 0
    assert f"{signum.name}: stopping" in worker.log
    assert "-INT-" not in worker.log
    assert not flow.claimed()
    flow.check_books(pushed)


def test_nohup_lets_a_worker_outlive_its_terminal(flow: Flow) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        worker = flow.worker()  # inherits it
    finally:
        signal.signal(signal.SIGHUP, before)
    worker.wait_claiming()
    worker.process.send_signal(signal.SIGHUP)
    flow.push(plain(range(10)))
    flow.wait_drained()
    assert worker.stop() == 0


EXTENSION = """
import time
from pathlib import Path

def enrich(batch):
    planted = "PLANTED"
    (Path(__file__).parent / "busy").touch()
    while not (Path(__file__).parent / "go").exists():
        time.sleep(0.01)
    return {}
"""


def test_sigusr1_tells_what_a_worker_does_without_values_also_when_its_loop_does_not_go_on(
    flow: Flow, tmp_path: Path
) -> None:
    (tmp_path / "busy_one.py").write_text(EXTENSION)
    flow.env |= {"PYTHONPATH": str(tmp_path), "PEPI_ENRICH__ENRICHERS": '["busy_one:enrich"]'}
    worker = flow.worker()
    worker.wait_claiming()
    worker.process.send_signal(signal.SIGUSR2)  # ignored: no debugger
    worker.process.send_signal(signal.SIGUSR1)
    wait_for(lambda: worker.log.count("stacks of process") == 1)
    wait_for(lambda: "in RedisSource.claim_forever" in worker.log)
    flow.push([b'{"id": 1, "event_name": "sent", "ts": 1, "email": "PLANTED@a.example"}'])
    wait_for((tmp_path / "busy").exists)
    worker.process.send_signal(signal.SIGUSR1)
    wait_for(lambda: f"{tmp_path / 'busy_one.py'}:9 in enrich" in worker.log)
    (tmp_path / "go").touch()
    flow.wait_drained()
    assert worker.stop() == 0
    assert "PLANTED" not in worker.log
    password = flow.settings.database.connect_args()["password"]
    assert password not in worker.log


@pytest.mark.parametrize(
    "redirect", [">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full 2>/dev/full"], ids=str
)
def test_a_worker_runs_whatever_its_streams_are(flow: Flow, redirect: str) -> None:
    pushed = flow.push(plain(range(100)))
    process = shell(flow, "worker --without-web", redirect)
    flow.wait_drained()
    process.terminate()
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert errors == b""
    flow.check_books(pushed)


def test_a_command_whose_output_cannot_be_written_says_so_in_one_line(flow: Flow) -> None:
    full = shell(flow, "check", ">/dev/full")
    closed = shell(flow, "check", ">&-")
    neither = shell(flow, "check", ">/dev/full 2>/dev/full")
    _, errors = full.communicate(timeout=60)
    assert errors == b"check: standard output cannot be written (No space left on device)\n"
    assert full.returncode == 1
    assert closed.communicate(timeout=60) == (b"", b"")
    assert closed.returncode == 0
    assert neither.communicate(timeout=60) == (b"", b"")
    assert neither.returncode == 1


def test_a_closed_stream_whose_number_somebody_else_has_is_not_written_to() -> None:
    code = (
        "import os; taken = os.open(os.__file__, os.O_RDONLY); assert taken == 1; "
        "from pepi_stream.runtime.streams import flush_streams, open_streams; open_streams(); "
        "print('lost'); assert flush_streams() is None"
    )
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" >&-', sys.executable, code],
        stderr=subprocess.PIPE,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_missing_port_is_named_in_a_sentence(flow: Flow) -> None:
    for args in (("--web-port",), ("--web-port", ""), ("--web-port", "-l", "info")):
        done = ran(flow, *FAUST, "worker", *args)
        assert done.returncode == 78
        assert done.stderr.startswith("Error: --web-port has no number.")
        assert "PORT is not set: set it" in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_each_line_of_the_procfile_replaces_its_shell() -> None:
    lines = Path("Procfile").read_text().splitlines()
    assert all(": exec faust -A pepi_stream " in line for line in lines)
