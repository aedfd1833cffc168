"""What the pages need to know of the state that they show."""

from __future__ import annotations

from typing import Any, Protocol


class LiveState(Protocol):
    """The state of the queue, of all workers and of the windows, as docs/live.md describes it."""

    def snapshot(self) -> dict[str, Any]:
        """Return all there is to show, but for its ``id``."""
        ...

    def changes(self) -> dict[str, Any] | None:
        """Return what changed since the last call; None for nothing.

        With ``"snapshot": True`` in it, a reader needs a new snapshot instead.
        """
        ...

    def watch(self) -> None:
        """Say that somebody looks, now."""
        ...

    async def look(self) -> None:
        """Bring the figures up to date, now that somebody asks who did not watch before."""
        ...

    async def dead_letter(self, seq: int) -> dict[str, Any] | None:
        """Return one dead letter, whole; None when there is none.

        Raises:
            PepiError: MySQL does not answer, or does not let us see it.
        """
        ...

    async def ready(self) -> list[str]:
        """Return why this worker is not ready, a line each, without secrets; nothing if it is."""
        ...
