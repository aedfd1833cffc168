"""E-mail addresses, as columns: the address alone, its domain in one form.

Providers copy what stands in a header or an envelope (RFC 5322, 3.4; RFC 5321, 4.1.2; RFC 6068):
``Ann <ann@x.example>``, ``"Name, User" <ann@x.example>``, ``ann@x.example (home)``, a list or a
group, ``mailto:ann@x.example``, ``rfc822;ann@x.example``, ``ann@x.example.``. Of several addresses
the first counts. A domain with other letters than ASCII's becomes what the DNS knows (RFC 5891,
UTS 46): ``bücher.example``, ``BÜCHER.EXAMPLE`` and ``XN--BCHER-KVA.example`` are all
``xn--bcher-kva.example``. Where no address is found, or a domain cannot be converted, the text
stays: it never costs an event.

Nearly all recipients are plain, and a claim of them costs a few searches of one text.
"""

from __future__ import annotations

import re
import string
from typing import Any, Final
from urllib.parse import unquote

import idna

from pepi_stream.events import Column, Constant
from pepi_stream.memo import Memo

_MEMO_SIZE: Final = 10_000  # recipients that are not plain; at most 10 MiB of them
_LONGEST: Final = 1000  # characters that are searched for an address
_LONGEST_DOMAIN: Final = 255  # characters (RFC 1035, 2.3.4)
# Between two addresses of a column, and in none of them.
_BETWEEN: Final = "\x1f"
# What a plain address is of. (An apostrophe may be of it, but quotes one, too.)
_PLAIN: Final = (string.ascii_letters + string.digits + "@.!#$%&*+/=?^_`{|}~-" + _BETWEEN).encode()
# What is not plain though its characters are: a last full stop, XN--, xN-- and Xn--.
_NOT_PLAIN: Final = (b"." + _BETWEEN.encode(), b"N--", b"Xn--")
# Of no width: spaces, joiners, the directions of right-to-left text.
_INVISIBLE: Final = "\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\ufeff\u00ad"
_STOPS: Final = ".\u3002\uff0e\uff61"  # full stops that UTS 46 takes for one
_AT: Final = {ord(at): "@" for at in "\uff20\ufe6b"}  # of full width, and small
_MAILTO: Final = re.compile(r"\W*mailto:", re.I)
_AROUND_AT: Final = re.compile(r"\s*@\s*")
_END: Final = re.compile(r'[\s<>()\[\]",;:\\]')
_BRACKETS: Final = re.compile(r"<[^<>]*+")
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*+"(?!@)', re.S)
_LITERAL: Final = re.compile(r"\[[^\[\]\s]*\]")


def addresses(column: Column) -> Column:
    """Return a column of texts with the address alone of each; None stays."""
    if isinstance(column, Constant):
        return Constant(_alone(column.value), len(column))
    try:
        joined = _BETWEEN.join(column)
    except TypeError:  # a None, or what a user's format made
        joined = _BETWEEN.join([text if type(text) is str else "" for text in column])
    raw = (joined + _BETWEEN).encode("utf-8", "surrogatepass")
    odd = raw.translate(None, _PLAIN)
    if len(odd) > len(column):
        return [_alone(text) for text in column]
    places = _places(raw, odd)
    if not places:
        return column
    found = list(column)
    index = last = 0
    for place in places:
        index += raw.count(_BETWEEN.encode(), last, place)
        last = place
        found[index] = _alone(found[index])
    return found


def _alone(text: Any) -> Any:
    if type(text) is not str:
        return text
    raw = (text + _BETWEEN).encode("utf-8", "surrogatepass")
    if not _places(raw, raw.translate(None, _PLAIN)) or len(text) > _LONGEST:
        return text
    return _memo[text]


def _places(raw: bytes, odd: bytes) -> list[int]:
    """Return where something is not plain: the odd bytes, and what stands at no odd byte."""
    marks = [bytes([byte]) for byte in set(odd)]
    marks += [mark for mark in _NOT_PLAIN if mark[:1] in raw]
    places: list[int] = []
    for mark in marks:
        place = raw.find(mark)
        while place >= 0:
            places.append(place)
            place = raw.find(mark, place + 1)
    return sorted(places)


def address(text: str) -> str | None:
    """Return the first address of a text, alone; the text stripped when there is none.

    Returns None for what names nobody: nothing, or a group without members.
    """
    found = text.translate(_AT)
    if mailto := _MAILTO.match(found):
        found = unquote(found[mailto.end() :].partition("?")[0])
    found = _AROUND_AT.sub("@", _without_comments(found))
    begin, end = _chosen(found)
    if begin < 0:
        return _named(text)
    local = _local_part(found, begin)
    domain = _domain(found[begin + 1 : end])
    if not local or not domain:
        return _named(text)
    return f"{local}@{domain}"


_memo: Final = Memo(address, _MEMO_SIZE)


def _named(text: str) -> str | None:
    stripped = text.strip().strip(_INVISIBLE)
    _, colon, rest = stripped.partition(":")
    return None if colon and rest.strip() == ";" else stripped or None


def _without_comments(text: str) -> str:
    """Return a text without what stands in parentheses outside of quotes, if they match."""
    if "(" not in text:
        return text
    kept: list[str] = []
    depth = 0
    quoted = escaped = False
    for character in text:
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == '"' and not depth:
            quoted = not quoted
        elif not quoted and character == "(":
            depth += 1
        elif not quoted and character == ")" and depth:
            depth -= 1
            kept.append(" " if not depth else "")
            continue
        if not depth:
            kept.append(character)
    return text if depth else "".join(kept)


def _chosen(text: str) -> tuple[int, int]:
    """Return where the @ of the address is, and where the address ends; -1 if there is none.

    The first of the angle brackets that hold one wins over what stands outside, a display name;
    and what is not quoted over what is.
    """
    for shown in (_QUOTED.sub(lambda quoted: " " * len(quoted[0]), text), text):
        for bracket in _BRACKETS.finditer(shown):
            at = bracket[0].rfind("@")
            if at >= 0:
                at += bracket.start()
                return at, _end(text, at + 1)
        at = shown.find("@")
        while at >= 0:
            end = _end(text, at + 1)
            if text[end : end + 1] != "@":
                return at, end
            at = end
    return -1, -1


def _end(text: str, start: int) -> int:
    if literal := _LITERAL.match(text, start):
        return literal.end()
    stop = _END.search(text, start)
    end = stop.start() if stop else len(text)
    at = text.find("@", start, end)
    return at if at >= 0 else end


def _local_part(text: str, at: int) -> str:
    before = text[:at]
    if before.endswith('"'):
        quotes = [match.start() for match in re.finditer(r'(?<!\\)"', before[:-1])]
        return before[quotes[-1] :] if quotes else ""
    backwards = _END.search(before[::-1])
    local = before[at - backwards.start() :] if backwards else before
    return local.lstrip("'" + _INVISIBLE) if local.count("'") == 1 else local.strip(_INVISIBLE)


def _domain(text: str) -> str:
    """Return a domain as the DNS knows it; as it is, where it cannot be converted."""
    text = text.strip("'" + _INVISIBLE).rstrip(_STOPS)
    if text.startswith("[") or len(text) > _LONGEST_DOMAIN:
        return text
    lower = text.lower()
    if text.isascii() and "xn--" not in lower:
        return text
    try:
        # From Unicode, so that a label that was given in the form of the DNS is checked as well.
        return idna.encode(idna.decode(text, uts46=True), uts46=True).decode()
    except (idna.IDNAError, UnicodeError):
        return lower
