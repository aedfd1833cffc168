"""A Redis Cluster is named as one; on the node that has the queue, all works."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis

from pepi_stream.local.process import free_port
from pepi_stream.local.servers import RedisServer
from tests.flow import QUEUE, MakeFlow, plain, wait_for

SLOTS = 16384


class Node(RedisServer):
    """A node of a Cluster."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, tcp=True)
        self.bus = free_port()

    def _command(self) -> list[str]:
        return [*super()._command(), "--cluster-enabled", "yes", "--cluster-port", str(self.bus)]

    def ask(self, *command: Any) -> Any:
        with redis.Redis.from_url(self.url) as client:
            return client.execute_command(*command)


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[Node]]:
    """Two nodes: one has the queue's slot, the other has all others."""
    with ExitStack() as stack:
        owner, other = (stack.enter_context(Node(tmp_path / name)) for name in ("owner", "other"))
        slot = int(owner.ask("CLUSTER KEYSLOT", QUEUE))
        owner.ask("CLUSTER ADDSLOTS", slot)
        other.ask("CLUSTER ADDSLOTSRANGE", 0, slot - 1, slot + 1, SLOTS - 1)
        owner.ask("CLUSTER MEET", "127.0.0.1", other.port, other.bus)

        def is_whole(node: Node) -> bool:
            info: Any = node.ask("CLUSTER INFO")
            return str(info["cluster_state"]) == "ok"

        wait_for(lambda: is_whole(owner) and is_whole(other))
        yield [owner, other]


def test_a_node_without_the_queue_names_the_one_that_has_it(
    nodes: list[Node], make_flow: MakeFlow, database_url: str
) -> None:
    owner, other = nodes
    flow = make_flow(other.tcp_url, database_url)
    flow.make_tables()
    told = f"this is a Redis Cluster, and it has the queue on 127.0.0.1:{owner.port} (MOVED)"
    worker = flow.worker()
    assert worker.process.wait(30) == 70
    assert told in worker.log
    assert "name that node in REDIS_URL" in worker.log
    for command in (["check"], ["peek"]):
        done = flow.command(*command)
        assert done.returncode != 0
        assert told in done.stdout + done.stderr, command
    assert "6.2" not in worker.log

    numbered = make_flow(owner.tcp_url.removesuffix("0") + "1", database_url)
    worker = numbered.worker("--without-web")
    assert worker.process.wait(30) == 70
    assert "a Redis Cluster, which has database 0 only" in worker.log

    there = make_flow(owner.tcp_url, database_url)
    pushed = there.push(plain(range(2000)))
    worker = there.worker()
    there.wait_drained()
    assert worker.stop() == 0
    there.check_books(pushed)
