"""Webhooks straight into the queue: a provider's POST, verified, becomes one payload."""

from pepi_stream.ingest.build import build_receiver
from pepi_stream.ingest.receive import Answer, Receiver

__all__ = ["Answer", "Receiver", "build_receiver"]
