"""Faults of workers: killed, stopped, frozen at the worst moment."""

from __future__ import annotations

from random import Random
from typing import Any, Final

from pepi_stream.claims.scripts import Scripts
from tests.chaos.cluster import SETTINGS, Cluster, frozen
from tests.chaos.registry import fault

_SCRIPTS: Final = Scripts()
_CLAIM = _SCRIPTS.claim.sha.encode()
_ACK = _SCRIPTS.ack.sha.encode()
_COMMIT = b"\x03COMMIT"
_WINDOWS = b"\x03INSERT INTO `pepi_window_"

_LEASE_SECONDS: Final = float(SETTINGS["PEPI_SOURCE__LEASE_SECONDS"])
_PATIENCE_SECONDS = 25.0  # for a fault's moment to come


@fault
async def sigkill_worker(cluster: Cluster, random: Random) -> None:
    """SIGKILL, at any moment."""
    async with cluster.some_worker(random) as worker:
        worker.kill()
        await cluster.pause(random.uniform(0, 1))
        worker.start()
        await worker.ready()


@fault
async def sigterm_worker(cluster: Cluster, random: Random) -> None:
    """A deploy of one worker: it must end by itself, with status 0."""
    async with cluster.some_worker(random) as worker:
        await worker.stop()
        worker.start()
        await worker.ready()


@fault
async def rolling_restart(cluster: Cluster, random: Random) -> None:
    """A deploy of all workers, one after the other."""
    for worker in cluster.workers:
        async with worker.busy:
            await worker.stop()
            worker.start()
            await worker.ready()


@fault
async def sigstop_worker(cluster: Cluster, random: Random) -> None:
    """SIGSTOP past the lease, at any moment, and SIGCONT: a zombie."""
    async with cluster.some_worker(random) as worker, frozen(worker.pid):
        await cluster.pause(_LEASE_SECONDS + random.uniform(0.5, 2))


@fault
async def zombie_before_claim_reply(cluster: Cluster, random: Random) -> None:
    """A zombie that has claimed and does not know it yet."""
    await _zombie(cluster, random, "redis", _CLAIM, "reply")


@fault
async def zombie_in_transaction(cluster: Cluster, random: Random) -> None:
    """A zombie with rows written and not committed."""
    await _zombie(cluster, random, "mysql", _WINDOWS, "reply")


@fault
async def zombie_after_commit(cluster: Cluster, random: Random) -> None:
    """A zombie that has committed and does not know it yet."""
    await _zombie(cluster, random, "mysql", _COMMIT, "reply")


@fault
async def zombie_before_ack(cluster: Cluster, random: Random) -> None:
    """A zombie whose ack arrives when others have long had the claim."""
    await _zombie(cluster, random, "redis", _ACK, "request")


async def _zombie(cluster: Cluster, random: Random, side: str, part: bytes, at: Any) -> None:
    async with cluster.some_worker(random) as worker:
        proxy = worker.redis if side == "redis" else worker.mysql
        async with proxy.held_up(part, at, seconds=_PATIENCE_SECONDS), frozen(worker.pid):
            await cluster.pause(_LEASE_SECONDS + random.uniform(0.5, 2))
