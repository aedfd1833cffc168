"""Standard input, output and error of a process, whatever it was started with."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TextIO


def open_streams() -> None:
    """Open /dev/null for each standard stream that is closed.

    A socket would get its number otherwise, and what is written on the stream would go there. When
    the interpreter found a stream closed, its number may be somebody else's by now (libffi keeps a
    file of its own open): what is written is dropped without it.
    """
    for fd in range(3):  # in order: what is opened gets the lowest free number
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")


def flush_streams() -> OSError | None:
    """Write out what is buffered; return why standard output could not be written, if so.

    What cannot be written is dropped: the interpreter would complain of it at its end, and exit
    with another status.
    """
    failure = None
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as exc:
            if stream is sys.stdout:
                failure = exc
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return failure


def complain(line: str) -> None:
    """Write a line on standard error, if that can be written."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)
