"""A deterministic generator of realistic e-mail events, for demos, benchmarks and tests.

It does no I/O and reads no clock::

    from pepi_stream.simulate import encoder, simulate

    payloads = map(encoder("pepipost"), simulate(seed=1, start=1767225600, rate=500, count=10_000))
"""

from pepi_stream.simulate.event import SimulatedEvent
from pepi_stream.simulate.malformed import MALFORMED
from pepi_stream.simulate.pace import HISTORY_EVENTS, after_history
from pepi_stream.simulate.payloads import FORMATS, encoder, event_name_in, formats_of
from pepi_stream.simulate.stream import Simulation, simulate

__all__ = [
    "FORMATS",
    "HISTORY_EVENTS",
    "MALFORMED",
    "SimulatedEvent",
    "Simulation",
    "after_history",
    "encoder",
    "event_name_in",
    "formats_of",
    "simulate",
]
