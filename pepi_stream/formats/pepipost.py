"""Pepipost (Netcore) webhook events.

Source: docs.pepipost.com and netcore.freshdesk.com, "What are the different Webhooks format?"
(event names; which field belongs to which event; older samples, in which every value is a
string). A payload is one object or an array of up to 1,000. Older fields ``RCPTID`` and
``CLIENTID`` are ignored.

``event_uid`` is ``TRANSID:event:TIMESTAMP``, and ``:URL`` after it for a click. An event needs
``EVENT``, ``TRANSID`` and ``EMAIL``.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pepi_stream.events import Column, Constant
from pepi_stream.formats.base import JsonFormat, short_uids, without_time
from pepi_stream.formats.times import event_ms
from pepi_stream.formats.verdicts import Verdict, add_verdicts
from pepi_stream.memo import look_up

_NAMES = {
    "sent": "sent",
    "delivered": "delivered",
    "dropped": "dropped",
    "bounced": "bounced",
    "opened": "opened",
    "clicked": "clicked",
    "unsubscribed": "unsubscribed",
    "invalid": "dropped",
    "spam": "complained",
    "abuse": "complained",
}

# A coarse verdict; every other type is soft.
_BOUNCE_CLASS = {"HARDBOUNCE": "hard"}


class PepipostRecord(
    msgspec.Struct,
    gc=False,
    kw_only=True,
    rename={
        "id": "TRANSID",
        "response": "RESPONSE",
        "recipient": "EMAIL",
        "timestamp": "TIMESTAMP",
        "event": "EVENT",
        "tags": "TAGS",
        "user_agent": "USERAGENT",
        "ip": "IPADDRESS",
        "url": "URL",
        "bounce_type": "BOUNCE_TYPE",
        "bounce_reason": "BOUNCE_REASON",
    },
):
    """One webhook event, its fields in Pepipost's order: so they are found soonest."""

    id: int | str
    response: str | None = None
    recipient: str
    timestamp: int | str | float | None = None
    event: str
    tags: str | None = None
    user_agent: str | None = None
    ip: str | None = None
    url: str | None = None
    bounce_type: str | None = None
    bounce_reason: str | None = None


class PepipostFormat(JsonFormat[PepipostRecord]):
    """``pepipost``, the default format."""

    name = "pepipost"
    record = PepipostRecord

    def columns(self, records: Sequence[PepipostRecord]) -> dict[str, Column]:
        """Turn records into columns; an unknown EVENT becomes ``other``, its name the reason."""
        own_names = [r.event for r in records]
        names = {name: _NAMES.get(name.lower(), "other") for name in set(own_names)}
        reasons = [r.bounce_reason or r.response or None for r in records]
        if "other" in names.values():
            reasons = [
                own if names[own] == "other" else reason
                for own, reason in zip(own_names, reasons, strict=True)
            ]
        ids = [f"{r.id}" for r in records]
        times = event_ms([r.timestamp for r in records])
        urls = [r.url or None for r in records]
        columns: dict[str, Column] = {
            "event_name": look_up(names, own_names),
            "id": ids,
            "recipient": [r.recipient for r in records],
            "occurred_at": times,
            "campaign": [r.tags or None for r in records],
            "url": urls,
            "ip": [r.ip or None for r in records],
            "user_agent": [r.user_agent or None for r in records],
            "reason": reasons,
            "esp": Constant("pepipost", len(records)),
        }
        add_verdicts(columns, lambda index: _verdict(records[index], reasons[index]))
        if self.wants("event_uid"):
            columns["event_uid"] = _uids(own_names, ids, times, urls)
        return columns


def _verdict(record: PepipostRecord, reply: object) -> Verdict:
    type_ = record.bounce_type
    return Verdict(None, _BOUNCE_CLASS.get(type_.upper(), "soft") if type_ else None, reply)


def _uids(
    own_names: Sequence[str], ids: Sequence[str], times: Column, urls: Sequence[str | None]
) -> Column:
    """Return the same for numbers and for their text: older and newer accounts agree."""
    kinds = look_up({name: name.lower() for name in set(own_names)}, own_names)
    texts = {
        ms: str(ms if ms is None else ms // 1000 if ms % 1000 == 0 else ms / 1000)
        for ms in set(times)
    }
    seconds = look_up(texts, times)
    clicks = [f":{url}" if url else "" for url in urls]
    uids: Sequence[str | None] = [
        f"{id}:{kind}:{second}{click}"
        for id, kind, second, click in zip(ids, kinds, seconds, clicks, strict=True)
    ]
    if "" in ids:  # says nothing: two events of one second are not the same
        uids = [uid if id else None for uid, id in zip(uids, ids, strict=True)]
    return short_uids(without_time(uids, times))
