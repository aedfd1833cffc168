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

from typing import ClassVar


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


def message_of(exc: BaseException) -> str:
    """Return the exception's message, or its type's name when it has none."""
    return str(exc) or type(exc).__name__
