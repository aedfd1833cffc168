"""Tasks of a service end, also one that loses a cancellation."""

import asyncio
import contextlib

from pepi_stream.services.tasks import end


async def for_ever() -> None:
    await asyncio.Event().wait()


async def loses_two_cancellations() -> None:
    for _ in range(2):
        with contextlib.suppress(asyncio.CancelledError):
            await for_ever()
    await for_ever()


async def fails_when_cancelled() -> None:
    try:
        await for_ever()
    finally:
        raise RuntimeError("in the clean-up")


async def test_all_tasks_end() -> None:
    works = (for_ever(), loses_two_cancellations(), fails_when_cancelled())
    tasks = [asyncio.ensure_future(work) for work in works]
    await asyncio.sleep(0)  # they begin

    async with asyncio.timeout(5):
        await end(tasks, again=0.001)

    assert [task.cancelled() for task in tasks] == [True, True, False]


async def test_there_may_be_none() -> None:
    await end([])
