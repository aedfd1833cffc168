"""Which commits the shown tables hold: the rule that makes the page exact. Pure.

Why no commit counts twice and none is missed is in docs/decisions/0012-live-tables.md.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from enum import Enum
from typing import Final, NamedTuple

from pepi_stream.announcements import VERSION, Announcement, Commit
from pepi_stream.live.tables import Snapshot, Tables
from pepi_stream.live.workers import Workers

#: Window rows of the commits kept aside while a snapshot is read, at most: some 70 MB. (With a
#: hundred rows each, 20 s of 100 commits a second; with a window by recipient each has thousands.)
MAX_KEPT: Final = 250_000


class AbandonedError(Exception):
    """A snapshot is of no use: messages were missed, or more were heard than are kept aside."""


class Verdict(Enum):
    """Of a commit that was heard after the marker."""

    NEW = "the snapshot does not hold it"
    KNOWN = "the snapshot holds it"
    UNCLEAR = "nobody asked the snapshot; it holds it unless a clock is far behind"


class Ledger(NamedTuple):
    """What the snapshot's ledger was asked, and what it knew.

    Attributes:
        asked: keys of the claims that were open at the marker.
        since: all keys from this one on were asked about, too.
        known: those of both that the ledger knew.
    """

    asked: frozenset[bytes] = frozenset()
    since: bytes = b""
    known: frozenset[bytes] = frozenset()

    def verdict(self, commit: Commit) -> Verdict:
        """Tell whether the snapshot holds a commit that was heard after the marker.

        Raises:
            ValueError: a claim's id is no UUID.
        """
        keys = [uuid.UUID(claim).bytes for claim in commit.claims]
        if not self.known.isdisjoint(keys):
            return Verdict.KNOWN
        if any(key >= self.since or key in self.asked for key in keys):
            return Verdict.NEW
        # Not open at the marker, and made long before it: another worker had found it committed,
        # and acked it, before the one that committed it could.
        return Verdict.UNCLEAR


class Merger:
    """Keeps tables equal to the database, by commits heard and snapshots read.

    A new snapshot takes :meth:`expect`, the marker's publication, :meth:`hear` of the marker,
    reading, and :meth:`complete` (or :meth:`abandon`).

    Args:
        tables: what is shown.

    Attributes:
        seeded: whether the tables were read at all.
        wanted: why a new snapshot is needed; empty when it is not.
        replaced: whether a reader needs the tables as a whole: set here, cleared by who tells it.
    """

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.workers = Workers()
        self.seeded = False
        self.wanted = "nothing was read yet"
        self.replaced = False
        self._ledger = Ledger()
        self._nonce: str | None = None
        self._kept: list[Commit] | None = None
        self._room = 0

    @property
    def marked(self) -> bool:
        """Whether the expected marker was heard: what comes now is kept aside."""
        return self._kept is not None

    def expect(self, nonce: str) -> None:
        """Begin: a marker with this name is about to be published."""
        self._nonce, self._kept = nonce, None

    def abandon(self, why: str) -> None:
        """End without a snapshot; another one is then needed for the reason that this was."""
        self._nonce = self._kept = None
        self.wanted = why

    def hear(self, said: Announcement, now_ms: int) -> None:
        """Take in a message; messages must come in the order of the channel."""
        if said.marker:
            if said.marker == self._nonce:
                self._nonce, self._kept, self._room = None, [], MAX_KEPT
                self.wanted = ""  # whatever was missed until now was committed before now
            return
        if said.v != VERSION:
            self.wanted = "a worker of another release is at work"
            return
        if self.workers.hear(said, now_ms):
            self.wanted = "a message was missed"
        if said.doubt:
            self.wanted = "a worker may have died between a commit and its announcement"
        for commit in said.commits:
            if self._kept is not None and self._room >= 0:
                self._kept.append(commit)
                self._room -= 1 + sum(len(rows) for rows in commit.windows.values())
            if self.seeded:
                self._add(self.tables, commit)

    def complete(self, snapshot: Snapshot, ledger: Ledger) -> None:
        """Show a snapshot, and on top of it what was heard since its marker.

        Raises:
            AbandonedError: the snapshot is of no use: read another one.
        """
        kept, self._kept = self._kept, None
        if kept is None or self._room < 0:
            raise AbandonedError("too much happened while the tables were read")
        fresh = self.tables.read(snapshot)
        self._ledger = ledger
        for commit in kept:
            self._add(fresh, commit)
        self.replaced |= self.tables.become(fresh) or not self.seeded
        self.seeded = True

    def _add(self, tables: Tables, commit: Commit) -> None:
        try:
            verdict = self._ledger.verdict(commit)
        except ValueError:
            self.wanted = "a claim's id was not understood"
            return
        if verdict is Verdict.NEW:
            tables.add(commit)
        elif verdict is Verdict.UNCLEAR:
            self.wanted = "a claim was acked by another worker than committed it"


def claim_keys(claim_ids: Iterable[str]) -> frozenset[bytes]:
    """Return the ledger's keys of claim ids, without those that are no UUIDs."""
    keys = set()
    for claim_id in claim_ids:
        try:
            keys.add(uuid.UUID(claim_id).bytes)
        except ValueError:
            continue
    return frozenset(keys)
