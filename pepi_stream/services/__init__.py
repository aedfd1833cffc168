"""Mode services: what starts and stops with the worker."""

from pepi_stream.services.delivery import Delivery

__all__ = ["Delivery"]
