"""Phrases and patterns of words, all looked for in one pass over a text.

A phrase is words that stand one after the other. A pattern is a phrase in which an item may be more
than one word: ``a|b`` is either, ``block*`` is each word that begins so, ``{name}`` is a set of
words that the file names, ``...`` is any words, or none, of the same sentence, and a last ``.`` is
the end of a sentence.

Each item of each phrase is a bit of one number, the state: a bit is set while the words read last
are the phrase up to that item (the Shift-And algorithm of Baeza-Yates and Gonnet, over words and
not letters). A word costs a few operations on that number, whatever was read before: nothing is
tried twice, so no text is slow.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Mapping
from typing import Final

from pepi_stream.memo import Memo

_MEMO_SIZE = 4096  # words that texts had; at most 4 MiB of them
_GAP = "..."
_END = b"."  # no word: punctuation is taken out of a text
_PUNCTUATION: Final = bytes.maketrans(string.punctuation.encode(), b" " * len(string.punctuation))
_AROUND_ADDRESS: Final = bytes.maketrans(b"<>()[]:;,\"'", b" " * 11)
_SENTENCE_END = re.compile(rb"[.!?;]+\s")
_ITEM = re.compile(r"\{\w+\}|[^\W_]+\*?")


def words_of(text: str) -> list[bytes]:
    """Return the words of a text in lower case, without punctuation and e-mail addresses."""
    return [word for sentence in _sentences(text) for word in sentence]


def _sentences(text: str) -> list[list[bytes]]:
    raw = text.lower().replace("e-mail", "email").encode("utf-8", "surrogatepass")
    if b"@" in raw:
        words = raw.translate(_AROUND_ADDRESS).split()
        raw = b" ".join([word for word in words if b"@" not in word])
    return [part.translate(_PUNCTUATION).split() for part in _SENTENCE_END.split(raw)]


class Wording:
    """Phrases and patterns, each with the number of what it stands for."""

    def __init__(self) -> None:
        self._size = 0  # bits
        self._exact: dict[bytes, int] = {}
        self._prefixes: dict[bytes, int] = {}
        self._first = self._last = self._before_gap = 0
        #: Bit of a phrase's last item -> its number.
        self._numbers: dict[int, int] = {}
        self._masks: Memo[bytes, int] = Memo(self._mask, _MEMO_SIZE)

    def add_phrase(self, text: str, number: int) -> None:
        """Add a phrase; raises ValueError when it has no word."""
        self._add([[word] for word in words_of(text)], [], number)

    def add_pattern(self, text: str, sets: Mapping[str, Iterable[str]], number: int) -> None:
        """Add a pattern, given the sets that it may name.

        Raises:
            ValueError: it has no word, or an item is none, or it names no set; says which.
        """
        items: list[list[bytes]] = []
        gaps: list[int] = []
        tokens = text.lower().split()
        ends = tokens[1:] and tokens[-1] == "."
        for token in tokens[:-1] if ends else tokens:
            if token == _GAP:
                gaps.append(len(items))
                continue
            item: list[bytes] = []
            for one in token.split("|"):
                if not _ITEM.fullmatch(one):
                    raise ValueError(
                        f"{token!r} is no word, no word*, no {{set}} and no a|b of them"
                    )
                if one[0] != "{":
                    item.append(one.encode())
                elif one[1:-1] in sets:
                    item += [word.lower().encode() for word in sets[one[1:-1]]]
                else:
                    known = ", ".join(sets) or "none"
                    raise ValueError(f"{one} is no set of [words]; known: {known}")
            items.append(item)
        if 0 in gaps or len(items) in gaps:
            raise ValueError("... stands between words, not at an end")
        if ends:
            items.append([_END])
        self._add(items, gaps, number)

    def _add(self, items: list[list[bytes]], gaps: list[int], number: int) -> None:
        if not items:
            raise ValueError("has no word to look for")
        for place, item in enumerate(items):
            bit = 1 << self._size
            self._size += 1
            if place == 0:
                self._first |= bit
            if place + 1 in gaps:
                self._before_gap |= bit
            for word in item:
                table = self._prefixes if word.endswith(b"*") else self._exact
                key = word.removesuffix(b"*")
                table[key] = table.get(key, 0) | bit
        self._last |= bit
        self._numbers[self._size - 1] = number
        self._masks.clear()

    def bits(self, numbers: Iterable[int]) -> int:
        """Return the bits of :meth:`found` that stand for any of these numbers."""
        wanted = frozenset(numbers)
        return sum(1 << bit for bit, number in self._numbers.items() if number in wanted)

    def number(self, found: int) -> int:
        """Return the number of the phrase that was added first, of those in ``found`` (not 0)."""
        return self._numbers[(found & -found).bit_length() - 1]

    def found(self, text: str) -> int:
        """Return which phrases the text has, as bits of a number."""
        masks, first, last, gap = self._masks, self._first, self._last, self._before_gap
        end = masks[_END]
        state = found = 0
        for sentence in _sentences(text):
            for word in sentence:
                if mask := masks[word]:
                    state = (((state << 1) | first) & mask) | (state & gap)
                    found |= state
                else:
                    state &= gap
            found |= (state << 1) & end
            state &= ~gap
        return found & last

    def _mask(self, word: bytes) -> int:
        """Return the bits of the items that a word is one of."""
        mask = self._exact.get(word, 0)
        for end in range(1, len(word) + 1):
            mask |= self._prefixes.get(word[:end], 0)
        return mask
