"""What `make run` and `make demo` share: private servers, and the processes that use them.

Everything is under one directory of the checkout, for example `.local/run/`: `redis/` and
`mariadb/`, a log for each process, and `server.lock`, by which `python -m pepi_stream.local stop`
finds the process that started it all.

No process outlives the one that started it. A Ctrl-C or SIGTERM here stops the simulator, then the
workers, which drain, then MariaDB, then Redis. Should this process be killed outright, Linux sends
each of them a SIGTERM.
"""

import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import Any, Self

import redis

from pepi_stream.errors import PepiError
from pepi_stream.local.books import connect
from pepi_stream.local.child import Child, procfile_processes
from pepi_stream.local.errors import DirectoryInUseError, LocalError
from pepi_stream.local.lock import LOCK_NAME, DirectoryLock, running_holder
from pepi_stream.local.process import make_private
from pepi_stream.local.servers import MariaDBServer, RedisServer
from pepi_stream.settings import Settings, load_settings

_POLL_SECONDS = 0.02
_LOCK_SECONDS = 45.0  # a worker whose starter was killed drains before it lets go
_STOP_SECONDS = 25.0  # worker.drain_seconds is 20 by default
_MIGRATE_SECONDS = 60.0
# All of these tell what was delivered. Beside formats that tell what was sent instead, the rates of
# the page would be of two things.
_MIX = "sendgrid,mailgun,postmark,sparkpost"
# They would win over REDIS_URL and DATABASE_URL, and point at somebody's real servers.
_NOT_INHERITED = frozenset({"PEPI_REDIS__URL", "PEPI_DATABASE__URL"})


