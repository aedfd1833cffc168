"""A claim: payloads that one worker holds under a lease, and the id that makes them count once."""

from __future__ import annotations

import hashlib
import os
import sys
import uuid
from array import array
from functools import cached_property


class Claim:
    """Payloads taken from the queue together, in queue order.

    Attributes:
        id: UUIDv7 text; the same for every delivery of these payloads.
        payloads: the raw payloads, in queue order.
        delivery: 1 for the first worker that holds it, one more for each recovery.
        received_at: when this worker received it, in ms since 1970 UTC.
        left: how many payloads it left in the queue; None if it was not taken from there just now.
    """

    def __init__(
        self,
        claim_id: str,
        payloads: list[bytes],
        *,
        delivery: int,
        received_at: int,
        left: int | None = None,
    ) -> None:
        self.id = claim_id
        self.payloads = payloads
        self.delivery = delivery
        self.received_at = received_at
        self.left = left

    @cached_property
    def size(self) -> int:
        """Bytes of all payloads."""
        return sum(map(len, self.payloads))

    @cached_property
    def digest(self) -> bytes:
        """16 bytes that tell these payloads from any others: SHA-256 of lengths and bytes, cut.

        Part of the delivery protocol (:mod:`pepi_stream.claims.protocol`): ledgers are full of
        these digests, so another way to compute them is another version.

        The ledger keeps it beside the id, so that a known id with other payloads is
        noticed instead of dropped. SHA-256, because processors have it in hardware:
        it took 0.4 of the time of BLAKE2b.
        """
        lengths = array("Q", map(len, self.payloads))
        if sys.byteorder == "big":
            lengths.byteswap()
        digest = hashlib.sha256(lengths)
        digest.update(b"".join(self.payloads))
        return digest.digest()[:16]

    @property
    def key(self) -> bytes:
        """The id as the ledger stores it: 16 bytes."""
        return uuid.UUID(self.id).bytes

    def __repr__(self) -> str:
        return f"<Claim {self.id} of {len(self.payloads)} payloads, delivery {self.delivery}>"


def new_claim_id(now_ms: int) -> str:
    """Make a UUIDv7 (RFC 9562, section 5.7): 48 bits of ms since 1970, 74 random bits.

    Made by the worker, never by a Redis counter: a counter that restarts after a wipe
    would repeat ids that the ledger has already seen, and fresh events would be dropped.
    """
    value = (now_ms & ((1 << 48) - 1)) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 7 << 76  # version
    value = value & ~(0x3 << 62) | 2 << 62  # variant
    return str(uuid.UUID(int=value))


def first_claim_key(at_ms: int) -> bytes:
    """Return the lowest 16-byte claim key made at ``at_ms`` (ms since 1970) or later."""
    return (at_ms & ((1 << 48) - 1)).to_bytes(6, "big") + bytes(10)


def claim_age_seconds(claim_id: str, now_ms: int) -> float:
    """Return how many seconds ago the claim id was made; raises ValueError for other ids."""
    parsed = uuid.UUID(claim_id)
    if parsed.version != 7:
        raise ValueError(f"{claim_id} is not a UUIDv7")
    return (now_ms - (parsed.int >> 80)) / 1000
