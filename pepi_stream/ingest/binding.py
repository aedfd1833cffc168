"""A queue of several formats: what a body is sent as, it must also be read as.

In a queue with ``source.format = auto`` the keys of a payload say which format reads it, not the
path it came by. So whoever can prove to be one provider could make another's events, and, where
repeats are dropped, keep that provider's own from taking effect.
"""

from __future__ import annotations

from typing import Protocol

from pepi_stream.ingest.scheme import Refusal


class Reader(Protocol):
    """Tells formats apart (:class:`pepi_stream.formats.auto.AutoFormat`)."""

    def taken_for(self, payload: bytes) -> str | None:
        """Return the name of the format that reads a payload; None when none does."""


class Binding:
    """Checks bodies.

    Args:
        reader: reads what is in the queue.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def require(self, name: str, body: bytes) -> None:
        """Check that nothing but the format of a name would read a body.

        What no format reads becomes a dead letter, which a person can look at.

        Raises:
            Refusal: 422, another one would.
        """
        found = self._reader.taken_for(body)
        if found not in (name, None):
            raise Refusal(
                422,
                f"the body would be read as {found}, and it was sent as {name} "
                "(source.format is auto)",
            )
