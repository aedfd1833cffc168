"""A column: from a batch to what is written to MySQL."""

from pepi_stream.events import Batch, Column


def tier(batch: Batch) -> Column:
    """Return the tiers that the enricher found, in capitals; one value an event.

    Text, int, float, bool, bytes, datetime or None.
    """
    return [value.upper() for value in batch.column("tier")]
