"""SparkPost (Bird) webhook events.

Source: developers.sparkpost.com/api/webhooks ("Webhook Event Types": the classes of ``msys``,
their types and fields; ``user_agent_parsed``), support.sparkpost.com "Bounce Classification
Codes", and batches that users published. A payload is an array of ``{"msys": {class: event}}``,
or one of them. The class is not looked at, so that one that SparkPost adds is read too.

- ``event_uid`` is ``event_id``; where it is missing: message id, type, time, recipient and link, if
  there is such an id and a time.
- An event needs ``type``. ``initial_open`` is the top pixel of an ``open``, and ``other``.
- ``campaign`` is ``campaign_id``. ``client`` and ``os`` are SparkPost's reading of the user agent.
- ``bounce_class`` is the category of the code; 20, 40 and 70 are coarse, 1 (undetermined) is no
  verdict. Some codes tell of no bounce: 60 and 100 of automatic replies, 80 and 90 of requests to
  subscribe and unsubscribe, 26 of what was never sent.
- ``is_machine`` is ``is_prefetched``, of the event or of ``user_agent_parsed``.
- ``{"msys": {}}`` is SparkPost's test of a new webhook: no event, so a dead letter that says so.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pepi_stream.events import Column, Constant
from pepi_stream.formats.base import FormatError, JsonFormat, not_all_none, short_uids, truth
from pepi_stream.formats.readers import NOBODY, reader
from pepi_stream.formats.times import event_ms
from pepi_stream.formats.verdicts import Verdict, add_verdicts

_NAMES = {
    "injection": "queued",
    "delivery": "delivered",
    "bounce": "bounced",
    "out_of_band": "bounced",
    "delay": "deferred",
    "policy_rejection": "dropped",
    "generation_failure": "dropped",
    "generation_rejection": "dropped",
    "spam_complaint": "complained",
    "open": "opened",
    "amp_open": "opened",
    # The pixel at the top of the same opening: both together would count one open twice.
    "initial_open": "other",
    "amp_initial_open": "other",
    "click": "clicked",
    "amp_click": "clicked",
    "list_unsubscribe": "unsubscribed",
    "link_unsubscribe": "unsubscribed",
}
# Classes of a bounce that is none: automatic replies, requests, what was never sent.
_BOUNCE_NAMES = {
    **dict.fromkeys(("60", "100"), "other"),
    "80": "subscribed",
    "90": "unsubscribed",
    "26": "dropped",
}
_BOUNCE_CLASS = {
    **dict.fromkeys(("10", "30"), "hard"),
    "21": "dns",
    "22": "quota",
    "24": "soft",
    **dict.fromkeys(("23", "25", "26", "53", "54"), "policy"),
    **dict.fromkeys(("50", "51", "52"), "block"),
}
_COARSE = dict.fromkeys(("20", "40", "70"), "soft")


class _UserAgent(msgspec.Struct, gc=False):
    agent_family: str | None = None
    os_family: str | None = None
    is_prefetched: bool | int | str | None = None


class SparkpostEvent(
    msgspec.Struct,
    gc=False,
    rename={
        "uid": "event_id",
        "id": "message_id",
        "recipient": "rcpt_to",
        "url": "target_link_url",
        "ip": "ip_address",
        "prefetched": "is_prefetched",
        "parsed": "user_agent_parsed",
    },
):
    """One event, as it lies in ``msys`` under its class."""

    type: str
    timestamp: int | float | str | None = None
    uid: str | int | None = None
    id: str | int | None = None
    transmission_id: str | int | None = None
    recipient: str | None = None
    raw_rcpt_to: str | None = None
    campaign_id: str | None = None
    bounce_class: str | int | None = None
    error_code: str | int | None = None
    raw_reason: str | None = None
    reason: str | None = None
    url: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    prefetched: bool | int | str | None = None
    parsed: _UserAgent | None = None


class SparkpostRecord(msgspec.Struct, gc=False):
    """One element of the array that SparkPost posts."""

    msys: dict[str, SparkpostEvent]


class SparkpostFormat(JsonFormat[SparkpostRecord]):
    """``sparkpost``."""

    name = "sparkpost"
    record = SparkpostRecord

    def columns(self, records: Sequence[SparkpostRecord]) -> dict[str, Column]:
        """Turn records into columns; an unknown type becomes ``other``, its name the reason."""
        events = [e for r in records for e in r.msys.values()]
        if len(events) != len(records) or not all(r.msys for r in records):
            raise FormatError(_why(records))
        own_names = [e.type for e in events]
        names = {name: _NAMES.get(name, "other") for name in set(own_names)}
        event_names = [names[own] for own in own_names]
        if "bounced" in names.values():
            event_names = [
                _BOUNCE_NAMES.get(str(e.bounce_class), name) if name == "bounced" else name
                for e, name in zip(events, event_names, strict=True)
            ]
        reasons = [e.raw_reason or e.reason or None for e in events]
        if "other" in event_names:
            reasons = [
                own if name == "other" else reason
                for own, name, reason in zip(own_names, event_names, reasons, strict=True)
            ]
        times = event_ms([e.timestamp for e in events])
        ids = [e.id or e.transmission_id or None for e in events]
        recipients = [e.recipient or e.raw_rcpt_to or None for e in events]
        columns: dict[str, Column] = {
            "event_name": event_names,
            "id": [None if id is None else str(id) for id in ids],
            "recipient": recipients,
            "occurred_at": times,
            "campaign": [e.campaign_id or None for e in events],
            "url": [e.url or None for e in events],
            "ip": [e.ip or None for e in events],
            "user_agent": [e.user_agent or None for e in events],
            "reason": reasons,
            "esp": Constant("sparkpost", len(events)),
            "event_uid": short_uids(
                [
                    str(e.uid)
                    if e.uid
                    else f"{id}:{e.type}:{ms}:{recipient}:{e.url or ''}"
                    if id and ms is not None
                    else None
                    for e, id, ms, recipient in zip(events, ids, times, recipients, strict=True)
                ]
            ),
        }
        add_verdicts(columns, lambda index: _verdict(events[index], reasons[index]))
        machine = [truth(e.prefetched) for e in events]
        parsed = [e.parsed for e in events]
        if parsed.count(None) < len(parsed):
            machine = [
                truth(p.is_prefetched) if m is None and p else m
                for m, p in zip(machine, parsed, strict=True)
            ]
            readers = [reader(p.agent_family, p.os_family) if p else NOBODY for p in parsed]
            not_all_none(columns, "client", [r.client for r in readers])
            not_all_none(columns, "os", [r.os for r in readers])
        not_all_none(columns, "is_machine", machine)
        return columns


def _verdict(event: SparkpostEvent, reply: object) -> Verdict:
    code = str(event.bounce_class)
    return Verdict(_BOUNCE_CLASS.get(code), _COARSE.get(code), reply)


def _why(records: Sequence[SparkpostRecord]) -> str:
    if any(len(r.msys) > 1 for r in records):
        return "field msys holds several events; SparkPost sends one in each"
    return "no event: an empty msys is SparkPost's test of a new webhook"
