"""The live page's state: committed truth for all workers (docs/decisions/0012)."""

from pepi_stream.live.live import Live

__all__ = ["Live"]