class Interrupted(BaseException):
    """SIGINT, SIGTERM or SIGHUP arrived."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


class Signals:
    """While entered, the first signal raises `Interrupted`, and no later one disturbs the clean-up.

    A second Ctrl-C sets `impatient`: workers are then killed instead of drained, which loses
    nothing, because the next worker takes their claims over.
    """

    def __init__(self) -> None:
        self.impatient = False
        self._received: int | None = None
        self._armed = True
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            before = signal.getsignal(signum)
            if signum == signal.SIGHUP and before is signal.SIG_IGN:
                continue  # nohup
            self._before[signum] = before
            signal.signal(signum, self._on_signal)
        return self

    def __exit__(self, *exc_info: object) -> None:
        for signum, before in self._before.items():
            signal.signal(signum, before)

    def check(self) -> None:
        """Raise `Interrupted` again if the first time it was lost (in a destructor, say)."""
        if self._armed and self._received is not None:
            raise Interrupted(self._received)

    def disarm(self) -> None:
        """Raise nothing from now on: the clean-up begins."""
        self._armed = False

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        if self._received is not None:
            self.impatient |= signum == signal.SIGINT
            return
        self._received = signum
        if self._armed:
            raise Interrupted(signum)


class Stack:
    """Redis, MariaDB, and the processes of one run. Use it as a context manager.

    Leaving the context stops everything, in order.

    Args:
        directory: Where all of it is kept.
        signals: Entered by the caller.
        say: Called with a line for the person at the terminal.
        fresh: Wipe what an earlier run has left in the directory.
        defaults: PEPI_ variables for what the environment does not set.
        page: Address of the page, which a second one that is started here is told.
    """

    def __init__(
        self,
        directory: Path,
        signals: Signals,
        *,
        say: Callable[[str], None],
        fresh: bool = False,
        defaults: Mapping[str, str] = MappingProxyType({}),
        page: str = "",
    ) -> None:
        self._defaults = defaults
        self._page = page
        self.directory = directory.absolute()
        self.workers: list[Child] = []
        self.simulator: Child | None = None
        self._signals = signals
        self._say = say
        self._fresh = fresh
        self._lock = DirectoryLock(self.directory)
        self._redis = RedisServer(self.directory / "redis")
        self._mariadb = MariaDBServer(self.directory / "mariadb", tcp=False)
        self._env: dict[str, str] = {}
        self._settings: Settings | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    @property
    def settings(self) -> Settings:
        """The settings that the workers get."""
        assert self._settings is not None
        return self._settings

    def redis(self) -> "redis.Redis":
        """Make a client of the private Redis."""
        return redis.Redis.from_url(self._redis.url, socket_timeout=30.0)

    def mysql(self) -> Any:
        """Connect to the private MariaDB: a pymysql connection in UTC that commits by itself."""
        return connect(self.settings)

    def migrate(self) -> None:
        """Create the tables.

        Raises:
            LocalError: The command failed or took too long; with the end of its log.
        """
        self._say("creating the tables that are missing")
        child = self._faust("migrate")
        try:
            deadline = time.monotonic() + _MIGRATE_SECONDS
            while child.status is None and time.monotonic() < deadline:
                self.pause(_POLL_SECONDS)
        finally:
            child.kill()
        if child.status != 0:
            raise LocalError(f"the migration ended with {child.status}; {child.log_tail()}")

    def start_workers(self, entry: str, count: int = 1, *, port: int | None = None) -> None:
        """Start `count` processes of the Procfile's `entry`, each with its own log.

        Args:
            entry: The entry's name, for example `web`.
            count: How many; above 1 their logs are `worker.1.log`, `worker.2.log` ...
            port: PORT of the first, the next has the next port, as honcho does it.

        Raises:
            LocalError: The Procfile is not in the current directory, or lacks the entry.
        """
        wanted = procfile_processes(entry, count, env=self._env, port=port)
        for number, process in enumerate(wanted, start=1):
            log = "worker.log" if count == 1 else f"worker.{number}.log"
            self.workers.append(self._child(process.name, process.command, process.env, log))

    def start_simulator(self, rate: float, *, span: int = 0, malformed: int = 0) -> None:
        """Start `faust -A pepi_stream simulate`, without end.

        Args:
            rate: events a second.
            span: seconds of the past whose events it pushes first, all at once.
            malformed: payloads that nothing can read, among those of the past.
        """
        past = ("--span", f"{span}", "--malformed", f"{malformed}") if span else ()
        mix = ("--format", _MIX) if self.settings.source.format == "auto" else ()
        self.simulator = self._faust("simulate", "--rate", f"{rate:g}", *mix, *past)

    def pause(self, seconds: float) -> None:
        """Sleep; raises `Interrupted` if a signal arrived before."""
        self._signals.check()
        time.sleep(seconds)

    def check_alive(self) -> None:
        """Raise LocalError, with the end of the log, if anything that was started has ended."""
        for server in (self._redis, self._mariadb):
            if not server.running:
                raise LocalError(
                    f"{server.name} has ended; the end of {server.log_path}:\n{server.log_tail()}"
                )
        for child in self._children():
            if child.status is not None:
                raise LocalError(
                    f"{child.name} has ended with status {child.status}; {child.log_tail()}"
                )

    def stop_children(self) -> None:
        """Stop the simulator, then let the workers drain; kill what does not end in time.

        From here on no signal interrupts.
        """
        self._signals.disarm()
        if self.simulator is not None:
            self._end([self.simulator])
        self._end(self.workers)

    def stop(self) -> None:
        """Stop everything that still runs. Safe to call twice."""
        self.stop_children()
        self._mariadb.stop()
        self._redis.stop()
        self._lock.release()

    def _start(self) -> None:
        make_private(self.directory)
        self._acquire()
        if self._fresh:
            self._wipe()
        for server in (self._redis, self._mariadb):
            self._say(f"starting {server.name} in {shown(server.directory)}")
            server.start()
        environ = {k: v for k, v in os.environ.items() if k.upper() not in _NOT_INHERITED}
        self._env = {**self._defaults, **environ} | {
            "REDIS_URL": self._redis.url,
            "DATABASE_URL": self._mariadb.url,
            # `faust` in the Procfile is the one installed beside this Python.
            "PATH": os.pathsep.join(
                [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
            ),
        }
        try:
            self._settings = load_settings(self._env)
        except PepiError as error:
            raise LocalError(str(error)) from None
        urls = (self._settings.redis.url, self._settings.database.url)
        if tuple(u.get_secret_value() for u in urls) != (self._redis.url, self._mariadb.url):
            raise LocalError(
                "a PEPI_ variable sets redis.url or database.url, and this uses private servers "
                "only; unset it"
            )

    def _acquire(self) -> None:
        try:
            self._lock.acquire(0)
        except DirectoryInUseError:
            refuse_if_running(self.directory)
            # Its starter was killed: what is left of it drains, and ends by itself.
            self._say(
                f"{shown(self.directory)} is in use; waiting for what uses it to end "
                f"(at most {_LOCK_SECONDS:g} s)"
            )
            try:
                self._lock.acquire(_LOCK_SECONDS)
            except DirectoryInUseError as exc:
                raise LocalError(f"{exc}; `{_stop_command()}` does that") from None
        self._lock.record(0, self._page)

    def _wipe(self) -> None:
        """Remove everything but the lock; first see that no server still runs on it."""
        with contextlib.ExitStack() as locks:
            for server in (self._redis, self._mariadb):
                if server.directory.is_dir():
                    lock = DirectoryLock(server.directory)
                    lock.acquire(_LOCK_SECONDS)
                    locks.callback(lock.release)
            for path in self.directory.iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                elif path.name != LOCK_NAME:
                    path.unlink()

    def _faust(self, command: str, *arguments: str) -> Child:
        words = [sys.executable, "-m", "faust", "-A", "pepi_stream", command, *arguments]
        return self._child(command, words, self._env, f"{command}.log")

    def _child(self, name: str, command: Sequence[str], env: dict[str, str], log: str) -> Child:
        return Child(name, command, env=env, log=self.directory / log, lock=self._lock.fd)

    def _children(self) -> Iterator[Child]:
        yield from self.workers
        if self.simulator is not None:
            yield self.simulator

    def _end(self, children: Sequence[Child]) -> None:
        for child in children:
            child.terminate()
        deadline = time.monotonic() + _STOP_SECONDS
        for child in children:
            while child.status is None:
                if self._signals.impatient or time.monotonic() > deadline:
                    self._say(
                        f"{child.name} was killed before it had drained; nothing is lost, the next "
                        "worker takes its claims over"
                    )
                    child.kill()
                    break
                time.sleep(_POLL_SECONDS)


def refuse_if_running(directory: Path) -> None:
    """Raise LocalError if a process that runs a stack in `directory` is alive; says where."""
    holder = running_holder(directory)
    if holder is not None:
        raise LocalError(
            f"one is already running in {shown(directory.absolute())}, as process {holder.owner}."
            + (f"\nIts page is {holder.page}" if holder.page else "")
            + f"\nCtrl-C in its terminal stops it; from here, `{_stop_command()}` does."
        )


def shown(path: Path) -> str:
    """Return a path as a person at the terminal would write it."""
    with contextlib.suppress(ValueError):
        path = path.relative_to(Path.cwd())
    return str(path)


def _stop_command() -> str:
    return f"{shown(Path(sys.executable))} -m pepi_stream.local stop"
