"""The article's own flows, in Perl and in Go, with what they need installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench.arena import Arena
from pepi_stream.local.child import Child
from pepi_stream.local.errors import LocalError
from pepi_stream.local.install import apt_install

_HERE = Path(__file__).parent / "contenders"
_SCRIPT = Path(__file__).parent.parent / "lua" / "lrange.lua"
_PERL_MODULES = ("DBI", "Redis", "DBD::mysql", "JSON::XS")
_PERL_PACKAGES = ("libredis-perl", "libdbd-mysql-perl", "libjson-xs-perl", "perl")
_BUILD_SECONDS = 300.0

ARTICLE_CONFIG = "config/article.toml"


def prepare_perl() -> str:
    """Install Perl and the modules that are missing; return the version of Perl.

    Raises:
        LocalError: they cannot be had; the message says why.
    """
    if not _perl_is_there():
        apt_install(_PERL_PACKAGES)
    if not _perl_is_there():
        raise LocalError(f"Perl lacks one of the modules {', '.join(_PERL_MODULES)}")
    return _output(["perl", "-e", "print $^V"])


def start_perl(arena: Arena, database: str) -> list[Child]:
    """Start the old flow; ready on return."""
    return _start(
        arena,
        "perl",
        [shutil.which("perl") or "perl", str(_HERE / "perl" / "flow.pl")],
        database,
        {},
    )


def prepare_go(directory: Path) -> tuple[Path, str]:
    """Build the Go flow, with a Go toolchain that is installed if there is none.

    Returns:
        The program's path, and the version of Go.

    Raises:
        LocalError: no toolchain, or the build fails; the message says why.
    """
    if shutil.which("go") is None:
        apt_install(["golang-go", "ca-certificates"])
    if shutil.which("go") is None:
        raise LocalError("there is no Go toolchain, and apt-get brought none")
    program = directory / "go-flow"
    built = subprocess.run(
        ["go", "build", "-buildvcs=false", "-o", str(program), "."],
        cwd=_HERE / "go",
        env=os.environ | {"CGO_ENABLED": "0"},  # no C compiler is needed
        capture_output=True,
        text=True,
        timeout=_BUILD_SECONDS,
        check=False,
    )
    if built.returncode != 0:
        raise LocalError(f"the Go flow does not build:\n{built.stderr}")
    return program, _output(["go", "version"])


def start_go(
    arena: Arena,
    database: str,
    program: Path,
    *,
    batch: int = 100,
    inserters: int = 1,
    interpolate: bool = False,
) -> list[Child]:
    """Start the new flow, by default as published; ready on return.

    Args:
        arena: with the servers.
        database: that it writes to.
        program: as :func:`prepare_go` built it.
        batch: events of one pop, and rows of one INSERT.
        inserters: goroutines that insert.
        interpolate: let the driver write the values into the statement (interpolateParams).
    """
    env = {
        "BENCH_SCRIPT": str(_SCRIPT),
        "BENCH_BATCH": str(batch),
        "BENCH_INSERTERS": str(inserters),
        "BENCH_INTERPOLATE": "1" if interpolate else "0",
    }
    return _start(arena, "go", [str(program)], database, env)


def _start(
    arena: Arena, name: str, command: Sequence[str], database: str, env: dict[str, str]
) -> list[Child]:
    child = arena.start(name, command, arena.contender_env(database) | env)
    arena.wait_ready([child], "ready")
    return [child]


def _perl_is_there() -> bool:
    if shutil.which("perl") is None:
        return False
    modules = [f"-M{module}" for module in _PERL_MODULES]
    return subprocess.run(["perl", *modules, "-e1"], capture_output=True).returncode == 0


def _output(command: Sequence[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
