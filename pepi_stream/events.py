"""The canonical event, and the batch: the unit on every channel, one list per column.

A batch is columnar because nothing downstream looks at one event: enrichers memoise by
distinct value, windows count tuples of columns, the sink renders columns to SQL.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from typing import Any, Final, NamedTuple

import msgspec

from pepi_stream.claims.claim import Claim
from pepi_stream.printable import printable

#: Canonical event names. A provider's name that maps to none of them becomes ``other``
#: and is kept in ``reason``; the format ``plain`` keeps the producer's own names.
EVENT_NAMES: Final = frozenset(
    [
        "queued",
        "sent",
        "delivered",
        "deferred",
        "dropped",
        "bounced",
        "opened",
        "clicked",
        "complained",
        "unsubscribed",
        "subscribed",
        "other",
    ]
)

_OCCURRED = 4  # events of a batch that stand for all when its age is told

#: The last millisecond that DATETIME(3) holds: 9999-12-31 23:59:59.999 UTC.
MAX_EPOCH_MS: Final = 253_402_300_799_999


class Event(msgspec.Struct, gc=False, kw_only=True):
    """One canonical event: what a format makes of a payload.

    Attributes:
        event_name: one of :data:`EVENT_NAMES` (``plain``: any name).
        occurred_at: when it happened, in ms since 1970 UTC; None takes the time at
            which the worker received it.
        id: the provider's message id.
        recipient: e-mail address; of what the provider sent, the address alone is kept.
        campaign: tag, category or campaign.
        ip: address of the reader, where the provider tells.
        user_agent: of the reader.
        url: the link that was clicked.
        reason: the provider's or the mail server's own words.
        bounce_class: the provider's verdict, where it gives one.
        is_machine: the provider's verdict on opens and clicks, where it gives one.
        esp: name of the provider.
        event_uid: what makes a provider's repeat of the same event recognisable.
    """

    event_name: str
    occurred_at: int | None = None
    id: str | None = None
    recipient: str | None = None
    campaign: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    url: str | None = None
    reason: str | None = None
    bounce_class: str | None = None
    is_machine: bool | None = None
    esp: str | None = None
    event_uid: str | None = None


EVENT_FIELDS: Final = Event.__struct_fields__

#: A column of a batch: one value an event, in event order.
Column = Sequence[Any]


class Constant(Sequence[Any]):
    """A column with the same value for every event; costs nothing per event.

    Args:
        value: of every event.
        size: how many events.
    """

    __slots__ = ("_size", "value")

    def __init__(self, value: Any, size: int) -> None:
        self.value = value
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return Constant(self.value, len(range(self._size)[index]))
        range(self._size)[index]  # raises IndexError
        return self.value

    def __iter__(self) -> Iterator[Any]:
        return repeat(self.value, self._size)

    def __contains__(self, value: object) -> bool:
        return self._size > 0 and value == self.value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Constant):
            return NotImplemented
        return (self.value, self._size) == (other.value, other._size)


#: Characters of a dead letter's reason, at most.
MAX_REASON: Final = 500


class DeadLetter(msgspec.Struct, gc=False, frozen=True):
    """A record that became no row, whole, with the reason.

    Attributes:
        position: index of its payload in the claim.
        element: index in that payload's array; None when it is the whole payload.
        payload: the record's bytes, unchanged.
        reason: why, for a person to read. Made printable and cut to :data:`MAX_REASON` here, as it
            may quote the record.
        format: what ``auto`` took it for; None when the batch's format says it.
    """

    position: int
    element: int | None
    payload: bytes
    reason: str
    format: str | None = None

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "reason", printable(self.reason)[:MAX_REASON])


#: Where an event came from: (index of the payload, index in the payload's array or None).
Origin = tuple[int, int | None]


class WindowKey(NamedTuple):
    """One row of a window table: start in epoch seconds, and the dimensions' values."""

    start: int
    values: tuple[str, ...]

    def hash(self) -> bytes:
        """Return 16 bytes that stand for ``values`` in the table's primary key.

        A hash, because values compare exactly by it, whatever the collation makes of
        case and trailing spaces, and because eight VARCHARs do not fit in a key.
        """
        joined = "\x00".join(f"{len(v)}:{v}" for v in self.values)
        return hashlib.blake2b(joined.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class Batch:
    """The events of one claim, on their way to the sink.

    Attributes:
        claim: the claim that it settles.
        format: name of the format that decoded it.
        columns: name -> one value an event. Formats fill the fields of :class:`Event`,
            enrichers add theirs; a name that is missing reads as all None.
        origins: where each event came from; None when event i is payload i, whole.
        dead: records that became no row.
        counts: window name -> key (window start in epoch seconds, dimension values) -> events.
        again: makes a batch of the same events, if that can be done.
    """

    __slots__ = (
        "_columns",
        "_occurred",
        "again",
        "claim",
        "counts",
        "dead",
        "format",
        "origins",
        "size",
    )

    def __init__(
        self,
        claim: Claim,
        *,
        format: str,
        size: int,
        columns: dict[str, Column],
        origins: Sequence[Origin] | None = None,
        dead: list[DeadLetter] | None = None,
    ) -> None:
        self.claim = claim
        self.format = format
        self.size = size
        self._columns: dict[str, Column] | None = columns
        self._occurred: Sequence[tuple[int, str | None]] = ()
        self.origins = origins
        self.dead = dead if dead is not None else []
        self.counts: dict[str, Counter[WindowKey]] = {}
        self.again: Callable[[], Batch] | None = None

    def __len__(self) -> int:
        return self.size

    @property
    def columns(self) -> dict[str, Column]:
        """The columns by name; made anew if they were dropped."""
        if self._columns is None:
            assert self.again is not None
            same = self.again()
            if same.size != self.size:
                raise RuntimeError(f"{self!r} was made anew as {same!r}")
            self._columns = same.columns
        return self._columns

    @columns.setter
    def columns(self, columns: dict[str, Column]) -> None:
        self._columns = columns

    def drop_columns(self) -> None:
        """Drop the columns, if they can be made anew: most batches need them no more.

        They are most of what a batch holds. Memory that is used again at once is still in the
        processor's cache (docs/decisions/0018).
        """
        if self.again is not None:
            self._occurred = self.occurred()
            self._columns = None

    def column(self, name: str) -> Column:
        """Return the column, all None when nobody filled it."""
        column = self.columns.get(name)
        return column if column is not None else Constant(None, self.size)

    def occurred(self) -> Sequence[tuple[int, str | None]]:
        """Return when a few of the events happened, evenly picked.

        Each in ms since 1970, with the provider that said so.
        """
        if self._columns is None:
            return self._occurred
        picked = range(0, self.size, max(1, self.size // _OCCURRED))[:_OCCURRED]
        at, esp = self.column("occurred_at"), self.column("esp")
        return [(at[i], esp[i]) for i in picked]

    def origin(self, index: int) -> Origin:
        """Return where event ``index`` came from."""
        return self.origins[index] if self.origins is not None else (index, None)

    def keep(self, indexes: Sequence[int]) -> Batch:
        """Return a batch of only these events, in this order, with the same dead letters.

        Window counts are not carried over: they are the sum of the events that stay.
        """
        return Batch(
            self.claim,
            format=self.format,
            size=len(indexes),
            columns={name: [c[i] for i in indexes] for name, c in self.columns.items()},
            origins=[self.origin(i) for i in indexes],
            dead=list(self.dead),
        )

    def __repr__(self) -> str:
        return f"<Batch of {self.size} events, {len(self.dead)} dead, of {self.claim!r}>"
