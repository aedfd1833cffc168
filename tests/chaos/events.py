"""The events of a chaos run, each made from its number alone, so that any row can be checked.

Numbers go from 0 without a gap. Of every 5,000 events three are bad, each in another way: one
element of an array, one text that is no JSON, one value that only MySQL refuses.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

BLOCK = 5000  # the kinds of events repeat
CHUNK = 1000  # events of one push
START = 1_700_000_000  # seconds since 1970

_ARRAY = range(20)  # the first events of a block come in one payload
_BAD_ELEMENT, _NO_JSON, _TOO_LONG, _QUOTES = 7, 1100, 2200, 3300
_DEAD = frozenset([_BAD_ELEMENT, _NO_JSON, _TOO_LONG])
_NAMES = ("sent", "opened", "clicked", "bounced")
_DOMAINS = ("gmail.com", "hotmail.fr", "yahoo.co.in", "corp.example")
_NUMBER = re.compile(rb'"TRANSID":(\d+)')

#: True for a row whose values are not those that its event was made with. MySQL's side of
#: :func:`_seal`.
ALTERED_SQL = (
    "NOT url <=> SHA2(CONCAT_WS('|', id, event_name, recipient, "
    "CAST(UNIX_TIMESTAMP(occurred_at) AS UNSIGNED), campaign), 256)"
)


def is_dead(number: int) -> bool:
    """Tell whether the event must become a dead letter; any other must become a row."""
    return number % BLOCK in _DEAD


def number_of(payload: bytes) -> int:
    """Return the number of the event that a dead letter holds."""
    found = _NUMBER.search(payload)
    if found is None:
        raise ValueError(f"a dead letter that nobody pushed: {payload[:200]!r}")
    return int(found[1])


def numbers_of(payload: bytes) -> list[int]:
    """Return the numbers of the events that a payload holds."""
    return list(map(int, _NUMBER.findall(payload)))


def payloads(first: int) -> list[bytes]:
    """Return the payloads of the events ``first`` to ``first + CHUNK - 1``."""
    events = [_event(number) for number in range(first, first + CHUNK)]
    if first % BLOCK == 0:
        events[: len(_ARRAY)] = ["[" + ",".join(events[: len(_ARRAY)]) + "]"]
    return [event.encode() for event in events]


def count_dead(numbers: Iterable[int]) -> int:
    """Return how many of the events must become dead letters."""
    return sum(map(is_dead, numbers))


def _event(number: int) -> str:
    kind = number % BLOCK
    name = _NAMES[number % 4]
    recipient = f"user{number % 100_003}@{_DOMAINS[number % 3]}"
    at = START + number // 2000
    campaign = f"campaign {number % 11}"
    if kind == _QUOTES:
        campaign = "it's a \\ 'campaign' \N{SNOWMAN}"
    seal = _seal(number, name, recipient, at, campaign)
    if kind == _NO_JSON:
        return f'{{"TRANSID":{number},"EVENT"'
    shown = '"' + campaign.replace("\\", "\\\\") + '"'
    event = '"' + name + '"'
    if kind == _TOO_LONG:
        shown = '"' + "x" * 300 + '"'
    elif kind == _BAD_ELEMENT:
        event = "5"
    return (
        f'{{"TRANSID":{number},"EVENT":{event},"EMAIL":"{recipient}","TIMESTAMP":{at},'
        f'"TAGS":{shown},"URL":"{seal}"}}'
    )


def _seal(number: int, name: str, recipient: str, at: int, campaign: str) -> str:
    text = f"{number}|{name}|{recipient}|{at}|{campaign}"
    return hashlib.sha256(text.encode()).hexdigest()
