"""Mode services: what starts and stops with the worker."""

from pepi_stream.services.delivery import Delivery
from pepi_stream.services.live import LiveService, live_table

__all__ = ["Delivery", "LiveService", "live_table"]
