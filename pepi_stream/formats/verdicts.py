"""What a provider says of a failure: an exact verdict wins, a coarse one waits for the reply.

"The mailbox is full" is a cause. "Permanent" and "bounce" are none: behind them are dead addresses
as well as block lists and full mailboxes, which the server's reply tells apart. So a coarse verdict
stands alone only where there is no reply. Beside one it becomes the column ``bounce_hint``, which
the enricher ``bounce_class`` takes where the reply says nothing. A coarse ``hard`` is never taken,
since people delete such addresses for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from pepi_stream.events import Column

#: The events that fail, and so have a class.
FAILURES: Final = frozenset(["bounced", "deferred", "dropped"])


class Verdict(NamedTuple):
    """What a provider says of one failure.

    Attributes:
        exact: the cause, as the provider tells it.
        coarse: what else it says.
        reply: true when there is a server's reply.
        trusted: a coarse ``hard`` is about the mailbox, and counts where the reply says nothing.
    """

    exact: str | None
    coarse: str | None
    reply: object
    trusted: bool = False


def add_verdicts(columns: dict[str, Column], verdict: Callable[[int], Verdict]) -> None:
    """Add ``bounce_class`` and ``bounce_hint`` of events that failed, where there are any.

    Args:
        columns: ``event_name`` is among them.
        verdict: of the event at an index; asked only for those that failed, which are few.
    """
    names = columns["event_name"]
    classes: dict[int, str] = {}
    hints: dict[int, str] = {}
    for index in [index for index, name in enumerate(names) if name in FAILURES]:
        exact, coarse, reply, trusted = verdict(index)
        if exact or (coarse and not reply):
            classes[index] = exact or coarse or ""
        elif coarse and (trusted or coarse != "hard"):
            hints[index] = coarse
    for column, found in (("bounce_class", classes), ("bounce_hint", hints)):
        if found:
            columns[column] = _column(found, len(names))


def _column(values: dict[int, str], size: int) -> list[str | None]:
    column: list[str | None] = [None] * size
    for index, value in values.items():
        column[index] = value
    return column
