"""Bookkeeping of the claims that this worker holds: pure."""

from __future__ import annotations

from collections.abc import Iterable

from pepi_stream.claims.claim import Claim


class HeldClaims:
    """Which claims are held, which of them are committed and wait for their ack.

    Both kinds keep their place: a claim that is committed but not yet acked still costs
    a slot, so a Redis that does not answer bounds the worker as MySQL does.

    Args:
        max_in_flight: how many claims may be held at once.
        max_bytes: no further claim is taken while those held have so many bytes of payload.
    """

    def __init__(self, max_in_flight: int, max_bytes: int) -> None:
        self.max_in_flight = max_in_flight
        self._max_bytes = max_bytes
        self._open: dict[str, int] = {}
        self._bytes: dict[str, int] = {}
        self._committed: set[str] = set()

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, claim_id: object) -> bool:
        return claim_id in self._open

    @property
    def full(self) -> bool:
        """True when no further claim may be taken."""
        return len(self._open) >= self.max_in_flight or sum(self._bytes.values()) >= self._max_bytes

    @property
    def uncommitted(self) -> int:
        """How many claims still have to take effect."""
        return len(self._open) - len(self._committed)

    def add(self, claim: Claim) -> None:
        """Take a claim in.

        A claim that comes back under a later delivery (its lease ran out while it was
        held) takes over the delivery count, nothing else.
        """
        self._open[claim.id] = claim.delivery
        self._bytes[claim.id] = claim.size

    def committed(self, claim_ids: Iterable[str]) -> None:
        """Note that these claims took effect: from now on they are acked, never released."""
        self._committed.update(i for i in claim_ids if i in self._open)

    def drop(self, claim_ids: Iterable[str]) -> None:
        """Forget claims that were acked or released."""
        for claim_id in claim_ids:
            self._open.pop(claim_id, None)
            self._bytes.pop(claim_id, None)
            self._committed.discard(claim_id)

    def open_ids(self) -> set[str]:
        """Return the ids of the claims that have not taken effect yet."""
        return self._open.keys() - self._committed

    def leases(self) -> list[tuple[str, int]]:
        """Return (claim id, delivery) of every claim whose lease must be kept alive."""
        return list(self._open.items())

    def releasable(self) -> list[tuple[str, int]]:
        """Return (claim id, delivery) of the claims that have not taken effect."""
        return [(i, d) for i, d in self._open.items() if i not in self._committed]
