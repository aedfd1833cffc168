"""Webhooks straight into the queue: a provider's POST, verified, becomes one payload."""

from pepi_stream.ingest.build import SECRETS, build_receiver, unsigned_formats
from pepi_stream.ingest.receive import Answer, Receiver

__all__ = ["SECRETS", "Answer", "Receiver", "build_receiver", "unsigned_formats"]
