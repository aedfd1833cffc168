"""What a worker that ends with a failure does with its last claim."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pepi_stream.claims import Claim
from pepi_stream.errors import FatalError, PepiError
from pepi_stream.local.servers import RedisServer
from pepi_stream.pipeline import Pipeline
from pepi_stream.services import Delivery
from pepi_stream.settings import load_settings
from tests.claiming import checked_bench
from tests.cutting_proxy import cutting_proxy
from tests.waiting import wait_until


async def nothing(claim: Claim | None = None) -> None:
    """Stand in for a channel."""


@pytest.mark.parametrize("at", ["request", "reply"])
async def test_a_claim_that_is_on_its_way_when_a_worker_fails_is_released(
    redis_url: str, redis_server: RedisServer, at: str
) -> None:
    async with (
        checked_bench(redis_url) as bench,
        cutting_proxy(redis_server.socket_path) as proxy,
    ):
        await bench.push(b"a")
        settings = load_settings({"REDIS_URL": proxy.url, "PEPI_SOURCE__LEASE_SECONDS": "300"})
        failures: list[PepiError] = []
        delivery = Delivery(
            settings,
            Pipeline.from_settings(settings),
            deliver=nothing,
            subscribed=nothing,
            on_failure=failures.append,
        )
        script = delivery.store._scripts.claim
        await bench.redis.script_load(script.text.decode())

        delivery._claiming = delivery._spawn(delivery.source.claim_forever())
        async with proxy.held_up(script.sha.encode(), at, seconds=10):  # type: ignore[arg-type]
            delivery._fail(FatalError("no such table"))
            stopping = asyncio.ensure_future(delivery.on_stop())
            await wait_until(delivery.source._quiet.is_set)
        await stopping

        assert [str(failure) for failure in failures] == ["no such table"]
        claimed: list[Any] = await bench.redis.zrange(
            bench.store.claims_key, 0, -1, withscores=True
        )
        assert len(claimed) == 1
        assert float(claimed[0][1]) <= await bench.now()  # not in 300 s
