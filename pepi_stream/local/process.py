"""A private server process: its directory, lock, socket, port, log, and how it starts and ends.

What it runs is said by the subclasses in `pepi_stream.local.servers`.
"""

import contextlib
import errno
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Self

from pepi_stream.local.errors import ServerStartError
from pepi_stream.local.lock import DirectoryLock

_POLL_SECONDS = 0.02
_PROBE_SECONDS = 1.0
_PORT_ATTEMPTS = 3
_LOG_TAIL_LINES = 20
# sockaddr_un.sun_path holds 108 bytes on Linux and 104 on macOS, the closing NUL included.
_MAX_SOCKET_PATH_BYTES = 103

# Runs before the server in the server's own process (Linux): asks the kernel for a SIGTERM when
# the starter dies, however it dies, then becomes the server. PR_SET_PDEATHSIG is 1, see prctl(2).
EXEC_TIED_TO_STARTER = """
import ctypes, os, signal, sys
if ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGTERM, 0, 0, 0) != 0:
    sys.exit("prctl(PR_SET_PDEATHSIG): " + os.strerror(ctypes.get_errno()))
if os.getppid() != int(sys.argv[1]):
    sys.exit("the process that started this server has ended")
os.execv(sys.argv[2], sys.argv[2:])
"""


class ServerProcess(ABC):
    """One server process, which keeps everything in one directory and never outlives its starter.

    Args:
        directory: Everything the server keeps; made, private to this user, when it is missing.
        tcp: Whether it listens on a TCP port, too; then everybody on this machine can try to log
            in, so it has a password.
        port: TCP port on 127.0.0.1. By default a free one is chosen at the first start, and kept
            for later starts of the same object.
        start_timeout: Seconds within which a started server must answer.
        stop_timeout: Seconds within which a stopped server must end; then it is killed.
    """

    name: ClassVar[str]

    def __init__(
        self,
        directory: Path,
        *,
        tcp: bool,
        port: int | None = None,
        start_timeout: float = 60.0,
        stop_timeout: float = 30.0,
    ) -> None:
        self.directory = directory.absolute()
        self.log_path = self.directory / f"{self.name}.log"
        self._tcp = tcp
        self._fixed_port = port
        self._chosen_port: int | None = None
        self._start_timeout = start_timeout
        self._stop_timeout = stop_timeout
        self._lock = DirectoryLock(self.directory)
        self._process: subprocess.Popen[bytes] | None = None
        self._short_directory: Path | None = None
        self._log_start = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The server's process id.

        Raises:
            ServerStartError: The server is not running.
        """
        if self._process is None or self._process.poll() is not None:
            raise ServerStartError(f"{self.name} in {self.directory} is not running")
        return self._process.pid

    @property
    def port(self) -> int:
        """The TCP port on 127.0.0.1.

        Raises:
            ServerStartError: It listens on none, or no port was given and it has never been
                started.
        """
        if not self._tcp:
            raise ServerStartError(f"{self.name} in {self.directory} listens on no TCP port")
        port = self._fixed_port or self._chosen_port
        if port is None:
            raise ServerStartError(f"{self.name} in {self.directory} has not been started yet")
        return port

    @property
    def socket_path(self) -> Path:
        """The Unix socket: in the directory, or in a short private one if that path is too long."""
        path = self.directory / f"{self.name}.sock"
        if len(os.fsencode(path)) <= _MAX_SOCKET_PATH_BYTES:
            return path
        if self._short_directory is None:
            root = "/tmp" if Path("/tmp").is_dir() else None
            self._short_directory = Path(tempfile.mkdtemp(prefix="pepi-", dir=root))
        return self._short_directory / path.name

    def start(self) -> None:
        """Start the server on what its directory holds; return once it answers.

        Call it from a thread that lives as long as the server should: Linux ends the server with
        the thread that started it. Does nothing when the server is running.

        Raises:
            DirectoryInUseError: Another process runs a server in this directory.
            ServerMissingError: The server program is not installed.
            ServerStartError: The directory or the port cannot be used, or the server ended or did
                not answer in time; the message ends with the last lines of its log.
        """
        if self.running:
            return
        self._lock.release()
        try:
            make_private(self.directory)
            self._lock.acquire(self._stop_timeout)
            if self._short_directory is not None:  # a stop removes it; its name is known since
                make_private(self._short_directory)
            self._prepare()
            if self._tcp:
                self._launch_on_a_free_port()
            else:
                self._launch()
        except OSError as error:
            self._abandon()
            raise ServerStartError(f"cannot start {self.name} in {self.directory}: {error}") from (
                error
            )
        except BaseException:
            self._abandon()
            raise

    def stop(self) -> None:
        """Ask the server to end, wait, kill it if that takes too long. Safe to call twice."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(self._stop_timeout)
        self._abandon()

    def kill(self) -> None:
        """SIGKILL the server and the processes it forked; its socket's directory stays."""
        if self._process is not None:
            if self._process.poll() is None:
                _kill_group(self._process)
            self._process = None
        self._lock.release()

    def log_tail(self) -> str:
        """The last lines the server logged since its latest start."""
        try:
            with self.log_path.open("rb") as log:
                log.seek(self._log_start)
                lines = log.read().decode(errors="replace").splitlines()
        except OSError:
            lines = []
        return "\n".join(lines[-_LOG_TAIL_LINES:]) or "(nothing logged)"

    def _prepare(self) -> None:  # noqa: B027  # a server that needs nothing leaves it
        """Make what the server needs in its directory. Called with the lock held."""

    @abstractmethod
    def _command(self) -> list[str]:
        """Return the server's command line."""

    @abstractmethod
    def _answers(self, connection: socket.socket) -> bool:
        """Whether the server behind `connection` is ready for work.

        Raises:
            OSError: It is not ready yet.
            ServerStartError: It never will be; the message continues "redis in /directory ...".
        """

    def _abandon(self) -> None:
        self.kill()
        if self._short_directory is not None:
            shutil.rmtree(self._short_directory, ignore_errors=True)

    def _launch_on_a_free_port(self) -> None:
        """Between choosing a port and the server's bind somebody else can take it: try again."""
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            if self._fixed_port is None and self._chosen_port is None:
                self._chosen_port = free_port()
            if not port_is_free(self.port):
                raise ServerStartError(
                    f"cannot start {self.name}: port {self.port} of 127.0.0.1 is in use by another "
                    "program; choose another port, or none to get a free one"
                )
            try:
                return self._launch()
            except ServerStartError:
                lost_the_port = self._fixed_port is None and not port_is_free(self.port)
                if not lost_the_port or attempt == _PORT_ATTEMPTS:
                    raise
                self._chosen_port = None

    def _launch(self) -> None:
        command = self._command()
        if sys.platform == "linux":
            tie = [sys.executable, "-I", "-S", "-c", EXEC_TIED_TO_STARTER, str(os.getpid())]
            command = tie + command
        with self.log_path.open("ab") as log:
            self._log_start = log.tell()
            # A session of its own: Ctrl-C in the terminal reaches the workers, which drain into
            # these servers, and not the servers.
            self._process = subprocess.Popen(
                command,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[self._lock.fd],
                start_new_session=True,
            )
        self._lock.record(self._process.pid)
        self._wait_until_it_answers(self._process)

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + self._start_timeout
        while True:
            if (status := process.poll()) is not None:
                reason = f"ended with status {status} while starting"
                break
            try:
                if self._probe():
                    return
            except ServerStartError as error:
                reason = str(error)
                _kill_group(process)
                break
            if time.monotonic() > deadline:
                reason = f"did not answer within {self._start_timeout:g} seconds"
                _kill_group(process)
                break
            time.sleep(_POLL_SECONDS)
        raise ServerStartError(
            f"{self.name} in {self.directory} {reason}; the end of {self.log_path}:\n"
            f"{self.log_tail()}"
        )

    def _probe(self) -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_PROBE_SECONDS)
            try:
                connection.connect(str(self.socket_path))
                return self._answers(connection)
            except OSError:
                return False


def make_private(directory: Path) -> None:
    """Make a directory, and what is missing above it, for this user only.

    A folder `.local` above it, which older versions made for all to look at, is closed to others.

    Raises:
        OSError: It cannot be made, or somebody else's is there.
    """
    for place in (*reversed(directory.parents), directory):
        with contextlib.suppress(FileExistsError):
            place.mkdir(mode=0o700)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "is not a directory of this user", str(directory))
    for place in (directory, *directory.parents):
        if place.name == ".local" and place.stat().st_uid == os.geteuid():
            place.chmod(0o700)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL a server that has not been waited for, with what it forked: it leads a session."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def port_is_free(port: int) -> bool:
    """Tell whether nobody listens on the TCP port of 127.0.0.1 now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen()  # with SO_REUSEADDR, macOS lets bind() pass where this does not
        except (OSError, OverflowError):
            return False
        return True
