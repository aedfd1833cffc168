"""Every test of a script ends with the conservation check."""

from collections.abc import AsyncIterator

import pytest

from tests.claiming import Bench, checked_bench


@pytest.fixture
async def bench(redis_url: str) -> AsyncIterator[Bench]:
    async with checked_bench(redis_url) as bench:
        yield bench
