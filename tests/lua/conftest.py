"""Every test of a script ends with the conservation check."""

from collections.abc import AsyncIterator

import pytest

from tests.claims_bench import Bench, client_of


@pytest.fixture
async def bench(redis_url: str) -> AsyncIterator[Bench]:
    redis = client_of(redis_url)
    try:
        bench = Bench(redis)
        yield bench
        await bench.check()
    finally:
        await redis.aclose()
