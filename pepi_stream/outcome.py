"""What a committed flush did: the value that flows back from the sink to the source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from pepi_stream.claims.claim import Claim
from pepi_stream.events import WindowKey


class Outcome(NamedTuple):
    """What a committed flush did.

    Attributes:
        committed: claims that took effect now.
        repeated: claims that had taken effect before; nothing of them was written.
        conflicts: claims whose id the ledger knows with other payloads; nothing of them
            was written, and they must be given a new id.
        rows: event rows inserted.
        dead: dead letters inserted.
        counts: window name -> key -> events counted.
        occurred: when some of the rows' events happened, in ms since 1970, with the provider.
        reasons: of the dead letters.
        repeats: events left out, because they had taken effect before.
    """

    committed: list[Claim]
    repeated: list[Claim]
    conflicts: list[Claim]
    rows: int
    dead: int
    counts: dict[str, Counter[WindowKey]]
    occurred: Sequence[tuple[int, str | None]] = ()
    repeats: int = 0
    reasons: Sequence[str] = ()
