"""What workers tell each other over Redis pub/sub: what they committed, and that they are alive.

Published on ``{queue}:windows`` (:func:`pepi_stream.claims.keys.windows_channel`) as JSON: a
commit's message goes out with the ack of its claims, in the same script. Nobody depends on hearing
them: who shows them reads the tables anew after a gap in ``number``. A channel is one for all of
Redis' databases, in which other flows may have a queue of the same name: hence ``db``.
"""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

import msgspec

from pepi_stream.claims.claim import Claim, claim_age_seconds
from pepi_stream.events import WindowKey
from pepi_stream.outcome import Outcome

VERSION: Final = 2

_LAGS = 64  # of one announcement, at most
_WHOLE = 3  # times of a provider, at least, that tell whether they are whole seconds

_T = TypeVar("_T")


class Commit(msgspec.Struct, frozen=True):
    """One committed transaction.

    Attributes:
        claims: ids of the claims that took effect with it. All or none of them are in the ledger.
        rows: event rows.
        dead: dead letters.
        windows: window name -> (start in seconds since 1970 UTC, dimensions' values, events added).
    """

    claims: list[str]
    rows: int
    dead: int
    windows: dict[str, list[tuple[int, tuple[str, ...], int]]]


class WorkerState(msgspec.Struct, frozen=True):
    """What a worker says of itself.

    Attributes:
        host: its machine.
        pid: its process there.
        since: when it started, in ms since 1970.
        rows: event rows that it committed since then.
        dead: dead letters, likewise.
        held: claims that it holds.
    """

    host: str
    pid: int
    since: int
    rows: int
    dead: int
    held: int


class Announcement(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message.

    Attributes:
        v: :data:`VERSION`. Another worker's release may have another; take it for a gap.
        worker: who says so: names a process, never used again.
        number: one more than that of the worker's last message.
        at: when, in ms since 1970.
        commits: what took effect.
        lags: the age of some of the rows' events at the commit, in seconds.
        took: seconds that some of the claims took in the pipeline, from claim to commit.
        whole: provider -> whether the times of its events, of those looked at, are whole seconds.
        doubt: claims were dropped that another worker had committed, perhaps without a word.
        state: of the worker.
        leaves: the worker stops, as it was asked to; this is its last message.
        marker: an echo for the reader that published it; says nothing else.
        db: Redis' database that the queue is in.
    """

    v: int
    worker: str
    number: int
    at: int
    commits: list[Commit] = []
    lags: list[float] = []
    took: list[float] = []
    whole: dict[str, bool] = {}
    doubt: bool = False
    state: WorkerState | None = None
    leaves: bool = False
    marker: str = ""
    db: int = 0


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Announcement).decode


def decode(message: bytes) -> Announcement:
    """Read a message.

    Raises:
        msgspec.MsgspecError: it is none, or of a release that says other things.
    """
    return _decode(message)


def marker(name: str, at_ms: int) -> bytes:
    """Return a message that says nothing but ``name``, for its own sender to hear."""
    return _encode(Announcement(VERSION, "", 0, at_ms, marker=name))


class Announcer:
    """Makes the messages of one worker.

    Args:
        now_ms: wall clock in ms since 1970, when the worker starts.
        db: Redis' database that the queue is in.
    """

    def __init__(self, now_ms: int, db: int = 0) -> None:
        self.host = socket.gethostname()
        self.pid = os.getpid()
        self.since = now_ms
        self.worker = f"{self.host}:{self.pid}:{now_ms}"
        self._db = db
        self._number = 0

    def committed(self, outcomes: Sequence[Outcome], now_ms: int) -> bytes:
        """Return the message of some commits; empty when there is nothing to say."""
        commits = [
            Commit([c.id for c in o.committed], o.rows, o.dead, _lists(o.counts))
            for o in outcomes
            if o.committed
        ]
        doubt = any(o.repeated for o in outcomes)
        if not commits and not doubt:
            return b""
        occurred = [one for o in outcomes for one in o.occurred]
        claims = [claim for o in outcomes for claim in o.committed]
        return self._announce(
            now_ms,
            commits=commits,
            lags=[(now_ms - ms) / 1000 for ms, _ in _some(occurred)],
            took=[_took(claim, now_ms) for claim in _some(claims)],
            whole=_whole(occurred),
            doubt=doubt,
        )

    def alive(self, now_ms: int, *, rows: int, dead: int, held: int) -> bytes:
        """Return the message that says that the worker is alive, and how it does."""
        state = WorkerState(self.host, self.pid, self.since, rows, dead, held)
        return self._announce(now_ms, state=state)

    def leaving(self, now_ms: int) -> bytes:
        """Return the last message: nobody needs to worry about this worker's silence."""
        return self._announce(now_ms, leaves=True)

    def _announce(self, now_ms: int, **said: object) -> bytes:
        self._number += 1
        return _encode(
            Announcement(VERSION, self.worker, self._number, now_ms, db=self._db, **said)  # type: ignore[arg-type]
        )


def _some(every: list[_T]) -> list[_T]:
    return every[:: -(-len(every) // _LAGS) or 1]


def _took(claim: Claim, now_ms: int) -> float:
    """Return the seconds since somebody made the claim: a worker that crashed with it, maybe."""
    try:
        return max(0.0, claim_age_seconds(claim.id, now_ms))
    except ValueError:  # an id of another kind
        return (now_ms - claim.received_at) / 1000


def _whole(occurred: Sequence[tuple[int, str | None]]) -> dict[str, bool]:
    """Tell whose times are whole seconds; a few that are so by chance are no evidence."""
    seen: Counter[str] = Counter(esp for _, esp in occurred if esp is not None)
    finer = {esp for ms, esp in occurred if ms % 1000}
    return {esp: esp not in finer for esp, n in seen.items() if n >= _WHOLE or esp in finer}


def _lists(
    counts: Mapping[str, Counter[WindowKey]],
) -> dict[str, list[tuple[int, tuple[str, ...], int]]]:
    return {
        window: [(key.start, key.values, n) for key, n in keys.items()]
        for window, keys in counts.items()
    }
