"""Limits on one payload, kept for every format: its bytes, and how many events it may hold.

Providers keep well below both (docs/decisions/0008). A payload above one is not taken apart:
it becomes one dead letter, whole, so that a producer who pushes a file by mistake, or an array
of a million numbers, costs neither the worker's memory nor a million rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import Any

import msgspec

from pepi_stream.events import Column, DeadLetter, Origin
from pepi_stream.formats.arrays import begins_array, holds_more_than
from pepi_stream.formats.base import Decoded, Format


class LimitedFormat(Format):
    """A format that refuses payloads above the limits before its inner format sees them.

    Args:
        inner: decodes the payloads within the limits.
        max_bytes: of a payload.
        max_events: of a payload.
    """

    def __init__(self, inner: Format, *, max_bytes: int, max_events: int) -> None:
        self.name = inner.name
        self._inner = inner
        self._max_bytes = max_bytes
        self._max_events = max_events
        # Elements and commas: an array of more than n elements has more than 2 n + 2 bytes.
        self._harmless_bytes = min(max_bytes, 2 * max_events + 2)

    def decode(self, payloads: Sequence[bytes]) -> Decoded:
        """Decode the payloads within the limits; the others are dead letters."""
        if max(map(len, payloads), default=0) <= self._harmless_bytes:
            decoded = self._inner.decode(payloads)
        else:
            decoded = self._decode_some(payloads)
        if decoded.size + len(decoded.dead) > self._max_events:
            decoded = self._without_crowds(payloads, decoded)
        return decoded

    def element(self, payload: bytes, index: int) -> bytes:
        """Return what the inner format says is element ``index``."""
        return self._inner.element(payload, index)

    def taken_for(self, payload: bytes) -> str | None:
        """Return what the inner format says; None of what it does not get to see."""
        return None if self._refusal(payload) else self._inner.taken_for(payload)

    def _decode_some(self, payloads: Sequence[bytes]) -> Decoded:
        refused: dict[int, str] = {}
        for position, payload in enumerate(payloads):
            if refusal := self._refusal(payload):
                refused[position] = refusal
        if not refused:
            return self._inner.decode(payloads)
        kept = [position for position in range(len(payloads)) if position not in refused]
        decoded = self._inner.decode([payloads[position] for position in kept])
        return Decoded(
            decoded.size,
            decoded.columns,
            [(kept[position], element) for position, element in _origins(decoded)],
            _in_order(
                *(msgspec.structs.replace(d, position=kept[d.position]) for d in decoded.dead),
                *_whole(payloads, refused),
            ),
        )

    def _refusal(self, payload: bytes) -> str:
        """Return why the inner format does not get to see a payload; "" when it does."""
        if len(payload) > self._max_bytes:
            return (
                f"the payload has {len(payload)} bytes, above source.payload_max_bytes "
                f"({self._max_bytes})"
            )
        if len(payload) > self._harmless_bytes and self._is_long_array(payload):
            return self._too_many_events
        return ""

    @cached_property
    def _decode_bounded(self) -> Callable[[bytes], Any]:
        """Decodes an array of at most ``max_events`` elements, of any kind.

        It reads no further than that, and makes nothing of an element but a reference to its
        bytes. It takes megabytes, so it is made when the first long payload comes.
        """
        fields = [(f"e{n}", msgspec.Raw, msgspec.Raw()) for n in range(self._max_events)]
        bounded = msgspec.defstruct(
            "BoundedArray", fields, array_like=True, forbid_unknown_fields=True
        )
        return msgspec.json.Decoder(bounded).decode

    def _is_long_array(self, payload: bytes) -> bool:
        if not begins_array(payload) or payload.count(b",") < self._max_events:
            return False
        try:
            self._decode_bounded(payload)
        except msgspec.ValidationError:
            return True
        except (msgspec.DecodeError, RecursionError):  # for the inner format to say
            return holds_more_than(payload, self._max_events)
        return False

    def _without_crowds(self, payloads: Sequence[bytes], decoded: Decoded) -> Decoded:
        """Refuse the payloads of which a format made too many events in some other way."""
        origins = _origins(decoded)
        letters = ((letter.position, letter.element) for letter in decoded.dead)
        sizes = Counter(position for position, _ in chain(origins, letters))
        crowds = {p: self._too_many_events for p, n in sizes.items() if n > self._max_events}
        if not crowds:
            return decoded
        kept = [i for i, (position, _) in enumerate(origins) if position not in crowds]
        columns: dict[str, Column] = {
            name: [column[i] for i in kept] for name, column in decoded.columns.items()
        }
        return Decoded(
            len(kept),
            columns,
            [origins[i] for i in kept],
            _in_order(
                *(letter for letter in decoded.dead if letter.position not in crowds),
                *_whole(payloads, crowds),
            ),
        )

    @property
    def _too_many_events(self) -> str:
        return f"the payload holds more events than source.payload_max_events ({self._max_events})"


def _origins(decoded: Decoded) -> Sequence[Origin]:
    if decoded.origins is not None:
        return decoded.origins
    return [(position, None) for position in range(decoded.size)]


def _whole(payloads: Sequence[bytes], refused: Mapping[int, str]) -> Iterable[DeadLetter]:
    return (DeadLetter(p, None, payloads[p], reason) for p, reason in refused.items())


def _in_order(*letters: DeadLetter) -> list[DeadLetter]:
    return sorted(letters, key=lambda letter: (letter.position, letter.element or 0))
