"""Phrases and patterns of words, all looked for in one pass over a text.

A phrase is words that stand one after the other. A pattern is a phrase in which an item may be more
than one word: ``a|b`` is either, ``block*`` is each word that begins so, ``{name}`` is a set of
words that the file names, ``...`` is any words, or none, of the same clause, ``..`` three of them
at most, and a last ``.`` is the end of a sentence. A clause ends with a sentence, or with a colon.

Each item of each phrase is a bit of one number, the state: a bit is set while the words read last
are the phrase up to that item (the Shift-And algorithm of Baeza-Yates and Gonnet, over words and
not letters). A word costs a few operations on that number, whatever was read before: nothing is
tried twice, so no text is slow.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from pepi_stream.memo import Memo

_MEMO_SIZE = 4096  # words that texts had; at most 4 MiB of them
_GAP = "..."
_SHORT_GAP = ".."
_SHORT = 3  # words that a short gap may have
_END = b"."  # no word: punctuation is taken out of a text
_PUNCTUATION: Final = bytes.maketrans(string.punctuation.encode(), b" " * len(string.punctuation))
_AROUND_ADDRESS: Final = bytes.maketrans(b"<>()[]:;,\"'", b" " * 11)
_CLAUSE_END = re.compile(rb"([.!?;:]+)\s")
_ITEM = re.compile(r"\{\w+\}|[^\W_]+\*?")


def words_of(text: str) -> list[bytes]:
    """Return the words of a text in lower case, without punctuation and e-mail addresses."""
    return [word for words, _ in _clauses(text) for word in words]


def _clauses(text: str) -> list[tuple[list[bytes], bool]]:
    """Return the words of each clause, and whether a sentence ends with it."""
    raw = text.lower().replace("e-mail", "email").encode("utf-8", "surrogatepass")
    if b"@" in raw:
        raw = b" ".join([_without_address(w) if b"@" in w else w for w in raw.split()])
    parts = [*_CLAUSE_END.split(raw), b"."]
    return [
        (clause.translate(_PUNCTUATION).split(), end.strip(b":") != b"")
        for clause, end in zip(parts[::2], parts[1::2], strict=True)
    ]


def _without_address(word: bytes) -> bytes:
    parts = word.translate(_AROUND_ADDRESS).split()
    return b" ".join([part for part in parts if b"@" not in part]) + word[-1:].strip(b"@>")


class Wording:
    """Phrases and patterns, each with the number of what it stands for."""

    def __init__(self) -> None:
        self._size = 0  # bits
        self._exact: dict[bytes, int] = {}
        self._prefixes: dict[bytes, int] = {}
        self._first = self._last = self._before_gap = self._any = self._in_clause = 0
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
        items: list[list[bytes] | None] = []
        gaps: list[int] = []
        shorts: list[int] = []
        tokens = text.lower().split()
        ends = tokens[1:] and tokens[-1] == "."
        for token in tokens[:-1] if ends else tokens:
            if token in (_GAP, _SHORT_GAP):
                (gaps if token == _GAP else shorts).append(len(items))
            else:
                items.append(_item(token, sets))
        if {0, len(items)}.intersection(gaps + shorts):
            raise ValueError("... and .. stand between words, not at an end")
        if ends:
            items.append([_END])
        if len(shorts) > 1:
            raise ValueError("one .. is enough")
        for words in range(_SHORT + 1) if shorts else (0,):
            at = shorts[0] if shorts else 0
            moved = [gap + words if gap > at else gap for gap in gaps]
            self._add([*items[:at], *[None] * words, *items[at:]], moved, number)

    def _add(self, items: Sequence[list[bytes] | None], gaps: list[int], number: int) -> None:
        if not items:
            raise ValueError("has no word to look for")
        for place, item in enumerate(items, 1):
            bit = 1 << self._size
            self._size += 1
            if place == 1:
                self._first |= bit
            if place in gaps:
                self._before_gap |= bit
            if item is None:
                self._any |= bit
                self._in_clause |= bit
            elif place < len(items) and items[place] is None:
                self._in_clause |= bit
            for word in item or ():
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
        within = ~(gap | self._in_clause)
        end = masks[_END]
        state = found = 0
        for words, ends in _clauses(text):
            for word in words:
                state = (((state << 1) | first) & masks[word]) | (state & gap)
                found |= state
            if ends:
                found |= (state << 1) & end
            state &= within
        return found & last

    def _mask(self, word: bytes) -> int:
        """Return the bits of the items that a word is one of."""
        mask = self._exact.get(word, 0) | (self._any if word != _END else 0)
        for end in range(1, len(word) + 1):
            mask |= self._prefixes.get(word[:end], 0)
        return mask


def _item(token: str, sets: Mapping[str, Iterable[str]]) -> list[bytes]:
    words: list[bytes] = []
    for one in token.split("|"):
        if not _ITEM.fullmatch(one):
            raise ValueError(f"{token!r} is no word, no word*, no {{set}} and no a|b of them")
        if one[0] != "{":
            words.append(one.encode())
        elif one[1:-1] in sets:
            words += [word.lower().encode() for word in sets[one[1:-1]]]
        else:
            known = ", ".join(sets) or "none"
            raise ValueError(f"{one} is no set of [words]; known: {known}")
    return words
