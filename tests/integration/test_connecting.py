"""A connection that is being made when its task is cancelled."""

from __future__ import annotations

import asyncio

from pepi_stream.settings import load_settings
from pepi_stream.sink import connect


async def test_a_cancellation_is_never_lost(database_url: str) -> None:
    """A task that loses one goes on, and whoever waits for its end waits for ever."""
    database = load_settings({"DATABASE_URL": database_url}).database

    async def connect_for_ever() -> None:
        while True:
            (await connect(database)).close()

    for turns in range(60):
        task = asyncio.ensure_future(connect_for_ever())
        for _ in range(turns):
            await asyncio.sleep(0)  # one more turn of the loop
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=5)
        task.cancel()
        assert done, f"lost after {turns} turns"
