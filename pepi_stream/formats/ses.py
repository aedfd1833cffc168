"""Amazon SES events and notifications, in the envelope of SNS or EventBridge, or bare.

Source: docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html and
-examples.html (types, fields, samples), notification-contents.html (the older form with
``notificationType``), monitoring-eventbridge.html, and for SNS "Parsing Amazon SNS message
formats" (docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html).

One notification is one event for each recipient that it names: of its own list
(``bouncedRecipients``, ``complainedRecipients``, ``delayedRecipients``, ``recipients``), else of
``mail.destination``. They are elements 0, 1, ... of the payload, counted through all
notifications of an array. The record that stands for one of them in a dead letter is the
notification with that recipient alone in the list, so that replaying it makes that event and no
other; it is otherwise unchanged.

- ``event_uid`` is the MessageId of SNS (the id of EventBridge) and the recipient, so that SNS's
  repeats of a notification agree. Bare: mail.messageId, type, time, recipient, and link. The time
  of the mail tells no two openings apart: without its own, such an event has no uid.
- ``occurred_at`` is the event's own time, else the mail's, else the envelope's.
- An event needs ``eventType`` (or ``notificationType``), and ``mail`` or a recipient.
- What SES suppressed was never sent: ``dropped``. A bounce that names nobody (automatic replies)
  and a report that mail is no spam are ``other``.
- ``campaign`` is the message tag ``campaign``. The configuration set is none: it says how mail is
  sent, and untagged mail would pile up under its name.
- ``bounce_class`` is by ``bounceSubType`` or ``delayType``; Reject is a virus: ``block``.
  ``bounceType`` is coarse, and Undetermined no verdict. SES cannot tell machines from people:
  ``is_machine`` is left out.
- SNS also sends requests to confirm a subscription, and notes that it has ended. They are no
  events but dead letters that say what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from pepi_stream.events import Column, Origin
from pepi_stream.formats.arrays import begins_array
from pepi_stream.formats.base import (
    Decoded,
    FormatError,
    JsonFormat,
    flatten,
)
from pepi_stream.formats.ses_envelope import SesRecord, unwrap
from pepi_stream.formats.ses_notification import columns_of, people_of
from pepi_stream.formats.ses_recipients import one_each

#: The records of a payload, one for each recipient, have no more bytes than this together. SES
#: takes 50 recipients, and SNS 256 KiB.
_MAX_NARROWED = 16 << 20


class SesFormat(JsonFormat[SesRecord]):
    """``ses``."""

    name = "ses"
    record = SesRecord

    def at_once(
        self, payloads: Sequence[bytes], decode: Callable[[bytes], Any] | None = None
    ) -> Decoded:
        """Decode a clean claim; a notification is an event for each of its recipients."""
        records = list(map(decode or self._decode, payloads))
        origins: list[Origin] | None = None
        if list in set(map(type, records)):
            records, origins = flatten(records)
        if decode and not self.owns(records):
            raise FormatError("not of this format alone")
        columns, sizes = self._rows(records)
        if sizes is None:
            return Decoded(len(records), columns, origins)
        if origins is None:
            origins = [(position, None) for position in range(len(records))]
        origins = _spread(payloads, origins, sizes)
        return Decoded(len(origins), columns, origins)

    def owns(self, records: Sequence[SesRecord]) -> bool:
        """Tell whether each record has a mail, or an envelope: eventType is others', too."""
        return all(
            r.mail is not None or r.message is not None or r.detail is not None for r in records
        )

    def columns(self, records: Sequence[SesRecord]) -> dict[str, Column]:
        """Turn records, each of one recipient, into columns."""
        columns, sizes = self._rows(records)
        if sizes is not None:
            raise FormatError(
                "a notification of several recipients that is too large, or not UTF-8, "
                "to be taken apart"
            )
        return columns

    def _rows(self, records: Sequence[SesRecord]) -> tuple[dict[str, Column], list[int] | None]:
        """Return columns, and how many rows each record has; None when it is one each."""
        events, keys, sent_at = unwrap(records)
        people = list(map(people_of, events))
        sizes = None
        if any(len(p) != 1 for p in people):
            sizes = [len(p) for p in people]
            rows = [i for i, size in enumerate(sizes) for _ in range(size)]
            events = [events[i] for i in rows]
            keys = [keys[i] for i in rows]
            sent_at = [sent_at[i] for i in rows]
        return columns_of(events, keys, [person for p in people for person in p], sent_at), sizes

    def _split(self, payload: bytes) -> Iterable[tuple[int | None, bytes | msgspec.Raw]]:
        """Return one record for each recipient; of a notification of one, itself."""
        records = [raw for _, raw in super()._split(payload)]
        is_array = begins_array(payload)
        pieces: list[bytes | msgspec.Raw] = []
        room = _MAX_NARROWED
        for raw in records:
            narrowed = one_each(raw, room)
            if narrowed:
                room -= sum(map(len, narrowed))
                pieces += narrowed
            else:
                pieces.append(raw)
        if len(pieces) == 1 and not is_array:
            return [(None, pieces[0])]
        return enumerate(pieces)


def _spread(
    payloads: Sequence[bytes], origins: Sequence[Origin], sizes: Sequence[int]
) -> list[Origin]:
    """Return the origin of each row, numbered as :meth:`SesFormat._split` numbers them.

    Raises:
        ValueError: some payload is, or may be, more than ``_split`` would take apart.
    """
    spread: list[Origin] = []
    next_element: dict[int, int] = {}
    several: dict[int, int] = {}
    for (position, element), size in zip(origins, sizes, strict=True):
        if size == 1 and element is None:
            spread.append((position, None))
            continue
        first = next_element.get(position, 0)
        next_element[position] = first + size
        spread += [(position, first + n) for n in range(size)]
        if size > 1:
            several[position] = several.get(position, 0) + size
    for position, count in several.items():
        payload = payloads[position]
        if count * len(payload) > _MAX_NARROWED:
            raise ValueError("too large to be taken apart at once")
        payload.decode()
    return spread
