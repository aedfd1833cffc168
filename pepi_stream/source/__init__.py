"""The source: claims from Redis, leases kept alive, acks sent back."""

from pepi_stream.source.redis_source import RedisSource

__all__ = ["RedisSource"]
