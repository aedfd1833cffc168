"""The source: claims from Redis, leases kept alive, acks sent back."""

from pepi_stream.source.redis_source import ClaimLostError, RedisSource

__all__ = ["ClaimLostError", "RedisSource"]
