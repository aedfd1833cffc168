"""The errors pepi_stream raises, as one small tree.

    PepiError                 exit  1   anything that is ours
    ├── ConfigError           exit 78   a setting is wrong: change it and start again
    ├── FatalError            exit 70   retrying cannot help: no such table, access denied
    ├── TransientError        exit 75   retrying can help: server away, deadlock, lock wait
    │   └── StaleConnectionError        ... over another connection, perhaps to another server
    └── PoisonError           exit  1   the data itself is refused: dead-letter it, with the reason

The last three are the three kinds a sink can meet; a worker backs off on TransientError, keeps the
record of a PoisonError whole and goes on, and stops on FatalError. The exit codes are those of
sysexits.h, so that a supervisor can tell "wait and restart me" (75) from "do not" (70, 78).

A message says what happened, to what, and what to do. It never holds a password.
"""

from __future__ import annotations

import os
import socket
import ssl
from typing import ClassVar, Final

from pepi_stream.printable import printable


class PepiError(Exception):
    """Base of every error raised on purpose by pepi_stream."""

    exit_code: ClassVar[int] = 1
    """Status of the process when this error ends it."""


class ConfigError(PepiError):
    """Settings are wrong or missing; the message has one line per problem."""

    exit_code: ClassVar[int] = 78  # EX_CONFIG


class FatalError(PepiError):
    """Trying again cannot help; a person has to change something outside the process."""

    exit_code: ClassVar[int] = 70  # EX_SOFTWARE


class TransientError(PepiError):
    """The same work may well succeed later: back off with jitter and try again."""

    exit_code: ClassVar[int] = 75  # EX_TEMPFAIL


class StaleConnectionError(TransientError):
    """The connection is broken, or leads to a server that cannot do the work (any more).

    A server that was demoted keeps its connections; another may be behind its name.
    """


class PoisonError(PepiError):
    """The data itself is refused, now and whenever it is tried again.

    Args:
        message: What was refused, by whom and why.
        reason: The text to keep beside the dead letter; the message when left out.
    """

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        """Keep the reason apart from the message, for the dead letter."""
        super().__init__(message)
        self.reason = message if reason is None else reason


def is_closed_transport(exc: BaseException) -> bool:
    """Tell whether uvloop refused to write because the peer had reset the idle connection.

    It raises a bare RuntimeError for that, where asyncio's own loop raises ConnectionError.
    """
    return isinstance(exc, RuntimeError) and "handler is closed" in str(exc)


# Exceptions of Python's own whose text names code, never data.
_NAMES_CODE: Final = (AttributeError, ImportError, ModuleNotFoundError, NameError, RecursionError)
# Exceptions of clients that say little more than their name, in words.
_WORDS: Final = {
    "ConnectionError": "the connection failed",
    "ConnectionResetError": "the connection was reset",
    "InvalidResponse": "the answer is not in Redis' protocol",
    "TimeoutError": "no answer in time",
}


def message_of(exc: BaseException) -> str:
    """Say what an exception is, in words that may be logged and shown: the one place for it.

    The text of an exception that is not ours is never shown: libraries quote what they were given,
    a password, a payload or a whole URL. Of those, the reason that the operating system or OpenSSL
    gives is said, from the exception or one that it came from, and else what kind it is.
    (What a *server* answered is sorted by :mod:`pepi_stream.claims.replies` and
    :mod:`pepi_stream.sink.messages`.)
    """
    if isinstance(exc, PepiError):
        return str(exc)
    if type(exc) in _NAMES_CODE and str(exc):
        return printable(f"{type(exc).__name__}: {exc}")
    if is_closed_transport(exc):
        return _WORDS["ConnectionResetError"]
    seen: BaseException | None = exc
    while seen is not None:
        if reason := _reason_of_system(seen):
            return reason
        seen = seen.__cause__ or seen.__context__
    name = type(exc).__name__
    return _WORDS.get(name, name)


def _reason_of_system(exc: BaseException) -> str:
    if isinstance(exc, ssl.SSLError):  # its errno is OpenSSL's
        reason = getattr(exc, "reason", None)  # only those that OpenSSL raised have it
        return f"TLS: {reason.lower().replace('_', ' ')}" if reason else ""
    if isinstance(exc, socket.gaierror):
        return exc.strerror or ""
    return os.strerror(exc.errno) if isinstance(exc, OSError) and exc.errno else ""
