"""How a service ends its tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

_AGAIN_SECONDS = 0.5


async def end(tasks: Iterable[asyncio.Task[Any]], *, again: float = _AGAIN_SECONDS) -> None:
    """Cancel tasks until all of them have ended, however they do.

    Once is not always enough: ``asyncio.wait_for`` of Python 3.11, with which redis-py sends, loses
    a cancellation that comes just when what it waits for is done, and the task goes on.

    Args:
        tasks: to end.
        again: seconds after which those that go on are cancelled once more.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        ended, pending = await asyncio.wait(pending, timeout=again)
        for task in ended:
            if not task.cancelled():
                task.exception()  # else asyncio says that nobody asked
