"""Takes a JSON array apart into the bytes of its elements, whatever is wrong inside one of them.

A decoder refuses the whole array for one element that holds half a surrogate pair (a text cut in
the middle of an emoji), ``NaN`` (which Python's and PHP's encoders may write), a control character
or too many brackets. What is an element is clear all the same as long as strings end and brackets
match: then each is taken by itself, and only the bad one is dead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec

#: Bytes of an array that is taken apart in the slow way, at most: 60 ms where they are events, half
#: a second where they are empty brackets. A larger one that no decoder reads is one dead letter.
MAX_BYTES: Final = 1 << 20

_SPACE: Final = b" \t\r\n"
_OPENING: Final = b"[{"
_CLOSED_BY: Final = bytes.maketrans(_OPENING, b"]}")
# A string, and what must come after one: a quote that is not escaped inside a text would otherwise
# turn all that follows inside out.
_STRING = rb'"(?:[^"\\]|\\.)*+"(?=[ \t\r\n]*[,:\]}])'
_BRACKETS = rb"[\[{]+|[\]}]+"
# Between two elements, commas count; within one they do not.
_OUTSIDE = re.compile(rb'%s|,|(?:%s|[^\[\]{}",]+)++' % (_BRACKETS, _STRING), re.S)
_INSIDE = re.compile(rb'%s|(?:%s|[^\[\]{}"]+)++' % (_BRACKETS, _STRING), re.S)

_decode = msgspec.json.Decoder(list[msgspec.Raw]).decode


def begins_array(payload: bytes) -> bool:
    """Tell whether a payload is an array, or broken, but meant to be one."""
    return payload.lstrip(_SPACE)[:1] == b"["


def elements(payload: bytes) -> list[bytes] | list[msgspec.Raw]:
    """Return the elements of an array, unread.

    Raises:
        msgspec.MsgspecError: it is not an array of JSON, nor of what can be told apart.
        RecursionError: likewise; it is nested too deeply.
    """
    try:
        return _decode(payload)
    except (msgspec.MsgspecError, RecursionError):
        if len(payload) > MAX_BYTES:
            raise
        try:
            return list(_apart(payload))
        except ValueError:
            pass
        raise


def holds_more_than(payload: bytes, limit: int) -> bool:
    """Tell whether an array that no decoder reads would be taken apart into more elements."""
    if len(payload) > MAX_BYTES:
        return False
    try:
        return any(number > limit for number, _ in enumerate(_apart(payload), 1))
    except ValueError:
        return False


def _apart(payload: bytes) -> Iterator[bytes]:
    """Yield each element; raises ValueError when strings or brackets do not end."""
    text = payload.strip(_SPACE)
    if text[:1] != b"[":
        raise ValueError("no array")
    closers = bytearray(b"]")
    start = at = 1
    while closers:
        token = (_OUTSIDE if len(closers) == 1 else _INSIDE).match(text, at)
        if token is None:
            raise ValueError("a string does not end, or the array does not")
        marks, at = token[0], token.end()
        if marks[0] in _OPENING:
            closers += marks.translate(_CLOSED_BY)
        elif marks[0] in b"]}":
            if closers[: -len(marks) - 1 : -1] != marks:
                raise ValueError("brackets that do not match")
            del closers[-len(marks) :]
        if not closers or (marks == b"," and len(closers) == 1):
            element = text[start : at - 1].strip(_SPACE)
            if not element:
                raise ValueError("an element is missing")
            yield element
            start = at
    if at != len(text):
        raise ValueError("text after the array")
