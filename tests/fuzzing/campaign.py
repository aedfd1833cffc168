"""A fuzzing campaign: hostile claims for one format until one breaks a promise."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

from tests.fuzzing.corpus import SAMPLES
from tests.fuzzing.mutator import Mutator
from tests.fuzzing.promises import Fate, Promises

T = TypeVar("T")

_VARIABLE = re.compile(r"\d+|'.*'", re.S)


class Failure(NamedTuple):
    """A claim that breaks a promise, made as small as the search could."""

    payloads: list[bytes]
    error: Exception


class Campaign:
    """Makes claims for one format and checks them.

    Args:
        format: its name in the registry.
        seed: the same seed makes the same claims, whatever the format.
    """

    def __init__(self, format: str, seed: int) -> None:
        self.claims = 0
        self._promises = Promises(format)
        self._mutator = Mutator(seed, SAMPLES)
        self._seen: set[str] = set()
        fates = {sample: self._promises.fates([sample])[0] for sample in SAMPLES}
        self.neighbours = {raw: fate for raw, fate in fates.items() if fate[0] and not fate[1]}
        assert self.neighbours, (
            f"no sample is a row in the format {format}: add one to tests/fuzzing/corpus.py"
        )

    def run(self, claims: int) -> Failure | None:
        """Check so many claims; return the first that breaks a promise."""
        for _ in range(claims):
            payloads = self._claim()
            self.claims += 1
            error = self._error(payloads)
            if error is not None:
                return self._smallest(payloads, error)
        return None

    def _claim(self) -> list[bytes]:
        choose = self._mutator.random.choice
        neighbours = list(self.neighbours)
        payloads = [choose(neighbours)]
        for _ in range(choose((1, 1, 2, 4))):
            payloads += [self._mutator.payload(), choose(neighbours)]
        return payloads

    def _error(self, payloads: Sequence[bytes], keep: bool = True) -> Exception | None:
        try:
            fates = self._promises.check(payloads)
            for payload, fate in zip(payloads, fates, strict=True):
                good = self.neighbours.get(payload, fate)
                assert fate == good, "a good neighbour is not the row that it was alone"
                if keep and self._is_new(fate):
                    self._mutator.keep(payload)
        except Exception as exc:
            return exc
        return None

    def _is_new(self, fate: Fate) -> bool:
        """Tell whether something became of a payload that became of none before.

        This is what guides the search: not lines of code, but kinds of rows (which columns
        they fill) and kinds of reasons.
        """
        rows, letters = fate
        kinds = {" ".join(sorted(row)) for row in rows[:50]}
        kinds |= {_VARIABLE.sub("#", reason)[:80] for _, _, reason in letters[:50]}
        new = kinds - self._seen
        self._seen |= new
        return bool(new)

    def _smallest(self, payloads: list[bytes], error: Exception) -> Failure:
        found = Failure(payloads, error)

        def fails(smaller: list[bytes]) -> bool:
            nonlocal found
            error = self._error(smaller, keep=False)
            if error is not None and type(error) is type(found.error):
                found = Failure(smaller, error)
                return True
            return False

        _shrink(payloads, fails)
        for position in range(len(found.payloads)):
            before, after = found.payloads[:position], found.payloads[position + 1 :]
            raw = found.payloads[position]
            _shrink(list(raw), partial(_between, fails, before, after))
        _shrink(found.payloads, fails)
        return found


def _between(
    fails: Callable[[list[bytes]], bool], before: list[bytes], after: list[bytes], some: list[int]
) -> bool:
    return fails([*before, bytes(some), *after])


def _shrink(whole: list[T], fails: Callable[[list[T]], bool]) -> None:
    """Leave out ever smaller pieces, as long as what is left still fails."""
    piece, tries = max(1, len(whole) // 2), 0
    while piece and tries < 2000:
        at = 0
        while at < len(whole) and tries < 2000:
            smaller = whole[:at] + whole[at + piece :]
            tries += 1
            if fails(smaller):
                whole = smaller
            else:
                at += piece
        piece //= 2
