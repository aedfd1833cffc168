"""Postmark webhooks.

Source: postmarkapp.com/developer/webhooks (delivery, bounce, open, click, spam complaint and
subscription change: fields, samples), "Bounce types" of its API reference, and the enum
BounceType of Postmark's own Node client. A payload is one object.

- ``event_uid`` is ``MessageID:RecordType:time:recipient``, and the link after it for a click: all
  recipients of a message share its id. The time is as Postmark wrote it, to 100 ns.
- ``campaign`` is ``Tag``, else ``campaign`` of ``Metadata``.
- ``client``, ``os`` and ``device`` are the families of ``Client`` and ``OS`` (their names have
  versions, "Chrome 35.0.1916.153"), and ``Platform``, in the words that all formats share.
  ``WebMail`` is no device.
- ``bounce_class`` is by ``Type``; types that say nothing of the mailbox are ``other``. HardBounce,
  SoftBounce and Transient are coarse: they count where ``Details`` say nothing.
- Automatic replies are ``other``, and so is a change of subscription by a bounce or complaint,
  which has been reported as such. What went to a deactivated address, or could not be made into a
  mail, was never sent: ``dropped``.
- An event needs ``RecordType``. Without its own time, or a ``MessageID``, it has no uid.
- Postmark cannot tell machines from people: ``is_machine`` is left out.
- Inbound mail (no ``RecordType``, or ``Inbound``) is no event of a message sent: dead letter, or
  ``other``.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pepi_stream.events import Column, Constant
from pepi_stream.formats.base import JsonFormat, not_all_none, short_uids, without_time
from pepi_stream.formats.readers import NOBODY, reader
from pepi_stream.formats.times import event_ms
from pepi_stream.formats.verdicts import Verdict, add_verdicts

_NAMES = {
    "Delivery": "delivered",
    "Bounce": "bounced",
    "Open": "opened",
    "Click": "clicked",
    "SpamComplaint": "complained",
}
# Types of a bounce that are no bounce, or were never sent.
_BOUNCE_NAMES = {
    "Transient": "deferred",
    "AutoResponder": "other",
    "ChallengeVerification": "other",
    "AddressChange": "other",
    "ManuallyDeactivated": "dropped",
    "TemplateRenderingFailed": "dropped",
    "SMTPApiError": "dropped",
    "SpamNotification": "complained",
    "SpamComplaint": "complained",
    "Unsubscribe": "unsubscribed",
    "Subscribe": "subscribed",
}
_BOUNCE_CLASS = {
    "BadEmailAddress": "hard",
    "DnsError": "dns",
    "Blocked": "block",
    "DMARCPolicy": "policy",
    "VirusNotification": "policy",
    "ManuallyDeactivated": "policy",
    "InboundError": "other",
    "OpenRelayTest": "other",
    "SMTPApiError": "other",
    "TemplateRenderingFailed": "other",
    "Unconfirmed": "other",
}
_COARSE = {"HardBounce": "hard", "SoftBounce": "soft", "Transient": "soft"}
# Reasons of a change that has been reported as what it is.
_REPORTED = {"HardBounce", "SpamComplaint"}


class _Named(msgspec.Struct, gc=False, rename="pascal"):
    name: str | None = None
    family: str | None = None


class _Metadata(msgspec.Struct, gc=False):
    campaign: str | int | float | bool | None = None


class _Geo(msgspec.Struct, gc=False, rename={"ip": "IP"}):
    ip: str | None = None


class PostmarkRecord(
    msgspec.Struct,
    gc=False,
    rename={
        "record_type": "RecordType",
        "id": "MessageID",
        "recipient": "Recipient",
        "email": "Email",
        "delivered_at": "DeliveredAt",
        "bounced_at": "BouncedAt",
        "received_at": "ReceivedAt",
        "changed_at": "ChangedAt",
        "type": "Type",
        "details": "Details",
        "description": "Description",
        "tag": "Tag",
        "metadata": "Metadata",
        "client": "Client",
        "os": "OS",
        "platform": "Platform",
        "user_agent": "UserAgent",
        "geo": "Geo",
        "link": "OriginalLink",
        "suppress": "SuppressSending",
        "suppression": "SuppressionReason",
    },
):
    """One webhook event as Postmark sends it."""

    record_type: str
    id: str | int | None = None
    recipient: str | None = None
    email: str | None = None
    delivered_at: str | int | float | None = None
    bounced_at: str | int | float | None = None
    received_at: str | int | float | None = None
    changed_at: str | int | float | None = None
    type: str | None = None
    details: str | None = None
    description: str | None = None
    tag: str | None = None
    metadata: _Metadata | None = None
    client: _Named | None = None
    os: _Named | None = None
    platform: str | None = None
    user_agent: str | None = None
    geo: _Geo | None = None
    link: str | None = None
    suppress: bool | None = None
    suppression: str | None = None


class PostmarkFormat(JsonFormat[PostmarkRecord]):
    """``postmark``."""

    name = "postmark"
    record = PostmarkRecord

    def columns(self, records: Sequence[PostmarkRecord]) -> dict[str, Column]:
        """Turn records into columns; an unknown RecordType becomes ``other``."""
        own_names = [r.record_type for r in records]
        names = [_NAMES.get(own) or _name(r) for own, r in zip(own_names, records, strict=True)]
        if "Bounce" in own_names:
            names = [
                _BOUNCE_NAMES.get(r.type or "", name) if name == "bounced" else name
                for r, name in zip(records, names, strict=True)
            ]
        stamps = [r.delivered_at or r.bounced_at or r.received_at or r.changed_at for r in records]
        times = event_ms(
            stamps,
            lambda: [r.bounced_at for r in records],
            lambda: [r.received_at for r in records],
            lambda: [r.changed_at for r in records],
        )
        recipients = [r.recipient or r.email or None for r in records]
        columns: dict[str, Column] = {
            "event_name": names,
            "id": [None if r.id is None else str(r.id) for r in records],
            "recipient": recipients,
            "occurred_at": times,
            "campaign": [r.tag or _campaign(r.metadata) for r in records],
            "reason": [
                (r.type if r.record_type == "Bounce" else None) or r.record_type
                if name == "other"
                else r.details or r.description or r.suppression or r.type or None
                for r, name in zip(records, names, strict=True)
            ],
            "esp": Constant("postmark", len(records)),
            "event_uid": short_uids(
                without_time(
                    [
                        None
                        if not r.id
                        else f"{r.id}:{r.record_type}:{at}:{recipient}:{r.link}"
                        if r.link
                        else f"{r.id}:{r.record_type}:{at}:{recipient}"
                        for r, at, recipient in zip(records, stamps, recipients, strict=True)
                    ],
                    times,
                )
            ),
        }
        if "Bounce" in own_names:
            add_verdicts(columns, lambda index: _verdict(records[index]))
        not_all_none(columns, "url", [r.link or None for r in records])
        not_all_none(columns, "user_agent", [r.user_agent or None for r in records])
        not_all_none(columns, "ip", [(g and g.ip) or None for g in [r.geo for r in records]])
        if any(r.client or r.os or r.platform for r in records):
            readers = [
                reader(_family(r.client), _family(r.os), r.platform)
                if r.client or r.os or r.platform
                else NOBODY
                for r in records
            ]
            not_all_none(columns, "client", [r.client for r in readers])
            not_all_none(columns, "os", [r.os for r in readers])
            not_all_none(columns, "device", [r.device for r in readers])
        return columns


def _verdict(record: PostmarkRecord) -> Verdict:
    said = record.type or ""
    return Verdict(_BOUNCE_CLASS.get(said), _COARSE.get(said), record.details, trusted=True)


def _name(record: PostmarkRecord) -> str:
    if record.record_type != "SubscriptionChange" or record.suppress is None:
        return "other"
    if record.suppression in _REPORTED:
        return "other"
    return "unsubscribed" if record.suppress else "subscribed"


def _campaign(metadata: _Metadata | None) -> str | None:
    if metadata is None or metadata.campaign in (None, ""):
        return None
    return str(metadata.campaign)


def _family(named: _Named | None) -> str | None:
    return (named.family or named.name) if named else None
