"""The sink: buffers batches and commits them to MySQL, each claim once."""

from pepi_stream.sink.buffer import SinkBuffer
from pepi_stream.sink.connection import connect, connect_without_database
from pepi_stream.sink.rows import Rendered, RowRenderer
from pepi_stream.sink.schema import Schema
from pepi_stream.sink.transaction import Transaction
from pepi_stream.sink.writer import Sink

__all__ = [
    "Rendered",
    "RowRenderer",
    "Schema",
    "Sink",
    "SinkBuffer",
    "Transaction",
    "connect",
    "connect_without_database",
]
