"""The log of a process: one line a record, which forges no other and quotes no secret.

Whatever is logged, by us or by a library, passes here last. A message is made printable. An
exception among its arguments, or behind it, is named and not quoted (see
:func:`pepi_stream.errors.message_of`), as is one that asyncio or the interpreter finds unhandled.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import traceback
from collections.abc import Mapping
from typing import Any

from pepi_stream.errors import message_of
from pepi_stream.printable import printable

logger = logging.getLogger(__name__)

_FORMAT = "[%(asctime)s] [%(process)d] [%(levelname)s] %(message)s"


class LineFormatter(logging.Formatter):
    """Formats records as above; a traceback follows in lines of its own, without any values."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record."""
        shown = logging.makeLogRecord(vars(record))
        shown.args = _named(record.args)
        shown.msg, shown.args = printable(shown.getMessage()), None
        shown.exc_info = shown.exc_text = shown.stack_info = None
        text = super().format(shown)
        exc = record.exc_info[1] if record.exc_info else None
        return text if exc is None else f"{text}\n{trace(exc)}"


def trace(exc: BaseException) -> str:
    """Return an exception's traceback, and those of its causes, without any values."""
    parts: list[str] = []
    seen: BaseException | None = exc
    while seen is not None:
        frames = traceback.extract_tb(seen.__traceback__).format()
        lines = [printable(line) for frame in frames for line in frame.splitlines()]
        kind = f"{type(seen).__module__}.{type(seen).__qualname__}"
        parts.append(
            "\n".join(["Traceback (most recent call last):", *lines, _with_kind(kind, seen)])
        )
        if seen.__cause__ is not None:
            parts.append("The above exception was the direct cause of the following exception:")
            seen = seen.__cause__
        elif seen.__context__ is not None and not seen.__suppress_context__:
            parts.append("During handling of the above exception, another exception occurred:")
            seen = seen.__context__
        else:
            break
    return "\n\n".join(reversed(parts))


def _with_kind(kind: str, exc: BaseException) -> str:
    words = message_of(exc)
    return kind if words == type(exc).__name__ else f"{kind}: {printable(words)}"


class _Named:
    """Stands for an exception among the arguments of a message."""

    def __init__(self, exc: BaseException) -> None:
        self._words = message_of(exc)

    def __repr__(self) -> str:
        return self._words


def _named(args: Any) -> Any:
    if isinstance(args, Mapping):
        return {key: _named_one(value) for key, value in args.items()}
    return tuple(map(_named_one, args)) if isinstance(args, tuple) else args


def _named_one(value: object) -> object:
    return _Named(value) if isinstance(value, BaseException) else value


def set_up_log(level: int, path: str | None) -> None:
    """Send the log to a file, or to standard output.

    Below DEBUG, what Faust and its kin say of themselves is left out.
    """
    handler = logging.FileHandler(path) if path else logging.StreamHandler(sys.stdout)
    handler.setFormatter(LineFormatter(_FORMAT))
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(level)
    for name in ("faust", "mode", "aiokafka"):
        logging.getLogger(name).setLevel(logging.WARNING if level > logging.DEBUG else level)


def guard_log() -> None:
    """Let nothing that nobody handles be printed with its text; the log is not set up yet."""
    logging.raiseExceptions = False  # a full disk is not worth a traceback a line
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(LineFormatter("%(levelname)s: %(message)s"))
    sys.unraisablehook = lambda args: _unhandled("ignored", args.exc_value)
    threading.excepthook = lambda args: _unhandled("a thread ended", args.exc_value)
    sys.excepthook = lambda kind, exc, tb: _unhandled("unhandled", exc)


def guard_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Let a loop's complaints name the exception that they are about."""

    def complain(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        message = str(context.get("message", ""))
        if message.startswith("Exception in callback"):  # and its arguments
            message = "Exception in callback"
        _unhandled(f"asyncio: {message}", context.get("exception"))

    loop.set_exception_handler(complain)


def _unhandled(what: str, exc: BaseException | None) -> None:
    logger.error("%s", what, exc_info=exc)
