"""``plain``: one flat object whose fields are the columns' own names.

The article's ``{"id": 1, "event_name": "sent"}`` is enough. The producer's event names are
kept as they are. ``ts``, ``timestamp`` or ``occurred_at`` is in seconds (or ms) since 1970,
or ISO 8601; without one the event takes the time at which the worker received it. A producer who
gives each event a key of its own, as ``event_uid``, can find repeats by it.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pepi_stream.events import Column
from pepi_stream.formats.base import FormatError, JsonFormat, not_all_none
from pepi_stream.formats.times import event_ms

_SAME_NAME = (
    *("campaign", "ip", "user_agent", "client", "os", "device", "url"),
    *("bounce_class", "reason", "is_machine", "esp", "event_uid"),
)


class PlainRecord(msgspec.Struct, gc=False):
    """One flat event."""

    event_name: str | None = None
    event: str | None = None
    id: int | str | None = None
    recipient: str | None = None
    email: str | None = None
    ts: int | float | str | None = None
    timestamp: int | float | str | None = None
    occurred_at: int | float | str | None = None
    campaign: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    client: str | None = None
    os: str | None = None
    device: str | None = None
    url: str | None = None
    reason: str | None = None
    bounce_class: str | None = None
    is_machine: bool | None = None
    esp: str | None = None
    event_uid: str | None = None


class PlainFormat(JsonFormat[PlainRecord]):
    """``plain``, for producers of one's own."""

    name = "plain"
    record = PlainRecord

    def columns(self, records: Sequence[PlainRecord]) -> dict[str, Column]:
        """Turn records into columns; fields that nobody sent, or wants, stay away."""
        names = [r.event_name if r.event_name is not None else r.event for r in records]
        if None in names:
            raise FormatError("field event_name (or event) is missing")
        columns: dict[str, Column] = {
            "event_name": names,
            "id": [r.id if r.id is None else str(r.id) for r in records],
            "occurred_at": event_ms(
                [r.ts if r.ts is not None else r.timestamp for r in records],
                lambda: [r.timestamp for r in records],
                lambda: [r.occurred_at for r in records],
            ),
        }
        if self.wants("recipient"):
            columns["recipient"] = [
                r.recipient if r.recipient is not None else r.email for r in records
            ]
        for field in filter(self.wants, _SAME_NAME):
            not_all_none(columns, field, [getattr(r, field) for r in records])
        return columns
