"""Payloads in a file: one a line, or JSON that somebody has laid out over several lines. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

#: JSON is laid out over lines after one of these, or before one of those.
_OPENS = (b"{", b"[", b",", b":")
_CLOSES = (b"}", b"]", b",", b":")
#: Lines of a file that are read again, because the one before them was never closed.
_READ_AGAIN = 200_000


def payloads_of(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the payloads in the lines of a file, in order.

    A payload is a line. But where a line opens an object or an array that it does not close, the
    lines that follow belong to it, up to the one that does: what ``jq`` or a provider's page shows.
    The next value may begin in that line: ``}{`` is what ``jq -j`` writes.
    Lines that are never closed, or that no JSON is laid out like, are payloads each, so that one
    line that was cut off does not take its neighbours along. After many of those, all lines are.

    Args:
        lines: with their ends or without.
    """
    patience = _READ_AGAIN
    rest = deque[bytes]()  # lines that were read, and turned out to be no part of the one before
    more = iter(lines)

    def read() -> bytes | None:
        return rest.popleft() if rest else next(more, None)

    while (line := read()) is not None:
        payload = line.rstrip(b"\r\n")
        parts = [payload]
        depth = _Depth()
        if patience > 0 and payload.rstrip()[-1:] in _OPENS:  # else it is whole, or was cut off
            depth.read(payload)
        while depth.is_open:
            following = read()
            if following is None:
                break
            part = following.rstrip(b"\r\n")
            if not _is_laid_out(parts[-1], part):
                rest.appendleft(following)
                break
            next_value = depth.read(part)
            if next_value:
                rest.appendleft(next_value)
                part = part.removesuffix(next_value).rstrip()
            parts.append(part)
        if len(parts) > 1 and not depth.is_closed:
            patience -= len(parts)
            rest.extendleft(reversed(parts[1:]))
            del parts[1:]
        if any(map(bytes.strip, parts)):
            yield b"\n".join(parts)


def _is_laid_out(before: bytes, after: bytes) -> bool:
    """Tell whether JSON may have a line break between these two."""
    last, first = before.rstrip()[-1:], after.lstrip()[:1]
    return not last or not first or last in _OPENS or first in _CLOSES


class _Depth:
    """How many objects and arrays of JSON are open after what was read.

    Attributes:
        is_open: an object or array was the first thing that was read, and it is not closed yet.
        is_closed: it is, and nothing but white space or another one came after it.
    """

    def __init__(self) -> None:
        self._open = bytearray()
        self._begun = False
        self._wrong = False

    @property
    def is_open(self) -> bool:
        return bool(self._open) and not self._wrong

    @property
    def is_closed(self) -> bool:
        return self._begun and not self._open and not self._wrong

    def read(self, line: bytes) -> bytes:
        """Read one line, up to where another value begins; return the line from there on.

        A text cannot go on in the next line.
        """
        in_text = escaped = False
        for at, byte in enumerate(line):
            if in_text:
                if escaped:
                    escaped = False
                elif byte == 0x5C:  # \
                    escaped = True
                elif byte == 0x22:  # "
                    in_text = False
            elif byte in b" \t\r":
                continue
            elif not self._open and byte not in b"{[":
                self._wrong = True  # something else than objects and arrays
                return b""
            elif not self._open and self._begun:
                return line[at:]
            elif byte in b"{[":
                self._begun = True
                self._open.append(byte + 2)  # what closes it: } is { + 2, ] is [ + 2
            elif byte in b"}]":
                if self._open.pop() != byte:
                    self._wrong = True
                    return b""
            elif byte == 0x22:
                in_text = True
        if in_text:
            self._wrong = True
        return b""
