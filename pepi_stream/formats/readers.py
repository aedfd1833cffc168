"""What a reader reads with, as providers tell it, in the words of the enricher ``user_agent``.

One writes ``OS X 10.7 Lion`` where another writes ``Mac OS X``, one ``mobile`` and one ``Mobile``.
Counts by client, system or device need one word for each thing: ua-parser's for clients and
systems; ``phone``, ``tablet`` and ``desktop`` for devices.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

_MEMO_SIZE: Final = 4096  # triples of names; at most 1 MiB of them
_MAX: Final = 64  # characters: the width of the columns
_NOTHING: Final = frozenset({"", "unknown", "other"})
_DEVICES: Final = {"desktop": "desktop", "mobile": "phone", "phone": "phone", "tablet": "tablet"}
# How a name of a system begins; the first that fits.
_SYSTEMS: Final = (
    ("os x", "Mac OS X"),
    ("osx", "Mac OS X"),
    ("mac os", "Mac OS X"),
    ("macos", "Mac OS X"),
    ("windows phone", "Windows Phone"),
    ("windows mobile", "Windows Mobile"),
    ("windows", "Windows"),
    ("iphone os", "iOS"),
    ("ios", "iOS"),
    ("android", "Android"),
)


class Reader(NamedTuple):
    """What somebody reads with; None for what is not known."""

    client: str | None
    os: str | None
    device: str | None


NOBODY: Final = Reader(None, None, None)


def reader(client: str | None, os: str | None, device: str | None = None) -> Reader:
    """Return what a provider calls so in our words.

    What a mailbox provider's image proxy says of system and device is made up, and left out.
    """
    return _reader(_cut(client), _cut(os), _cut(device))


@lru_cache(_MEMO_SIZE)
def _reader(client: str | None, os: str | None, device: str | None) -> Reader:
    client = _known(client)
    if client == "GmailImageProxy":  # ua-parser's word for what calls itself otherwise
        client = "GoogleImageProxy"
    if client in ("GoogleImageProxy", "YahooMailProxy"):
        return Reader(client, None, None)
    return Reader(client, _system(_known(os)), _DEVICES.get((device or "").lower()))


def _cut(name: str | None) -> str | None:
    return name[:_MAX] if name else None


def _known(name: str | None) -> str | None:
    return None if not name or name.lower() in _NOTHING else name


def _system(name: str | None) -> str | None:
    lower = (name or "").lower()
    return next((ours for start, ours in _SYSTEMS if lower.startswith(start)), name)
