"""Dead letters in words: which reasons are alike, and when the log shall say so. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from pepi_stream.printable import printable
from pepi_stream.sink.messages import shown_message

#: Seconds between two lines about the same reason, at least.
EVERY_SECONDS: Final = 60.0
_MOST_REASONS: Final = 100
_MOST_TEXT: Final = 300
_OTHERS: Final = "further reasons, too many to tell apart"

_MYSQL = re.compile(r"^((?:.*: )?)MySQL error (\d+): (.*)$", re.S)
_AT_ROW = re.compile(r" at row \d+$")
# What quotes a payload, to the end if the reason was cut before the closing quote (an apostrophe
# within a word is none); a short name of a field or column may stay.
_QUOTED = re.compile(
    r"(?:(?<!\w)|(?<=\bb))(?:'(?!\w{1,40}')[^']*(?:'|$)|\"(?!\w{1,40}\")[^\"]*(?:\"|$))"
)
# The signs of an address that is escaped are one, too.
_ADDRESS = re.compile(r"[^\s<>'\"]+(?:@|\uff20|%40|=40)[^\s<>'\"]+", re.I)
# JSON, or an object's repr, that nobody put in quotes.
_BRACES = re.compile(r"[{\[].*", re.S)


def shown_reason(reason: str) -> str:
    """Return a dead letter's reason without what it quotes, as a log may have it."""
    if found := _MYSQL.match(reason):
        doing, number, message = found.groups()
        text = f"{_masked(doing)}MySQL error {number}: {shown_message(int(number), message)}"
        return _AT_ROW.sub("", text)[:_MOST_TEXT]
    return _masked(reason)[:_MOST_TEXT]


def _masked(text: str) -> str:
    text = _BRACES.sub("...", _QUOTED.sub("'...'", text))
    return printable(_ADDRESS.sub("...@...", text))


def _kind(shown: str) -> str:
    """Return what reasons that differ in their figures alone have in common."""
    return re.sub(r"\d+", "N", shown)


@dataclass
class _Tally:
    count: int = 0
    events: int = 0
    newest: str = ""
    said_at: float | None = None


class DeadLetterLog:
    """Says that records became dead letters: at most once a minute and reason.

    What became one is counted until it is said, and nothing is left out: neither at the end of the
    worker, nor when there are more reasons than are told apart.

    Args:
        table: where the dead letters are kept.
    """

    def __init__(self, table: str) -> None:
        self._table = table
        self._tallies: dict[str, _Tally] = {}

    def note(self, reasons: Iterable[str], events: int) -> None:
        """Take note of a commit.

        Args:
            reasons: of its dead letters.
            events: all that it committed, the dead ones among them.
        """
        for reason in reasons:
            shown = shown_reason(reason)
            kind = _kind(shown)
            if kind not in self._tallies and len(self._tallies) >= _MOST_REASONS:
                kind = shown = _OTHERS
            tally = self._tallies.setdefault(kind, _Tally())
            tally.count += 1
            tally.newest = shown
        for tally in self._tallies.values():
            tally.events += events

    def due(self, now: float) -> Iterator[str]:
        """Yield the lines that are due.

        Args:
            now: seconds, of a clock that never goes back.
        """
        for kind, tally in list(self._tallies.items()):
            if tally.said_at is not None and now - tally.said_at < EVERY_SECONDS:
                continue
            if not tally.count:  # else what was once makes no room for what is now
                del self._tallies[kind]
                continue
            yield self._line(tally)
            tally.said_at = now

    def rest(self) -> Iterator[str]:
        """Yield what was not said yet, at the end."""
        for tally in self._tallies.values():
            if tally.count:
                yield self._line(tally)

    def _line(self, tally: _Tally) -> str:
        text = (
            f"{tally.count} of {tally.events} events became dead letters, which {self._table} "
            f"keeps: {tally.newest}"
        )
        tally.count = tally.events = 0
        return text
