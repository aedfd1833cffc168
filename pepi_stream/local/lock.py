"""One server at a time in a directory: a file lock that the server process itself holds.

The lock belongs to an open file that the server inherits, so it lasts exactly as long as the
server or its starter lives, whatever happens to either, and never goes stale.
"""

import fcntl
import json
import os
import signal
import time
from pathlib import Path
from typing import NamedTuple

from pepi_stream.local.errors import DirectoryInUseError

LOCK_NAME = "server.lock"

_POLL_SECONDS = 0.05


class Holder(NamedTuple):
    """Who wrote the lock file last.

    Attributes:
        owner: process id of the starter, 0 if unknown.
        server: process id of its server, 0 if there is none or it is unknown.
        page: address of the page that it serves, empty if there is none.
    """

    owner: int
    server: int
    page: str = ""


class DirectoryLock:
    """An exclusive lock on `directory`, kept in its file `server.lock`."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / LOCK_NAME
        self._fd: int | None = None

    @property
    def fd(self) -> int:
        """The locked file's descriptor, for the server to inherit; -1 while not locked."""
        return -1 if self._fd is None else self._fd

    def acquire(self, timeout: float) -> None:
        """Take the lock.

        Waits up to `timeout` seconds while the holder is on its way out (its starter or its server
        is dead already), and not at all while both live.

        Raises:
            DirectoryInUseError: Another process holds the lock.
        """
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + timeout
        while not _try_lock(fd):
            holder = _read(fd)
            lasting = _alive(holder.owner) and (holder.server == 0 or _alive(holder.server))
            if lasting or time.monotonic() > deadline:
                os.close(fd)
                raise DirectoryInUseError(_in_use(self._path.parent, holder))
            time.sleep(_POLL_SECONDS)
        self._fd = fd
        self.record(0)

    def record(self, server: int, page: str = "") -> None:
        """Write down the server's process id and page, for messages and for `stop_holders`."""
        text = json.dumps({"owner": os.getpid(), "server": server, "page": page}).encode()
        os.ftruncate(self.fd, 0)
        os.pwrite(self.fd, text, 0)

    def release(self) -> None:
        """Give the lock back; a server that still lives keeps it. Does nothing when not locked."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def running_holder(directory: Path) -> Holder | None:
    """Return who holds the lock of `directory`, if the starter itself still does; else None."""
    path = directory / LOCK_NAME
    try:
        fd = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        if _try_lock(fd):
            return None
        holder = _read(fd)
        return holder if _holds(holder.owner, path) else None
    finally:
        os.close(fd)


def stop_holders(root: Path, timeout: float) -> list[Path]:
    """Stop every server, and its starter, whose directory is directly under `root`.

    Sends SIGTERM to the starter first, so that it can drain, then to a server left without one,
    and waits up to `timeout` seconds for each directory. Only processes that hold the lock get a
    signal. Returns the directories in which something was stopped.

    Raises:
        DirectoryInUseError: A server is still running after `timeout` seconds.
    """
    stopped = []
    for path in sorted(root.glob(f"*/{LOCK_NAME}")):
        fd = os.open(path, os.O_RDWR)
        try:
            if not _try_lock(fd):
                _stop_holder(fd, path, timeout)
                stopped.append(path.parent)
        finally:
            os.close(fd)
    return stopped


def _stop_holder(fd: int, path: Path, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    signalled: set[int] = set()
    while not _try_lock(fd):
        holder = _read(fd)
        target = holder.owner if _holds(holder.owner, path) else holder.server
        if target not in signalled and _holds(target, path):
            os.kill(target, signal.SIGTERM)
            signalled.add(target)
        if time.monotonic() > deadline:
            raise DirectoryInUseError(_in_use(path.parent, holder))
        time.sleep(_POLL_SECONDS)


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(fd: int) -> Holder:
    try:
        fields = json.loads(os.pread(fd, 1000, 0))
        # Versions before the page was written down are stopped by this one, too.
        return Holder(int(fields["owner"]), int(fields["server"]), str(fields.get("page", "")))
    except (ValueError, KeyError, TypeError):
        return Holder(0, 0)  # read while it was being written


def _alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _holds(pid: int, path: Path) -> bool:
    """Whether process `pid` has the lock file open; where /proc is absent, whether it lives."""
    if not _alive(pid):
        return False
    descriptors = Path(f"/proc/{pid}/fd")
    if not descriptors.is_dir():
        return not Path("/proc/self/fd").is_dir()
    try:
        return any(_same_file(entry, path) for entry in descriptors.iterdir())
    except OSError:
        return False


def _same_file(entry: Path, path: Path) -> bool:
    try:
        return entry.samefile(path)
    except OSError:
        return False


def _in_use(directory: Path, holder: Holder) -> str:
    return (
        f"another server is running in {directory} (started by process {holder.owner}, server "
        f"process {holder.server}): stop that one first, or use another directory"
    )
