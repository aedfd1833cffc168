"""What a process is doing: the stacks of its threads and tasks, without any value."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import Any

from pepi_stream.printable import printable

_AWAITED = (("cr_frame", "cr_await"), ("gi_frame", "gi_yieldfrom"), ("ag_frame", "ag_await"))


def stacks(loop: asyncio.AbstractEventLoop | None) -> str:
    """Return the stacks of all threads, and of all tasks of the loop."""
    lines = [f"stacks of process {os.getpid()}"]
    frames = sys._current_frames()
    for thread in threading.enumerate():
        lines.append(f"thread {printable(thread.name)}")
        lines += map(_place, _outermost_first(frames.get(thread.ident or 0)))
    for task in asyncio.all_tasks(loop) if loop else ():
        coroutine = task.get_coro()
        # Not the task's name: mode makes it of reprs, which quote results and exceptions.
        lines.append(f"task {printable(getattr(coroutine, '__qualname__', '?'))}")
        lines += _awaited(coroutine)
    return "\n".join(lines) + "\n"


def _outermost_first(frame: FrameType | None) -> list[FrameType]:
    return [found for found, _ in traceback.walk_stack(frame)][::-1] if frame else []


def _place(frame: FrameType) -> str:
    code = frame.f_code
    return printable(f"  {code.co_filename}:{frame.f_lineno} in {code.co_qualname}")


def _awaited(awaited: Any) -> Iterator[str]:
    """Yield where a coroutine is, and what it awaits, down to what waits for the loop."""
    while awaited is not None:
        for frame_name, next_name in _AWAITED:
            frame = getattr(awaited, frame_name, None)
            if frame is not None:
                yield _place(frame)
                awaited = getattr(awaited, next_name)
                break
        else:
            return
