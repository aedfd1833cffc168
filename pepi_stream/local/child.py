"""A process that this one starts and that never outlives it, and what the Procfile runs.

Should the starter be killed outright, Linux sends its children a SIGTERM.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from honcho.environ import expand_processes, parse_procfile

from pepi_stream.local.errors import LocalError
from pepi_stream.local.process import EXEC_TIED_TO_STARTER

_LOG_TAIL_LINES = 20


class Child:
    """A process in a session of its own, tied to this one, whose output goes to a log file.

    Args:
        name: For messages.
        command: Absolute path of the program, and its arguments.
        log: The file that its stdout and stderr are appended to.
        lock: A descriptor it inherits, so that the directory stays locked while it lives.
    """

    def __init__(
        self, name: str, command: Sequence[str], *, env: dict[str, str], log: Path, lock: int
    ) -> None:
        self.name = name
        self.log_path = log
        words = list(command)
        if sys.platform == "linux":
            tie = [sys.executable, "-I", "-S", "-c", EXEC_TIED_TO_STARTER, str(os.getpid())]
            words = tie + words
        with log.open("ab") as output:
            self._log_start = output.tell()
            # Its own session: Ctrl-C in the terminal reaches this process alone, which then stops
            # the others in the right order.
            self._process = subprocess.Popen(
                words,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[lock],
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id, also after its end."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        return self._process.poll()

    def log(self) -> str:
        """What it has logged since it was started."""
        with self.log_path.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def log_tail(self) -> str:
        """The last lines of `log`, under a heading that names the file."""
        lines = self.log().splitlines()[-_LOG_TAIL_LINES:] or ["(nothing logged)"]
        return "\n".join([f"the end of {self.log_path}:", *lines])

    def terminate(self) -> None:
        """Send SIGTERM."""
        if self.status is None:
            self._process.terminate()

    def kill(self) -> None:
        """SIGKILL it and what it forked."""
        if self.status is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


class ProcfileProcess(NamedTuple):
    """One process of the Procfile: its name, its command line, and its environment."""

    name: str
    command: list[str]
    env: dict[str, str]


def procfile_processes(
    entry: str, count: int, *, env: Mapping[str, str], port: int | None = None
) -> list[ProcfileProcess]:
    """Return what `honcho start -c entry=count entry` would run in the current directory.

    honcho's own manager would not do: it is no process group that dies with us, and once one
    process has ended it kills the others after five seconds, drained or not.

    Args:
        entry: The entry's name, for example `web`.
        count: How many.
        env: Environment of all of them.
        port: PORT of the first, the next has the next port, as honcho does it.

    Raises:
        LocalError: The Procfile is not in the current directory, or lacks the entry.
    """
    try:
        commands = parse_procfile(Path("Procfile").read_text(encoding="utf-8")).processes
    except FileNotFoundError:
        raise LocalError("there is no Procfile here; run this in the checkout's root") from None
    if entry not in commands:
        raise LocalError(f"the Procfile has no entry {entry!r}")
    return [
        # Each line begins with `exec`, so that no shell stands between SIGTERM and the worker.
        ProcfileProcess(process.name, ["/bin/sh", "-c", process.cmd], process.env)
        for process in expand_processes(
            {entry: commands[entry]}, concurrency={entry: count}, env=dict(env), port=port
        )
    ]
