"""A chaos run from start to verdict."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from pepi_stream.local.books import connect
from pepi_stream.settings import Settings
from tests.chaos.cluster import Cluster, Servers, own_servers
from tests.chaos.faults import FAULTS
from tests.chaos.schedule import schedule
from tests.chaos.verdict import Verdict, judge
from tests.live import differences, snapshot
from tests.waiting import wait_until

_PROGRESS_SECONDS = 10.0
_DRAIN_SECONDS = 300.0
_PAGE_SECONDS = 5.0  # a page may be reading the tables anew, after what it missed
_AT_ONCE = 8  # faults under way; the next waits until one of them is over


class Plan(NamedTuple):
    """What to do in a run.

    Attributes:
        seconds: how long faults are injected.
        seed: of their order, times and places.
        workers: how many.
        names: of the faults.
        every: mean seconds between two faults.
        per_second: events pushed, at most; the producer waits while the queue is long.
        dedupe: the producer pushes some events again, which must take no effect.
        make_servers: what all runs on.
    """

    seconds: float
    seed: int = 1
    workers: int = 4
    names: Sequence[str] = tuple(FAULTS)
    every: float = 2.0
    per_second: float = 20_000.0
    dedupe: bool = False
    make_servers: Callable[[Path], Servers] = own_servers


class Run:
    """One run.

    Attributes:
        faults: how often each took effect.
        missed: those that did not, in words.
    """

    def __init__(self, plan: Plan, directory: Path) -> None:
        self.plan = plan
        self.cluster = Cluster(
            directory,
            workers=plan.workers,
            seed=plan.seed,
            dedupe=plan.dedupe,
            make_servers=plan.make_servers,
        )
        self.faults: Counter[str] = Counter()
        self.missed: list[str] = []
        self._began = 0.0

    async def __call__(self) -> tuple[str, list[str]]:
        """Run; return the JSON report and what is wrong, in words."""
        self._began = time.monotonic()
        cluster = self.cluster
        async with cluster.running():
            stop_pushing = asyncio.Event()
            producing = asyncio.ensure_future(
                cluster.producer.run(stop_pushing, per_second=self.plan.per_second)
            )
            progress = asyncio.ensure_future(self._show_progress())
            try:
                await self._inject(producing)
                stop_pushing.set()
                await producing
                self._say("no more faults; draining")
                drained = await self._drained()
            finally:
                progress.cancel()
                producing.cancel()
            pages = await self._compare_pages()
            await cluster.stop_workers()
            self._say("comparing")
            verdict = await asyncio.to_thread(self._judge)
        wrong = [*verdict.wrong, *(f for w in cluster.workers for f in w.failures)]
        wrong += [f"{w.name} logged a traceback" for w in cluster.workers if self._crashed(w.name)]
        verdict.page_mismatch = len(pages)
        wrong += pages
        if not drained:
            wrong.append(f"not drained {_DRAIN_SECONDS:g} s after the last fault")
        for line in self.missed:
            self._say(f"did not take effect, and is not counted: {line}")
        return verdict.report(time.monotonic() - self._began, self.faults), wrong

    async def _inject(self, producing: asyncio.Future[None]) -> None:
        plan, random = self.plan, self.cluster.random
        began = time.monotonic()
        tasks: set[asyncio.Task[None]] = set()
        for at, name in schedule(plan.names, seconds=plan.seconds, every=plan.every, random=random):
            await self.cluster.pause(at - (time.monotonic() - began))
            if len(tasks) >= _AT_ONCE:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if producing.done():
                producing.result()
            task = asyncio.ensure_future(self._one(name, Random(random.random())))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await self.cluster.pause(plan.seconds - (time.monotonic() - began))
        await asyncio.gather(*tasks)

    async def _one(self, name: str, random: Random) -> None:
        """Let a fault happen; one whose moment does not come is tried once more."""
        for _ in range(2):
            try:
                await FAULTS[name](self.cluster, random)
            except Exception as exc:
                missed = f"{name}: {type(exc).__name__} {exc}"
            else:
                self.faults[name] += 1
                return
        self.missed.append(missed)

    async def _drained(self) -> bool:
        async def empty() -> bool:
            # The producer's mark is the only key.
            return int(await self.cluster.redis.dbsize()) <= 1

        try:
            await wait_until(empty, seconds=_DRAIN_SECONDS)
        except AssertionError:
            return False
        return True

    async def _compare_pages(self) -> list[str]:
        """Wait until each live page equals the tables; return what still differs, in words (P6)."""
        settings = self.cluster.settings
        wrong = []
        with closing(connect(settings)) as mysql:
            for worker in self.cluster.workers:
                if worker.port is None:
                    continue
                look = partial(_page_differences, worker.port, mysql, settings)
                began = time.monotonic()
                found = await asyncio.to_thread(look)
                while found and time.monotonic() - began < _PAGE_SECONDS:
                    await self.cluster.pause(0.1)
                    found = await asyncio.to_thread(look)
                wrong += [f"the page of {worker.name}: {line}" for line in found]
        return wrong

    def _judge(self) -> Verdict:
        cluster = self.cluster
        return judge(
            cluster.redis_server.url,
            cluster.settings,
            cluster.producer.pushed,
            repeats=cluster.producer.repeats,
            payloads=cluster.producer.payloads,
            max_rss_mb=cluster.max_rss_mb,
        )

    def _crashed(self, name: str) -> bool:
        log = (self.cluster.directory / f"{name}.log").read_text(errors="replace")
        return "Traceback (most recent call last)" in log

    async def _show_progress(self) -> None:
        while True:
            await self.cluster.pause(_PROGRESS_SECONDS)
            self._say(
                f"{self.faults.total()} faults, {self.cluster.producer.events:,} events pushed"
            )

    def _say(self, text: str) -> None:
        print(f"{time.monotonic() - self._began:6.1f} s  {text}", file=sys.stderr, flush=True)


def _page_differences(port: int, mysql: Any, settings: Settings) -> list[str]:
    try:
        return differences(snapshot(port), mysql, settings)
    except OSError as exc:
        return [f"no answer: {exc}"]
