"""Install the pinned packages into the environment that runs this, and show how far it is.

pip has a bar for each download, which is a screen of them here, and is silent while it installs.
What it says is kept, and shown when it fails. Nothing but the standard library is there yet.
"""

import os
import queue
import re
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from pepi_stream.local.errors import LocalError
from pepi_stream.local.status import Line

_PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-color", "install")
_POLL_SECONDS = 0.1
_NAMED = re.compile(r"(Collecting|Requirement already satisfied:) ([\w.-]+)")
_BUILDING = re.compile(r"\s*Building wheel for ([\w.-]+) ")
_PINNED = re.compile(r"[\w.-]+(?:\[[\w,.-]+\])?==")


class Progress:
    """How far pip is, by what it prints.

    Args:
        total: packages that are to be there in the end.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._seen: set[str] = set()
        self._doing = "asking for the first package"
        self.installing = False

    def take(self, line: str) -> None:
        """Take the next line of pip's output."""
        if found := _NAMED.match(line):
            self._seen.add(found[2].lower())
            doing = "fetching" if found[1] == "Collecting" else "found"
            self._doing = f"{doing} {len(self._seen)} of {self._total}: {found[2]}"
        elif found := _BUILDING.match(line):
            self._doing = f"building {found[1]}"
        elif line.startswith("Installing collected packages:"):
            self.installing = True

    def text(self, there: int) -> str:
        """Return a line for the person at the terminal.

        Args:
            there: packages that were installed by now.
        """
        if self.installing:
            return f"setup: installing {there} of {self._total}"
        return f"setup: {self._doing}"


def pinned(path: Path) -> int:
    """Return how many packages a file of requirements pins, with those that it includes."""
    count = 0
    for line in path.read_text().splitlines():
        if line.startswith("-r "):
            count += pinned(path.parent / line.removeprefix("-r ").strip())
        elif _PINNED.match(line):
            count += 1
    return count


def install_packages(requirements: Path, project: Path) -> None:
    """Install what the file pins, then the project itself, in place.

    Raises:
        LocalError: pip failed; what it said is on standard error.
    """
    began = time.monotonic()
    total = pinned(requirements)
    print(
        f"setup: installing the {total} pinned packages into {os.path.relpath(sys.prefix)}",
        flush=True,
    )
    where = Path(sysconfig.get_path("purelib"))
    run_pip([*_PIP, "--progress-bar", "off", "-r", str(requirements)], Progress(total), where)
    print("setup: installing pepi_stream itself, in place", flush=True)
    own = ("-q", "--no-deps", "--no-build-isolation", "-e", str(project))
    if subprocess.run([*_PIP, *own], check=False).returncode:
        raise LocalError("pip could not install pepi_stream itself; its messages are above")
    print(f"setup: done with the packages in {time.monotonic() - began:.0f} s", flush=True)


def run_pip(command: Sequence[str], progress: Progress, where: Path) -> None:
    """Run pip and show the progress; for a terminal in one line, else in a line now and then.

    Args:
        command: pip's command line.
        progress: takes what it prints.
        where: the directory that it installs into.

    Raises:
        LocalError: It failed or was interrupted.
    """
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        output: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        reader = threading.Thread(target=_read, args=(process.stdout, output), daemon=True)
        reader.start()
        try:
            said = _show(output, progress, where)
        except KeyboardInterrupt:  # the terminal has sent pip one, too
            raise LocalError("interrupted; `make setup` does it again") from None
        finally:
            reader.join()
        status = process.wait()
    if status:
        print("".join(said), file=sys.stderr, end="", flush=True)
        raise LocalError(f"pip failed with status {status}; its messages are above")


def _show(output: "queue.SimpleQueue[str | None]", progress: Progress, where: Path) -> list[str]:
    """Show the progress until the output ends; return the output."""
    line = Line()
    said: list[str] = []
    shown, shown_at = "", time.monotonic()
    before = _installed(where)
    while True:
        try:
            text = output.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            pass
        else:
            if text is None:
                line.end()
                return said
            said.append(text)
            progress.take(text)
        now = time.monotonic()
        if now - shown_at < line.seconds:
            continue
        told = progress.text(_installed(where) - before)
        shown_at = now
        if told != shown:
            line.show(told)
            shown = told


def _installed(where: Path) -> int:
    return len(list(where.glob("*.dist-info")))


def _read(stream: IO[str], output: "queue.SimpleQueue[str | None]") -> None:
    for line in stream:
        output.put(line)
    output.put(None)
