"""What a provider says of a failure: an exact verdict wins, a coarse one waits for the reply.

"The mailbox is full" is a cause. "Permanent" and "bounce" are none: behind them are dead addresses
as well as block lists and full mailboxes, which the server's reply tells apart. So a coarse verdict
stands alone only where there is no reply. Beside one it becomes the column ``bounce_hint``, which
the enricher ``bounce_class`` takes where the reply says nothing. A coarse ``hard`` is never taken,
since people delete such addresses for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pepi_stream.events import Column
from pepi_stream.formats.base import not_all_none

#: The events that fail, and so have a class.
FAILURES: Final = frozenset(["bounced", "deferred", "dropped"])


def add_verdicts(
    columns: dict[str, Column],
    exact: Sequence[str | None],
    coarse: Sequence[str | None],
    replies: Sequence[object],
    hints: Sequence[str | None] | None = None,
) -> None:
    """Add ``bounce_class`` and ``bounce_hint`` of events that failed, where there are any.

    Args:
        columns: ``event_name`` is among them.
        exact: the cause, as the provider tells it.
        coarse: what else the provider says.
        replies: true for each event of which there is a server's reply.
        hints: what counts where that reply says nothing; by default what is coarse, but ``hard``.
    """
    if not any(exact) and not any(coarse):
        return
    if hints is None:
        hints = [None if said == "hard" else said for said in coarse]
    failed = [name in FAILURES for name in columns["event_name"]]
    classes = [
        (cause or (None if reply else said)) if fails else None
        for fails, cause, said, reply in zip(failed, exact, coarse, replies, strict=True)
    ]
    left = [
        hint if fails and not class_ else None
        for fails, class_, hint in zip(failed, classes, hints, strict=True)
    ]
    not_all_none(columns, "bounce_class", classes)
    not_all_none(columns, "bounce_hint", left)
