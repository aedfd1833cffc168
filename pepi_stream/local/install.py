"""Find the Redis and MariaDB programs, and install them from the system's packages if missing.

Only missing programs are installed. Servers of the system that run already are never started,
stopped, upgraded or configured, and packages installed here do not start or enable theirs.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pepi_stream.local.errors import ServerMissingError

MIN_REDIS = (6, 2)

# Server programs live in directories that a plain user's PATH often lacks.
_EXTRA_DIRECTORIES = (
    "/usr/local/sbin",
    "/usr/sbin",
    "/usr/local/bin",
    "/usr/libexec",
    "/opt/homebrew/bin",
    "/usr/local/opt/mariadb/bin",
)

_BREW_LINE = "brew install redis mariadb"

# "$@" is: the wanted packages, each followed by the package to take where a release has no such.
# - policy-rc.d is how Debian asks "may a package start its service now?"; 101 means no. One that
#   exists already is the administrator's answer and stays.
# - Enabling is separate (it takes effect at the next boot), so it is undone for the services that
#   the new packages brought.
# - --no-remove and --no-upgrade: rather fail than touch a server that is installed already.
_APT_SCRIPT = """
set -eu
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 NEEDRESTART_SUSPEND=1 LC_ALL=C
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ] && [ ! -L "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' HUP INT TERM
    printf '#!/bin/sh\\nexit 101\\n' >"$policy"
    chmod 755 "$policy"
fi
apt-get -o DPkg::Lock::Timeout=120 update
chosen=''
while [ $# -gt 0 ]; do
    if apt-cache policy "$1" | grep -q 'Candidate: [^(]'; then
        chosen="$chosen $1"
    else
        chosen="$chosen $2"
    fi
    shift 2
done
services=''
for service in redis-server mariadb; do
    [ -e "/etc/init.d/$service" ] || services="$services $service"
done
apt-get -o DPkg::Lock::Timeout=120 install -y --no-install-recommends --no-remove --no-upgrade \\
    $chosen
for service in $services; do
    # update-rc.d disables the systemd unit of that name too.
    [ ! -e "/etc/init.d/$service" ] || update-rc.d "$service" disable
done
"""

_REDIS_PACKAGES = ("redis-server", "redis-server")
_MARIADB_PACKAGES = (
    *("mariadb-server-core", "mariadb-server"),
    *("mariadb-client-core", "mariadb-client"),
)


class MariaDBPrograms(NamedTuple):
    """Where the two programs are that a private MariaDB needs."""

    server: Path
    install_db: Path
    base: Path | None = None
    """Where the rest of their release is, when it is not the system's."""

    def options(self) -> list[str]:
        """Return the options that say where the rest is."""
        return [] if self.base is None else [f"--basedir={self.base}"]


def find_redis() -> Path:
    """Return the path of `redis-server`.

    Raises:
        ServerMissingError: There is none, or it is older than 6.2.
    """
    path = _which("redis-server")
    if path is None:
        raise ServerMissingError("redis-server is not installed (6.2 or later is needed)")
    version = _version_line(path)
    found = re.search(r"v=(\d+)\.(\d+)", version)
    if found is None or (int(found[1]), int(found[2])) < MIN_REDIS:
        raise ServerMissingError(
            f"{path} is too old: 6.2 or later is needed, and it says {version!r}; "
            "install a newer one and put it first on PATH"
        )
    return path


def find_mariadb() -> MariaDBPrograms:
    """Return the paths of the MariaDB server and of `mariadb-install-db`.

    Raises:
        ServerMissingError: One of them is not installed. (Oracle's `mysqld` does not count.)
    """
    server = _which("mariadbd") or _which("mysqld")
    install_db = _which("mariadb-install-db") or _which("mysql_install_db")
    if server is not None and server.name == "mysqld" and "MariaDB" not in _version_line(server):
        server = None
    missing = [
        name
        for name, path in (("mariadbd", server), ("mariadb-install-db", install_db))
        if path is None
    ]
    if server is None or install_db is None:
        raise ServerMissingError(f"{' and '.join(missing)} of MariaDB: not installed")
    return MariaDBPrograms(server, install_db)


def ensure_servers() -> None:
    """Install what is missing of Redis and MariaDB, from Debian packages where there is apt-get.

    Runs apt-get as root, or through sudo, which may ask for a password on the terminal. Does
    nothing, in a few milliseconds, when both are there.

    Raises:
        ServerMissingError: Something is missing and could not be installed; says what, and the
            commands to run.
    """
    problems, packages = _survey()
    if not problems:
        return
    missing = "; ".join(problems)
    if sys.platform == "darwin":
        raise ServerMissingError(f"{missing}\nInstall them with:  {_BREW_LINE}")
    if not packages:  # there, but too old: replacing the system's own is not ours to do
        raise ServerMissingError(missing)
    names = " ".join(packages[::2])
    if shutil.which("apt-get") is None:
        raise ServerMissingError(
            f"{missing}\nThis machine has no apt-get. Install redis-server (6.2 or later), "
            "mariadbd and mariadb-install-db with its own package manager, then run this again."
        )
    by_hand = (
        f"apt-get update && apt-get install --no-install-recommends {names}\n"
        "(that starts a system Redis too; nothing here needs it)"
    )
    prefix = _as_root(f"{missing}\nAs root, run:  {by_hand}")
    print(f"setup: {missing}; installing {names} with apt-get", flush=True)
    finished = _apt(prefix, packages)
    still_missing, _ = _survey()
    if still_missing:
        raise ServerMissingError(
            f"{'; '.join(still_missing)}\napt-get could not install that (status "
            f"{finished.returncode}; its messages are above). As root, run:  {by_hand}"
        )


def apt_install(packages: Sequence[str]) -> None:
    """Install Debian packages, where there is apt-get and a way to be root.

    Raises:
        ServerMissingError: There is none; says what to install by hand.
    """
    names = " ".join(packages)
    if shutil.which("apt-get") is None:
        raise ServerMissingError(f"this machine has no apt-get; install {names} by other means")
    prefix = _as_root(f"As root, run:  apt-get install --no-install-recommends {names}")
    print(f"setup: installing {names} with apt-get", flush=True)
    _apt(prefix, [name for name in packages for _ in range(2)])


def _apt(prefix: Sequence[str], packages: Sequence[str]) -> "subprocess.CompletedProcess[bytes]":
    """Run the script over (wanted, fallback, ...); what it prints goes to our output."""
    return subprocess.run(
        [*prefix, "/bin/sh", "-c", _APT_SCRIPT, "apt", *packages],
        stdin=subprocess.DEVNULL,
        check=False,
    )


def _survey() -> tuple[list[str], list[str]]:
    """What is wrong with either server, and the packages (wanted, fallback, ...) of absent ones."""
    problems: list[str] = []
    packages: list[str] = []
    try:
        find_redis()
    except ServerMissingError as error:
        problems.append(str(error))
        if _which("redis-server") is None:
            packages += _REDIS_PACKAGES
    try:
        find_mariadb()
    except ServerMissingError as error:
        problems.append(str(error))
        packages += _MARIADB_PACKAGES
    return problems, packages


def _as_root(otherwise: str) -> list[str]:
    """The words to put before a command so that it runs as root.

    Raises:
        ServerMissingError: With the message `otherwise`: not root, and no way to become it.
    """
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo is not None:
        without_password = subprocess.run(
            [sudo, "-n", "true"], stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        if without_password.returncode == 0:
            return [sudo, "-n"]
        if sys.stdin is not None and sys.stdin.isatty():
            print(f"setup: {shlex.quote(sudo)} may ask for your password", flush=True)
            return [sudo]
    raise ServerMissingError(otherwise)


def _which(name: str) -> Path | None:
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *_EXTRA_DIRECTORIES))
    found = shutil.which(name, path=path)
    return None if found is None else Path(found)


def _version_line(program: Path) -> str:
    finished = subprocess.run(
        [program, "--version"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return finished.stdout.strip()
