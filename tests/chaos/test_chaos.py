"""A short chaos run, and that the harness would see what it looks for."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random

import pytest

from pepi_stream.local.servers import RedisServer
from tests.chaos import events
from tests.chaos.faults import FAULTS
from tests.chaos.producer import Producer
from tests.chaos.run import Plan, Run
from tests.chaos.schedule import schedule
from tests.chaos.verdict import MAX_RSS_MB, Verdict, judge
from tests.claiming import QUEUE, client_of
from tests.cutting_proxy import CuttingProxy, Link, cutting_proxy
from tests.flow import Flow, MakeFlow


async def test_every_kind_of_fault_and_every_event_is_accounted_for(tmp_path: Path) -> None:
    """P1 to P5 while everything breaks: one round of all faults, several at a time."""
    run = Run(Plan(seconds=len(FAULTS), every=1.0, seed=7, workers=3), tmp_path)
    report, wrong = await run()
    assert wrong == []
    # A fault whose moment did not come is not counted. All of them would be a broken harness.
    assert len(run.faults) >= len(FAULTS) - 3, run.missed
    found = json.loads(report)
    assert found["rows"] + found["dead"] == found["pushed"] > 100_000
    assert found["dead"] == events.count_dead(
        n for first in run.cluster.producer.pushed for n in range(first, first + events.CHUNK)
    )


# The verdict


class Books:
    """A drained flow, to be falsified."""

    def __init__(self, flow: Flow, producer: Producer) -> None:
        self.flow, self.producer = flow, producer

    def judge(self, max_rss_mb: float = 1.0) -> Verdict:
        return judge(
            self.flow.env["REDIS_URL"],
            self.flow.settings,
            self.producer.pushed,
            repeats=self.producer.repeats,
            payloads=self.producer.payloads,
            max_rss_mb=max_rss_mb,
        )


@pytest.fixture
async def books(make_flow: MakeFlow, redis_url: str, database_url: str) -> Books:
    return await drained(make_flow(redis_url, database_url, PEPI_SOURCE__FORMAT="pepipost"))


async def drained(flow: Flow, repeats: Random | None = None) -> Books:
    await asyncio.to_thread(flow.migrate)
    redis = client_of(flow.env["REDIS_URL"])
    producer = Producer(redis, repeats=repeats)
    for _ in range(events.BLOCK // events.CHUNK):
        await producer.push_chunk()
    await redis.delete("chaos:mark")
    await redis.aclose()
    worker = flow.worker()
    await asyncio.to_thread(flow.wait_drained)
    assert await asyncio.to_thread(worker.stop) == 0
    return Books(flow, producer)


def _sql(statement: str) -> Callable[[Flow], object]:
    return lambda flow: flow.sql(statement)


_ROW = "(SELECT * FROM (SELECT MIN(seq) FROM pepi_event) AS first)"


@pytest.mark.parametrize(
    ("falsify", "found"),
    [
        (_sql(f"DELETE FROM pepi_event WHERE seq = {_ROW}"), {"lost": 1, "window_mismatch": 2}),
        (_sql("DELETE FROM pepi_dead_letter LIMIT 1"), {"lost": 1}),
        (
            _sql(
                "INSERT INTO pepi_dead_letter (claim_id, position, payload, reason, format) "
                "SELECT claim_id, position, payload, reason, format FROM pepi_dead_letter LIMIT 1"
            ),
            {"duplicated": 1},
        ),
        (
            _sql(f"UPDATE pepi_event SET id = id + 1 WHERE seq = {_ROW}"),
            {"lost": 1, "duplicated": 1, "misplaced": 1},
        ),
        (_sql(f"UPDATE pepi_event SET url = '' WHERE seq = {_ROW}"), {"misplaced": 1}),
        (
            _sql("UPDATE pepi_dead_letter SET payload = REPLACE(payload, '1100', '1101') LIMIT 2"),
            {"lost": 1, "duplicated": 1, "misplaced": 1},
        ),
        (_sql("UPDATE pepi_window_minute SET n = n + 1 LIMIT 1"), {"window_mismatch": 1}),
        (_sql("DELETE FROM pepi_window_hour LIMIT 1"), {"window_mismatch": 1}),
        (_sql("UPDATE pepi_claim SET payloads = payloads + 1 LIMIT 1"), {}),
        (lambda flow: flow.redis.rpush("{pepi_queue}:claim:x", "left"), {"stray_keys": 1}),
        (lambda flow: flow.redis.rpush(QUEUE, "left"), {"stray_keys": 1}),
    ],
)
async def test_the_verdict_sees(
    books: Books, falsify: Callable[[Flow], object], found: dict[str, int]
) -> None:
    assert books.judge().wrong == []
    falsify(books.flow)
    verdict = books.judge()
    assert verdict.wrong != []
    names = ("lost", "duplicated", "misplaced", "window_mismatch", "stray_keys")
    assert {name: n for name in names if (n := getattr(verdict, name))} == found


async def test_repeats_take_no_effect_and_the_verdict_would_see_it(
    make_flow: MakeFlow, redis_url: str, database_url: str
) -> None:
    """What `make chaos DEDUPE=1` does, without the chaos."""
    settings = {"PEPI_SOURCE__FORMAT": "pepipost", "PEPI_SINK__DEDUPE": "event_uid"}
    books = await drained(make_flow(redis_url, database_url, **settings), Random(5))
    repeats = books.producer.repeats
    again = {number: times for number, times in repeats.items() if events.is_dead(number)}
    bad = sum(again.values())
    assert len(again) == 3
    verdict = books.judge()
    assert verdict.wrong == []
    assert verdict.repeats == sum(repeats.values()) > 500
    assert (verdict.rows, verdict.dead) == (events.BLOCK - 3, 3 + bad)
    books.flow.sql("DELETE FROM pepi_seen LIMIT 1")
    [wrong] = books.judge().wrong
    assert "pepi_seen knows 4996 events, and there are 4997 rows" in wrong
    books.flow.sql("DELETE FROM pepi_dead_letter LIMIT 1")
    assert books.judge().lost == 1


async def test_the_verdict_sees_a_worker_that_grew(books: Books) -> None:
    assert books.judge(MAX_RSS_MB).wrong == []
    [wrong] = books.judge(MAX_RSS_MB + 1).wrong
    assert "a worker took 201 MiB" in wrong


# The producer


@pytest.fixture
async def proxy(redis_server: RedisServer, redis_url: str) -> AsyncIterator[CuttingProxy]:
    async with cutting_proxy(redis_server.socket_path) as proxy:
        yield proxy


@pytest.mark.parametrize("at", ["request", "reply"])
async def test_a_push_whose_reply_is_lost_takes_place_once(
    proxy: CuttingProxy, redis_url: str, at: str
) -> None:
    behind, redis = client_of(proxy.url), client_of(redis_url)
    producer = Producer(behind)
    await producer.push_chunk()

    async def cut(link: Link) -> bool:
        link.cut()
        return False

    proxy.set_trap(b"EXEC", "reply" if at == "reply" else "request", cut)
    await producer.push_chunk()
    assert proxy._traps == []
    assert producer.pushed == [0, events.CHUNK]
    pushed = [event for first in producer.pushed for event in events.payloads(first)]
    assert [raw async for raw in _list(redis)] == pushed
    assert producer.payloads == len(pushed)
    for client in (behind, redis):
        await client.aclose()


async def _list(redis: object) -> AsyncIterator[bytes]:
    for raw in await redis.lrange(QUEUE, 0, -1):  # type: ignore[attr-defined]
        yield raw


# The schedule


def test_the_schedule_is_the_seeds_alone_and_treats_all_faults_alike() -> None:
    def times(seed: int) -> list[tuple[float, str]]:
        names = list(FAULTS)
        return list(schedule(names, seconds=600, every=2, random=Random(seed)))

    assert times(1) == times(1) != times(2)
    at = [seconds for seconds, _ in times(1)]
    assert at == sorted(at)
    assert at[0] > 0
    assert at[-1] <= 600
    assert 270 < len(at) < 330
    counts = Counter(name for _, name in times(1))
    assert counts.keys() == FAULTS.keys()
    assert max(counts.values()) - min(counts.values()) <= 1
