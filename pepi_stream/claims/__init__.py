"""The delivery protocol on the Redis side: claims, leases, acks (``lua/`` does the work)."""

from pepi_stream.claims.claim import Claim, claim_age_seconds, new_claim_id
from pepi_stream.claims.held import HeldClaims
from pepi_stream.claims.store import ClaimStore, clock_ms, connect_redis

__all__ = [
    "Claim",
    "ClaimStore",
    "HeldClaims",
    "claim_age_seconds",
    "clock_ms",
    "connect_redis",
    "new_claim_id",
]
