"""Messages whose next event lies in the future: a timing wheel with a fixed capacity."""

from __future__ import annotations

from typing import Final, NamedTuple

from pepi_stream.simulate.campaigns import Campaign
from pepi_stream.simulate.event import SimulatedEvent
from pepi_stream.simulate.journeys import Journey
from pepi_stream.simulate.mailboxes import Mailbox

BACKLOG_LIMIT: Final = 100_000
"""Most messages that wait at one time; about 35 MB."""


class Waiting(NamedTuple):
    """A message on its journey.

    Attributes:
        send: the event that started it.
        campaign: the campaign it belongs to.
        mailbox: the recipient's provider.
        journey: all its steps.
        step: index in ``journey`` of the step that comes next.
    """

    send: SimulatedEvent
    campaign: Campaign
    mailbox: Mailbox
    journey: Journey
    step: int


class Backlog:
    """Waiting messages by the second in which their next event is due."""

    __slots__ = ("_limit", "_size", "_slots")

    def __init__(self, limit: int = BACKLOG_LIMIT) -> None:
        """Make an empty backlog of at most ``limit`` messages."""
        self._limit = limit
        self._size = 0
        self._slots: dict[int, list[Waiting]] = {}

    def __len__(self) -> int:
        """Return the number of messages that wait."""
        return self._size

    def add(self, second: int, waiting: Waiting) -> bool:
        """Keep a message until ``second``; when full, forget it and return False."""
        if self._size >= self._limit:
            return False
        self._size += 1
        slot = self._slots.get(second)
        if slot is None:
            self._slots[second] = [waiting]
        else:
            slot.append(waiting)
        return True

    def take(self, second: int, most: int) -> list[Waiting]:
        """Remove and return up to ``most`` messages due in ``second``, in the order of adding.

        What exceeds ``most`` is due in the next second, ahead of what is due there already. Call it
        for every second in turn.
        """
        due = self._slots.pop(second, None)
        if due is None:
            return []
        if len(due) > most:
            rest = due[most:]
            del due[most:]
            rest += self._slots.get(second + 1, ())
            self._slots[second + 1] = rest
        self._size -= len(due)
        return due
