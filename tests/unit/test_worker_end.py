"""The end of a worker's event loop: it waits for what is left, and for nothing else."""

import asyncio
from typing import Any, NoReturn

import mode

from pepi_stream.runtime.worker import PepiWorker


def close(loop: asyncio.AbstractEventLoop) -> None:
    """Do what a worker does just before it closes its loop; nothing of it uses the worker."""
    worker: Any = object()
    loop.run_until_complete(PepiWorker._sentinel_task(worker))


def test_mode_calls_it() -> None:
    assert "_sentinel_task" in mode.Worker._shutdown_loop.__code__.co_names


def test_with_nothing_left_it_sets_no_timer() -> None:
    with asyncio.Runner(loop_factory=Untimed) as runner:
        close(runner.get_loop())


class Untimed(asyncio.SelectorEventLoop):
    def call_at(self, *args: Any, **kwargs: Any) -> NoReturn:  # type: ignore[override]
        raise AssertionError("a timer, so time is spent waiting")


def test_a_cancelled_task_comes_to_its_end() -> None:
    done = []

    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(100):
                await asyncio.sleep(0)
            done.append(True)

    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        task = loop.create_task(slow())
        loop.run_until_complete(asyncio.sleep(0))
        task.cancel()
        close(loop)
        assert done
