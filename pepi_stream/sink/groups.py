"""Which batches go into one INSERT: those in a row that fill the same columns alike. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from pepi_stream.sink.bulk import common_types
from pepi_stream.sink.rows import Rendered

# Rows that make an INSERT's text long enough; the parse tree of a longer one leaves the server's
# caches.
_TEXT_ROWS = 2500


class Group:
    """Batches whose rows go into one INSERT: they fill the same columns with the same types.

    Attributes:
        rendered: the batches, in order.
        names: the columns.
        types: of parameters; None when the rows are text.
        size: how many rows.
    """

    def __init__(self, first: Rendered) -> None:
        self.rendered = [first]
        self.names = first.names
        self.types = first.types
        self.size = first.size
        self._weight = first.weight

    def alone(self, first: int, stop: int) -> Callable[[], int] | None:
        """Return what tells of a range of one row how young its event is; None of a longer one."""
        return partial(self._ahead_of_arrival, first) if stop - first == 1 else None

    def _ahead_of_arrival(self, row: int) -> int:
        """Return by how many ms the event of a row is younger than its arrival."""
        for rendered in self.rendered:
            if row < rendered.size:
                batch = rendered.batch
                ahead: int = batch.column("occurred_at")[row] - batch.claim.received_at
                return ahead
            row -= rendered.size
        raise IndexError(row)

    def add(self, other: Rendered, max_bytes: int) -> bool:
        """Take a batch in, if it fits; say whether it did."""
        weight = self._weight + other.weight
        if self.names != other.names or weight > max_bytes:
            return False
        if self.types is None or other.types is None:
            if self.types is not other.types or self.size >= _TEXT_ROWS:
                return False
        else:
            types = common_types(self.types, other.types)
            if types is None:
                return False
            self.types = types
        self.rendered.append(other)
        self.size += other.size
        self._weight = weight
        return True


def groups_of(fresh: Sequence[Rendered], max_bytes: int) -> list[Group]:
    """Return runs of batches, in order, that go into one INSERT each."""
    groups: list[Group] = []
    for rendered in fresh:
        if rendered.size and not (groups and groups[-1].add(rendered, max_bytes)):
            groups.append(Group(rendered))
    return groups
