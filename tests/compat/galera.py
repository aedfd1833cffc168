"""A Galera cluster of two nodes on one machine."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path

from pepi_stream.local.handshake import packet, receive_packet
from pepi_stream.local.install import MariaDBPrograms
from pepi_stream.local.process import free_port
from pepi_stream.local.servers import MariaDBServer


class GaleraNode(MariaDBServer):
    """One node; the first to start makes the cluster, the others take its state over.

    Args:
        directory: of the node.
        programs: a release that is unpacked under ``base``, with Galera and rsync.
        donor: a node that is there already; None for the first.
        weight: of the node's vote. With two nodes of one weight, neither goes on alone.
    """

    def __init__(
        self,
        directory: Path,
        programs: MariaDBPrograms,
        *,
        donor: GaleraNode | None = None,
        weight: int = 1,
    ) -> None:
        assert programs.base is not None
        self._donor = donor
        self.address = f"127.0.0.1:{free_port()}"
        provider = {
            "gmcast.listen_addr": f"tcp://{self.address}",
            "ist.recv_addr": f"127.0.0.1:{free_port()}",
            "gcache.size": "64M",
            "pc.weight": str(weight),
        }
        options: Sequence[str] = (
            "--wsrep-on=ON",
            f"--wsrep-provider={programs.base}/lib/galera/libgalera_smm.so",
            f"--wsrep-provider-options={';'.join(f'{k}={v}' for k, v in provider.items())}",
            f"--wsrep-cluster-address=gcomm://{donor.address if donor else ''}",
            "--wsrep-node-address=127.0.0.1",
            f"--wsrep-node-name={directory.name}",
            "--wsrep-sst-method=rsync",
            f"--wsrep-sst-receive-address=127.0.0.1:{free_port()}",
            "--binlog-format=ROW",
            "--innodb-autoinc-lock-mode=2",
        )
        super().__init__(directory, programs=programs, options=options)

    def _prepare(self) -> None:
        super()._prepare()
        if self._donor is not None:  # one user, so one password
            self._password_file.write_text(self._donor.password, encoding="ascii")

    def _answers(self, connection: socket.socket) -> bool:
        # A node that is taking over the state of another lets clients in and refuses statements.
        if not self._log_in(connection):
            return False
        connection.sendall(packet(0, b"\x03SELECT 1"))
        refused = receive_packet(connection).startswith(b"\xff")
        return not refused


def make_rsync_stay_root(base: Path) -> None:
    """Let the script that copies a node's state read it where the server runs as root."""
    script = base / "bin" / "wsrep_sst_rsync"
    text = script.read_text(encoding="utf-8")
    if os.geteuid() == 0 and "uid = root" not in text:
        script.write_text(
            text.replace("use chroot = no\n", "use chroot = no\nuid = root\ngid = root\n"),
            encoding="utf-8",
        )
